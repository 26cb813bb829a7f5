"""Negative controls of the gate: does it fail what it must fail, here, on this installation?

Each control takes the way that a user's predictions take: a file, an evaluation, a frozen reference, a check.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from milkreport.checks.reference import Reference, as_toml
from milkreport.checks.verdict import Verdict, exit_code
from milkreport.errors import MilkreportError
from milkreport.evaluation.evaluate import evaluate_inputs
from milkreport.evaluation.metrics.measures import Plan
from milkreport.evaluation.pooled_predictions import CaseFacts
from milkreport.evaluation.reading.any_table import Source
from milkreport.evaluation.reading.inputs import EvaluationInputs, load_inputs
from milkreport.evaluation.reading.predictions import Predictions
from milkreport.gate.checking import compare_run
from milkreport.gate.frozen import Wanted, freeze, write_reference
from milkreport.resources import resource_folder
from milkreport.runs.evaluated import write_evaluation
from milkreport.runs.folder import RunFolder
from milkreport.suite.toml import validate

Floats = npt.NDArray[np.float64]
Change = Callable[[Predictions], Floats]
ARM = "model"


@dataclass(frozen=True)
class Control:
    """One control: what the check must say of it, and what it says."""

    name: str
    wanted: str
    found: str

    @property
    def holds(self) -> bool:
        """Whether the check says what it must."""
        return self.wanted == self.found


def run_controls() -> Iterator[Control]:
    """Every control in turn, on shipped predictions that are made up, paired out of fold."""
    base = load_fixture()
    with tempfile.TemporaryDirectory() as scratch:
        place = Path(scratch)
        before = _evaluate(place / "before", base.probabilities, base)
        write_reference(before, freeze(before, "before", "control"), place / "reference")
        against = str(place / "reference")

        def paired(change: Change) -> str:
            after = _evaluate(place / "after", change(base), base)
            return _said(compare_run(after, against)[0])

        yield Control("the same predictions", "PASS, exit 0", paired(lambda p: p.probabilities))
        yield Control(
            "0.1 points worse, paired", "PASS, exit 0", paired(lambda p: worsen(p, 0.001))
        )
        yield Control("10 points worse, paired", "FAIL, exit 1", paired(lambda p: worsen(p, 0.10)))
        yield Control(
            "10 points better, paired",
            "PASS, exit 0, warns of a leak",
            paired(lambda p: worsen(p, -0.10)),
        )
        yield Control("shuffled labels, paired", "FAIL, exit 1", paired(shuffle))
        yield Control("two columns swapped, paired", "FAIL, exit 1", paired(swap))
        yield Control(
            "the same answers with shuffled confidences",
            "FAIL, exit 1",
            paired(shuffle_confidences),
        )
        yield from _control_evidence(place, base)
        yield Control("a probability that is no number", "exit 3", _refused(place, base))
        yield Control(
            "a metric that the run does not have",
            "NOT CHECKED, exit 5",
            _lacking(place, before, base),
        )
        yield Control(
            "a metric defined otherwise", "NOT CHECKED, exit 2", _redefined(place, before, base)
        )
        yield Control("other cases", "NOT CHECKED, exit 5", _others(place, against, base))
        printed = _as_published(before, place / "printed.toml")
        yield Control(
            "published figures, shuffled labels",
            "FAIL, exit 1",
            _said(compare_run(_evaluate(place / "after", shuffle(base), base), printed)[0]),
        )
        yield Control(
            "published figures, 10 points worse",
            "FAIL, exit 1",
            _said(compare_run(_evaluate(place / "after", worsen(base, 0.1), base), printed)[0]),
        )
        rarer = base.take((base.truth > 0) | (np.arange(len(base.truth)) % 2 == 0))
        yield Control(
            "published figures, another class mix",
            "NOT CHECKED, exit 5",
            _said(compare_run(_evaluate(place / "after", rarer.probabilities, rarer), printed)[0]),
        )


def _control_evidence(place: Path, base: Predictions) -> Iterator[Control]:
    """Too few cases, and copies of few cases, must not pass; predictions that are the same to the bit do."""

    def gate(p: Predictions, after: Floats, allow_inconclusive: bool = False) -> str:
        before = _evaluate(place / "few", p.probabilities, p)
        write_reference(before, freeze(before, "few", "control"), place / "few_reference")
        now = _evaluate(place / "after", after, p)
        return _said(compare_run(now, str(place / "few_reference"))[0], allow_inconclusive)

    few = base.take(np.arange(0, len(base.truth), 34))
    lukewarm = few.probabilities**1.01
    lukewarm /= lukewarm.sum(axis=1, keepdims=True)
    yield Control("59 cases, hardly changed", "INCONCLUSIVE, exit 5", gate(few, lukewarm))
    yield Control(
        "59 cases, hardly changed, --allow-inconclusive",
        "INCONCLUSIVE, exit 0",
        gate(few, lukewarm, allow_inconclusive=True),
    )
    labels = np.eye(len(few.classes))[few.predicted]
    hard = Predictions(few.case_ids, few.truth, labels, few.classes)
    yield Control("59 cases, the same hard labels", "INCONCLUSIVE, exit 5", gate(hard, labels))
    yield Control("59 cases, identical", "PASS, exit 0", gate(few, few.probabilities))
    many = Predictions(
        np.array([f"{case}-{i}" for i in range(20) for case in few.case_ids]),
        np.tile(few.truth, 20),
        np.tile(few.probabilities, (20, 1)),
        few.classes,
    )
    yield Control(
        "59 cases, hardly changed, copied 20 times",
        "INCONCLUSIVE, exit 5, warns of copies",
        gate(many, np.tile(lukewarm, (20, 1))),
    )


def load_fixture() -> Predictions:
    """The shipped predictions: 2,000 cases of five classes."""
    path = resource_folder("experiments") / "self_test" / "predictions.csv"
    table = pd.read_csv(path)
    classes = tuple(map(str, table.columns[3:]))
    truth = table["label"].map({name: i for i, name in enumerate(classes)})
    return Predictions(
        table["case_id"].to_numpy(np.str_),
        np.asarray(truth, np.int64),
        table[[*classes]].to_numpy(np.float64),
        classes,
    )


def worsen(p: Predictions, share: float) -> Floats:
    """Probabilities with a *share* of the cases of each class answered wrong that were right; 0 to 1.

    A negative share mends answers instead.
    """
    values = p.probabilities.copy()
    sizes = np.bincount(p.truth, minlength=len(p.classes))
    exact = abs(share) * sizes
    numbers = exact.astype(int)
    # The share of all cases to the case: what rounding lost goes to the classes that lost most.
    lost = round(float(exact.sum())) - int(numbers.sum())
    numbers[np.argsort(numbers - exact, kind="stable")[:lost]] += 1
    for c, n in enumerate(numbers.tolist()):
        mine = np.flatnonzero(p.truth == c)
        right = p.predicted[mine] == c
        pool = mine[right if share > 0 else ~right]
        # Cases spread over the class, so that every fold has some.
        for case in pool[np.linspace(0, len(pool) - 1, min(n, len(pool))).astype(int)]:
            other = (c + 1) % len(p.classes) if share > 0 else int(p.predicted[case])
            values[case, [c, other]] = values[case, [other, c]]
    return values


def shuffle(p: Predictions) -> Floats:
    """Probabilities handed round among the cases."""
    return np.asarray(p.probabilities[np.random.default_rng(1).permutation(len(p.truth))])


def shuffle_confidences(p: Predictions) -> Floats:
    """Probabilities handed round among the cases with the same answer: no answer changes."""
    values, rng = p.probabilities.copy(), np.random.default_rng(1)
    for c in np.unique(p.predicted):
        mine = np.flatnonzero(p.predicted == c)
        values[mine] = p.probabilities[rng.permutation(mine)]
    return values


def swap(p: Predictions) -> Floats:
    """The two most frequent classes' columns exchanged."""
    first, second = np.argsort(-np.bincount(p.truth))[:2].tolist()
    values = p.probabilities.copy()
    values[:, [first, second]] = values[:, [second, first]]
    return values


def _evaluate(out: Path, probabilities: Floats, base: Predictions) -> RunFolder:
    """Score probabilities of the fixture's cases, five folds, into a folder."""
    cells = {}
    for fold in range(5):
        mine = np.arange(len(base.truth)) % 5 == fold
        cells[0, fold] = Predictions(
            base.case_ids[mine], base.truth[mine], probabilities[mine], base.classes
        )
    return _score(
        out, EvaluationInputs({ARM: {"test": cells}}, {ARM: ARM}, ("made up", ""), CaseFacts())
    )


def _score(out: Path, inputs: EvaluationInputs) -> RunFolder:
    write_evaluation(out, inputs, evaluate_inputs(inputs, Plan()), "milkreport check --self-test")
    return RunFolder(out)


def _said(verdict: Verdict, allow_inconclusive: bool = False) -> str:
    code = exit_code(verdict, allow_inconclusive=allow_inconclusive)
    warns = [word for word in ("leak", "copies") if any(word in w for w in verdict.warnings)]
    said = {"leak": ", warns of a leak", "copies": ", warns of copies"}
    return f"{verdict.status}, exit {code}{''.join(said[word] for word in warns)}"


def _frames(base: Predictions) -> tuple[pd.DataFrame, Source]:
    frame = pd.DataFrame(base.probabilities, columns=list(base.classes))
    frame.insert(0, "case_id", base.case_ids)
    labels = [base.classes[t] for t in base.truth]
    return frame, pd.DataFrame({"case_id": base.case_ids, "label": labels})


def _refused(place: Path, base: Predictions) -> str:
    frame, truth = _frames(base)
    frame.iloc[7, 2] = np.nan
    frame.to_csv(place / "nan.csv", index=False)
    try:
        load_inputs(place / "nan.csv", truth)
    except MilkreportError as error:
        return f"exit {error.exit_code}"
    return "read as if nothing were wrong"


def _lacking(place: Path, before: RunFolder, base: Predictions) -> str:
    """Hard labels against a reference that holds them to an AUC."""
    reference = freeze(before, "ranks", "control", Wanted(metrics=("macro_auc",)))
    write_reference(before, reference, place / "ranks")
    hard = np.eye(len(base.classes))[base.predicted]
    return _said(compare_run(_evaluate(place / "after", hard, base), str(place / "ranks"))[0])


def _redefined(place: Path, before: RunFolder, base: Predictions) -> str:
    reference = freeze(before, "other", "control", Wanted(metrics=("macro_f1",)))
    rules = [rule.model_copy(update={"zero_division": "1"}) for rule in reference.rules]
    write_reference(before, reference.model_copy(update={"rules": rules}), place / "other")
    after = _evaluate(place / "after", base.probabilities, base)
    return _said(compare_run(after, str(place / "other"))[0])


def _others(place: Path, against: str, base: Predictions) -> str:
    """One case fewer in every fold."""
    kept = np.arange(len(base.truth)) >= 5
    fewer = Predictions(
        base.case_ids[kept], base.truth[kept], base.probabilities[kept], base.classes
    )
    return _said(compare_run(_evaluate(place / "after", fewer.probabilities, fewer), against)[0])


def _as_published(before: RunFolder, path: Path) -> str:
    """The same figures as a publication has them: rounded, and without predictions."""
    frozen = freeze(before, "printed", "control")
    figures = [
        f.model_copy(update={"printed": f"{f.value:.4f}", "rounding": "rounded"})
        for f in frozen.figures
    ]
    values = frozen.model_dump() | {"figures": [f.model_dump() for f in figures], "frozen": None}
    path.write_text(as_toml(validate(Reference, values)), encoding="utf-8")
    return str(path)
