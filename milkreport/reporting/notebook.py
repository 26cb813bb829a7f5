"""Results where people work: page one in a notebook, and the report's drawings as matplotlib figures."""

from __future__ import annotations

import io
from functools import partial
from typing import TYPE_CHECKING

from milkreport.errors import ConfigError
from milkreport.evaluation.records.results import Results
from milkreport.reporting.figures.svg import PICTURE_DPI, drawing, keeping_figures
from milkreport.reporting.html import render_page
from milkreport.reporting.sections.arms import build_arm
from milkreport.reporting.sections.binary import build_binary
from milkreport.reporting.sections.compare import build_comparison
from milkreport.reporting.view import build_summary
from milkreport.reporting.wording.order import in_display_order
from milkreport.tables import first_few

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def page_one(results: Results) -> str:
    """Page one of the report as a piece of HTML that brings its own style, no font and no script.

    It takes ink and ground from the page that it stands in, dark ones too.
    """
    return render_page("notebook.html.j2", build_summary(results))


class Plots:
    """The report's drawings of *results* as matplotlib figures, each of which a notebook shows."""

    def __init__(self, results: Results) -> None:
        self._results = results

    def comparison(self) -> Figure:
        """The primary metric of each arm with its 95% interval.

        Raises:
            ConfigError: no arm has it.
        """
        return self._take("headline-figure")

    def roc(self) -> Figure:
        """ROC curves: with a band and operating points where there are positive classes, else per class.

        Raises:
            ConfigError: the predictions are hard answers, which have none.
        """
        return self._take("binary-roc", "roc")

    def precision_recall(self) -> Figure:
        """Precision over recall of each class.

        Raises:
            ConfigError: the predictions are hard answers.
        """
        return self._take("precision-recall")

    def calibration(self) -> Figure:
        """Share of positive cases over the predicted risk; without positive classes, of right answers.

        Raises:
            ConfigError: there are no probabilities.
        """
        return self._take("calibration", "reliability")

    def risk(self) -> Figure:
        """The predicted risks of positive and of negative cases.

        Raises:
            ConfigError: there are no positive classes, or no probabilities.
        """
        return self._take("risk-by-outcome")

    def classes(self) -> Figure:
        """F1 and recall of each class and arm.

        Raises:
            ConfigError: nothing was scored.
        """
        return self._take("per-class")

    def confusion(self, arm: str = "") -> Figure:
        """The confusion matrix of *arm*, by default the first one.

        Raises:
            ConfigError: there is no such arm, or nothing of it was scored.
        """
        names = [a.name for a in self._results.arms]
        if arm and arm not in names:
            raise ConfigError(f"no arm {arm!r}", f"arms are: {first_few(names)}", "confusion")
        index = names.index(arm) if arm else 0
        found = self._results.arms[index]
        with keeping_figures() as kept:
            build_arm(self._results, found, index)
        matrices = [figure for key, figure in kept.items() if key.endswith("-matrix")]
        if not matrices:
            raise ConfigError(f"nothing of arm {found.name!r} was scored", "choose another arm")
        return _showing(matrices[0])

    def _take(self, *keys: str) -> Figure:
        """The first drawing of *keys* that the report has."""
        results = in_display_order(self._results)
        with keeping_figures() as kept:
            for build in (build_summary, build_binary, build_comparison):
                build(results)
                if found := next((key for key in keys if key in kept), None):
                    return _showing(kept[found])
        what = f"these results have no drawing {' or '.join(map(repr, keys))}"
        raise ConfigError(what, f"what they have: {', '.join(sorted(kept)) or 'none'}", "plot")


def _showing(figure: Figure) -> Figure:
    """*figure*, which a notebook shows whether or not pyplot was imported."""
    figure._repr_png_ = partial(_picture, figure)  # type: ignore[attr-defined]
    return figure


def _picture(figure: Figure) -> bytes:
    stream = io.BytesIO()
    with drawing():
        figure.savefig(stream, format="png", dpi=PICTURE_DPI / 2, facecolor="white")
    return stream.getvalue()
