"""Sections 8 and 9 of the report: what must be known beside the numbers, and where they come from."""

from __future__ import annotations

from dataclasses import dataclass

from milkreport.evaluation.results import Results
from milkreport.reporting.blocks import Cell, Column, Fact, Row, Table, table
from milkreport.reporting.text import MISSING, clock, plural, shorten, whole, without_paths
from milkreport.reporting.trainings import trainings
from milkreport.runs.manifest import Manifest
from milkreport.suite import Suite


@dataclass(frozen=True)
class EthicsView:
    """What must be known before these numbers are used."""

    points: tuple[Fact, ...]


@dataclass(frozen=True)
class ProvenanceView:
    """Where the numbers come from and how to get them again."""

    command: str
    hint: str
    facts: tuple[Fact, ...]
    packages: tuple[Fact, ...]
    definitions: Table
    trainings: Table | None


def build_ethics(results: Results) -> EthicsView:
    data = results.data
    held = f"{whole(data.n_images)} images of {whole(data.n_used)} {data.units}"
    if data.features:
        n = plural(len(data.features), "feature", "features")
        held += f", and for each {data.unit} {n}, named in section 2"
    points = [
        Fact(
            "Use",
            "Research only. Nothing here is a medical device, and no figure supports a decision about "
            "a patient.",
        ),
        Fact(
            "What the intervals say",
            "They describe these predictions on these cases. A newly drawn training set, another "
            "hospital or another camera can differ by more.",
        ),
        Fact("What the data holds", f"{held}."),
        Fact(
            "What leaves the machine",
            "Nothing: no part of training, evaluation or this report uses a network. The report "
            "holds counts and scores, no image, no row of the data and no case id.",
        ),
    ]
    points += [Fact("Note on the data", shorten(without_paths(note), 400)) for note in data.notes]
    points.append(
        Fact(
            "Uneven errors",
            "Rare classes weigh little in accuracy and much in macro averages; groups of patients "
            "that are rare in the data were not examined apart.",
        )
    )
    points.append(Fact("Licence of the data", shorten(data.licence, 200)))
    points.append(Fact("Attribution", shorten(data.attribution, 600)))
    return EthicsView(tuple(points))


def build_provenance(
    results: Results, manifest: Manifest, suite: Suite, data_argument: str
) -> ProvenanceView:
    commit = manifest.commit or "not run from a checkout"
    if manifest.commit and manifest.dirty:
        commit += ", with uncommitted changes"
    facts = (
        Fact("Started", clock(manifest.started)),
        Fact("milkreport", manifest.milkreport),
        Fact("Commit", commit),
        Fact("Suite", suite.name),
        Fact("Suite (SHA-256)", manifest.suite_sha256 or MISSING),
        Fact("Data (SHA-256)", manifest.data_sha256 or results.data.fingerprint or MISSING),
        Fact("Python", f"{manifest.python}, {manifest.platform}"),
        Fact("Device", _device(manifest)),
        Fact("CPU capability", f"{manifest.cpu_capability}, {whole(manifest.threads)} threads"),
    )
    hint = ""
    if not results.data.synthetic:
        hint = f"{data_argument} is the folder of the data. "
    hint += (
        "The same machine type, packages, threads, settings and data give the same weights, to the "
        "bit."
    )
    return ProvenanceView(
        command=without_paths(manifest.command),
        hint=hint,
        facts=facts,
        packages=tuple(Fact(k, v) for k, v in manifest.packages.items()),
        definitions=_definitions(results),
        trainings=trainings(
            "trainings",
            "All trainings, with what their weights hash to.",
            [(shorten(arm.title or arm.name, 60), arm.cells) for arm in results.arms],
        ),
    )


def _device(manifest: Manifest) -> str:
    if manifest.device_name in ("", manifest.device):
        return manifest.device
    return f"{manifest.device} ({manifest.device_name})"


def _definitions(results: Results) -> Table:
    columns = tuple(Column(t, text=True) for t in ("Metric", "Decision", "Averaging", "Undefined"))
    rows = [
        Row(
            (
                Cell(d.title),
                Cell(d.decision, kind="text"),
                Cell(d.averaging, kind="text"),
                Cell(d.zero_division, kind="text"),
            )
        )
        for d in results.definitions.values()
    ]
    caption = "How each metric is computed; two values compare only where this agrees."
    return table("definitions", caption, columns, rows, dense=True)
