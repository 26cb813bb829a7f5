"""The whole report as frozen values, every number already text. One view feeds HTML and PDF."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pandas as pd

from milkreport.checks.audit.findings import Audit
from milkreport.checks.verdict import Verdict
from milkreport.evaluation.case_table import CaseTable
from milkreport.evaluation.records.parts import POSITIVE
from milkreport.evaluation.records.results import Results
from milkreport.evidence.record import Evidence
from milkreport.reporting.beyond import TITLE as BEYOND_TITLE
from milkreport.reporting.beyond import BeyondView, build_beyond
from milkreport.reporting.blocks import Badge, Chapter, Entry, Figure, Table
from milkreport.reporting.cases import CasesView, build_cases
from milkreport.reporting.external import external_summary
from milkreport.reporting.figures import curves, interval_plot
from milkreport.reporting.figures.axes import ROW_NAME
from milkreport.reporting.guidelines import GuidelinesView, build_guidelines
from milkreport.reporting.registration import (
    RegistrationView,
    build_registration,
    registered_sentence,
)
from milkreport.reporting.sections.arms import ArmView, build_arm, build_exposure, detail_note
from milkreport.reporting.sections.audit import AuditView, build_audit
from milkreport.reporting.sections.binary import BinaryView, build_binary, page_one_table
from milkreport.reporting.sections.compare import ComparisonView, build_comparison
from milkreport.reporting.sections.data import DataView, build_data
from milkreport.reporting.sections.evidence import EvidenceView, build_evidence
from milkreport.reporting.sections.gallery import GalleryView, build_gallery
from milkreport.reporting.sections.labels import TITLE as LABELS_TITLE
from milkreport.reporting.sections.labels import LabelsView, build_labels
from milkreport.reporting.sections.protocol import ProtocolView, build_protocol
from milkreport.reporting.sections.provenance import (
    EthicsView,
    ProvenanceView,
    build_cost,
    build_ethics,
    build_provenance,
)
from milkreport.reporting.sections.reference import (
    PUBLISHED,
    ReferenceView,
    build_reference,
    count_badges,
    status_badge,
)
from milkreport.reporting.sections.review import TITLE as REVIEW_TITLE
from milkreport.reporting.sections.review import ReviewView, build_review
from milkreport.reporting.sections.subgroups import SubgroupsView, build_subgroups
from milkreport.reporting.tables import comparison_table, pair_table
from milkreport.reporting.wording.binary import point_sentence
from milkreport.reporting.wording.data import data_sentence, tidy
from milkreport.reporting.wording.order import drawn_arms, drawn_words, in_display_order, places
from milkreport.reporting.wording.pairs import better_word
from milkreport.reporting.wording.sentences import SYNTHETIC_BANNER, result_statement, yardstick
from milkreport.reporting.wording.text import (
    day,
    listing,
    shorten,
    whole,
    without_paths,
)
from milkreport.reporting.wording.titles import arm_title, headline_part, metric_title
from milkreport.runs.gallery_record import Gallery
from milkreport.runs.manifest import Manifest
from milkreport.suite.suite import Suite


@dataclass(frozen=True)
class SummaryView:
    """Page one. ``binary_leads``: the question is about two classes, so their table comes first.

    ``external``: the primary metric in external test sets; empty without one.
    ``registered``: empty where there is nothing to say, or nothing but that it is not (``is_unregistered``).
    """

    question: str
    data: str
    result: str
    binary: Table | None
    binary_leads: bool
    operating: str
    external: str
    registered: str
    is_unregistered: bool
    pairs: Table | None
    reach: str
    table: Table
    chart: Figure | None
    badge: Badge | None
    counts: tuple[Badge, ...]


@dataclass(frozen=True)
class CurvesView:
    """Learning curves."""

    lead: str
    figures: tuple[Figure, ...]


@dataclass(frozen=True)
class ReportView:
    """Everything that a template may print."""

    title: str
    data_name: str
    date: str
    created: str
    generator: str
    suite: str
    banner: str
    partial: str
    notices: tuple[str, ...]
    contents: tuple[Entry, ...]
    summary: SummaryView
    data: DataView
    protocol: ProtocolView
    curves: CurvesView
    comparison: ComparisonView
    binary: BinaryView
    exposure: Table | None
    arms: tuple[ArmView, ...]
    arms_note: str
    subgroups: SubgroupsView | None
    beyond: BeyondView | None
    gallery: GalleryView | None
    labels: LabelsView | None
    review: ReviewView
    cases: CasesView | None
    reference: ReferenceView | None
    audit: AuditView | None
    against: str
    cost: Chapter | None
    ethics: EthicsView
    provenance: ProvenanceView
    registration: RegistrationView | None
    guidelines: GuidelinesView
    evidence: EvidenceView | None

    review_title: str = REVIEW_TITLE
    labels_title: str = LABELS_TITLE
    beyond_title: str = BEYOND_TITLE

    @property
    def numbers(self) -> dict[str, str]:
        """Section to its number."""
        return {entry.key: entry.number for entry in self.contents}

    @property
    def figures(self) -> tuple[Figure, ...]:
        """All drawings, in reading order."""
        found = [self.summary.chart, *self.data.figures, *self.curves.figures]
        found += [*self.comparison.figures, *self.binary.figures]
        found += [arm.matrix for arm in self.arms]
        if self.beyond is not None and self.beyond.robustness is not None:
            found += self.beyond.robustness.figures
        found.append(self.reference.chart if self.reference else None)
        return tuple(figure for figure in found if figure is not None)


def build_view(
    results: Results,
    manifest: Manifest,
    suite: Suite | None,
    verdict: Verdict | None,
    audit: Audit | None = None,
    gallery: tuple[Gallery, Mapping[str, bytes]] | None = None,
    cases: CaseTable | None = None,
    *,
    labels: pd.DataFrame | None = None,
    evidence: Evidence | None = None,
    data_argument: str = "$MILKREPORT_DATA",
) -> ReportView:
    """Turn the records of a run into text and drawings.

    Args:
        verdict: what ``check`` found, if anything was checked; never read for synthetic data.
        audit: what was found of the reference's own figures; shown beside the verdict.
        gallery: the mistakes gallery and its thumbnails by file name.
        labels: labels to look at again (:mod:`milkreport.evaluation.label_errors`), which name cases.
        cases: the test cases, which the page lists; ``None``: no list.
        evidence: what the report carries; ``None``: the report does not speak of it.
        data_argument: how the command to reproduce names the data's folder.
    """
    results = in_display_order(results.model_copy(update={"data": tidy(results.data)}))
    synthetic = results.data.synthetic
    compared = None if synthetic else verdict
    earlier = compared is not None and compared.kind != PUBLISHED
    against = "Against an earlier run" if earlier else "Against the reported figures"
    arms = tuple(build_arm(results, arm, index) for index, arm in enumerate(results.arms))
    data = build_data(results.data, results.classes, results.splits)
    comparison, drawn = build_comparison(results), _curves(results)
    binary = build_binary(results)
    cost = build_cost(results, manifest)
    shown = build_gallery(results, *gallery, suite) if gallery else None
    subgroups = build_subgroups(results)
    beyond = build_beyond(results)
    doubted = build_labels(results, labels)
    there = {
        "curves": bool(drawn.figures),
        "binary": bool(binary.chapters),
        "cost": cost is not None,
        "mistakes": shown is not None,
        "subgroups": subgroups is not None,
        "beyond": beyond is not None,
        "reference": compared is not None,
        "labels": doubted is not None,
    }
    missing = [key for key, present in there.items() if not present]
    return ReportView(
        title=shorten(results.title, 160),
        data_name=shorten(results.data.name, 80),
        date=day(manifest.started),
        created=manifest.started,
        generator=f"milkreport {manifest.milkreport}",
        suite=results.suite if suite is not None else "",
        banner=SYNTHETIC_BANNER if synthetic else "",
        partial=_partial(results),
        notices=tuple(shorten(without_paths(notice), 400) for notice in results.notices),
        contents=_contents(data, arms, comparison, binary, against, missing),
        against=against,
        summary=_summary(results, compared, manifest.started, suite is not None),
        data=data,
        protocol=build_protocol(results, suite),
        curves=drawn,
        comparison=comparison,
        binary=binary,
        exposure=build_exposure(results),
        arms=arms,
        arms_note=detail_note(results),
        subgroups=subgroups,
        beyond=beyond,
        gallery=shown,
        labels=doubted,
        review=build_review(results),
        cases=build_cases(results, cases) if cases is not None else None,
        reference=build_reference(results, compared) if compared else None,
        audit=build_audit(audit) if audit and compared else None,
        cost=cost,
        ethics=build_ethics(
            results,
            manifest.network,
            shown is not None,
            shown is not None and shown.has_pictures,
            cases is not None,
            evidence is not None and evidence.record.level != "none",
        ),
        provenance=build_provenance(results, manifest, suite, data_argument),
        registration=build_registration(results, manifest.started),
        guidelines=build_guidelines(results, suite),
        evidence=build_evidence(evidence) if evidence is not None else None,
    )


def _partial(results: Results) -> str:
    if results.status == "complete":
        return ""
    cells = [cell for arm in results.arms for cell in arm.cells]
    failed = sum(cell.status == "failed" for cell in cells)
    text = "This run is partial"
    if failed:
        text += f": {whole(failed)} of {whole(len(cells))} trainings failed"
    return text + ". The results are of the completed trainings."


def _contents(
    data: DataView,
    arms: tuple[ArmView, ...],
    comparison: ComparisonView,
    binary: BinaryView,
    against: str,
    missing: Sequence[str],
) -> tuple[Entry, ...]:
    titles = {
        "summary": "Summary",
        "data": "Data",
        "protocol": "Arms and protocol",
        "curves": "Learning curves",
        "comparison": "Comparison",
        "binary": "Positive against negative",
        "arms": "Arm by arm",
        "subgroups": "Subgroups",
        "mistakes": "Most confident mistakes",
        "labels": LABELS_TITLE,
        "beyond": BEYOND_TITLE,
        "reference": against,
        "review": REVIEW_TITLE,
        "cost": "Cost",
        "ethics": "Limitations, ethics and privacy",
        "provenance": "Provenance",
    }
    below = {
        "data": [(c.key, c.title) for c in data.chapters],
        "comparison": [(c.key, c.title) for c in comparison.chapters],
        "binary": [(c.key, c.title) for c in binary.chapters],
        "arms": [(arm.key, arm.title) for arm in arms if not arm.is_brief],
    }
    shown = [(key, title) for key, title in titles.items() if key not in missing]
    numbered = [
        Entry(
            key,
            str(n),
            title,
            tuple(Entry(k, f"{n}.{i}", t) for i, (k, t) in enumerate(below.get(key, ()), 1)),
        )
        for n, (key, title) in enumerate(shown, 1)
    ]
    return (*numbered, Entry("appendix", "A", "Reporting guidelines"))


def _summary(
    results: Results, verdict: Verdict | None, started: str = "", is_run: bool = False
) -> SummaryView:
    part = headline_part(results)
    metric = metric_title(results, results.primary_metric)
    place = places(results)
    rows = [
        (place[arm.name], arm_title(results, arm.name, ROW_NAME), found)
        for arm in results.arms
        if (result := arm.part(part)) is not None
        and (found := result.estimate(results.primary_metric)) is not None
    ]
    chart = None
    if rows:
        trivial = yardstick(results)
        line = (f"always {shorten(trivial[0], 14)}", trivial[1]) if trivial else None
        lower = " (lower is better)" if better_word(results.primary_metric) == "lower" else ""
        caption = f"{metric}{lower} on the {part} part with 95% intervals"
        caption += "; dashed: always answering the most frequent class." if line else "."
        svg = interval_plot.estimates("headline-figure", rows, f"{metric}{lower}", line)
        chart = Figure("headline-figure", caption, svg)
    badge = None
    if results.data.synthetic:
        badge = Badge("○", "NOT A RESULT", "none", "synthetic data, not compared with a reference")
    elif verdict is not None:
        badge = status_badge(verdict.status, f"against {shorten(verdict.title, 90)}")
    statement = result_statement(results)
    registered = registered_sentence(results, started)
    return SummaryView(
        question=results.question,
        data=data_sentence(results.data, results.classes),
        result=statement.headline,
        binary=page_one_table(results),
        binary_leads=len(results.classes) == 2 or results.primary_metric in POSITIVE,
        operating=point_sentence(results),
        external=external_summary(results),
        registered=registered,
        is_unregistered=is_run and not registered,
        pairs=None if results.data.synthetic else pair_table(results),
        reach=statement.reach,
        table=comparison_table(results),
        chart=chart,
        badge=badge,
        counts=count_badges(verdict) if verdict else (),
    )


def _curves(results: Results) -> CurvesView:
    arms = drawn_arms(results)
    drawn = curves.learning_curves(arms)
    parts = curves.parts_drawn(arms)
    n = max((len(arm.curves) for arm in arms), default=0)
    lead = "Unweighted cross-entropy and scores after each epoch, in evaluation mode."
    if not drawn:
        lead = "No training was watched here, so there are no curves."
    elif n > curves.MOST_LINES:
        lead += f" Lines: mean over {whole(n)} trainings; bands: from the lowest to the highest."
    elif n > 1:
        lead += f" Bold: mean over {whole(n)} trainings; thin: each of them."
    caption = f"Learning curves on {listing(parts)}."
    if "test" in parts:
        caption += " Test curves: monitoring, not used for selection."
    caption += drawn_words(results)
    return CurvesView(lead, tuple(Figure(key, caption, svg) for key, svg in drawn))


def build_summary(results: Results) -> SummaryView:
    """Page one of results that no run and no verdict stands behind."""
    tidied = results.model_copy(update={"data": tidy(results.data)})
    return _summary(in_display_order(tidied), None)
