"""All rules in the order of their codes, which are stable; which of them are muted, and which are worst."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping, Sequence

from milkreport.errors import ConfigError
from milkreport.evaluation.records.findings import SEVERITIES, Finding, Severity
from milkreport.evaluation.records.results import Results
from milkreport.evaluation.review import answers, order, training, trust
from milkreport.evaluation.review.rule import Outcome, absent

#: The code that compares with published figures: these are no part of results (``checks.reported``).
PUBLISHED = "MR013"
#: Findings that page one and the terminal show.
MOST_WORST = 3

Rule = Callable[[Results], Outcome]


def _no_reference(_: Results) -> Outcome:
    return absent("No published figures were named.")


#: Code to what it looks for, and the rule.
RULES: dict[str, tuple[str, Rule]] = {
    "MR001": ("Majority class only", answers.majority_only),
    "MR002": ("Classes never predicted", answers.never_predicted),
    "MR003": ("Training above test", training.train_test_gap),
    "MR004": ("Calibration", trust.calibration),
    "MR005": ("Metrics that contradict each other", order.contradiction),
    "MR006": ("Order of arms at tuned thresholds", order.order_at_thresholds),
    "MR007": ("Order of arms by seed", order.order_by_seed),
    "MR008": ("Subgroups", trust.subgroups),
    "MR009": ("Signs of a leak", trust.leak),
    "MR010": ("Copies among test cases", answers.copied_cases),
    "MR011": ("Classes of few cases", answers.few_cases),
    "MR012": ("End of training", training.training_end),
    PUBLISHED: ("Published figures", _no_reference),
}


def review(
    results: Results,
    muted: Mapping[str, str] | None = None,
    published: Outcome | None = None,
) -> Results:
    """The results with a finding per rule, those of *muted* with the reason why they do not count.

    Args:
        muted: code to reason, as :func:`check_mute` has it.
        published: what the comparison with published figures found; ``None``: nothing was compared.
    """
    findings = []
    for code, (title, rule) in RULES.items():
        found = published if code == PUBLISHED and published is not None else rule(results)
        findings.append(
            Finding(
                code=code,
                title=title,
                severity=found.severity,
                text=found.text,
                advice=found.advice,
                muted=(muted or {}).get(code, ""),
            )
        )
    return results.model_copy(update={"findings": findings})


def worst(findings: Sequence[Finding], most: int = MOST_WORST) -> list[Finding]:
    """The open findings, the worst first, *most* of them."""
    found = [f for f in findings if f.is_open]
    return sorted(found, key=lambda f: SEVERITIES.index(f.severity))[:most]


def reaches(findings: Sequence[Finding], severity: Severity) -> bool:
    """Whether an open finding is as bad as *severity*, or worse."""
    limit = SEVERITIES.index(severity)
    return any(f.is_open and SEVERITIES.index(f.severity) <= limit for f in findings)


def check_mute(code: str, reason: str, where: str = "") -> tuple[str, str]:
    """A code and the reason for muting it; *where* they come from, for the error.

    Raises:
        ConfigError: no such code (the nearest is named), or no reason.
    """
    name, why = code.strip().upper(), reason.strip()
    if name not in RULES:
        padded = f"MR{name.removeprefix('MR').zfill(3)}"
        near = [padded] if padded in RULES else difflib.get_close_matches(name, RULES, n=1)
        do = f"did you mean {near[0]}?" if near else f"codes are {', '.join(RULES)}"
        raise ConfigError(f"unknown code {code.strip()[:40]!r}", do, where)
    if not why:
        do = f'say why, as in {name}="reason": the report prints it'
        raise ConfigError(f"{name} is muted without a reason", do, where)
    return name, why


def parse_mutes(texts: Sequence[str]) -> dict[str, str]:
    """``CODE=reason`` each, as the option ``--mute`` takes them.

    Raises:
        ConfigError: see :func:`check_mute`.
    """
    pairs = (text.partition("=") for text in texts)
    return dict(check_mute(code, reason, "--mute") for code, _, reason in pairs)
