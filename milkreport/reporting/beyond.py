"""Beyond this test part: external test sets, abstention, prediction sets, and other class shares."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from milkreport.evaluation.records.beyond import Beyond, ClassSets, Forecast
from milkreport.evaluation.records.estimate import Estimate
from milkreport.evaluation.records.results import ArmResult, Results
from milkreport.reporting.blocks import Cell, Chapter, Column, Footnote, Row, Table, table
from milkreport.reporting.external import external_lines, external_tables, external_texts
from milkreport.reporting.robustness import build_robustness
from milkreport.reporting.tables import estimate_cell
from milkreport.reporting.wording.intervals import interval_notes
from milkreport.reporting.wording.order import (
    MOST_COLUMNS,
    column_words,
    drawn_arms,
    is_many,
    reported_names,
)
from milkreport.reporting.wording.text import (
    MISSING,
    decimal,
    interval,
    listing,
    p_value,
    percent,
    shorten,
    whole,
)
from milkreport.reporting.wording.titles import arm_title

TITLE = "Beyond this test part"
#: Measured by scripts/foretell_clinics.py; docs/beyond.md, "Clinics cut out of real data".
_HELD_COUNTED, _HELD_ESTIMATED = 0.605, 0.482
#: Arms that fit beside one another with two columns each.
MOST_SETS = 3
FORECAST_TITLES = {
    "accuracy": "Accuracy",
    "macro_f1": "Macro F1",
    "sensitivity": "Sensitivity",
    "specificity": "Specificity",
    "ppv": "Positive predictive value",
    "npv": "Negative predictive value",
}
PER_THOUSAND_TITLES = {
    "missed": "Missed positives per 1,000",
    "needless": "Needless calls per 1,000",
}


@dataclass(frozen=True)
class BeyondView:
    """What it assumes, and the tables; and what corrupted images do, if they were scored."""

    texts: tuple[str, ...]
    tables: tuple[Table, ...]
    remarks: tuple[str, ...]
    robustness: Chapter | None = None


def build_beyond(results: Results) -> BeyondView | None:
    """The section; ``None`` if results hold nothing of it, or many arms and nothing that was asked for."""
    robustness = build_robustness(results)
    arms = [
        (arm, part.beyond)
        for arm in drawn_arms(results)
        if not is_many(results) or arm.name in reported_names(results)
        if (part := arm.part("test")) is not None and part.beyond is not None
    ]
    asked = bool(results.unlabelled) or any(b.forecast is not None for _, b in arms)
    # Of many arms, what nobody asked for is in results.json alone.
    shown = bool(arms) and (asked or not is_many(results))
    if not shown and not results.external:
        return None if robustness is None else BeyondView((), (), (), robustness)
    texts, tables = external_texts(results), external_tables(results)
    remarks: list[str] = []
    texts += [line for one in results.external for line in external_lines(results, one)]
    if not shown:
        return BeyondView(tuple(texts), tuple(tables), tuple(remarks), robustness)
    texts.append(_assumptions(results, arms))
    if abstained := _abstention(results, arms):
        tables.append(abstained)
    if sets := _sets(results, arms):
        tables.append(sets)
        remarks += _promises(results, arms)
    given = [(arm, b.forecast) for arm, b in arms if b.forecast is not None]
    if given:
        tables += _forecasts(results, given, "forecast", "At the given class shares")
    estimated = []
    for found in results.unlabelled:
        arm = results.arm(found.arm)
        said = f"{whole(found.n)} unlabelled {results.data.units} ({shorten(found.source)})"
        whose = arm_title(results, found.arm)
        if found.refused:
            remarks.append(f"{whose}, {said}: no forecast, because {found.refused}.")
        elif arm is not None and found.forecast is not None:
            estimated.append((arm, found.forecast))
            remarks.append(
                f"{whose}, {said}: class shares estimated by expectation maximisation. No sign that more "
                f"than the shares differs ({p_value(found.p)}); a small difference can stay unseen."
            )
    if estimated:
        heading = "At class shares estimated from unlabelled predictions"
        tables += _forecasts(results, estimated, "unlabelled", heading)
    return BeyondView(tuple(texts), tuple(tables), tuple(remarks), robustness)


def _assumptions(results: Results, arms: Sequence[tuple[ArmResult, Beyond]]) -> str:
    units = results.data.units
    what = "All else in this section" if results.external else "This section"
    text = f"{what} assumes that new {units} of a class look like those of this test part."
    if any(b.forecast for _, b in arms) or results.unlabelled:
        text += (
            " Then only class shares differ elsewhere: recall per class and balanced accuracy stay; "
            "accuracy, F1 and predictive values change. Another device, referral or skin tone breaks "
            "the assumption, and no number here shows it. In clinics that were cut out of one data set "
            "by site, skin tone, age or sex, 95% intervals held in "
            f"{percent(_HELD_COUNTED)} of the forecasts at counted shares and in "
            f"{percent(_HELD_ESTIMATED)} of those at estimated shares."
        )
    return text


def _abstention(results: Results, arms: Sequence[tuple[ArmResult, Beyond]]) -> Table | None:
    found = [(arm, b.abstention) for arm, b in arms if b.abstention is not None]
    if not found:
        return None
    rows, lost = [], False
    for arm, abstention in found:
        test = arm.part("test")
        every = test.metrics.get("accuracy") if test is not None else None
        cells = [Cell(arm_title(results, arm.name)), estimate_cell(abstention.aurc)]
        cells.append(estimate_cell(every))
        for at in abstention.at:
            gone = [name for name, n in at.kept.items() if n == 0]
            occurring = (
                {row.name for row in test.classes if row.support} if test is not None else set()
            )
            mark = "†" if occurring & set(gone) else ""
            lost = lost or bool(mark)
            note = f"{interval(at.accuracy.low, at.accuracy.high)}; macro F1 {decimal(at.macro_f1)}"
            cells.append(Cell(decimal(at.accuracy.value), note.removeprefix("; "), mark))
        rows.append(Row(tuple(cells)))
    columns = [
        Column("Arm", text=True),
        Column("AURC", "lower is better"),
        Column("Accuracy", "all answered"),
        *(Column("Accuracy", f"{at.coverage:.0%} answered") for at in found[0][1].at),
    ]
    caption = (
        f"Abstention: the {results.data.units} with the largest probability are answered, the others are "
        "left to a person. AURC: mean error share over all such shares. 95% intervals; none of macro F1."
    )
    if is_many(results):
        caption += f" Of {whole(len(results.arms))} arms those that are reported class by class."
    notes = list(interval_notes(rows, ()))
    if lost:
        notes.insert(0, Footnote("†", "A class of the test part has no answered case left."))
    return table("abstention", caption, tuple(columns), rows, tuple(notes), dense=True)


def _sets(results: Results, arms: Sequence[tuple[ArmResult, Beyond]]) -> Table | None:
    found = [(arm, b.sets) for arm, b in arms if b.sets is not None]
    if not found:
        return None
    shown = found[:MOST_SETS]
    rows = []
    for i, name in enumerate(results.classes):
        cells = [Cell(shorten(name)), Cell(whole(shown[0][1].classes[i].n))]
        for _, sets in shown:
            row = sets.classes[i]
            cells += [_covered(row), Cell(decimal(row.size, 1))]
        rows.append(Row(tuple(cells)))
    cells = [Cell("All"), Cell(whole(sum(row.n for row in shown[0][1].classes)))]
    for _, sets in shown:
        cells += [Cell(decimal(sets.covered)), Cell(decimal(sets.size, 1))]
    rows.append(Row(tuple(cells), "total"))
    columns = [Column("Class", text=True), Column(results.data.units.capitalize())]
    for arm, _ in shown:
        title = arm_title(results, arm.name) if len(found) > 1 else ""
        columns += [Column("Coverage", title), Column("Set size", title)]
    first = shown[0][1]
    caption = (
        f"Prediction sets at {percent(first.level)}, calibrated per class on {first.calibrated_on}: how "
        "often the set holds the true class, with 95% intervals, and its mean number of classes."
    )
    caption += column_words(results, MOST_SETS, len(found))
    return table(
        "prediction-sets", caption, tuple(columns), rows, interval_notes(rows, ()), dense=True
    )


def _covered(row: ClassSets) -> Cell:
    if not row.n:
        return Cell(MISSING)
    if not row.promised:
        return Cell("no promise", f"{whole(row.calibration)} of {whole(row.needed)} needed")
    return estimate_cell(row.covered.model_copy(update={"seed_sd": None}))


def _promises(results: Results, arms: Sequence[tuple[ArmResult, Beyond]]) -> list[str]:
    sets = next(b.sets for _, b in arms if b.sets is not None)
    level = percent(sets.level)
    text = (
        f"Promised: in each class, {level} of new sets or more hold the true class, on average over "
        "calibration parts; one calibration part may do worse."
    )
    if sets.calibrated_on == "the validation part":
        text += " The validation part also chose the epoch, which can make sets a little too small."
    found = [text]
    if few := [row for row in sets.classes if row.n and not row.promised]:
        named = listing(f"{shorten(row.name)} ({whole(row.calibration)})" for row in few)
        found.append(
            f"Nothing can be promised for {named}: fewer than {whole(few[0].needed)} calibration "
            f"{results.data.units} (in parentheses). Such a class is in every set."
        )
    return found


def _forecasts(
    results: Results, given: Sequence[tuple[ArmResult, Forecast]], key: str, heading: str
) -> list[Table]:
    """Expected metrics of each arm, and predicted cases per class."""
    shown = [(arm, f) for arm, f in given if not f.refused][:MOST_COLUMNS]
    if not shown:
        rows = [
            Row(
                (Cell(arm_title(results, arm.name)), Cell(f"no forecast: {f.refused}", kind="text"))
            )
            for arm, f in given
        ]
        return [table(key, f"{heading}.", (Column("Arm", text=True), Column("", text=True)), rows)]
    rows = []
    for name, title in FORECAST_TITLES.items():
        if any(name in f.metrics for _, f in shown):
            rows.append(
                Row((Cell(title), *(estimate_cell(_plain(f.metrics.get(name))) for _, f in shown)))
            )
    for name, title in PER_THOUSAND_TITLES.items():
        if any(getattr(f, name) is not None for _, f in shown):
            rows.append(Row((Cell(title), *(_count(getattr(f, name)) for _, f in shown))))
    if any(f.adjusted for _, f in shown):
        for name, title in (
            *FORECAST_TITLES.items(),
            *PER_THOUSAND_TITLES.items(),
            ("log_loss", "Log loss"),
        ):
            if any(name in f.adjusted for _, f in shown):
                of_arms = [f.adjusted.get(name) for _, f in shown]
                show = _count if name in PER_THOUSAND_TITLES else estimate_cell
                head = Cell(title, "probabilities brought to these shares")
                rows.append(Row((head, *(show(_plain(e)) for e in of_arms))))
    columns = (
        Column("Expected", text=True),
        *(Column(arm_title(results, a.name)) for a, _ in shown),
    )
    rule = next((f.rule for _, f in shown if f.rule), "")
    caption = f"{heading}, with 95% intervals where they were shown to hold"
    caption += f"; called positive at {rule}." if rule and rule != "argmax" else "."
    if any("missed" in f.adjusted for _, f in shown):
        caption += (
            " Probabilities brought to these shares answer rare classes less often: more accurate, and more "
            "positives can be missed."
        )
    counted = next((f.counted for _, f in shown if f.counted), None)
    if counted:
        caption += f" The shares were counted in {whole(counted)} cases; intervals include that."
    caption += column_words(results, MOST_COLUMNS, len(given))
    first = table(key, caption, columns, rows, interval_notes(rows, ()), dense=True)
    lines = []
    for name in results.classes:
        shares = [f.shares.get(name, 0.0) for _, f in shown]
        alike = max(shares) - min(shares) < 1e-9
        cells = [Cell(shorten(name))]
        cells += [Cell(percent(shares[0], 1))] if alike or len(shown) == 1 else [Cell("by arm")]
        lines.append(Row((*cells, *(_count(f.per_thousand.get(name)) for _, f in shown))))
    columns = (
        Column("Class", text=True),
        Column("Share"),
        *(Column(arm_title(results, a.name), "of 1,000") for a, _ in shown),
    )
    caption = f"{heading}: cases predicted as each class, of 1,000 patients, with 95% intervals."
    return [first, table(f"{key}-classes", caption, columns, lines, (), dense=True)]


def _plain(estimate: Estimate | None) -> Estimate | None:
    return None if estimate is None else estimate.model_copy(update={"seed_sd": None})


def _count(estimate: Estimate | None) -> Cell:
    if estimate is None:
        return Cell(MISSING)
    return Cell(decimal(estimate.value, 1), interval(estimate.low, estimate.high, 1))
