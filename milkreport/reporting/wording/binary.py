"""What is said of the positive classes: which they are, where they are called, and what a value means."""

from __future__ import annotations

from milkreport.evaluation.binary.rules import OperatingRule, parse_rule
from milkreport.evaluation.records.binary import BinaryResult, OperatingPoint
from milkreport.evaluation.records.results import Results
from milkreport.reporting.wording.order import places
from milkreport.reporting.wording.text import capital, decimal, listing, shorten
from milkreport.reporting.wording.titles import headline_part

TITLES = {
    "sensitivity": "Sensitivity",
    "specificity": "Specificity",
    "ppv": "PPV",
    "npv": "NPV",
    "auc": "AUC",
    "average_precision": "Average precision",
    "lr_positive": "LR+",
    "lr_negative": "LR−",
    "net_benefit": "Net benefit",
}
#: What each asks; a note in its row.
MEANINGS = {
    "sensitivity": "share of positive cases that are called positive",
    "specificity": "share of negative cases that are called negative",
    "ppv": "share of cases called positive that are positive",
    "npv": "share of cases called negative that are negative",
    "lr_positive": "sensitivity / (1 − specificity)",
    "lr_negative": "(1 − sensitivity) / specificity",
}


def binary_arms(results: Results) -> list[tuple[int, str, BinaryResult]]:
    """Place (see :func:`places`), name and record of every arm that has one."""
    part, place = headline_part(results), places(results)
    return [
        (place[arm.name], arm.name, found.binary)
        for arm in results.arms
        if (found := arm.part(part)) is not None and found.binary is not None
    ]


def positive_name(found: BinaryResult) -> str:
    """The positive classes by name."""
    return listing(shorten(name, 24) for name in found.classes)


def rule_words(rule: OperatingRule) -> str:
    """An operating point in words."""
    return {
        "argmax": "the predicted class",
        "fixed": f"a declared threshold of {rule.value:g}",
        "sensitivity": f"a sensitivity of at least {rule.value:g}",
        "specificity": f"a specificity of at least {rule.value:g}",
        "youden": "the largest sum of sensitivity and specificity (Youden)",
        "cost": f"the least cost, a false negative costing {rule.value:g} false positives",
    }[rule.kind]


def threshold_words(point: OperatingPoint) -> str:
    """The threshold and where it comes from."""
    if point.source == "none":
        return "none could be set: the predicted class decides"
    if point.threshold is None:
        return "the predicted class"
    text = decimal(point.threshold)
    if point.rule == "argmax":
        return f"{text}, the predicted class"
    if point.source == "declared":
        return f"{text}, declared"
    within = ""
    if point.lowest is not None and point.highest is not None and point.lowest < point.highest:
        within = f" ({decimal(point.lowest)} to {decimal(point.highest)})"
    where = "nested" if point.source == "nested" else "validation part"
    return f"{text}{within}, {where}"


def point_sentence(results: Results) -> str:
    """Which class counts as positive, and at which operating point; empty if none does."""
    arms = binary_arms(results)
    if not arms:
        return ""
    found = arms[0][2]
    point, name = found.operating, positive_name(found)
    rule = parse_rule(point.rule)
    words = shorten(results.data.units, 24)
    text = f"{name} {'counts' if len(found.classes) == 1 else 'count'} as positive"
    if found.by_default:
        text += " (the second of two classes, because none was named)"
    if rule.kind == "argmax":
        half = ""
        if len(results.classes) == 2:  # of equal probabilities the first class is predicted
            above = "of at least" if found.classes == results.classes[:1] else "above"
            half = f", that is with a probability {above} 0.5"
        said = f"{text}. {capital(words)} are called positive by the predicted class{half}"
        return f"{said}: no operating point was asked for."
    text += f". Operating point: {rule_words(rule)}"
    sources = {arm.operating.source for _, _, arm in arms}
    if rule.is_chosen and "nested" in sources:
        text += (
            f". The threshold is nested: the {words} of each inner fold are called at the threshold found on "
            "the other folds, so none is called at a threshold that it helped to choose. The intervals "
            "include the choice of the threshold"
        )
    elif rule.is_chosen and "validation" in sources:
        text += ". The threshold was found on the validation part"
    if sources == {"none"}:
        text += ". It could not be set (hard labels, or too few cases): the predicted class decides"
    elif "none" in sources:
        text += ". Where it could not be set (hard labels, or too few cases), the predicted class decides"
    return text + "."
