"""What must be known beside the numbers, and where they come from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from milkreport.evaluation.records.results import SEEDS_TO_RANK, ArmResult, CellRecord, Results
from milkreport.reporting.blocks import Cell, Chapter, Column, Fact, Group, Row, Table, table
from milkreport.reporting.tables import failure
from milkreport.reporting.wording.text import (
    MISSING,
    clock,
    duration,
    listing,
    several,
    shorten,
    whole,
    without_paths,
)
from milkreport.reporting.wording.titles import arm_title, first_part
from milkreport.runs.manifest import Manifest
from milkreport.suite.suite import Suite
from milkreport.tables import plural


@dataclass(frozen=True)
class EthicsView:
    """What must be known before these numbers are used."""

    points: tuple[Fact, ...]


def _sent(network: Sequence[str] | None) -> str:
    """What went over a network, in a sentence."""
    if network is None:
        return (
            "Not recorded by the version that made this run: nothing, unless a Ray cluster, an MLflow "
            "server or downloaded weights were asked for."
        )
    if not network:
        return "Nothing: no part of training, evaluation or this report used a network."
    return f"By the user's wish, {listing(network)}; nothing else used a network."


@dataclass(frozen=True)
class ProvenanceView:
    """Where the numbers come from and how to get them again."""

    command: str
    hint: str
    facts: tuple[Fact, ...]
    packages: tuple[Fact, ...]
    definitions: Table
    trainings: Table | None


def build_ethics(
    results: Results,
    network: Sequence[str] | None,
    has_gallery: bool = False,
    has_pictures: bool = False,
    has_cases: bool = False,
    carries_files: bool = False,
) -> EthicsView:
    """Use, limits and licence.

    Args:
        network: what went over a network, ``None`` where it is not known; see the manifest.
        has_gallery, has_pictures, has_cases: what the report shows of single cases.
        carries_files: whether it carries evidence.
    """
    data = results.data
    held = f"{whole(data.n_images)} images of {whole(data.n_used)} {data.units}"
    if not data.n_images:
        held = f"Predictions and labels of {whole(data.n_used)} {data.units}"
    if data.features:
        n = plural(len(data.features), "feature", "features")
        held += f", and for each {data.unit} {n}, named in section 2"
    shown = "The report holds counts and scores, no image, no row of the data and no case id."
    if has_gallery:
        held_too = "thumbnails, ids and metadata" if has_pictures else "ids and metadata"
        shown = (
            f"The report holds counts and scores, and in the gallery of mistakes {held_too} "
            "of single cases; --no-images leaves these out."
        )
    elif has_cases:
        shown = "The report holds counts and scores, no image and no row of the data."
    if has_cases:
        shown += (
            f" The HTML report lists the id, class, subgroups and answers of every test {data.unit}; "
            "--no-cases leaves out all that is about single cases."
        )
    if carries_files:
        shown += (
            " The report carries files from which its numbers can be computed again; what they hold and "
            "reveal is listed under Provenance."
        )
    points = [
        Fact(
            "Use",
            "Research only. Nothing here is a medical device, and no figure supports a decision about "
            "a patient.",
        ),
        Fact(
            "What the intervals say",
            _intervals(results),
        ),
        Fact("What the data holds", f"{held}."),
        Fact(
            "What leaves the machine",
            f"{_sent(network)} {shown}",
        ),
    ]
    points += [Fact("Note on the data", shorten(without_paths(note), 400)) for note in data.notes]
    points.append(
        Fact(
            "Uneven errors",
            "Rare classes weigh little in accuracy and much in macro averages. Results of small groups of "
            "patients are uncertain, and are not shown for fewer than ten cases.",
        )
    )
    for name, text in (("Licence of the data", data.licence), ("Attribution", data.attribution)):
        if text != "not stated":
            points.append(Fact(name, shorten(text, 600)))
    return EthicsView(tuple(points))


def _intervals(results: Results) -> str:
    """Over what the intervals speak, and what they leave out."""
    part = first_part(results)
    n_seeds = part.n_seeds if part else 1
    text = f"They include new {results.data.units} of the same source, with their own class mix"
    text += ", and new training seeds. " if n_seeds >= SEEDS_TO_RANK else "; not a new training. "
    return (
        text + "A newly drawn training set, another hospital or another camera can differ by more."
    )


def build_provenance(
    results: Results, manifest: Manifest, suite: Suite | None, data_argument: str
) -> ProvenanceView:
    """Command, environment, packages and trainings; *data_argument*: how the command names the data."""
    commit = manifest.commit or "not run from a checkout"
    if manifest.commit and manifest.dirty:
        commit += ", with uncommitted changes"
    facts = [
        Fact("Started", clock(manifest.started)),
        Fact("milkreport", manifest.milkreport),
        Fact("Commit", commit),
    ]
    if suite is not None:
        facts.append(Fact("Suite", suite.name))
        facts.append(Fact("Suite (SHA-256)", manifest.suite_sha256 or MISSING))
    digest = manifest.data_sha256 or results.data.fingerprint or MISSING
    facts.append(Fact("Data (SHA-256)" if suite else "Truth (SHA-256)", digest))
    facts.append(Fact("Python", f"{manifest.python}, {manifest.platform}"))
    if suite is not None:
        facts.append(Fact("Device", _device(manifest)))
        threads = f"{manifest.cpu_capability}, {whole(manifest.threads)} threads"
        facts.append(Fact("CPU capability", threads))
    else:
        facts.append(
            Fact("Registration", "none of its own; the report of a run has that of the run")
        )
    hint = "The same files and options give the same numbers."
    if suite is not None:
        hint = f"{data_argument} is the folder of the data. " if not results.data.synthetic else ""
        hint += (
            "The same machine type, packages, threads, settings and data give the same weights, to the "
            "bit."
        )
    return ProvenanceView(
        command=without_paths(manifest.command),
        hint=hint,
        facts=tuple(facts),
        packages=tuple(Fact(k, v) for k, v in manifest.packages.items()),
        definitions=_definitions(results),
        trainings=trainings(
            "trainings",
            "All trainings, with the hash of their weights.",
            [(arm_title(results, arm.name), arm.cells) for arm in results.arms],
        )
        if suite is not None
        else None,
    )


def _device(manifest: Manifest) -> str:
    if manifest.device_name in ("", manifest.device):
        return manifest.device
    return f"{manifest.device} ({manifest.device_name})"


def _definitions(results: Results) -> Table:
    columns = tuple(
        Column(t, text=True) for t in ("Metric", "Question", "Decision", "Averaging", "Undefined")
    )
    rows = [
        Row(
            (
                Cell(d.title),
                Cell(d.question, kind="text"),
                Cell(d.decision, kind="text"),
                Cell(d.averaging, kind="text"),
                Cell(d.zero_division, kind="text"),
            )
        )
        for d in results.definitions.values()
    ]
    caption = (
        "How each metric is computed. Two values are comparable only if their definitions agree."
    )
    return table("definitions", caption, columns, rows, dense=True)


def build_cost(results: Results, manifest: Manifest) -> Chapter | None:
    """One row per arm; ``None`` where nothing was trained."""
    rows = [
        _row(results, arm) for arm in results.arms if any(c.seconds is not None for c in arm.cells)
    ]
    if not rows:
        return None
    columns = (
        Column("Arm", text=True),
        Column("Parameters"),
        Column("Trainings"),
        Column("Time, all"),
        Column("Time, each"),
        Column("Peak memory"),
    )
    device = manifest.device_name or manifest.device
    seconds = sum(c.seconds or 0 for arm in results.arms for c in arm.cells)
    text = (
        f"Trained on {device}, {whole(manifest.threads)} threads, in {duration(seconds)} in total. Times "
        "are wall clock of the trainings themselves, evaluation after each epoch included; peak memory is "
        f"{'the device’s' if manifest.device == 'cuda' else 'the whole process’s so far'}."
    )
    caption = "Cost of each arm."
    return Chapter("cost", "Cost", (text,), (table("cost", caption, columns, rows),))


def _row(results: Results, arm: ArmResult) -> Row:
    done = [cell for cell in arm.cells if cell.seconds is not None]
    seconds = [cell.seconds or 0.0 for cell in done]
    sizes = {cell.parameters for cell in done if cell.parameters is not None}
    memory = [cell.peak_memory_bytes for cell in done if cell.peak_memory_bytes]
    each = duration(sum(seconds) / len(seconds))
    if len(seconds) > 1:
        each = f"{duration(min(seconds))} to {duration(max(seconds))}"
    return Row(
        (
            Cell(arm_title(results, arm.name)),
            Cell(several(sizes) or MISSING),
            Cell(whole(len(done))),
            Cell(duration(sum(seconds))),
            Cell(each),
            Cell(f"{max(memory) / 1e9:.2f} GB" if memory else MISSING),
        )
    )


#: Rows of one table; the others stand in ``results.json``. Rows are what makes a PDF slow.
MOST_ROWS = 60

_COLUMNS = (
    Column("Seed"),
    Column("Fold"),
    Column("Status", text=True),
    Column("Epoch used"),
    Column("Time"),
    Column("Weights (SHA-256)", text=True),
)


def trainings(
    key: str, caption: str, cells: Sequence[tuple[str, Sequence[CellRecord]]]
) -> Table | None:
    """A table of *cells*, pairs of a heading and its trainings; ``None`` if there are none."""
    total = sum(len(some) for _, some in cells)
    if not total:
        return None
    left, groups = MOST_ROWS, []
    for title, some in cells:
        # Failures first: they must not fall behind the cut.
        ordered = sorted(some, key=lambda c: (c.status != "failed", c.seed, c.fold))[:left]
        left -= len(ordered)
        if ordered:
            groups.append(Group(title, tuple(_training_row(cell) for cell in ordered)))
    if total > MOST_ROWS:
        caption = f"{caption} The first {MOST_ROWS} of {whole(total)}."
    return Table(key, caption, _COLUMNS, tuple(groups), dense=True)


def _training_row(cell: CellRecord) -> Row:
    failed = cell.status == "failed"
    message = shorten(without_paths(cell.message), 200)
    return Row(
        (
            Cell(str(cell.seed)),
            Cell(str(cell.fold)),
            Cell(failure(message) if failed else cell.status, kind="text"),
            Cell(whole(cell.epoch_used)),
            Cell(duration(cell.seconds)),
            Cell(cell.weights_sha256[:12] or MISSING, kind="code"),
        ),
        "failed" if failed else "",
    )
