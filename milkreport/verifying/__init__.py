"""A report against its own evidence: hashes, numbers recomputed from predictions, and the printed text."""
