"""A trained model read back from a run, compared with what its run recorded of it."""

from __future__ import annotations

from pathlib import Path

from milkreport.errors import DataError, MilkreportError
from milkreport.parse import parse_json
from milkreport.runs.cells import RECORD, hash_file
from milkreport.training.files import CARD_FILE
from milkreport.training.saved import AGAIN, SavedModel, load_card, load_model


def load_trained(folder: Path) -> SavedModel:
    """Like :func:`load_model`, for *folder* that may be that of a run's training.

    Raises:
        DataError: also where the card is not what ``cell.json`` says was written. Where files are damaged,
            it names another training of the arm that is whole.
        ConfigError, EnvironmentProblem: see :func:`load_model`.
    """
    load_card(folder / CARD_FILE)
    try:
        _refuse_changed_card(folder)
        return load_model(folder)
    except DataError as error:
        twin = _find_twin(Path(error.where)) if error.do == AGAIN else ""
        if not twin:
            raise
        do = f"get it again, or use another training that is whole: {twin}"
        raise DataError(error.what, do, error.where) from error


def _refuse_changed_card(folder: Path) -> None:
    """In a run, ``cell.json`` knows the card's hash; a card alone has nothing to be compared with."""
    try:
        record = parse_json((folder / RECORD).read_bytes())
        known = record.get("card_sha256")
    except (OSError, ValueError, AttributeError):
        return
    if known and known != hash_file(folder / CARD_FILE):
        what = "changed since it was written: classes or encoding may not be those of the weights"
        raise DataError(what, AGAIN, str(folder / CARD_FILE))


def _find_twin(path: Path) -> str:
    """Another seed and fold of the arm that *path* is of, which is whole; empty where there is none."""
    for other in sorted(path.parent.parent.parent.glob(f"seed-*/fold-*/{path.name}")):
        if other == path:
            continue
        try:
            card = load_card(other.parent / CARD_FILE)
        except MilkreportError:
            continue
        if hash_file(other) == card.weights_sha256:
            return f"{other.parent.parent.name}/{other.parent.name}"
    return ""
