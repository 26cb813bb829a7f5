"""The data of the original run, prepared again: what a model may have forgotten is asked of them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from milkreport.data.prepare import Prepared, prepare
from milkreport.data.splits import Fold, make_folds
from milkreport.errors import ConfigError, DataError
from milkreport.finetuning.parent import Parent

if TYPE_CHECKING:
    from milkreport.execution.runner import Watcher

NO_RUN = (
    "the model was named without a run (a fine-tuned one has none), so its original test cases are not "
    "known: name the run folder, and give --old-data DIR"
)
NO_DATA = "the original data were not given: give --old-data DIR, the data of the original run"


@dataclass(frozen=True)
class OldData:
    """The original data, or why there are none. ``fold``: of the model's training."""

    prepared: Prepared | None = None
    fold: Fold | None = None
    reason: str = ""


def prepare_old(
    parent: Parent, data: Path | None, reason: str, cache: Path, watcher: Watcher
) -> OldData:
    """Read the original data and part them as the run did.

    Args:
        data: ``None``: they are not at hand, for *reason*.

    Raises:
        DataError: they are not the data of the run; names the first file that differs.
    """
    if parent.run is None or parent.suite is None:
        if data is not None:
            raise ConfigError(
                "--old-data needs the run that the model is of", "name the run folder"
            )
        return OldData(reason=NO_RUN)
    if data is None:
        return OldData(reason=reason or NO_DATA)
    prepared = prepare(data, parent.suite.data, cache, watcher.images, watcher.notice)
    if prepared.fingerprint != parent.run.load_manifest().data_sha256:
        what = f"not the data of the original run: {parent.run.first_change(prepared)}"
        raise DataError(what, "give the same data by --old-data", str(data))
    fold = make_folds(prepared.cases, parent.suite.split)[parent.card.fold]
    return OldData(prepared, fold)


def drawn_cases(parent: Parent) -> int | None:
    """Cases of the synthetic set that the run's suite draws, if the run was made from that set."""
    if parent.run is None or parent.suite is None:
        return None
    data, wanted = parent.run.load_data().data, parent.suite.data.synthetic.cases
    return wanted if data.synthetic and data.n_found == wanted else None
