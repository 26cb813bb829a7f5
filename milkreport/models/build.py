"""From settings to a network that is not trained yet."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from milkreport.errors import ConfigError, MilkreportError
from milkreport.limits import MOST_ACTIVATIONS, MOST_PARAMETERS
from milkreport.models.backbone import BackboneNet, Head, feature_width
from milkreport.models.lesion_net import MultiModalLesionNet
from milkreport.models.shape import Shape
from milkreport.suite.models import AnyModel, Backbone, Model, OwnModel, Pretrained
from milkreport.trust import import_own

#: What makes a network large.
_WIDTHS = ("hidden_units", "metadata_width", "fusion_width", "classifier_width")


def build_network(model: AnyModel, shape: Shape) -> nn.Module:
    """The network of *model* for inputs of *shape*, with fresh weights (a backbone's own where it has some).

    Called as ``network(images, features)`` it gives scores (n, n_classes): logits, unless it has a method
    ``log_probabilities(scores)``. A frozen backbone's network is its head, on features instead of images.

    Raises:
        ConfigError: nothing is left to see; or an own model cannot be built, or gives something else.
        DataError: an own model, or weights, that the user did not allow; see :mod:`milkreport.trust`.
    """
    if not shape.images and not any(shape.n_features):
        raise ConfigError(
            "the data have no metadata columns for this arm", "set inputs.images = true"
        )
    if isinstance(model, Model):
        refuse_large(model, shape)
        return MultiModalLesionNet(model, shape)
    if isinstance(model, Backbone):
        if not shape.images:
            raise ConfigError("a backbone without images", "leave out inputs.images = false")
        if model.frozen:
            named = Pretrained(backbone=model.backbone, weights=model.weights)
            return Head(model, shape, feature_width(named, shape.image_size))
        return BackboneNet(model, shape)
    if isinstance(model, OwnModel):
        return _build_own(model, shape)
    raise ConfigError(f"{model.name} is no network", "choose another model")


def outline(model: Model, shape: Shape) -> nn.Module:
    """The network of *model* without any memory for its weights: names and shapes alone."""
    with torch.device("meta"):
        return MultiModalLesionNet(model, shape)


def refuse_large(model: Model, shape: Shape) -> None:
    """Raise a ConfigError, before any memory is taken, for a network that is too large to be meant.

    It may be the settings of a card from elsewhere.
    """
    pixels = shape.image_size**2 if shape.images else 0
    if pixels * model.hidden_units > MOST_ACTIVATIONS:
        what = f"hidden_units = {model.hidden_units:,} on images of {shape.image_size} px"
        raise ConfigError(what, f"image_size² · hidden_units is {MOST_ACTIVATIONS:,} at most")
    n = sum(weights.numel() for weights in outline(model, shape).state_dict().values())
    if n > MOST_PARAMETERS:
        widths = ", ".join(f"{key} = {getattr(model, key):,}" for key in _WIDTHS)
        what = f"a network of {n:,} parameters ({widths}, {len(shape.views)} views)"
        raise ConfigError(what, f"{MOST_PARAMETERS:,} at most: make it smaller")


def log_probabilities(network: nn.Module, scores: Tensor) -> Tensor:
    """Logarithms of the class probabilities, from what the network gave: (n, n_classes)."""
    own = getattr(network, "log_probabilities", None)
    found: Tensor = own(scores) if own else scores.log_softmax(dim=1)
    return found


def scalars(network: nn.Module) -> dict[str, float]:
    """Single learned numbers that a network wants to be reported, by name."""
    own = getattr(network, "scalars", None)
    return dict(own()) if own else {}


def stages(network: nn.Module) -> dict[str, list[nn.Module]]:
    """The parts that fine-tuning may freeze, from the input on: a network's own list, or its children."""
    own = getattr(network, "stages", None)
    return dict(own()) if own else {name: [child] for name, child in network.named_children()}


def _build_own(model: OwnModel, shape: Shape) -> nn.Module:
    where = f"model {model.name}"
    try:
        build = getattr(import_own(model.name), model.name.partition(":")[2])
        network = build(shape, **model.options)
    except MilkreportError:
        raise
    except SystemExit as stop:
        what = (
            f"{where}: its module called sys.exit({'' if stop.code is None else repr(stop.code)})"
        )
        raise ConfigError(what, "take that call out of the module") from stop
    except Exception as error:
        what = f"{where}: {type(error).__name__}: {error}"
        raise ConfigError(what, "see docs/your_own_model.md") from error
    if not isinstance(network, nn.Module):
        what = f"{where}: gave {type(network).__name__}, no torch.nn.Module"
        raise ConfigError(what, "see docs/your_own_model.md")
    return network


@torch.no_grad()
def try_network(network: nn.Module, shape: Shape, name: str) -> None:
    """Refuse a network that does not take two empty cases to scores of (2, n_classes).

    Raises:
        ConfigError: it fails, or gives another shape.
    """
    images = [
        torch.zeros(2, 3, shape.image_size, shape.image_size) for _ in shape.views if shape.images
    ]
    features = [torch.zeros(2, n) for n in shape.n_features]
    network.eval()
    try:
        scores = network(images, features)
    except Exception as error:
        what = f"model {name} fails on two empty cases: {type(error).__name__}: {error}"
        raise ConfigError(
            what, f"it is called with {_describe(images)} and {_describe(features)}"
        ) from error
    found = tuple(scores.shape) if isinstance(scores, Tensor) else type(scores).__name__
    if found != (2, shape.n_classes):
        what = f"model {name} gives {found} for two cases of {shape.n_classes} classes"
        raise ConfigError(what, f"return logits of shape (n, {shape.n_classes})")


def _describe(tensors: Sequence[Tensor]) -> str:
    return f"[{', '.join(str(tuple(tensor.shape)) for tensor in tensors)}]"
