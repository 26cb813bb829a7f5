"""The whole report as frozen values, every number already text. One view feeds HTML and PDF."""

from __future__ import annotations

from dataclasses import dataclass

from milkreport.checks.findings import Audit
from milkreport.checks.verdict import Verdict
from milkreport.evaluation.results import Results
from milkreport.reporting import curves, figures
from milkreport.reporting.blocks import Badge, Entry, Figure, Table
from milkreport.reporting.sentences import (
    SYNTHETIC_BANNER,
    headline_part,
    metric_title,
    result_statement,
    yardstick,
)
from milkreport.reporting.sentences_data import data_sentence, tidy
from milkreport.reporting.tables import comparison_table, pair_table
from milkreport.reporting.text import (
    day,
    listing,
    shorten,
    whole,
    without_paths,
)
from milkreport.reporting.view_arms import ArmView, build_arm, build_exposure
from milkreport.reporting.view_audit import AuditView, build_audit
from milkreport.reporting.view_compare import ComparisonView, build_comparison
from milkreport.reporting.view_data import DataView, build_data
from milkreport.reporting.view_protocol import ProtocolView, build_protocol
from milkreport.reporting.view_provenance import (
    EthicsView,
    ProvenanceView,
    build_ethics,
    build_provenance,
)
from milkreport.reporting.view_reference import (
    PUBLISHED,
    ReferenceView,
    build_reference,
    count_badges,
    status_badge,
)
from milkreport.reporting.view_subgroups import SubgroupsView, build_subgroups
from milkreport.runs.manifest import Manifest
from milkreport.suite import Suite


@dataclass(frozen=True)
class SummaryView:
    """Page one."""

    question: str
    data: str
    result: str
    pairs: Table | None
    reach: str
    table: Table
    chart: Figure | None
    badge: Badge
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
    exposure: Table | None
    arms: tuple[ArmView, ...]
    subgroups: SubgroupsView
    reference: ReferenceView | None
    audit: AuditView | None
    no_reference: str
    against: str
    ethics: EthicsView
    provenance: ProvenanceView

    @property
    def figures(self) -> tuple[Figure, ...]:
        """All drawings, in reading order."""
        found = [self.summary.chart, *self.data.figures, *self.curves.figures]
        found += [self.comparison.per_class, *(arm.matrix for arm in self.arms)]
        found.append(self.reference.chart if self.reference else None)
        return tuple(figure for figure in found if figure is not None)


def build_view(
    results: Results,
    manifest: Manifest,
    suite: Suite | None,
    verdict: Verdict | None,
    audit: Audit | None = None,
    *,
    data_argument: str = "$MILKREPORT_DATA",
) -> ReportView:
    """Turn the records of a run into text and drawings.

    Args:
        verdict: what ``check`` found, if anything was checked; never read for synthetic data.
        audit: what was found of the reference's own figures; shown beside the verdict.
        data_argument: how the command to reproduce names the data's folder.
    """
    results = results.model_copy(update={"data": tidy(results.data)})
    synthetic = results.data.synthetic
    compared = None if synthetic else verdict
    earlier = compared is not None and compared.kind != PUBLISHED
    against = "Against an earlier run" if earlier else "Against the reported figures"
    arms = tuple(build_arm(results, arm, index) for index, arm in enumerate(results.arms))
    data = build_data(results.data, results.classes, results.splits)
    return ReportView(
        title=shorten(results.title, 160),
        data_name=shorten(results.data.name, 80),
        date=day(manifest.started),
        created=manifest.started,
        generator=f"milkreport {manifest.milkreport}",
        suite=results.suite,
        banner=SYNTHETIC_BANNER if synthetic else "",
        partial=_partial(results),
        notices=tuple(shorten(without_paths(notice), 400) for notice in results.notices),
        contents=_contents(data, arms, against),
        against=against,
        summary=_summary(results, compared),
        data=data,
        protocol=build_protocol(results, suite),
        curves=_curves(results),
        comparison=build_comparison(results),
        exposure=build_exposure(results),
        arms=arms,
        subgroups=build_subgroups(results),
        reference=build_reference(results, compared) if compared else None,
        audit=build_audit(audit) if audit and compared else None,
        no_reference=_no_reference(synthetic),
        ethics=build_ethics(results),
        provenance=build_provenance(results, manifest, suite, data_argument),
    )


def _partial(results: Results) -> str:
    if results.status == "complete":
        return ""
    cells = [cell for arm in results.arms for cell in arm.cells]
    failed = sum(cell.status == "failed" for cell in cells)
    text = "This run is partial"
    if failed:
        text += f": {whole(failed)} of {whole(len(cells))} trainings failed"
    return text + ". What is shown rests on the trainings that are complete."


def _no_reference(synthetic: bool) -> str:
    if synthetic:
        return "Synthetic data is never compared with reported figures."
    return "No reference was named for this run."


def _contents(data: DataView, arms: tuple[ArmView, ...], against: str) -> tuple[Entry, ...]:
    titles = {
        "summary": "Summary",
        "data": "Data",
        "protocol": "Arms and protocol",
        "curves": "Learning curves",
        "comparison": "Comparison",
        "arms": "Arm by arm",
        "subgroups": "Subgroups",
        "reference": against,
        "ethics": "Limitations, ethics and privacy",
        "provenance": "Provenance",
    }
    below = {
        "data": tuple(Entry(c.key, f"2.{i}", c.title) for i, c in enumerate(data.chapters, 1)),
        "arms": tuple(Entry(arm.key, f"6.{i}", arm.title) for i, arm in enumerate(arms, 1)),
    }
    return tuple(
        Entry(key, str(number), title, below.get(key, ()))
        for number, (key, title) in enumerate(titles.items(), 1)
    )


def _summary(results: Results, verdict: Verdict | None) -> SummaryView:
    part = headline_part(results)
    metric = metric_title(results, results.primary_metric)
    rows = [
        (index, shorten(arm.title or arm.name, 26), result.metrics[results.primary_metric])
        for index, arm in enumerate(results.arms)
        if (result := arm.part(part)) is not None and results.primary_metric in result.metrics
    ]
    chart = None
    if rows:
        trivial = yardstick(results)
        line = (f"always {shorten(trivial[0], 14)}", trivial[1]) if trivial else None
        caption = f"{metric} on the {part} part with 95% intervals"
        caption += "; dashed: always answering the most frequent class." if line else "."
        svg = figures.estimates("headline-figure", rows, metric, line)
        chart = Figure("headline-figure", caption, svg)
    if results.data.synthetic:
        badge = Badge("○", "NOT A RESULT", "none", "synthetic data, not compared with a reference")
    elif verdict is None:
        badge = Badge("○", "NOT CHECKED", "none", "no reference was named")
    else:
        badge = status_badge(verdict.status, f"against {shorten(verdict.title, 90)}")
    statement = result_statement(results)
    return SummaryView(
        question=results.question,
        data=data_sentence(results.data, results.classes),
        result=statement.headline,
        pairs=None if results.data.synthetic else pair_table(results),
        reach=statement.reach,
        table=comparison_table(results),
        chart=chart,
        badge=badge,
        counts=count_badges(verdict) if verdict else (),
    )


def _curves(results: Results) -> CurvesView:
    drawn = curves.learning_curves(results.arms)
    parts = curves.parts_drawn(results.arms)
    n = max((len(arm.curves) for arm in results.arms), default=0)
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
    return CurvesView(lead, tuple(Figure(key, caption, svg) for key, svg in drawn))
