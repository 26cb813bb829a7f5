"""A plan as a page of its own."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from milkreport import __version__
from milkreport.atomic import write_text
from milkreport.evaluation.planning.design import PowerPlan
from milkreport.reporting.blocks import (
    Cell,
    Chapter,
    Column,
    Figure,
    PageView,
    Row,
    Table,
    number_entries,
    table,
)
from milkreport.reporting.figures.plan import detectable_curve
from milkreport.reporting.html import render_page
from milkreport.reporting.wording.plan import (
    REACH,
    amount,
    answer_sentences,
    assumption_sentence,
    metric_name,
)
from milkreport.reporting.wording.text import capital, day, percent, whole
from milkreport.tables import plural

NEVER = "no number"
_COMPONENTS = {"training": "Training noise", "cases": "Case noise"}
_FACTORS = {0.5: "half the variance", 2.0: "twice the variance"}


@dataclass(frozen=True)
class PlanPageView(PageView):
    """Everything that the page may print."""

    lead: tuple[str, ...]
    chapters: tuple[Chapter, ...]


def write_plan_page(path: Path, plan: PowerPlan, created: str) -> None:
    """Write *plan* as one HTML page that needs nothing else.

    Args:
        created: ISO 8601 moment.

    Raises:
        EnvironmentProblem: nothing can be written there.
    """
    write_text(path, render_page("chapters_page.html.j2", build_plan_page(plan, created)))


def build_plan_page(plan: PowerPlan, created: str) -> PlanPageView:
    """The page as frozen values, all of them text."""
    metric = metric_name(plan)
    caption = (
        f"Difference in {metric} found with 80% power, against the number of cases. Each line is a number "
        "of seeds per arm; markers and the vertical line are the cases at hand, the horizontal line is the "
        "difference asked for."
    )
    figure = Figure("detectable", caption, detectable_curve("detectable", plan, metric))
    chapters = (
        Chapter("curve", "Cases", figures=(figure,)),
        Chapter("seeds", "Seeds", tables=(_seeds(plan),)),
        Chapter(
            "assumed",
            "What is assumed",
            texts=(assumption_sentence(plan), REACH),
            tables=(_moved(plan),),
        ),
    )
    return PlanPageView(
        title=f"Plan of a comparison: {metric}",
        date=day(created),
        created=created,
        generator=f"milkreport {__version__}",
        banner="",
        contents=number_entries((c.key, c.title) for c in chapters),
        lead=tuple(answer_sentences(plan)),
        chapters=chapters,
    )


def cases(n: int | None) -> str:
    """Cases needed, or that no number is enough."""
    return NEVER if n is None else whole(n)


def moved_rows(plan: PowerPlan) -> list[tuple[str, str, str]]:
    """What is assumed otherwise, with the difference then found and the cases then needed."""
    at = plan.at_hand
    rows = [("as assumed", amount(plan, at.detectable), cases(at.cases_needed))]
    for m in plan.moved:
        name = f"{_COMPONENTS[m.component]}: {_FACTORS[m.factor]}"
        rows.append((name, amount(plan, m.detectable), cases(m.cases_needed)))
    return rows


def _seeds(plan: PowerPlan) -> Table:
    wanted = amount(plan, plan.difference)
    caption = (
        f"On {whole(plan.at_hand.n_cases)} cases, by the number of training seeds per arm: the power for a "
        f"difference of {wanted}, the difference found with 80% power, and the cases that find {wanted} "
        "with 80% power."
    )
    columns = (
        Column("Seeds per arm"), Column("Power"), Column("Found with 80%"), Column("Cases needed"),
    )  # fmt: skip
    rows = [
        Row(
            (
                Cell(whole(d.n_seeds)),
                Cell(percent(d.power)),
                Cell(amount(plan, d.detectable)),
                Cell(cases(d.cases_needed)),
            ),
            kind="total" if d.n_seeds == plan.at_hand.n_seeds else "",
        )
        for d in plan.designs
    ]
    return table("seeds", caption, columns, rows)


def _moved(plan: PowerPlan) -> Table:
    seeds = plural(plan.at_hand.n_seeds, "seed", "seeds")
    caption = (
        f"If the noise is other than assumed, with {seeds} per arm: the difference "
        f"found with 80% power on these cases, and the cases that find {amount(plan, plan.difference)}."
    )
    columns = (Column("Noise", text=True), Column("Found with 80%"), Column("Cases needed"))
    rows = [
        Row((Cell(capital(name)), Cell(found), Cell(needed)))
        for name, found, needed in moved_rows(plan)
    ]
    return table("moved", caption, columns, rows)
