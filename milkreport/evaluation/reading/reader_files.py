"""Human readers' answers to the scored cases, read and joined as predictions are."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import pandas as pd

from milkreport.errors import ConfigError, DataError
from milkreport.evaluation.reading.any_table import Source
from milkreport.evaluation.reading.join import join_predictions
from milkreport.evaluation.reading.options import NOTHING_SAID, TableOptions
from milkreport.evaluation.reading.predictions import Predictions


def load_readers(
    readers: Mapping[str, Source],
    truth: Source,
    arm: Source,
    scored: Predictions,
    options: TableOptions = NOTHING_SAID,
) -> dict[str, Predictions]:
    """Each reader's hard answers to the cases of *scored*, in their order.

    Args:
        arm: a file of predictions, whose columns name the classes as they do for the arms.

    Raises:
        ConfigError: probabilities instead of answers. DataError: other cases, labels or classes.
    """
    if not readers:
        return {}
    files = {"": [arm]} | {f"reader {name}": [source] for name, source in readers.items()}
    # What a reader did not answer is said below; "--missing drop" would not make it whole.
    joined = join_predictions(files, truth, replace(options, missing="drop")).arms
    found = {}
    for name in readers:
        (p,) = joined[f"reader {name}"]["test"].values()
        if p.kind != "labels":
            what = f"reader {name}: probabilities instead of answers"
            do = "give one column *prediction* of class names; a model is an arm: NAME=FILE"
            raise ConfigError(what, do)
        place = pd.Index(p.case_ids).get_indexer(pd.Index(scored.case_ids))
        if n := int((place < 0).sum()):
            what = f"reader {name}: no answer to {n:,} of {len(place):,} scored cases"
            raise DataError(what, "give each reader's answer to every scored case")
        found[name] = p.take(place)
    return found
