"""Why the network answered as it did: Grad-CAM of each image branch, attributions of the metadata.

By captum, which has both for networks of several inputs. It is an extra (``milkreport[explain]``).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import safetensors.torch
import torch
from torch import Tensor, nn

from milkreport.data.features import FeatureEncoder
from milkreport.models.lesion_net import MultiModalLesionNet
from milkreport.suite import Model

Floats = npt.NDArray[np.float32]

#: Steps of the integral; the attributions' sum misses the score's change by some percent at most.
N_STEPS = 24


@dataclass(frozen=True)
class Explanation:
    """What an answer of one case rests on.

    ``maps``: one float32 (size, size) a view, 0 to 1, where an image speaks for the answer (Grad-CAM,
    Selvaraju et al., 2017). ``attributions``: one float32 (n_features,) a view, what each column adds to the
    answer's score beside a case of average columns (integrated gradients, Sundararajan et al., 2017).
    """

    maps: tuple[Floats, ...]
    attributions: tuple[Floats, ...]


class Explainer:
    """A finished training's network, read from ``model.json`` and its weights."""

    def __init__(self, card: Mapping[str, Any], weights: bytes) -> None:
        self.encoder = FeatureEncoder.model_validate(card["encoder"])
        self.classes = list(card["classes"])
        views = list(card["views"])
        network = MultiModalLesionNet(
            Model.model_validate(card["model"]),
            int(card["image_size"]),
            views,
            [len(self.encoder.names(view)) for view in views],
            len(self.classes),
        )
        network.load_state_dict(safetensors.torch.load(weights))
        self.network = network.eval()

    def look(
        self, pixels: npt.NDArray[np.uint8], table: pd.DataFrame, answer: str
    ) -> tuple[dict[str, float], Explanation | None]:
        """A case's probabilities, and what *answer* rests on; ``None`` without captum.

        Args:
            pixels: uint8 (n_views, size, size, 3). table: the case's row.
        """
        images = [
            torch.from_numpy(v.astype(np.float32) / 255).permute(2, 0, 1)[None] for v in pixels
        ]
        features = [torch.from_numpy(self.encoder.encode(table, v)) for v in self.network.views]
        with torch.no_grad():
            log_p = self.network.log_probabilities(self.network(images, features))[0]
        p = dict(zip(self.classes, log_p.exp().tolist(), strict=True))
        if not is_available():
            return p, None
        return p, explain(self.network, images, features, self.classes.index(answer))

    def strongest(self, why: Explanation, most: int) -> dict[str, float]:
        """Columns that moved the answer most; one beside several views counts with all of them."""
        summed: dict[str, float] = {}
        for view, values in zip(self.network.views, why.attributions, strict=True):
            for name, value in zip(self.encoder.names(view), values.tolist(), strict=True):
                summed[name] = summed.get(name, 0.0) + value
        order = sorted(summed, key=lambda name: -abs(summed[name]))[:most]
        return {name: summed[name] for name in order}


def is_available() -> bool:
    """Whether captum is installed."""
    import importlib.util

    return importlib.util.find_spec("captum") is not None


def explain(
    network: MultiModalLesionNet, images: Sequence[Tensor], features: Sequence[Tensor], answer: int
) -> Explanation:
    """One case's answer.

    Args:
        images: one float32 (1, 3, size, size) a view, 0 to 1. features: one float32 (1, n_features) a view.
        answer: position of the class to explain.
    """
    from captum.attr import IntegratedGradients, LayerGradCam

    n = len(images)

    def forward(*inputs: Tensor) -> Tensor:
        return network.log_probabilities(network(inputs[:n], inputs[n:]))

    maps = []
    for view in network.views:
        layer = _last_convolution(network.image_branches[view])
        found = LayerGradCam(forward, layer).attribute(
            (*images, *features), target=answer, relu_attributions=True
        )
        size = images[0].shape[-1]
        wide = nn.functional.interpolate(found, (size, size), mode="bilinear", align_corners=False)
        heat = wide[0, 0].detach().numpy()
        maps.append(np.asarray(heat / heat.max() if heat.max() > 0 else heat, np.float32))
    attributions = [np.zeros(f.shape[1], np.float32) for f in features]
    used = [i for i, f in enumerate(features) if f.shape[1]]
    if used:

        def by_columns(*chosen: Tensor) -> Tensor:
            columns = list(features)
            for i, values in zip(used, chosen, strict=True):
                columns[i] = values
            many = [image.expand(len(chosen[0]), -1, -1, -1) for image in images]
            whole = [c.expand(len(chosen[0]), -1) for c in columns]
            return network.log_probabilities(network(many, whole))

        values = IntegratedGradients(by_columns).attribute(
            tuple(features[i] for i in used), target=answer, n_steps=N_STEPS, internal_batch_size=8
        )
        for i, value in zip(used, values, strict=True):
            attributions[i] = np.asarray(value[0].detach().numpy(), np.float32)
    return Explanation(tuple(maps), tuple(attributions))


def _last_convolution(branch: nn.Module) -> nn.Module:
    return [module for module in branch.modules() if isinstance(module, nn.Conv2d)][-1]
