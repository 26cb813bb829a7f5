"""Stated counts and shares of an audit's source: do they add up?"""

from __future__ import annotations

from collections.abc import Iterator

from milkreport.checks.audit.findings import Finding, Outcome
from milkreport.checks.audit.rounding import is_about, is_cut, is_rounded
from milkreport.checks.reference import Reference


def audit_sums(reference: Reference) -> Iterator[Finding]:
    """Counts that must add up to a stated total."""
    for stated in reference.sums:
        found = sum(stated.parts.values())
        agrees = found == stated.total
        what = f"{stated.what}: {len(stated.parts)} counts add up to {found:,}"
        yield Finding(
            outcome=Outcome.AGREES if agrees else Outcome.DIFFERS,
            topic="count",
            what=what if agrees else f"{what}, not to {stated.total:,} as stated",
            printed=f"{stated.total:,}",
            recomputed=f"{found:,}",
            value=float(found),
            stands=stated.stands,
        )


def audit_shares(reference: Reference) -> Iterator[Finding]:
    """Shares that are stated beside the counts they are of."""
    for share in reference.shares:
        value = share.part / share.whole
        rounding = share.rounding or reference.rounding
        agrees = (
            is_about(share.printed, value)
            if rounding == "about"
            else is_rounded(share.printed, value)
        )
        said = f"{share.what}: {share.part:,} of {share.whole:,} is {value:.4f}"
        yield Finding(
            outcome=Outcome.AGREES if agrees else Outcome.DIFFERS,
            topic="count",
            what=said if agrees else f"{said}, printed {share.printed}",
            printed=share.printed,
            recomputed=f"{value:.4f}",
            value=value,
            stands=share.stands,
            notes=["would agree if cut"] if not agrees and is_cut(share.printed, value) else [],
        )
