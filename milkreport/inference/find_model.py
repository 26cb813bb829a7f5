"""Finding a trained model: in a run folder by arm, seed and fold, or in a folder that holds one."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from milkreport.errors import ConfigError, DataError, did_you_mean
from milkreport.inside import refuse_links
from milkreport.runs.cells import Cell
from milkreport.runs.collect import plan_cells
from milkreport.runs.folder import RunFolder
from milkreport.training.files import CARD_FILE, FINE_TUNED, HEAD, is_pickle


@dataclass(frozen=True)
class ModelRef:
    """A model's folder. ``run`` and ``cell``: the training it comes from, where it is one of a run's."""

    folder: Path
    run: RunFolder | None = None
    cell: Cell | None = None

    def __str__(self) -> str:
        return str(self.cell) if self.cell else self.name

    @property
    def name(self) -> str:
        """For a folder: ``ARM-seed-S-fold-F``, or the folder's own name."""
        c = self.cell
        return f"{c.arm}-seed-{c.seed}-fold-{c.fold}" if c else self.folder.resolve().name


def find_model(
    path: Path, arm: str | None = None, seed: int | None = None, fold: int | None = None
) -> ModelRef:
    """The model that *path* and the options name; of several trainings the first, by seed and fold.

    Raises:
        ConfigError: the run has several arms and none is named, or options for what is one model.
        DataError: see :func:`find_models`.
    """
    return find_models(path, arm, seed, fold)[0]


def find_models(
    path: Path, arm: str | None = None, seed: int | None = None, fold: int | None = None
) -> list[ModelRef]:
    """All finished trainings of an arm, by seed and fold; or the one model that *path* holds.

    The folder of a fine-tuning holds one, in ``model``.

    Raises:
        ConfigError: no such arm; several and none is named; arm, seed or fold of what is one model.
        DataError: nothing is there, it is no run or holds predictions alone, no such training is finished.
    """
    if (path / FINE_TUNED / CARD_FILE).is_file():
        refuse_links(path)
        path = path / FINE_TUNED
    if (path / CARD_FILE).is_file():
        if arm is not None or seed is not None or fold is not None:
            what = "holds one model: --arm, --seed and --fold choose among a run's"
            raise ConfigError(what, "leave them out", str(path))
        return [ModelRef(path)]
    if path.is_file():
        raise _a_file(path)
    folder = RunFolder(path)
    if path.is_dir() and not folder.is_begun():
        do = f"name the --out of a run-all, or a folder with {CARD_FILE}"
        raise DataError("no model here", do, str(path))
    if folder.is_run() and not folder.has_suite:
        what = "an evaluation of given predictions: it holds no model"
        raise DataError(what, "name the --out of a run-all", str(path))
    suite = folder.load_suite()
    name = _choose_arm([a.name for a in suite.arms], arm, path)
    finished = [
        cell
        for cell in plan_cells(suite)
        if cell.arm == name
        and (record := folder.cell(cell).load_record()) is not None
        and record.status == "complete"
    ]
    if not finished:
        what, do = f"no training of arm {name} is finished here", "run the same run-all again"
        raise DataError(what, do, str(path))
    wanted = [
        cell
        for cell in finished
        if (seed is None or cell.seed == seed) and (fold is None or cell.fold == fold)
    ]
    if not wanted:
        asked = [f"{k} {v}" for k, v in (("seed", seed), ("fold", fold)) if v is not None]
        there = "; ".join(f"seed {cell.seed}, fold {cell.fold}" for cell in finished[:20])
        what = f"no finished training of arm {name} with {' and '.join(asked)}"
        raise DataError(what, f"finished: {there}", str(path))
    return [ModelRef(folder.cell(cell).path, folder, cell) for cell in wanted]


def _choose_arm(known: list[str], arm: str | None, path: Path) -> str:
    listed = ", ".join(known)
    if arm is None:
        if len(known) > 1:
            raise ConfigError("several arms", f"choose by --arm: {listed}", str(path))
        return known[0]
    if arm not in known:
        do = f"{did_you_mean(arm, known)} arms are: {listed}".strip()
        raise ConfigError(f"no arm {arm!r}", do, str(path))
    return arm


def _a_file(path: Path) -> DataError:
    with path.open("rb") as file:
        head = file.read(HEAD)
    if is_pickle(head):
        do = f"if you trust its source: milkreport import-pickle {path.name} --i-trust-this-file --out FOLDER"
        what = "a pickle, which can execute anything: it is not opened"
        return DataError(what, do, str(path))
    return DataError("a file, no model", f"name a run, or a folder with {CARD_FILE}", str(path))
