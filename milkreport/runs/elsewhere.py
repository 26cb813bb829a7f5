"""What is asked of a run beside its suite: other class shares, and predictions of unlabelled cases."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from milkreport.errors import ConfigError
from milkreport.evaluation.beyond.shares import ClassShares, parse_prevalence
from milkreport.evaluation.beyond.unlabelled import describe_all
from milkreport.evaluation.binary.rules import check_prevalence
from milkreport.evaluation.metrics.measures import Plan
from milkreport.evaluation.pooled_predictions import CaseFacts, Cells
from milkreport.evaluation.reading.inputs import load_unlabelled
from milkreport.evaluation.records.beyond import UnlabelledForecast
from milkreport.tables import first_few


@dataclass(frozen=True)
class Elsewhere:
    """``prevalences``: shares of positive cases. ``shares``: of classes, for which a forecast is made.

    ``unlabelled``: tables of predictions by the arm that made them, or by "" of the only arm.
    """

    prevalences: tuple[float, ...] = ()
    shares: ClassShares | None = None
    unlabelled: Mapping[str, Path] = field(default_factory=dict)

    @property
    def is_asked(self) -> bool:
        """Whether anything is."""
        return bool(self.prevalences or self.shares or self.unlabelled)

    def check(self, counts: Mapping[str, int], positive: Sequence[str]) -> None:
        """Raise a ConfigError where classes with so many test cases cannot have these shares."""
        if self.prevalences and not positive:
            do = "name them in milkreport.toml, or give class shares: CLASS=0.01"
            raise ConfigError("prevalences of positive cases need positive classes", do)
        if self.shares is not None:
            self.shares.complete(tuple(counts), [*counts.values()])

    def describe(
        self, tested: Mapping[str, Cells], plan: Plan, facts: CaseFacts
    ) -> list[UnlabelledForecast]:
        """What the unlabelled predictions speak of.

        Raises:
            ConfigError: they name no arm. DataError: bad tables, or an arm of several training seeds.
        """
        if not self.unlabelled:
            return []
        classes = next(iter(next(iter(tested.values())).values())).classes
        return describe_all(
            load_unlabelled(self.unlabelled, list(tested), classes), tested, plan, facts
        )


#: Nothing is asked.
HERE = Elsewhere()


def read_elsewhere(prevalence: str, unlabelled: Mapping[str, Path] | None = None) -> Elsewhere:
    """What options ask for.

    Raises:
        ConfigError, DataError: *prevalence* is neither shares nor a table of them.
    """
    prevalences, shares = parse_prevalence(prevalence) if prevalence else ((), None)
    found = tuple(map(check_prevalence, prevalences))
    return Elsewhere(found, shares, dict(unlabelled or {}))


def name_unlabelled(arguments: Sequence[str], arms: Sequence[str]) -> dict[str, Path]:
    """``ARM=FILE`` or, of a run of one arm, ``FILE`` to files by arm.

    Raises:
        ConfigError: no such arm, or one twice.
    """
    named: dict[str, Path] = {}
    for argument in arguments:
        arm, equals, file = argument.partition("=")
        if not equals or Path(argument).exists():
            arm, file = (arms[0] if len(arms) == 1 else ""), argument
        if arm not in arms:
            what = f"--unlabelled {argument}: whose predictions?"
            raise ConfigError(what, f"say ARM=FILE; arms are: {first_few(arms, 30)}")
        if arm in named:
            raise ConfigError(f"--unlabelled names {arm} twice", "give one file per arm")
        named[arm] = Path(file)
    return named
