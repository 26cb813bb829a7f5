"""An arm of a comparison: one correction for the imbalance, and what else it may change of the suite."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, model_validator

from milkreport.errors import ConfigError
from milkreport.suite.models import as_named
from milkreport.suite.toml import Name, Section

#: What an arm does about class imbalance. One correction an arm; doing two things at once has a name
#: of its own, so that a confounded arm can never pass for a pure one. ``training/imbalance.py`` says what
#: each does, and where it comes from.
Correction = Literal[
    "none",
    "weighted_loss",
    "sampler",
    "weighted_loss_and_sampler",
    "effective_number_loss",
    "sqrt_sampler",
    "capped_sampler",
    "focal_loss",
    "logit_adjustment",
    "label_smoothing",
]

#: Corrections with a number of their own: what it is where the arm gives none, and what it may be.
STRENGTHS: dict[str, tuple[float, float, float]] = {
    "effective_number_loss": (0.999, 0.0, 0.999999),  # beta
    "capped_sampler": (10.0, 1.0, 1e6),  # times the chance of the most frequent class's cases
    "focal_loss": (2.0, 0.0, 10.0),  # gamma
    "logit_adjustment": (1.0, 0.0, 10.0),  # tau
    "label_smoothing": (0.1, 0.0, 0.9),  # epsilon
}

#: They read logits; probabilities before the loss make them something else.
ON_LOGITS: frozenset[Correction] = frozenset({"focal_loss", "logit_adjustment"})
#: Those that are weights of the cases and nothing else, as a classical classifier takes them. A sampler's are
#: its chances: what it does on average. ``sampler`` itself would be ``weighted_loss`` once more.
ON_CASES: frozenset[Correction] = frozenset(
    {"none", "weighted_loss", "effective_number_loss", "sqrt_sampler", "capped_sampler"}
)

#: Settings of one process: the same for all arms of a suite.
SHARED = ("threads", "precision", "determinism")


class ArmInputs(Section):
    """What an arm's model sees of a case. ``views``: those alone, images and columns; empty: all."""

    images: bool = True
    metadata: bool = True
    views: list[str] = []

    @model_validator(mode="after")
    def _sees_something(self) -> ArmInputs:
        if not self.images and not self.metadata:
            raise ValueError("neither images nor metadata are left to see")
        return self

    def choose(self, views: Sequence[str]) -> tuple[str, ...]:
        """Those of the data's *views* that are seen, in their order.

        Raises:
            ConfigError: a view that the data do not have.
        """
        unknown = [view for view in self.views if view not in views]
        if unknown:
            what = f"inputs.views names {unknown[0]!r}, which the data do not have"
            raise ConfigError(what, f"views are: {', '.join(views)}")
        return tuple(view for view in views if not self.views or view in self.views)


class Arm(Section):
    """One arm: a name, one correction, and what it changes of the suite's model and training.

    ``strength``: the correction's own number (:data:`STRENGTHS`). ``model``: a model's name, or settings;
    without a ``name`` among them, changes of the suite's. ``training``: changes of the suite's.
    """

    name: Name
    correction: Correction = "none"
    strength: float | None = None
    inputs: ArmInputs = ArmInputs()
    model: Annotated[dict[str, Any], BeforeValidator(as_named)] = {}
    training: dict[str, Any] = {}
    title: Annotated[str, Field(max_length=500)] = ""
    description: str = ""

    @model_validator(mode="after")
    def _strength_fits(self) -> Arm:
        if self.strength is None:
            return self
        if self.correction not in STRENGTHS:
            raise ValueError(f"strength: correction {self.correction!r} has none")
        _, low, high = STRENGTHS[self.correction]
        if not low < self.strength <= high:
            raise ValueError(
                f"strength = {self.strength}: give more than {low:g}, {high:g} at most"
            )
        return self

    @property
    def amount(self) -> float:
        """The correction's number: the arm's own, or the usual one; 0 where it has none."""
        return usual_strength(self.correction) if self.strength is None else self.strength


def usual_strength(correction: Correction) -> float:
    """A correction's number where none is given; 0 where it has none."""
    return STRENGTHS.get(correction, (0.0, 0.0, 0.0))[0]
