"""The paper's MultiModalLesionNet: one image branch and one metadata branch a view, fused late.

What the paper leaves open is a named setting of :class:`milkreport.suite.suite.Model`; the defaults:

- ``hidden_units`` = 10 channels and ``convolutions_per_block`` = 2. The paper's table calls hidden units
  "the number of convolutional layers inside each block", while its text says each block is "a pair of
  convolutional layers"; both cannot hold, and 10 channels is the usual meaning of the name.
- ``kernel_size`` = 3 with padding that keeps the size: the usual block, and nothing else is said.
- ``metadata_hidden_layers`` = 10: "number of hidden layers inside the MLP blocks", taken as written.
  ``metadata_width`` = 64: not given; wide enough for 18 inputs not to be squeezed.
- ``metadata_scale`` = 1: the "learnable scalar parameter" starts neutral.
- ``fusion_hidden_layers`` = 0: the fusion network "projects the multimodal embedding into an
  11-dimensional logit vector"; one linear layer does so with the fewest assumptions.
- ``classifier_hidden_layers`` = 1: "a sequence of linear layers and ReLU activations" is at least
  linear, ReLU, linear. ``classifier_width`` = 64: not given.
- ``output``: the paper ends "in a softmax output layer" and trains with ``nn.CrossEntropyLoss``, which
  expects logits. ``logits`` feeds the loss what it expects; ``softmax`` does as published.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import cast

import torch
from torch import Tensor, nn

from milkreport.models import host
from milkreport.models.shape import Shape
from milkreport.suite.models import Model


class MaxPool(nn.MaxPool2d):
    """2 x 2 max pooling. Input float32 (n, c, h, w), output (n, c, h // 2, w // 2).

    Where no gradient is wanted, on a CPU, as the maximum of strided views: the same values several times
    as fast as PyTorch's kernel, which also notes where each maximum was.
    """

    def __init__(self) -> None:
        super().__init__(2)

    def forward(self, images: Tensor) -> Tensor:
        """The largest value of each window."""
        if torch.is_grad_enabled() or images.device.type != "cpu":
            pooled: Tensor = super().forward(images)
            return pooled
        height, width = images.shape[2] // 2 * 2, images.shape[3] // 2 * 2
        rows = torch.maximum(images[:, :, 0:height:2], images[:, :, 1:height:2])
        return torch.maximum(rows[..., 0:width:2], rows[..., 1:width:2])


class ImageBranch(nn.Module):
    """Blocks of convolutions with ReLU, each closed by a 2 x 2 max pooling; flattened.

    Input float32 (n, 3, size, size) with values 0 to 1, output (n, features).
    """

    def __init__(self, settings: Model, size: int) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        channels = 3
        for _ in range(settings.blocks):
            for position in range(settings.convolutions_per_block):
                layers.append(
                    nn.Conv2d(
                        channels,
                        settings.hidden_units,
                        settings.kernel_size,
                        padding=settings.kernel_size // 2,
                    )
                )
                channels = settings.hidden_units
                if position == settings.convolutions_per_block - 1:
                    # max(relu(x)) = relu(max(x)): pooling first leaves ReLU a quarter of the work.
                    layers.append(MaxPool())
                    size //= 2
                layers.append(nn.ReLU(inplace=True))
        self.layers = nn.Sequential(*layers)
        self.n_features = channels * size * size
        self.per_block = settings.convolutions_per_block

    def blocks(self) -> list[list[nn.Module]]:
        """The convolutions of each block."""
        convolutions = [layer for layer in self.layers if isinstance(layer, nn.Conv2d)]
        n = self.per_block
        return [[*convolutions[i : i + n]] for i in range(0, len(convolutions), n)]

    def forward(self, images: Tensor) -> Tensor:
        """Features of *images*, flattened in the order they lie in memory (channels last)."""
        features: Tensor = self.layers(images)
        return features.permute(0, 2, 3, 1).flatten(1)


class MultiModalLesionNet(nn.Module):
    """The paper's network for any number of views, feature columns and classes.

    Without images each view keeps its metadata branch alone, and the other way round.

    Args:
        settings: the suite's model section.
        shape: what it is built for.
    """

    def __init__(self, settings: Model, shape: Shape) -> None:
        super().__init__()
        self.views = shape.views
        self.softmax_output = settings.output == "softmax"
        self.image_branches = nn.ModuleDict()
        self.metadata_branches = nn.ModuleDict()
        self.fusions = nn.ModuleDict()
        self.metadata_scales = nn.ParameterDict()
        for view, n in zip(shape.views, shape.n_features, strict=True):
            width = 0
            if shape.images:
                branch = ImageBranch(settings, shape.image_size)
                self.image_branches[view] = branch
                width = branch.n_features
            if n:
                hidden = [settings.metadata_width] * settings.metadata_hidden_layers
                self.metadata_branches[view] = _mlp([n, *hidden], relu_at_end=True)
                self.metadata_scales[view] = nn.Parameter(torch.tensor(settings.metadata_scale))
                width += settings.metadata_width
            hidden = [settings.fusion_width] * settings.fusion_hidden_layers
            self.fusions[view] = _mlp([width, *hidden, shape.n_classes])
        hidden = [settings.classifier_width] * settings.classifier_hidden_layers
        n_fused = shape.n_classes * len(self.views)
        self.classifier = _mlp([n_fused, *hidden, shape.n_classes])

    def forward(self, images: Sequence[Tensor], features: Sequence[Tensor]) -> Tensor:
        """Scores of shape (n, n_classes): logits, or probabilities where ``output`` is softmax.

        Args:
            images: one float32 (n, 3, size, size) a view, values 0 to 1; none for a network without images.
            features: one float32 (n, n_features) a view.
        """
        fused = []
        for position, view in enumerate(self.views):
            parts = []
            if view in self.image_branches:
                parts.append(self.image_branches[view](images[position]))
            if view in self.metadata_branches:
                metadata = self.metadata_branches[view](features[position])
                parts.append(self.metadata_scales[view] * metadata)
            joint = parts[0] if len(parts) == 1 else torch.cat(parts, dim=1)
            fused.append(self.fusions[view](joint))
        scores: Tensor = self.classifier(torch.cat(fused, dim=1))
        return scores.softmax(dim=1) if self.softmax_output else scores

    def stages(self) -> dict[str, list[nn.Module]]:
        """The parts that fine-tuning may freeze, in the order of the data's way, all views' together."""
        parts: dict[str, list[nn.Module]] = {}
        for branch in self.image_branches.values():
            for number, block in enumerate(cast(ImageBranch, branch).blocks(), 1):
                parts.setdefault(f"block_{number}", []).extend(block)
        parts["metadata"] = [*self.metadata_branches.values(), self.metadata_scales]
        parts["fusion"] = [*self.fusions.values()]
        parts["classifier"] = [self.classifier]
        return parts

    def log_probabilities(self, scores: Tensor) -> Tensor:
        """Logarithms of the class probabilities, from what :meth:`forward` gave."""
        return scores.log() if self.softmax_output else scores.log_softmax(dim=1)

    def scalars(self) -> dict[str, float]:
        """The learned metadata scalar of each view."""
        return {view: float(host.to_host(scale)) for view, scale in self.metadata_scales.items()}


def _mlp(widths: Sequence[int], relu_at_end: bool = False) -> nn.Sequential:
    layers: list[nn.Module] = []
    for narrow, wide in pairwise(widths):
        layers += [nn.Linear(narrow, wide), nn.ReLU(inplace=True)]
    return nn.Sequential(*(layers if relu_at_end else layers[:-1]))
