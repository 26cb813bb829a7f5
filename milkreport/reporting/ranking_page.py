"""A ranking of arms over several data sets as a page and a document of its own."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from milkreport import __version__
from milkreport.evaluation.data_sets import FEWEST_DATA_SETS, DataSetRanking
from milkreport.evaluation.metrics.named import title_of
from milkreport.reporting.blocks import (
    Cell,
    Chapter,
    Column,
    PageView,
    Row,
    Table,
    number_entries,
    table,
)
from milkreport.reporting.html import render_page
from milkreport.reporting.pdf import write_alone
from milkreport.reporting.wording.text import (
    MISSING,
    capital,
    day,
    decimal,
    listing,
    mid_sentence,
    numeral,
    p_value,
    percent,
    shorten,
    shorten_apart,
    whole,
)

#: Friedman's test at this level says that the arms differ over data sets.
ALPHA = 0.05


@dataclass(frozen=True)
class RankingPageView(PageView):
    """Everything that the page may print."""

    lead: tuple[str, ...]
    chapters: tuple[Chapter, ...]


def write_ranking(
    out: Path, ranking: DataSetRanking, created: str, *, pdf: bool = True
) -> list[Path]:
    """Write ``ranking.html``, ``ranking.json`` and, if *pdf*, ``ranking.pdf`` into *out*; return their paths.

    Args:
        created: ISO 8601 moment.

    Raises:
        EnvironmentProblem: nothing can be written there. PdfProblem: no PDF; the others stand.
    """
    view = build_ranking_page(ranking, created)
    page = render_page("chapters_page.html.j2", view)
    paper = render_page("chapters_page.html.j2", view, paper=True) if pdf else ""
    return write_alone(out, "ranking", page, paper, ranking, created)


def build_ranking_page(ranking: DataSetRanking, created: str) -> RankingPageView:
    """The page as frozen values, all of them text."""
    chapters = (
        Chapter("overall", "Over all data sets", tables=(_overall(ranking),)),
        Chapter("each", "Each data set", tables=(_values(ranking), _stability(ranking))),
        Chapter("method", "How it was made", texts=method_sentences(ranking)),
    )
    return RankingPageView(
        title=f"Ranking over {numeral(len(ranking.data_sets))} data sets",
        date=day(created),
        created=created,
        generator=f"milkreport {__version__}",
        banner="",
        contents=number_entries((c.key, c.title) for c in chapters),
        lead=ranking_sentences(ranking),
        chapters=chapters,
    )


def ranking_sentences(ranking: DataSetRanking) -> tuple[str, ...]:
    """What the ranking says, and how far it reaches."""
    names = _names(ranking)
    n = len(ranking.data_sets)
    best = min(ranking.mean_ranks.values())
    firsts = [arm for arm in ranking.arms if abs(ranking.mean_ranks[arm] - best) < 1e-9]
    metric = mid_sentence(title_of(ranking.metric))
    have = "has" if len(firsts) == 1 else "share"
    said = (
        f"{listing(names[arm] for arm in firsts)} {have} the best mean rank by {metric} over "
        f"{numeral(n)} data sets: {decimal(best, 2)} (1 is best, {numeral(len(ranking.arms))} worst)."
    )
    if len(firsts) == 1:
        led = sum(found.ranks[firsts[0]] == 1 for found in ranking.data_sets)
        said += f" It is first in {'all' if led == n else numeral(led)} of them."
    moved = [
        found.name
        for found in ranking.data_sets
        if n >= FEWEST_DATA_SETS and found.first_without != firsts
    ]
    stable = "With the cases of each data set drawn anew "
    if len(firsts) == 1:
        stable += f"it is first in {_share(ranking.first[firsts[0]])} of the resamples."
    else:
        stable += "the shares of first places are in the table."
    if moved:
        left_out = listing((shorten(name, 60) for name in moved), "or")
        stable += f" Without {left_out}, another arm would be first or share the first place."
    told = [said, stable, _test_sentence(ranking)]
    if ranking.left_out:
        left = listing(shorten(name, 40) for name in ranking.left_out)
        told.append(f"Left out, because not every data set has them: {left}.")
    return tuple(told)


def _share(value: float) -> str:
    """A share in percent that says 0 or 100 only of none or all."""
    if 0 < value < 0.005:
        return "less than 1%"
    return "more than 99%" if 0.995 <= value < 1 else percent(value)


def _test_sentence(ranking: DataSetRanking) -> str:
    n, k = numeral(len(ranking.data_sets)), numeral(len(ranking.arms))
    if ranking.p is None:
        return (
            f"Whether the order holds on other data sets, {n} cannot tell: Friedman's test takes "
            f"{numeral(FEWEST_DATA_SETS)} or more."
        )
    if ranking.least_p >= ALPHA:
        return (
            f"Whether the order holds on other data sets, {n} data sets of {k} arms cannot tell: "
            "Friedman's test "
            f"gives at least p {p_value(ranking.least_p)} with so few."
        )
    if ranking.p < ALPHA:
        return (
            f"The arms differ over data sets (Friedman's test, p {p_value(ranking.p)}). Which of "
            "them differ is "
            "not tested here."
        )
    return (
        "That the arms differ over data sets is not shown (Friedman's test, p "
        f"{p_value(ranking.p)}): the order may "
        "be another one on other data sets."
    )


def method_sentences(ranking: DataSetRanking) -> tuple[str, ...]:
    """How ranks, stability and the test were made."""
    decided = ""
    if ranking.metric in ("positive_sensitivity", "positive_specificity"):
        decided = " Positive is what is predicted as a positive class, not what an operating point calls so."
    return (
        "Nothing is pooled: each data set is scored by itself, its arms are ranked by the metric (equal "
        "values share the mean rank), and each data set counts once, however many cases it has. Means over "
        f"training seeds are ranked.{decided}",
        "Stability: the cases of each data set are drawn again with replacement, groups whole, and ranked "
        "again. This says how far the order rests on the cases that happened to be drawn; trainings are not "
        "repeated, and the data sets stay the same. Kendall's tau-b compares each resampled order with the "
        "order found (1: the same, 0: unrelated).",
        "Friedman's test asks whether the arms have the same distribution of ranks over data sets, by "
        "exchanging the arms within each data set. It treats the data sets as a sample of all to which the "
        "answer shall apply. Data sets that share patients, or come from one hospital or archive, are not "
        "independent, and p is then too small; whether they share cases is not checked.",
    )


def _names(ranking: DataSetRanking) -> dict[str, str]:
    return dict(zip(ranking.arms, shorten_apart(ranking.arms, 40), strict=True))


def _overall(ranking: DataSetRanking) -> Table:
    names = _names(ranking)
    rows = []
    for arm in ranking.arms:
        places = [found.ranks[arm] for found in ranking.data_sets]
        cells = (
            Cell(names[arm]),
            Cell(decimal(ranking.mean_ranks[arm], 2)),
            Cell(f"{decimal(ranking.low[arm], 2)} to {decimal(ranking.high[arm], 2)}", kind="soft"),
            Cell(_share(ranking.first[arm])),
            Cell(f"{min(places):g} to {max(places):g}"),
        )
        rows.append(Row(cells))
    columns = (
        Column("Arm", text=True),
        Column("Mean rank"),
        Column("In 95% of resamples"),
        Column("First in resamples"),
        Column("Ranks in data sets"),
    )
    caption = (
        "Mean rank over the data sets, 1 the best; where it lies, and how often the arm has the "
        "best mean rank, when "
        "the cases of each data set are drawn again."
    )
    return table("ranking", caption, columns, rows)


def _values(ranking: DataSetRanking) -> Table:
    names, metric = _names(ranking), title_of(ranking.metric)
    rows = []
    for found in ranking.data_sets:
        cells = [
            Cell(shorten(found.name, 60)),
            Cell(whole(found.n_cases)),
            Cell(whole(found.n_classes)),
        ]
        cells += [
            Cell(f"{decimal(found.values[arm])} ({found.ranks[arm]:g})") for arm in ranking.arms
        ]
        rows.append(Row(tuple(cells)))
    columns = (
        Column("Data set", text=True),
        Column("Cases"),
        Column("Classes"),
        *(Column(names[arm]) for arm in ranking.arms),
    )
    better = "higher" if ranking.better == "higher" else "lower"
    return table(
        "values",
        f"{capital(metric)}, {better} is better; the rank in brackets.",
        columns,
        rows,
    )


def _stability(ranking: DataSetRanking) -> Table:
    names = _names(ranking)
    rows = []
    for found in ranking.data_sets:
        without = listing(names[arm] for arm in found.first_without)
        cells = (
            Cell(shorten(found.name, 60)),
            Cell(decimal(found.tau, 2)),
            Cell(without if len(ranking.data_sets) > 2 else MISSING, kind="text"),
        )
        rows.append(Row(cells))
    columns = (
        Column("Data set", text=True),
        Column("Mean tau of resamples"),
        Column("First without this data set", text=True),
    )
    return table(
        "stability",
        "How firm each data set's order is, and what rests on it.",
        columns,
        rows,
    )
