"""Why the network answered as it did: Grad-CAM of each image branch, attributions of the metadata.

By captum, which has both for networks of several inputs. It is an extra (``milkreport[explain]``).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch
from torch import Tensor, nn

from milkreport.models import host
from milkreport.models.backbone import load_embedder
from milkreport.models.build import log_probabilities
from milkreport.models.lesion_net import MultiModalLesionNet
from milkreport.training.saved import SavedModel

Floats = npt.NDArray[np.float32]

#: Steps of the integral; the attributions' sum misses the score's change by some percent at most.
N_STEPS = 24


@dataclass(frozen=True)
class Explanation:
    """What an answer of one case rests on.

    ``maps``: one float32 (size, size) a view that is seen, 0 to 1, where an image speaks for the answer
    (Grad-CAM, Selvaraju et al., 2017); none of networks whose image branches are not known.
    ``attributions``: one float32 (n_features,) a view, what each column adds to the answer's score beside a
    case of average columns (integrated gradients, Sundararajan et al., 2017).
    """

    maps: tuple[Floats, ...]
    attributions: tuple[Floats, ...]


class Explainer:
    """A saved model that explains its answers, as far as it is a network."""

    def __init__(self, model: SavedModel) -> None:
        self.card, self.reads, self.network = model.card, model.card.reads, model.network
        self._classifier = model.classifier
        frozen = model.card.frozen_backbone
        # Where the network lies: answering may have brought it to a GPU.
        weights = self.network.parameters() if self.network is not None else iter(())
        self.device = next((weight.device for weight in weights), torch.device("cpu"))
        self._embedder = (
            load_embedder(frozen).to(self.device) if frozen and self.reads.images else None
        )

    def look(
        self, pixels: npt.NDArray[np.uint8], table: pd.DataFrame, answer: str
    ) -> tuple[dict[str, float], Explanation | None]:
        """A case's probabilities, and what *answer* rests on; ``None`` without captum, without a
        network, or where its gradient is no number.

        Args:
            pixels: uint8 (n_views, size, size, 3), all views of the data. table: the case's row.
        """
        images = self._images(pixels)
        features = [values.to(self.device) for values in self.reads.tables(table)]
        if self.network is None:
            log_p = torch.from_numpy(self._classify(images, table))
        else:
            with torch.no_grad():
                log_p = log_probabilities(self.network, self.network(images, features))[0]
            log_p = host.to_host(log_p)
        p = dict(zip(self.card.classes, log_p.exp().tolist(), strict=True))
        if self.network is None or not is_available():
            return p, None
        why = explain(self.network, images, features, self.card.classes.index(answer))
        # A softmax that is 1 to the last bit has a score without a gradient: nothing can be said.
        finite = all(np.isfinite(values).all() for values in (*why.maps, *why.attributions))
        return p, why if finite else None

    def _images(self, pixels: npt.NDArray[np.uint8]) -> list[Tensor]:
        """What the model gets of the images: themselves, their features, or nothing."""
        if not self.card.sees_images:
            return []
        images = [
            torch.from_numpy(pixels[i].astype(np.float32) / 255)
            .permute(2, 0, 1)[None]
            .to(self.device)
            for i in self.reads.positions
        ]
        if self._embedder is None:
            return images
        with torch.no_grad():
            return [self._embedder(image) for image in images]

    def _classify(self, embedded: Sequence[Tensor], table: pd.DataFrame) -> Floats:
        from milkreport.models.classifier import score_classifier

        assert self._classifier is not None
        wide = torch.cat([*embedded], dim=1).numpy() if embedded else np.zeros((1, 0), np.float32)
        columns = self.reads.encoder.encode_once(table)
        found: Floats = score_classifier(self._classifier, columns, wide, len(self.card.classes))[0]
        return found

    def strongest(self, why: Explanation, most: int) -> dict[str, float]:
        """Columns that moved the answer most; one beside several views counts with all of them."""
        summed: dict[str, float] = {}
        for view, values in zip(self.reads.views, why.attributions, strict=True):
            for name, value in zip(self.reads.encoder.names(view), values.tolist(), strict=True):
                summed[name] = summed.get(name, 0.0) + value
        order = sorted(summed, key=lambda name: -abs(summed[name]))[:most]
        return {name: summed[name] for name in order}


def is_available() -> bool:
    """Whether captum is installed."""
    import importlib.util

    return importlib.util.find_spec("captum") is not None


def explain(
    network: nn.Module, images: Sequence[Tensor], features: Sequence[Tensor], answer: int
) -> Explanation:
    """One case's answer.

    Args:
        images: one float32 (1, 3, size, size) a view, 0 to 1, or a frozen backbone's features. features:
        one float32 (1, n_features) a view. All of them lie where the network does. answer: position of
        the class to explain.
    """
    from captum.attr import IntegratedGradients, LayerGradCam

    n = len(images)

    def forward(*inputs: Tensor) -> Tensor:
        return log_probabilities(network, network(inputs[:n], inputs[n:]))

    maps = []
    branches: list[nn.Module] = []
    if isinstance(network, MultiModalLesionNet):
        branches = [*network.image_branches.values()]
    for branch in branches:
        layer = _last_convolution(branch)
        found = LayerGradCam(forward, layer).attribute(
            (*images, *features), target=answer, relu_attributions=True
        )
        size = images[0].shape[-1]
        wide = nn.functional.interpolate(found, (size, size), mode="bilinear", align_corners=False)
        heat = host.to_host(wide[0, 0]).numpy()
        maps.append(np.asarray(heat / heat.max() if heat.max() > 0 else heat, np.float32))
    attributions = [np.zeros(f.shape[1], np.float32) for f in features]
    used = [i for i, f in enumerate(features) if f.shape[1]]
    if used:

        def by_columns(*chosen: Tensor) -> Tensor:
            columns = list(features)
            for i, values in zip(used, chosen, strict=True):
                columns[i] = values
            many = [image.expand(len(chosen[0]), *image.shape[1:]) for image in images]
            whole = [c.expand(len(chosen[0]), -1) for c in columns]
            return log_probabilities(network, network(many, whole))

        values = IntegratedGradients(by_columns).attribute(
            tuple(features[i] for i in used), target=answer, n_steps=N_STEPS, internal_batch_size=8
        )
        for i, value in zip(used, values, strict=True):
            attributions[i] = np.asarray(host.to_host(value[0]).numpy(), np.float32)
    return Explanation(tuple(maps), tuple(attributions))


def _last_convolution(branch: nn.Module) -> nn.Module:
    return [module for module in branch.modules() if isinstance(module, nn.Conv2d)][-1]
