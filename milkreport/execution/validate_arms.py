"""Builds every arm's model for the data before anything is trained, so that none fails after hours."""

from __future__ import annotations

from milkreport.data.prepare import Prepared
from milkreport.data.splits import Fold
from milkreport.errors import ConfigError
from milkreport.evaluation.metrics.named import check_name
from milkreport.models.backbone import load_embedder
from milkreport.models.build import build_network, try_network
from milkreport.suite.arms import ArmInputs
from milkreport.suite.models import Classifier, Model, OwnModel
from milkreport.suite.suite import Suite
from milkreport.training.card import fit_reads


def validate_arms(prepared: Prepared, suite: Suite, fold: Fold) -> None:
    """Refuse, before anything is trained, an arm whose model cannot be built for these data.

    So is a primary metric of a class that the data has not.

    Raises:
        ConfigError, EnvironmentProblem: which, and why.
    """
    cases, n_classes = prepared.cases, len(prepared.cases.classes)
    positive = [name for name in cases.card.positive if name in cases.classes]
    check_name(suite.primary_metric, cases.classes, positive)
    for arm in suite.arms:
        model, settings = suite.model_of(arm), suite.data
        reads = fit_reads(cases, arm.inputs, fold.train, settings.image_size, settings.decoder)
        if isinstance(model, Classifier):
            if model.backbone:
                load_embedder(model)
            elif not reads.encoder.columns:
                what = f"arm {arm.name}: the data have no metadata columns for it"
                raise ConfigError(what, "leave the arm out, or give its model a backbone")
        elif not isinstance(model, Model) or arm.inputs != ArmInputs():
            network = build_network(model, reads.shape(n_classes))
            if isinstance(model, OwnModel):
                try_network(network, reads.shape(n_classes), model.name)
