"""What can be trained: the model section of a suite, and what an arm's ``model`` may say instead.

The model's ``name`` tells which of the sections below holds its settings.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Discriminator, Field, Tag, field_validator, model_validator

from milkreport.errors import did_you_mean
from milkreport.suite.toml import TAG, Section

PAPERS_NET = "MultiModalLesionNet"
CLASSIFIERS = ("logistic_regression", "svc", "naive_bayes", "gradient_boosting")
BACKBONE = "backbone"
NET_TAG, CLASSIFIER_TAG, BACKBONE_TAG, OWN_TAG = (
    TAG + kind for kind in ("net", "classifier", "backbone", "own")
)


Strength = Annotated[float, Field(gt=0, le=1e6)]
Components = Annotated[int, Field(ge=0, le=10_000)]


class Model(Section):
    """The paper's network. What the paper leaves open is a setting; its module in ``models`` argues
    defaults.
    """

    name: Literal["MultiModalLesionNet"] = "MultiModalLesionNet"
    hidden_units: Annotated[int, Field(ge=1, le=1024)] = 10
    blocks: Annotated[int, Field(ge=1, le=6)] = 2
    convolutions_per_block: Annotated[int, Field(ge=1, le=6)] = 2
    kernel_size: Annotated[int, Field(ge=1, le=11)] = 3
    metadata_hidden_layers: Annotated[int, Field(ge=1, le=100)] = 10
    metadata_width: Annotated[int, Field(ge=1, le=4096)] = 64
    metadata_scale: float = 1.0
    fusion_hidden_layers: Annotated[int, Field(ge=0, le=8)] = 0
    fusion_width: Annotated[int, Field(ge=1, le=4096)] = 64
    classifier_hidden_layers: Annotated[int, Field(ge=1, le=8)] = 1
    classifier_width: Annotated[int, Field(ge=1, le=4096)] = 64
    output: Literal["logits", "softmax"] = "logits"

    @field_validator("kernel_size")
    @classmethod
    def _odd(cls, value: int) -> int:
        if value % 2 == 0:
            raise ValueError("must be odd, so that padding keeps the image size")
        return value


class Pretrained(Section):
    """Which network that was trained elsewhere reads the images, and where its weights come from.

    ``backbone``: ``efficientnet_lite0``, or a classification model of torchvision by name. ``weights``:
    ``package`` (those that the extra ``backbone`` installs; efficientnet_lite0 only), a local file with a
    state dict, ``download`` (torchvision's own, over the network, into PyTorch's cache), or ``none``.
    """

    backbone: str = ""
    weights: str = "package"

    @model_validator(mode="after")
    def _weights_of_package(self) -> Pretrained:
        if self.backbone and self.weights == "package" and self.backbone != "efficientnet_lite0":
            raise ValueError(
                f"weights: the package holds those of efficientnet_lite0, not of {self.backbone}: "
                "name a local file, or download, or none"
            )
        return self


class Classifier(Pretrained):
    """A classical classifier on the metadata, and on a backbone's features where one is named.

    Every input column is standardised on the training part. ``c``: inverse strength of the
    regularisation of ``logistic_regression`` and ``svc``, scikit-learn's ``C``. ``trees``: boosting
    rounds. ``components``: the backbone's features are reduced to so many principal components of the
    training part; 0 keeps all. ``choose_c``, ``choose_components``: candidates, of which the best by macro F1
    in ``inner_folds`` of the training part is taken; nothing else is read for it.
    """

    name: Literal["logistic_regression", "svc", "naive_bayes", "gradient_boosting"]
    c: Strength = 1.0
    trees: Annotated[int, Field(ge=1, le=10_000)] = 100
    components: Components = 0
    choose_c: list[Strength] = []
    choose_components: list[Components] = []
    inner_folds: Annotated[int, Field(ge=2, le=20)] = 5


class Backbone(Pretrained):
    """A pretrained network that all views share, and a head on its features and the metadata.

    ``frozen``: only the head is trained, on features that are computed once. ``hidden``: width of the head's
    hidden layer; 0: none. ``dropout``: of the head's input.
    """

    name: Literal["backbone"]
    backbone: Annotated[str, Field(min_length=1)] = "efficientnet_lite0"
    frozen: bool = True
    hidden: Annotated[int, Field(ge=0, le=65_536)] = 0
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.0


class OwnModel(Section):
    """A network of the user's: ``name`` is ``package.module:function``; see docs/your_own_model.md."""

    name: Annotated[str, Field(pattern=r"^[A-Za-z_][\w.]*:[A-Za-z_]\w*$")]
    options: dict[str, Any] = {}


def _kind(values: Any) -> str:
    name = values.get("name", PAPERS_NET) if isinstance(values, dict) else values.name
    known = {PAPERS_NET: NET_TAG, BACKBONE: BACKBONE_TAG} | dict.fromkeys(
        CLASSIFIERS, CLASSIFIER_TAG
    )
    if isinstance(name, str) and (":" in name or name in known):
        return known.get(name, OWN_TAG)
    hint = did_you_mean(str(name), known, f"known: {', '.join(known)}, or package.module:build")
    raise ValueError(f"unknown model {name!r}, {hint}")


def as_named(values: Any) -> Any:
    """A model may be its name alone: that is its settings with nothing but the name."""
    return {"name": values} if isinstance(values, str) else values


def _known(values: Any) -> Any:
    values = as_named(values)
    if isinstance(values, dict):
        _kind(values)
    elif not isinstance(values, Section):
        raise ValueError("give a model's name, or a table of its settings")
    return values


_Model = Model | Classifier | Backbone | OwnModel
AnyModel = Annotated[
    Annotated[Model, Tag(NET_TAG)]
    | Annotated[Classifier, Tag(CLASSIFIER_TAG)]
    | Annotated[Backbone, Tag(BACKBONE_TAG)]
    | Annotated[OwnModel, Tag(OWN_TAG)],
    Discriminator(_kind),
    BeforeValidator(_known),
]


def sees_images(model: _Model, images: bool) -> bool:
    """Whether answers depend on images: they are wanted, and the model is no classifier of columns alone."""
    return images and not (isinstance(model, Classifier) and not model.backbone)
