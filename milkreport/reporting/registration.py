"""Whether a run was registered before it was trained, how it kept to that, and what else the ledger has."""

from __future__ import annotations

from dataclasses import dataclass

from milkreport.evaluation.records.adherence import Adherence, LedgerCount, Registered, Stamp
from milkreport.evaluation.records.results import Results
from milkreport.reporting.blocks import Cell, Column, Fact, Row, Table, table
from milkreport.reporting.wording.text import clock, listing, percent, shorten, whole, without_paths
from milkreport.tables import plural

#: Characters of the hash on page one; section Provenance has all of it.
_SHORT = 16
#: Deviations that the table shows.
_MOST = 60


@dataclass(frozen=True)
class RegistrationView:
    """The rows about the registration in section Provenance."""

    facts: tuple[Fact, ...]
    deviations: Table | None


def registered_sentence(results: Results, started: str = "") -> str:
    """Page one's answer to whether the run was registered; empty if it was not and nothing else is to say.

    Args:
        started: when the run began, ISO 8601, UTC; empty: not known.
    """
    adherence = results.adherence
    if adherence is None:
        return ""
    registration, ledger = adherence.registration, adherence.ledger
    others = _ledger_sentences(registration, ledger)
    parts = []
    if registration is None:
        parts += ["No."] if others else []
    else:
        moment = clock(registration.created)
        by = f"by milkreport {shorten(registration.milkreport, 20)}"
        parts.append(f"Yes, on {moment}, {by}; hash {registration.hash[:_SHORT]}.")
        if adherence.stamp:
            parts.append(_dated(adherence.stamp, started))
        shown, planned = count_shown(results, registration)
        text = f"{whole(shown)} of {whole(planned)} registered trainings shown"
        if ledger and ledger.kept and not ledger.problem:
            text += f"; {plural(ledger.restarts, 'restart', 'restarts')}"
        parts.append(f"{text}.")
        n = len(adherence.deviations)
        parts.append(f"{plural(n, 'deviation', 'deviations')}." if n else "No deviation.")
    return " ".join([*parts, *others])


def _ledger_sentences(registration: Registered | None, ledger: LedgerCount | None) -> list[str]:
    """What a reader must know of other trainings, or of a ledger that cannot say so."""
    if ledger is None:
        return ["The ledger was not counted: the run did not come to its end."]
    if ledger.problem:
        return [f"The ledger of trainings cannot be trusted: {shorten(ledger.problem, 160)}."]
    said = []
    if registration is not None:
        said += _before_sentences(registration, ledger)
    more = []
    if ledger.not_shown:
        more.append(
            f"{plural(ledger.not_shown, 'training', 'trainings')} of this data and suite not shown"
        )
    if ledger.other_settings:
        n = plural(ledger.other_settings, "training", "trainings")
        more.append(f"{n} of this data with other settings")
    if ledger.reused:
        more.append(f"{whole(ledger.reused)} taken over from other runs")
    if more:
        said.append(f"In the ledger: {listing(more)}.")
    if not ledger.kept:
        said.append("The ledger was not kept throughout, so trainings may be missing in it.")
    return said


def _before_sentences(registration: Registered, ledger: LedgerCount) -> list[str]:
    """What was trained before the registration, as far as this ledger can say so."""
    said = []
    if ledger.before is None:
        said.append("The ledger has no entry of this registration.")
    before = max(ledger.before or 0, registration.trainings_before or 0)
    if before:
        n = plural(before, "training", "trainings")
        said.append(f"Before registration: {n} of this data and suite.")
    return said


def count_shown(results: Results, registration: Registered) -> tuple[int, int]:
    """Registered trainings that are complete in the results, and all that were registered."""
    shown = sum(
        cell.status == "complete"
        and cell.seed in registration.seeds
        and 0 <= cell.fold < registration.folds
        for arm in results.arms
        if arm.name in registration.arms
        for cell in arm.cells
    )
    return shown, len(registration.arms) * len(registration.seeds) * registration.folds


def build_registration(results: Results, started: str = "") -> RegistrationView | None:
    """The rows of section Provenance; ``None`` for predictions that were made elsewhere."""
    adherence = results.adherence
    if adherence is None:
        return None
    facts = []
    if adherence.registration is None:
        facts.append(Fact("Registered", "no: nothing was declared before these trainings"))
    else:
        facts += _registration_facts(results, adherence.registration, adherence.stamp, started)
    if adherence.ledger is not None:
        facts += _ledger_facts(adherence.ledger)
    return RegistrationView(tuple(facts), _deviations(adherence))


def _registration_facts(
    results: Results, registration: Registered, stamp: Stamp | None, started: str
) -> list[Fact]:
    dated = "nothing: the date is that of the clock of the machine"
    if stamp is not None:
        dated = f"{_dated(stamp, started)} {shorten(stamp.identity, 120)}"
    shown, planned = count_shown(results, registration)
    sample = f"{whole(registration.n_cases)} {results.data.units}"
    if registration.power is not None:
        power = f"power {percent(registration.power)} to find {registration.difference:g}"
        sample += f"; {power} in the primary metric"
    before = "the ledger could not be read"
    if registration.trainings_before is not None:
        before = (
            f"{whole(registration.trainings_before)} of this data and suite, "
            f"{whole(registration.other_settings_before)} of this data with other settings"
        )
    return [
        Fact(
            "Registered",
            f"{clock(registration.created)}, milkreport {shorten(registration.milkreport, 20)}",
        ),
        Fact("Registration (SHA-256)", registration.hash),
        Fact("Dated from outside by", dated),
        Fact("Planned", sample),
        Fact("Trainings", f"{whole(shown)} of {whole(planned)} registered ones shown"),
        Fact("Trainings before registration", before),
    ]


def _ledger_facts(ledger: LedgerCount) -> list[Fact]:
    state = f"broken: {shorten(ledger.problem, 200)}" if ledger.problem else "chain whole"
    if not ledger.kept:
        state += ", but not every event of this run could be written"
    counts = [
        (ledger.restarts, "restarted from the first step"),
        (ledger.resumed, "resumed from a checkpoint"),
        (ledger.reused, "taken over from other runs"),
        (ledger.repeated, "repeated by check --exact"),
        (ledger.not_shown, "of the same data and suite not shown"),
        (ledger.other_settings, "of the same data with other settings"),
    ]
    said = "; ".join(f"{whole(n)} {what}" for n, what in counts)
    return [
        Fact("Ledger", f"{plural(ledger.entries, 'entry', 'entries')}, {state}"),
        Fact("Last line (SHA-256)", shorten(ledger.head, 64)),
        Fact("In the ledger", f"{said}; registrations of this data: {whole(ledger.registrations)}"),
    ]


def _dated(stamp: Stamp, started: str) -> str:
    """What dates the registration, and how far that goes."""
    late = bool(started) and stamp.time > started
    when = f"{clock(stamp.time)}{', after the run started' if late else ''}"
    if stamp.kind == "git":
        return f"In a git commit of {when} (the committer's word)."
    how = "signature verified" if stamp.verified else "signature not verified"
    return f"Time-stamped {when} (RFC 3161, {how})."


def _deviations(adherence: Adherence) -> Table | None:
    columns = [Column(t, text=True) for t in ("Setting", "Registered", "Now", "Reason", "Recorded")]
    rows = [
        Row(
            (
                Cell(shorten(one.key, 60), kind="code"),
                Cell(shorten(without_paths(one.registered), 80), kind="text"),
                Cell(shorten(without_paths(one.now), 80), kind="text"),
                Cell(shorten(without_paths(one.reason), 300), kind="text"),
                Cell(clock(one.recorded), kind="text"),
            )
        )
        for one in adherence.deviations[:_MOST]
    ]
    caption = "Deviations from the registration."
    if (n := len(adherence.deviations)) > _MOST:
        caption += f" The first {_MOST} of {whole(n)}; all of them are in adherence.json."
    return table("deviations", caption, tuple(columns), rows, dense=True) if rows else None
