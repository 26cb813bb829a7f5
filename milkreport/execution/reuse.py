"""Takes over finished trainings of other runs that are the same: same key, same environment."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

from milkreport.atomic import disk_problem
from milkreport.errors import MilkreportError
from milkreport.evaluation.records.results import CellRecord
from milkreport.parse import parse_json
from milkreport.runs.cells import HISTORY, PREDICTIONS, RECORD, CellFolder
from milkreport.runs.finding import find_run_folders
from milkreport.runs.folder import RunFolder
from milkreport.runs.manifest import Manifest
from milkreport.training.files import CARD_FILE

_FILES = (HISTORY, PREDICTIONS, CARD_FILE)


class Finished:
    """Finished trainings below a folder, by key; those of other torch builds or devices are left out."""

    def __init__(self, root: Path, manifest: Manifest) -> None:
        self._cells: dict[str, list[tuple[Path, CellRecord]]] = {}
        for path in find_run_folders(root):
            folder = RunFolder(path)
            try:
                same = folder.load_manifest().environment() == manifest.environment()
            except MilkreportError:
                continue
            for place, record in _finished(folder) if same else ():
                if record.device == manifest.device_name:
                    self._cells.setdefault(record.key, []).append((place, record))

    def take(self, key: str, folder: CellFolder) -> CellRecord | None:
        """Copy the training of that *key* into *folder*; ``None`` if there is no sound one.

        Raises:
            EnvironmentProblem: it cannot be written.
        """
        target = folder.path
        for source, known in self._cells.get(key, []):
            if source == target:
                continue
            try:
                target.mkdir(parents=True, exist_ok=True)
                for name in (*_FILES, known.weights_file):
                    shutil.copyfile(source / name, target / name)
            except OSError as error:
                raise disk_problem(error, target) from error
            # Answers to corrupted images are not taken along: they are made from the weights.
            of_cell = {"seed": folder.cell.seed, "fold": folder.cell.fold, "robustness_sha256": ""}
            record = known.model_copy(update=of_cell)
            if folder.is_sound(record):
                folder.write_record(record)
                return record
        return None


def _finished(folder: RunFolder) -> Iterator[tuple[Path, CellRecord]]:
    for path in folder.path.glob(f"cells/*/*/*/{RECORD}"):
        try:
            record = CellRecord.model_validate(parse_json(path.read_bytes()))
        except (OSError, ValueError):
            continue
        if record.status == "complete" and record.key:
            yield path.parent, record
