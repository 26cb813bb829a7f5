"""The confusion matrix as a heat map; of many classes the rarer ones share a row and a column."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from milkreport.reporting.cases import opens
from milkreport.reporting.figures.marks import say
from milkreport.reporting.figures.svg import INK, WIDTH, drawing, to_svg
from milkreport.reporting.wording.text import percent, shorten_apart, span, whole

TONE = "#0072B2"
STRONGEST = 0.72  # keeps text in ink readable on the darkest cell, on light and dark pages
WIDE_FROM = 15  # classes; a page on its side
NUMBERS_UP_TO = 30  # classes; beyond that the cells are too small to read
MOST_CLASSES = 40  # beyond that the names of the rows would overlap
LETTERS = 18  # of a class name beside its row
_LANDSCAPE, _LANDSCAPE_HEIGHT = 9.8, 6.1
MOST_SAID = (
    144  # cells that say their count, half where none is printed: each is three nodes of the page
)


def is_wide(n_classes: int) -> bool:
    """Whether the matrix needs a landscape page."""
    return n_classes >= WIDE_FROM


def confusion_matrix(
    key: str,
    counts: Sequence[Sequence[int]],
    names: Sequence[str],
    title: str,
    arm: str = "",
) -> str:
    """Counts with their share of the true class, darker for a greater share; zeros stay blank.

    Args:
        arm: name of the arm whose cases the cells list on the page; empty: they list none.
    """
    table, names, places = fold_rare(np.asarray(counts, dtype=np.int64), names)
    n = len(names)
    totals = table.sum(axis=1)
    shares = table / np.maximum(totals, 1)[:, None]
    wide = is_wide(n)
    cell = min(0.43 if n > 4 else 0.6, ((_LANDSCAPE if wide else WIDTH) - 1.75) / (n + 1))
    labels = shorten_apart(names, LETTERS)
    size = _size(n)
    longest = max(map(span, labels), default=0) * size * 0.62 / 72
    crowded = longest > cell  # then the names above the columns stand upright
    above = 0.36 + (max(longest, 0.36) + 0.06 if crowded else 0.12)
    roomy = 0.215 if n > 4 else 0.3
    tall = min(cell, (_LANDSCAPE_HEIGHT - above) / (n + 1) if wide else roomy)
    with drawing():
        width, height = 1.3 + cell * (n + 1) + 0.15, above + tall * (n + 1) + 0.06
        figure = Figure(figsize=(width, height))
        axes: Axes = figure.add_axes(
            (
                1.2 / width,
                0.05 / height,
                cell * (n + 1) / width,
                tall * (n + 1) / height,
            )
        )
        axes.set_xlim(0, n + 1)
        axes.set_ylim(n + 1, 0)
        axes.grid(visible=False)
        for spine in axes.spines.values():
            spine.set_visible(False)
        _cells(axes, table, shares, n)
        _totals(axes, table, n)
        _say_counts(axes, table, names, arm, places)
        axes.set_yticks([i + 0.5 for i in range(n + 1)], [*labels, "predicted"], fontsize=size)
        axes.set_xticks([i + 0.5 for i in range(n + 1)], [*labels, "cases"], fontsize=size)
        axes.xaxis.tick_top()
        axes.tick_params(length=0, pad=3)
        for text in axes.get_xticklabels():
            text.set_rotation(90 if crowded else 0)
        axes.set_xlabel("predicted class", labelpad=6)
        axes.xaxis.set_label_position("top")
        axes.set_ylabel("true class", labelpad=6)
        hits = ", ".join(
            f"{name} {percent(shares[i, i]) if totals[i] else 'no case'}"
            for i, name in enumerate(shorten_apart(names, 30))
        )
        return to_svg(figure, key, title, f"Share of each true class that was recognised: {hits}")


def fold_rare(
    table: npt.NDArray[np.int64], names: Sequence[str]
) -> tuple[npt.NDArray[np.int64], list[str], list[int]]:
    """Counts in which all but the most frequent classes share the last row and column.

    Args:
        table: int64 (n_classes, n_classes), rows true. Up to ``MOST_CLASSES`` of them stay as they are.

    Returns:
        the counts, the names of rows and columns, and which class each is: -1 for those that share one.
    """
    n = len(names)
    if n <= MOST_CLASSES:
        return table, list(names), list(range(n))
    frequent = np.sort(np.argsort(-table.sum(axis=1), kind="stable")[: MOST_CLASSES - 1])
    place = np.full(n, len(frequent))
    place[frequent] = np.arange(len(frequent))
    folded = np.zeros((len(frequent) + 1,) * 2, np.int64)
    np.add.at(folded, (place[:, None], place[None, :]), table)
    rest = f"{whole(n - len(frequent))} others"
    return folded, [*(names[i] for i in frequent), rest], [*frequent.tolist(), -1]


def _size(n: int) -> float:
    return 6.5 if n <= 20 else 5.5


def _cells(axes: Axes, table: np.ndarray, shares: np.ndarray, n: int) -> None:
    both = n < WIDE_FROM
    for i in range(n):
        for j in range(n):
            count, share = int(table[i, j]), float(shares[i, j])
            if count:
                face = Rectangle((j, i), 1, 1, facecolor=TONE, alpha=STRONGEST * share, linewidth=0)
                axes.add_patch(face)
            if count and n <= NUMBERS_UP_TO:
                size = _size(n)
                y = i + (0.34 if both else 0.5)
                axes.text(j + 0.5, y, whole(count), ha="center", va="center", fontsize=size)
                if both:
                    axes.text(
                        j + 0.5,
                        i + 0.76,
                        percent(share),
                        ha="center",
                        va="center",
                        fontsize=4.8,
                        alpha=0.8,
                    )
        axes.add_patch(
            Rectangle((i, i), 1, 1, facecolor="none", edgecolor=INK, linewidth=0.7, alpha=0.55)
        )
    for k in range(n + 1):
        axes.plot([0, n], [k, k], color=INK, alpha=0.13, linewidth=0.4)
        axes.plot([k, k], [0, n], color=INK, alpha=0.13, linewidth=0.4)


def _totals(axes: Axes, table: np.ndarray, n: int) -> None:
    size = _size(n)
    for k in range(n):
        axes.text(
            n + 0.5,
            k + 0.5,
            whole(int(table[k].sum())),
            ha="center",
            va="center",
            fontsize=size,
            alpha=0.8,
        )
        axes.text(
            k + 0.5,
            n + 0.5,
            whole(int(table[:, k].sum())),
            ha="center",
            va="center",
            fontsize=size,
            alpha=0.8,
        )


def _say_counts(
    axes: Axes, table: np.ndarray, names: Sequence[str], arm: str, places: Sequence[int]
) -> None:
    """Counts and shares in words, in the totals and in cells that are not empty, the largest of very many."""
    most = MOST_SAID if len(names) <= NUMBERS_UP_TO else MOST_SAID // 2
    largest = np.argsort(-table, axis=None, kind="stable")[:most]
    kept = np.zeros(table.shape, bool)
    kept.flat[largest] = True
    labels, n = shorten_apart(names, 40), len(names)
    rows, columns = table.sum(axis=1), table.sum(axis=0)

    def tell(i: int, j: int, text: str, **query: int) -> None:
        classes = {what: places[at] for what, at in query.items()}
        listed = opens(arm=arm, **classes) if arm and min(classes.values()) >= 0 else ""
        say(axes, text, (j, i), (j + 1, i + 1), listed)

    for i in range(n):
        for j in np.flatnonzero(kept[i] & (table[i] > 0)).tolist():
            of = f"{whole(int(table[i, j]))} of {whole(int(rows[i]))} ({percent(table[i, j] / rows[i])})"
            tell(i, j, f"{labels[i]} \N{RIGHTWARDS ARROW} {labels[j]}: {of}", truth=i, answer=j)
        if rows[i]:
            tell(i, n, f"true class {labels[i]}: {whole(int(rows[i]))}", truth=i)
        if columns[i]:
            tell(n, i, f"predicted {labels[i]}: {whole(int(columns[i]))}", answer=i)
