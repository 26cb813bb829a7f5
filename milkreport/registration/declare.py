"""From a suite and its prepared data to what is declared of them, and how two declarations differ."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from milkreport.evaluation.planning.design import design
from milkreport.evaluation.planning.noise import MEASURED, Components, assume_components
from milkreport.registration.record import Declared, Planned, Settings, canonical
from milkreport.suite.suite import Suite, flatten
from milkreport.trust import hash_sources

if TYPE_CHECKING:
    from milkreport.data.prepare import Prepared
    from milkreport.data.splits import Fold

#: How comparisons of the primary metric are corrected; see :mod:`milkreport.evaluation.compare`.
MULTIPLICITY = "Holm over all pairs of arms"
#: Settings that change no number but by rounding, or none that the data's hash does not hold.
_FREE = ("name", "title", "training.threads", "training.chunk")
#: What has a key of its own in the declaration.
_ELSEWHERE = ("question", "primary_metric", "margin", "seeds")
#: Keys of an arm's settings that are hashes of its own files begin so.
SOURCES = "sources."
#: Sections that all trainings of a suite share, whatever its arms, seeds and metric are.
_SHARED = ("data.", "split.", "model.", "training.")

Difference = tuple[str, Any, Any]


def declare(
    suite: Suite, prepared: Prepared, folds: Sequence[Fold], reuse: bool = False
) -> Declared:
    """What a registration declares of *suite* on *prepared* data.

    Args:
        folds: of :func:`milkreport.data.splits.make_folds`.
        reuse: whether trainings of other runs are to be taken over.

    Raises:
        DataError, ConfigError: a file that an own model depends on may not be read, or is not there.
    """
    by_suite = declare_suite(suite)
    for arm in suite.arms:
        sources = hash_sources(suite.model_of(arm))
        by_suite["arm_settings"][arm.name] |= {f"{SOURCES}{key}": v for key, v in sources.items()}
    return Declared(
        **by_suite,
        reuse=reuse,
        data_sha256=prepared.fingerprint,
        splits_sha256=_hash_splits(prepared, folds),
        exclusions=_count(prepared.cleaned.removed["reason"]),
        class_counts=prepared.cases.class_counts(),
    )


def declare_suite(suite: Suite) -> dict[str, Any]:
    """What a registration declares of *suite* alone: fields of :class:`Declared`, without hashes of files."""
    return {
        "question": suite.question,
        "primary_metric": suite.primary_metric,
        "margin": suite.margin,
        "multiplicity": MULTIPLICITY,
        "arms": [arm.name for arm in suite.arms],
        "seeds": suite.seeds,
        "folds": suite.split.n_folds,
        "settings": _settings(suite),
        "arm_settings": {arm.name: _arm_settings(suite, arm.name) for arm in suite.arms},
    }


def redeclare(registered: Declared, suite: Suite, **known: Any) -> Declared:
    """*registered* with all that *suite* alone declares, and with *known* fields.

    Hashes of an arm's own files stay as registered: no file is read.
    """
    by_suite = declare_suite(suite)
    for arm, own in by_suite["arm_settings"].items():
        old = registered.arm_settings.get(arm, {})
        own |= {key: value for key, value in old.items() if key.startswith(SOURCES)}
    return registered.model_copy(update=by_suite | known)


def _settings(suite: Suite) -> Settings:
    return {
        key: value
        for key, value in suite.flat().items()
        if key not in (*_FREE, *_ELSEWHERE) and not key.startswith(("arms.", "data.synthetic."))
    }


def _arm_settings(suite: Suite, name: str) -> Settings:
    arm = suite.arm(name)
    own = arm.model_dump(mode="json", exclude={"name", "title", "description"})
    return dict(flatten("", own))


def _count(reasons: Any) -> dict[str, int]:
    return {str(reason): int(n) for reason, n in reasons.value_counts().items()}


def _hash_splits(prepared: Prepared, folds: Sequence[Fold]) -> str:
    digest = hashlib.sha256()
    ids = prepared.cases.table["case_id"]
    for fold in folds:
        for part, positions in fold.parts().items():
            for case_id in ids.iloc[positions]:
                digest.update(f"{fold.index}\0{part}\0{case_id}\n".encode())
    return digest.hexdigest()


def suite_key(suite: Suite) -> str:
    """SHA-256 of the settings that all trainings of a suite share.

    Arms, seeds and the primary metric are left out: who trains ten seeds and shows one has ten trainings of
    one suite. So are settings that change no number.
    """
    shared = {k: v for k, v in _settings(suite).items() if k.startswith(_SHARED)}
    return hashlib.sha256(canonical(shared)).hexdigest()


def differences(registered: Declared, now: Declared) -> list[Difference]:
    """Each key whose value differs, with the registered value and the one now; ``None`` if there is none.

    An arm that was added or left out is one difference of ``arms``.
    """
    both = set(registered.arms) & set(now.arms)
    old, new = (dict(_flat(declared, both)) for declared in (registered, now))
    return [
        (key, old.get(key), new.get(key))
        for key in dict.fromkeys([*old, *new])
        if old.get(key) != new.get(key)
    ]


def _flat(declared: Declared, arms: set[str]) -> Iterator[tuple[str, Any]]:
    values: Mapping[str, Any] = declared.model_dump(mode="json")
    for key, value in values.items():
        if key == "settings":
            yield from value.items()
        elif key == "arm_settings":
            for arm in (name for name in value if name in arms):
                yield from ((f"arms.{arm}.{inner}", one) for inner, one in value[arm].items())
        elif key in ("exclusions", "class_counts"):
            yield from ((f"{key}.{inner}", n) for inner, n in value.items())
        else:
            yield key, value


def plan_power(
    suite: Suite,
    prepared: Prepared,
    folds: Sequence[Fold],
    difference: float,
    pilot: Components | None = None,
) -> Planned | None:
    """The planner's power for the registered sample; ``None`` for a metric without known noise.

    Args:
        difference: of the primary metric, worth finding.
        pilot: noise of an earlier run; ``None``: as measured elsewhere.

    Raises:
        ConfigError: a difference out of range, or a class without a test case.
    """
    labels = prepared.cases.labels()
    scored = [i for fold in folds for i in fold.parts()["test"]]
    supports = labels.iloc[scored].value_counts().tolist()
    if pilot is None and suite.primary_metric not in MEASURED:
        return None
    noise = "variances measured on MILK10k"
    if pilot is None:
        components = assume_components(suite.primary_metric, supports, suite.split.n_folds)
    else:
        components = pilot
        noise = f"variances of a pilot of {pilot.arms} arms and {pilot.seeds} seeds"
    found = design(components, difference, len(scored), len(suite.seeds))
    return Planned(
        difference=difference,
        n_cases=len(scored),
        n_seeds=len(suite.seeds),
        power=round(found.power, 4),
        detectable=round(found.detectable, 4),
        noise=noise,
    )
