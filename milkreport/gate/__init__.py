"""The regression gate: a run against published figures or an earlier run."""
