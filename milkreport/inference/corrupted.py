"""A trained model's answers to corrupted images of some cases: as its ordinary ones, from other pixels."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pandas as pd

from milkreport.data.corruptions.corrupt import corrupt_cases
from milkreport.data.pixels.store import PixelStore
from milkreport.suite.corruptions import SEVERITIES
from milkreport.training.answer import answer
from milkreport.training.batches import chunk_size
from milkreport.training.device import Device
from milkreport.training.fit import SCORED_AT_ONCE
from milkreport.training.pixels import NoPixels, choose_pixel_source
from milkreport.training.saved import SavedModel

Logs = npt.NDArray[np.float32]


def answer_all(
    model: SavedModel,
    table: pd.DataFrame,
    store: PixelStore | None,
    views: Sequence[str],
    device: Device,
    names: Sequence[str],
    pause: Callable[[], None] = lambda: None,
) -> Iterator[tuple[str, int, Logs]]:
    """Answers under every corruption of *names* and every severity; without any corruption first ("", 0).

    Args:
        table, store: see :func:`answer_corrupted`.
        pause: called now and then; what it raises ends it.
    """
    plain = answer_corrupted(model, table, store, views, device, "", 0, pause)
    yield "", 0, plain
    for name in names:
        for severity in SEVERITIES:
            if not model.card.sees_images:
                yield name, severity, plain
                continue
            found = answer_corrupted(model, table, store, views, device, name, severity, pause)
            yield name, severity, found


def answer_corrupted(
    model: SavedModel,
    table: pd.DataFrame,
    store: PixelStore | None,
    views: Sequence[str],
    device: Device,
    name: str,
    severity: int,
    pause: Callable[[], None] = lambda: None,
) -> Logs:
    """Log probabilities of cases whose images are corrupted: float32 (n, n_classes).

    Done in blocks of whole batches, so that memory stays small and the batches are those of ordinary
    scoring: at severity 0 it gives the ordinary answers, to the bit.

    Args:
        table: the cases to answer. store: their images in the same order; ``None`` of a model that sees none.
        views: of *store*, in its order.
    """
    if store is None or not model.card.sees_images:
        return answer(model, table, None, NoPixels(device), pause=pause)
    chunk = chunk_size(0, store.size, SCORED_AT_ONCE, device)
    block = chunk * max(SCORED_AT_ONCE // chunk, 1)
    ids = table["case_id"].astype(str).tolist()
    found = []
    for start in range(0, len(table), block):
        rows = np.arange(start, min(start + block, len(table)))
        pixels = store.batch(rows)
        if severity:
            pixels = corrupt_cases(pixels, name, severity, [ids[i] for i in rows], views)
        # Features of a frozen backbone are remembered by the fingerprint.
        key = f"{store.fingerprint}/{name}/{severity}/{start}"
        digest = hashlib.sha256(key.encode()).hexdigest()
        own = replace(store, pixels=pixels, rows=np.arange(len(rows)), fingerprint=digest)
        part = table.iloc[rows].reset_index(drop=True)
        found.append(answer(model, part, own, choose_pixel_source(own, device), pause=pause))
    return np.concatenate(found)
