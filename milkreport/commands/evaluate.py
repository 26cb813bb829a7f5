"""The work of ``evaluate``: loads only what is asked for, so that points alone come quickly."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from milkreport.evaluation.evaluate import evaluate_inputs
from milkreport.evaluation.metrics.measures import Plan
from milkreport.evaluation.reading.inputs import EvaluationInputs
from milkreport.evaluation.records.results import Results
from milkreport.evaluation.review.review import review
from milkreport.evidence.pack import check_level


def evaluate(
    inputs: EvaluationInputs,
    plan: Plan,
    title: str,
    out: Path | None,
    command: str,
    pdf: str,
    muted: Mapping[str, str],
    cases: bool = True,
    evidence: str = "",
) -> Results:
    """Score and compare predictions; where *out* is named, write results and report into it.

    Args:
        muted: findings that do not count, code to reason.
        evidence: what the report carries, see :func:`milkreport.commands.execute.draw`.
    """
    check_level(evidence, cases)
    if out is not None:
        from milkreport.commands.console import note
        from milkreport.runs.evaluated import refuse_other

        if refuse_other(out, command, inputs.sources_sha256):
            note(f"replacing the evaluation in {out}, which the same command made")
    results = evaluate_inputs(inputs, plan, title=title, suite=out.name if out else "evaluate")
    results = review(results, muted)
    if out is not None:
        from milkreport.commands import execute
        from milkreport.commands.console import show_files
        from milkreport.runs.evaluated import write_evaluation
        from milkreport.runs.folder import RunFolder

        results = write_evaluation(out, inputs, results, command)
        show_files(execute.draw(RunFolder(out), results, None, pdf, cases=cases, evidence=evidence))
    return results
