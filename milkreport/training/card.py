"""The card beside a model's weights: all that is needed to build it again, and where it comes from."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch
from pydantic import BaseModel, ConfigDict, Field

from milkreport.data.cases import Cases
from milkreport.data.features import FeatureEncoder, fit_encoder
from milkreport.data.pixels.store import PixelStore
from milkreport.inside import FileName
from milkreport.limits import MOST_CLASSES, MOST_VIEWS, ImageSize
from milkreport.models import host
from milkreport.models.shape import Shape
from milkreport.suite.arms import ArmInputs
from milkreport.suite.models import AnyModel, Backbone, Classifier, Pretrained, sees_images
from milkreport.suite.sections import Seed
from milkreport.training.batches import ColumnInputs, ImageInputs, ModelInputs
from milkreport.training.embeddings import embed_cases
from milkreport.training.files import NETWORK_FILE
from milkreport.training.pixels import Pixels

SCHEMA_VERSION = 2


class InputSpec(BaseModel):
    """What a model reads of a case.

    ``views``: those that are seen, of the data's ``all_views``. ``images``: whether their images are.
    ``image_size``: pixels. ``decoder``: the rule by which files become pixels. ``encoder``: of the columns.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    views: Annotated[list[str], Field(max_length=MOST_VIEWS)]
    all_views: Annotated[list[str], Field(max_length=MOST_VIEWS)]
    images: bool
    image_size: ImageSize
    decoder: Literal["exact", "fast"]
    encoder: FeatureEncoder

    def shape(self, n_classes: int) -> Shape:
        """What a network that reads this is built for."""
        n_features = tuple(len(self.encoder.names(view)) for view in self.views)
        return Shape(self.image_size, tuple(self.views), n_features, n_classes, self.images)

    def among(self, views: Sequence[str]) -> InputSpec:
        """The same, of data that have their *views* in another order or number: found by name."""
        return self.model_copy(update={"all_views": list(views)}) if self.images else self

    @property
    def positions(self) -> list[int]:
        """Where the seen views stand among all."""
        return [self.all_views.index(view) for view in self.views]

    def tables(self, table: pd.DataFrame) -> list[torch.Tensor]:
        """The columns of each seen view: float32 (n_cases, n_features) each."""
        return [torch.from_numpy(self.encoder.encode(table, view)) for view in self.views]


def fit_reads(
    cases: Cases, inputs: ArmInputs, train: npt.NDArray[np.int64], size: int, decoder: str
) -> InputSpec:
    """What an arm's *inputs* leave of *cases*; the encoder is fitted on the *train* positions alone.

    Raises:
        ConfigError: a view that the data do not have.
    """
    views = inputs.choose(cases.views)
    features = [f for f in cases.features if inputs.metadata and f.view in ("case", *views)]
    return InputSpec(
        views=list(views),
        all_views=list(cases.views),
        images=inputs.images,
        image_size=size,
        decoder="fast" if decoder == "fast" else "exact",
        encoder=fit_encoder(cases.table.iloc[train], features),
    )


class ModelCard(BaseModel):
    """``model.json``. ``class_counts``: training cases. ``metrics``: of each part, at the epoch that was
    kept.

    ``sources``: SHA-256 of files that the model depends on beside its weights: an own model's module, the
    weights of a frozen backbone. ``packages``: versions of what made it. ``parent_sha256``: of the weights
    that it was fine-tuned from; empty where training began anew.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, protected_namespaces=())

    schema_version: int = SCHEMA_VERSION
    milkreport: str
    architecture: str
    model: AnyModel
    reads: InputSpec
    classes: Annotated[list[str], Field(max_length=MOST_CLASSES)]
    suite: str = ""
    arm: str = ""
    correction: str = "none"
    strength: float = 0.0
    training: dict[str, object] = {}
    seed: Seed = 0
    fold: Annotated[int, Field(ge=0, lt=100)] = 0
    epoch_used: Annotated[int, Field(ge=0, le=10_000)] = 0
    device: str = ""
    data: str = ""
    data_sha256: str = ""
    class_counts: dict[str, int] = {}
    metrics: dict[str, dict[str, float]] = {}
    sources: dict[str, str] = {}
    packages: dict[str, str] = {}
    weights_file: FileName = NETWORK_FILE
    weights_sha256: str
    parent_sha256: str = ""
    note: str = ""

    @property
    def sees_images(self) -> bool:
        """Whether its answers depend on images."""
        return sees_images(self.model, self.reads.images)

    @property
    def frozen_backbone(self) -> Pretrained | None:
        """The backbone whose features stand for the images, if there is one."""
        return frozen_backbone(self.model)


def frozen_backbone(model: AnyModel) -> Pretrained | None:
    """The backbone of *model* whose features are computed beforehand, if there is one."""
    reads_features = model.frozen if isinstance(model, Backbone) else isinstance(model, Classifier)
    if isinstance(model, Pretrained) and model.backbone and reads_features:
        return Pretrained(backbone=model.backbone, weights=model.weights)
    return None


def make_inputs(
    reads: InputSpec, model: AnyModel, table: pd.DataFrame, store: PixelStore | None, pixels: Pixels
) -> ModelInputs:
    """Inputs of all cases of *table* (whose images *store* and *pixels* hold) for a model that reads
    *reads*; a model without images needs no *store*.
    """
    features = [values.to(pixels.device) for values in reads.tables(table)]
    frozen = frozen_backbone(model)
    if not sees_images(model, reads.images):
        return ColumnInputs([], features)
    if frozen is not None:
        assert store is not None
        embedded = embed_cases(store, pixels, frozen).to(pixels.device)
        return ColumnInputs([embedded[:, i] for i in reads.positions], features)
    return ImageInputs(pixels, reads.positions, features)


def as_columns(
    inputs: ModelInputs, reads: InputSpec, table: pd.DataFrame
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    """A classifier's inputs: the metadata with each column once, and the features of all images side by
    side.
    """
    assert isinstance(inputs, ColumnInputs)
    embedded: Sequence[torch.Tensor] = [host.to_host(view) for view in inputs.embedded]
    width = (
        torch.cat([*embedded], dim=1).numpy() if embedded else np.zeros((len(table), 0), np.float32)
    )
    return reads.encoder.encode_once(table), width
