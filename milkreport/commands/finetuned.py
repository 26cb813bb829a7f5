"""What a fine-tuning came to, as tables and sentences: on the terminal and in ``summary.md``."""

from __future__ import annotations

from rich.markup import escape
from rich.table import Table

from milkreport.commands.console import console, note, number, say, warn
from milkreport.evaluation.metrics.named import define
from milkreport.finetuning.record import Compared, FineTuning, Gap
from milkreport.markdown import head, line, plain
from milkreport.reporting.wording.sentences import SYNTHETIC_BANNER
from milkreport.reporting.wording.text import p_cell

_HEAD = ["cases", "metric", "before", "after", "difference", "95%", "p"]
_CLASSES = ["class", "trained on", "now", "validated on", "tested on"]


def show_status(record: FineTuning) -> None:
    """Whether it is over, and if so what came of it."""
    console.print(f"[bold]{escape(_title(record))}[/bold]", soft_wrap=True)
    if record.status == "complete":
        show(record)
    else:
        note("begun and not finished: if it was stopped, the same command again goes on")


def show(record: FineTuning) -> None:
    """The same tables as in the summary, and the sentences."""
    table = Table(title="Before and after", title_justify="left", box=None, pad_edge=False)
    for name in _HEAD:
        table.add_column(name, no_wrap=True)
    for row in comparison_rows(record):
        table.add_row(*map(escape, row))
    console.print(table)
    names, rows = class_rows(record)
    counts = Table(*names, title="Cases", title_justify="left", box=None, pad_edge=False)
    for row in rows:
        counts.add_row(*map(escape, row))
    console.print(counts)
    for said in sentences(record):
        (warn if said.startswith(SYNTHETIC_BANNER) else say)(said)


def as_markdown(record: FineTuning) -> str:
    """``summary.md``: what came of it, what it was trained on, and what it cannot tell."""
    names, rows = class_rows(record)
    lines = [f"# {plain(_title(record))}", ""]
    lines += [text for said in sentences(record) for text in (plain(said), "")]
    lines += [head(_HEAD), *map(line, comparison_rows(record)), ""]
    lines += [head(names), *map(line, rows), ""]
    lines += [f"- {plain(notice)}" for notice in record.notices]
    return "\n".join(lines).rstrip() + "\n"


def _title(record: FineTuning) -> str:
    return f"Fine-tuning of {record.origin.arm or record.origin.name}"


def comparison_rows(record: FineTuning) -> list[list[str]]:
    """One row a metric and data set; the primary metric first, marked."""
    rows = []
    for title, compared in (("new", record.new), ("original", record.old)):
        if compared is None:
            rows.append([title, record.old_status, *[""] * (len(_HEAD) - 2)])
            continue
        for metric, pair in compared.metrics.items():
            is_primary = metric == record.primary_metric
            rows.append(
                [
                    title,
                    define(metric).title + (" *" if is_primary else ""),
                    number(pair.before.value),
                    number(pair.after.value),
                    *_gap(pair.difference),
                ]
            )
    return rows


def class_rows(record: FineTuning) -> tuple[list[str], list[list[str]]]:
    """Head and rows: cases of each class, before and now, and what the correction makes of them."""
    training, splits = record.training, record.splits
    assert training is not None
    names, weighed = [*_CLASSES], bool(training.weights)
    if weighed:
        names += ["weight before", "weight now"]
    rows = []
    for name, n in training.class_counts.items():
        row = [name, f"{training.class_counts_before[name]:,}", f"{n:,}"]
        row += [f"{splits[part][name]:,}" for part in ("validation", "test")]
        if weighed:
            before = training.weights_before.get(name)
            row += [number(before, 3), number(training.weights[name], 3)]
        rows.append(row)
    return names, rows


def sentences(record: FineTuning) -> list[str]:
    """What may be said, and no more: of one model, and of synthetic data nothing."""
    training, cases = record.training, record.cases
    assert training is not None
    assert cases is not None
    assert record.new is not None
    said = []
    if record.new.synthetic:
        said.append(f"{SYNTHETIC_BANNER}: the numbers show that the way works, and nothing else.")
    frozen = ", ".join(training.frozen) or "nothing"
    said.append(
        f"Trained on {sum(training.class_counts.values()):,} new {cases.units}; frozen: {frozen}; trained: "
        f"{', '.join(training.trained)}; epoch {training.epoch_used} of {record.settings['training.epochs']} "
        f"used, chosen on the validation part; learning rate {record.settings['training.learning_rate']:g}."
    )
    metric = define(record.primary_metric).title
    said.append(f"New test {cases.units}: {_told(metric, record.new, record.primary_metric)}")
    if record.old is None:
        said.append(f"Forgetting: NOT CHECKED: {record.old_reason}.")
    else:
        told = _told(metric, record.old, record.primary_metric)
        said.append(f"Original test cases: {told}")
        if not record.old.synthetic:
            said.append(_forgotten(record.old, record.primary_metric))
    if not record.new.synthetic and _moved(record.new, record.primary_metric) < 0:
        said.append("The new test cases are answered worse than before: keep the original model.")
    said.append(
        "One training of one model: this applies to this model only; methods are not ranked."
    )
    return said


def _moved(compared: Compared, primary: str) -> int:
    """1 where the primary metric was shown to be better, -1 to be worse, 0 where neither was."""
    gap = compared.metrics[primary].difference
    if gap is None or not compared.shown:
        return 0
    return 1 if (gap.value > 0) == (define(primary).better == "higher") else -1


def _forgotten(old: Compared, primary: str) -> str:
    """Forgetting in a sentence."""
    return {
        -1: "Forgetting: shown. The original test cases are answered worse than before.",
        0: _undecided(old),
        1: "Forgetting: none. The original test cases are answered better than before.",
    }[_moved(old, primary)]


def _undecided(old: Compared) -> str:
    if old.finding in ("equivalent", "not worse"):
        return f"Forgetting: none beyond the margin of {old.margin:g}."
    return (
        "Forgetting: undecided; the interval says how much forgetting these cases cannot rule out."
    )


def _told(metric: str, compared: Compared, primary: str) -> str:
    pair = compared.metrics[primary]
    gap, n = pair.difference, compared.n_cases
    text = f"{metric} {number(pair.before.value)} before, {number(pair.after.value)} after"
    if gap is not None:
        text += f", difference {gap.value:+.4f} (95% interval {gap.low:+.4f} to {gap.high:+.4f})"
    found = compared.finding or (
        "shown" if compared.shown else "undecided"
    )  # older records have none
    verdict = "" if compared.synthetic else f": {found}"
    if (
        found == "equivalent"
        and gap is not None
        and gap.low90 is not None
        and gap.high90 is not None
    ):
        verdict += (
            f" within {compared.margin:g} (90% interval {gap.low90:+.4f} to {gap.high90:+.4f})"
        )
    if found == "undecided" and gap is not None and gap.detectable is not None and verdict:
        verdict += f"; a difference of {gap.detectable:.3f} would have been found with 80% power"
    return f"{text}, on {n:,} cases{verdict}."


def _gap(gap: Gap | None) -> list[str]:
    if gap is None:
        return ["—", "—", ""]
    p = "" if gap.p is None else p_cell(gap.p)
    return [f"{gap.value:+.4f}", f"{gap.low:+.3f} to {gap.high:+.3f}", p]
