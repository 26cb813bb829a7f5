"""What the user allowed by his own command line: modules to run, weights to open, downloads.

A model card, or a suite that lies in a run folder, can ask for all of these, and may come from anybody. So
nothing of it is done unless it is recorded here, by an option or because the user named the suite himself.
The record is this process's; workers are sent it. There is no list of what is refused: all is.
"""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

from milkreport.errors import ConfigError, DataError
from milkreport.own_module import find_file, import_file
from milkreport.suite.models import AnyModel, OwnModel, Pretrained

if TYPE_CHECKING:
    from milkreport.suite.suite import Suite

#: What ``weights`` of a backbone may say that names no file.
NO_FILE = ("package", "download", "none")


@dataclass
class Trust:
    """What is allowed.

    ``named``: own models that options named, as ``package.module`` or ``package.module:function``.
    ``folders``: where their modules are looked for last. ``downloads``: whether a connection may be opened
    for weights. ``backbone``: the file of weights that an option named. ``modules``: own models that may
    run, by name; each with the SHA-256 that its file must have, empty where the user's own suite asks.
    ``weights``: files that may be opened, by what settings call them.
    """

    named: tuple[str, ...] = ()
    folders: tuple[str, ...] = ()
    downloads: bool = False
    backbone: str = ""
    modules: dict[str, str] = field(default_factory=dict)
    weights: dict[str, str] = field(default_factory=dict)


@dataclass
class _Held:
    """This process's record, and whom to tell before code of the user's is run."""

    trust: Trust = field(default_factory=Trust)
    tell: Callable[[str], None] = lambda line: None


_HELD = _Held()


def grant(
    named: Sequence[str] = (),
    folders: Sequence[Path] = (),
    downloads: bool = False,
    backbone: Path | None = None,
    tell: Callable[[str], None] = lambda line: None,
) -> None:
    """Begin the record anew, with what options of a command say.

    Args:
        named, folders, downloads, backbone: see :class:`Trust`.
        tell: gets a line before a module of the user's is run.

    Raises:
        ConfigError: one of the folders is none.
    """
    for folder in folders:
        if not folder.is_dir():
            raise ConfigError("no such folder", "name one by --module-dir", str(folder))
    places = tuple(str(folder.resolve()) for folder in folders)
    _HELD.trust = Trust(tuple(named), places, downloads, str(backbone) if backbone else "")
    _HELD.tell = tell


def current() -> Trust:
    """The record, for a worker."""
    return _HELD.trust


def adopt(trust: Trust) -> None:
    """Take over the record of the process that this one works for."""
    _HELD.trust = trust


def trust_suite(suite: Suite) -> None:
    """Allow what the arms of *suite* ask for. Only for one that the user named himself on ``run-all``."""
    for arm in suite.arms:
        trust_model(suite.model_of(arm))


def trust_model(model: AnyModel) -> None:
    """Allow what the user's own settings ask for."""
    if isinstance(model, OwnModel):
        _HELD.trust.modules[model.name] = ""
    elif isinstance(model, Pretrained) and model.backbone:
        if model.weights == "download":
            _HELD.trust.downloads = True
        elif model.weights not in NO_FILE:
            _HELD.trust.weights[model.weights] = model.weights


def require_trusted(model: AnyModel, sources: Mapping[str, str], where: str) -> None:
    """Refuse a *model* of a card or stored suite that asks for what the user did not allow.

    What is allowed must be what the model was trained with: *sources*, the SHA-256 of files by
    :func:`hash_sources`, as its card has them. Nothing is imported, and no file opened but the user's.

    Raises:
        DataError: not allowed; the card has no SHA-256 for it; or the file is another one.
        ConfigError: the module or the file of weights is not there.
    """
    if isinstance(model, OwnModel):
        _require_module(model.name, sources.get("module", ""), where)
    elif isinstance(model, Pretrained) and model.backbone:
        if model.weights == "download":
            require_download(model.backbone, where)
        elif model.weights not in NO_FILE:
            _require_file(model, sources.get("weights", ""), where)


def _require_module(name: str, known: str, where: str) -> None:
    trust, module = _HELD.trust, _module_of(name)
    if name not in trust.modules and not {name, module} & {*trust.named}:
        what = f"the model imports {module[:200]} and calls {name[:200]}, which runs its code"
        raise DataError(what, f"if you trust it: --trust-module {name[:200]}", where)
    file, _, found = _read_module(name)
    _compare(file, found, known, where)
    trust.modules.setdefault(name, known)


def _require_file(model: Pretrained, known: str, where: str) -> None:
    trust = _HELD.trust
    file = trust.weights.get(model.weights) or trust.backbone
    if not file:
        what = f"needs the weights of {model.backbone[:80]} that it was trained with, a file"
        raise DataError(what, "name it: --backbone-weights FILE", where)
    _compare(Path(file), _hash(Path(file)), known, where)
    trust.weights[model.weights] = file


def _compare(file: Path, found: str, known: str, where: str) -> None:
    if not known:
        what = f"its card has no SHA-256 of {file.name}, so it cannot be compared"
        raise DataError(what, "train the model again", where)
    if found != known:
        what = f"SHA-256 of {file.name} is {found[:16]}, the model was trained with {known[:16]}"
        raise DataError(what, f"use {file.name} as it was then", where)


def require_download(backbone: str, where: str = "") -> None:
    """Raise a DataError unless a connection may be opened for the weights of *backbone*."""
    if not _HELD.trust.downloads:
        what = f"the weights of {backbone[:80]} would be downloaded"
        raise DataError(what, "to open a connection for them: --allow-download", where)


def weights_file(named: str) -> Path:
    """The file for what settings call *named*. Raises a DataError unless the user allowed it."""
    if named not in _HELD.trust.weights:
        what = "a file of weights that only the model's settings name is not opened"
        raise DataError(what, "name it: --backbone-weights FILE")
    return Path(_HELD.trust.weights[named])


def import_own(name: str) -> ModuleType:
    """The module of the own model *name*, imported; the user is told the file and its SHA-256 before.

    Raises:
        DataError: not allowed, or another file than the one that was. ConfigError: not found.
        Exception: whatever the module raises.
    """
    known, module = _allowed(name), _module_of(name)
    file, content, found = _read_module(name)
    if known:
        _compare(file, found, known, f"model {name[:200]}")
    if module not in sys.modules:
        _HELD.tell(f"runs {name} from {file}, SHA-256 {found}")
        # At the end, so that they shadow nothing; and only now, for what the module itself imports.
        sys.path += [folder for folder in _HELD.trust.folders if folder not in sys.path]
    return import_file(module, file, content)


def hash_sources(model: AnyModel) -> dict[str, str]:
    """SHA-256 of the files that a model's result depends on beside its settings, by what they are.

    Raises:
        DataError: the user did not allow to read them.
        ConfigError: a file of weights, or the module of an own model, is not there.
    """
    if isinstance(model, OwnModel):
        _allowed(model.name)
        return {"module": _read_module(model.name)[2]}
    if not isinstance(model, Pretrained) or not model.backbone:
        return {}
    if model.weights in NO_FILE:
        return {"weights": model.weights}
    return {"weights": _hash(weights_file(model.weights))}


def _allowed(name: str) -> str:
    """The SHA-256 that the module must have, empty for any; raises a DataError where it may not run."""
    if name not in _HELD.trust.modules:
        what = f"model {name[:200]}: its module is not imported, as nobody asked for that"
        raise DataError(what, f"if you trust it: --trust-module {name[:200]}")
    return _HELD.trust.modules[name]


def _module_of(name: str) -> str:
    return name.partition(":")[0]


def _read_module(name: str) -> tuple[Path, bytes, str]:
    """File, content and SHA-256 of the module of an own model."""
    file = find_file(_module_of(name), _HELD.trust.folders)
    try:
        content = file.read_bytes()
    except OSError as error:
        what = f"cannot be read: {(error.strerror or str(error)).lower()}"
        raise ConfigError(what, "check the module's file", str(file)) from error
    return file, content, hashlib.sha256(content).hexdigest()


def _hash(path: Path) -> str:
    try:
        stat = path.stat()
        return _hash_of(path, stat.st_size, stat.st_mtime_ns)
    except OSError as error:
        raise ConfigError(
            f"cannot be read: {error.strerror}", "name a file that is there", str(path)
        ) from error


@lru_cache(maxsize=64)
def _hash_of(path: Path, size: int, changed: int) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
