"""Do reported numbers agree with each other? Every metric that a published matrix allows, computed again.

In the tradition of statcheck (Nuijten et al., 2016) and GRIM (Brown and Heathers, 2017). Nothing but the
reference is read: no data and no run.
"""

from __future__ import annotations

from milkreport.checks.audit.claims import audit_behaviour, audit_claims
from milkreport.checks.audit.findings import Audit, ReadMatrix
from milkreport.checks.audit.matrices_check import audit_matrices
from milkreport.checks.audit.metrics import audit_metrics, audit_shares, audit_sums
from milkreport.checks.audit.numbers import audit_numbers
from milkreport.checks.reference import Reference


def audit(reference: Reference) -> Audit:
    """Hold every statement of *reference* against the others.

    Matrices are read first (rows, sums, totals), then metrics are recomputed from them, then what is said
    of the arms is compared with printed and recomputed numbers.
    """
    matrices, about_matrices = audit_matrices(reference)
    by_itself = list(audit_metrics(reference, matrices))
    keys = ((f.arm, f.part, f.metric, f.class_name) for f in by_itself)
    alone = dict(reversed([*zip(keys, by_itself, strict=True)]))  # the first: not what is repeated
    return Audit(
        reference=reference.name,
        title=reference.title,
        source=reference.source,
        classes=list(reference.classes),
        arms={arm.name: arm.title for arm in reference.arms},
        findings=[
            *audit_sums(reference),
            *audit_shares(reference),
            *about_matrices,
            *by_itself,
            *audit_numbers(reference, matrices, alone),
            *audit_claims(reference, matrices),
            *audit_behaviour(reference, matrices),
        ],
        matrices=[
            ReadMatrix(
                arm=arm,
                part=part,
                counts=found.counts.tolist(),
                note="; ".join(found.reading.repairs),
            )
            for (arm, part), found in matrices.items()
        ],
    )


def without_matrices(reference: Reference) -> Reference:
    """The same publication as if it had printed no confusion matrix."""
    return reference.model_copy(update={"matrices": []})
