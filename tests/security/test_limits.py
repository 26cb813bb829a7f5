"""Nothing that a file or an option says exhausts the machine: what is too large is refused in one line.

Commands get little memory and a time after which they are interrupted: both are far more than a refusal
takes, and nothing that is not refused ends within them.
"""

from __future__ import annotations

import hashlib
import io
import json
import re
import signal
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import skops.io
import torch

from milkreport.data.features import ColumnEncoder, FeatureEncoder
from milkreport.errors import ConfigError, DataError, MilkreportError
from milkreport.limits import most_rows
from milkreport.models.build import build_network
from milkreport.models.classifier import fit_classifier, load_classifier
from milkreport.models.shape import Shape
from milkreport.suite.models import Classifier, Model
from milkreport.suite.suite import load_suite
from milkreport.training.saved import SCHEMA_VERSION, pack_weights
from tests.conftest import Outcome
from tests.security.test_roots import describe

if not Path("/proc/self/statm").exists():
    pytest.skip("memory is bounded as Linux does it", allow_module_level=True)
import resource

SECONDS = 120
MEMORY = 4_000_000_000

Bounded = Callable[..., Outcome]


@pytest.fixture
def bounded(in_process: Callable[..., Outcome]) -> Iterator[Bounded]:
    """The command line within bounds; it ends with the given exit code, and an error is one line."""

    def late(*_: object) -> None:
        pytest.fail(f"still busy after {SECONDS} s")

    def run(*arguments: object, code: int) -> Outcome:
        done = in_process(*arguments)
        errors = [line for line in done.stderr.splitlines() if line.startswith("error:")]
        assert done.code == code, done.stderr[-2000:]
        assert len(errors) <= (code != 0)
        return done

    before = signal.signal(signal.SIGALRM, late)
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + MEMORY, hard))
    signal.alarm(SECONDS)
    yield run
    signal.alarm(0)
    resource.setrlimit(resource.RLIMIT_AS, (soft, hard))
    signal.signal(signal.SIGALRM, before)


@pytest.fixture
def dense(tmp_path: Path) -> Callable[[str, int], Path]:
    """A file that claims many bytes and takes none."""

    def make(name: str, size: int) -> Path:
        with (tmp_path / name).open("wb") as file:
            file.truncate(size)
        return tmp_path / name

    return make


# --- numbers of options and suites


@pytest.mark.parametrize(
    ("options", "shown"),
    [
        (("--seeds", 100_000_000), ("--seeds 100000000", "from 1 to 1,000")),
        (("--seeds", 2, "--set", f"seeds=[{2**63 - 1}]"), ("seeds.2", str(2**63 - 1))),
        (
            ("--seeds", 1000, "--set", "split.kind=kfold", "--set", "split.folds=100"),
            ("300,000 trainings", "at most 100,000"),
        ),
        (("--workers", 100_000), ("--workers 100000", "from 1 to 1,024")),
        (("--workers", "²"), ("--workers ²", "from 1 to 1,024")),
        (
            [
                word
                for key in ("epochs", "batch_size", "warmup_epochs", "chunk", "patience", "threads")
                for word in ("--grid", f"training.{key}={','.join(map(str, range(1, 100)))}")
            ],
            ("941,480,149,401 runs", "at most 1,000"),
        ),
        (
            ("--set", "model.hidden_units=1024", "--set", "data.image_size=512"),
            ("hidden_units", "67,108,864 at most"),
        ),
        (("--set", "data.synthetic.cases=1000000"), ("data.synthetic.cases", "100000")),
    ],
)
def test_a_number_out_of_range_is_refused(
    bounded: Bounded, options: tuple[object, ...], shown: tuple[str, ...]
) -> None:
    done = bounded("run-all", "quick", "--dry-run", *options, code=2)
    for text in shown:
        assert text in done.stderr


def test_seeds_go_on_after_the_largest() -> None:
    suite = load_suite("quick", ["seeds=[7, 3]"])
    assert suite.with_seeds(4).seeds == [7, 3, 8, 9]
    assert suite.with_seeds(1).seeds == [7]
    assert len(suite.with_seeds(1000).seeds) == 1000


# --- networks


SHAPE = Shape(16, ("image",), (1,), 2)


def write_model(folder: Path, **changes: object) -> Path:
    """A small model of one image and one column, sound but for *changes* of its card."""
    settings = Model(hidden_units=2, metadata_hidden_layers=1)
    weights = pack_weights(build_network(settings, SHAPE))
    encoder = FeatureEncoder(columns=[ColumnEncoder(column="age", view="case")])
    reads = {"views": ["image"], "all_views": ["image"], "images": True, "image_size": 16}
    card = {
        "schema_version": SCHEMA_VERSION, "milkreport": "0.1.0", "architecture": settings.name,
        "model": settings.model_dump(), "classes": ["a", "b"],
        "reads": reads | {"decoder": "exact", "encoder": encoder.model_dump()},
        "weights_sha256": hashlib.sha256(weights).hexdigest(),
    }  # fmt: skip
    for key, value in changes.items():
        within = card
        *sections, last = key.split("__")
        for section in sections:
            within = within[section]  # type: ignore[assignment]
        within[last] = value
    folder.mkdir()
    (folder / "model.safetensors").write_bytes(weights)
    (folder / "model.json").write_text(json.dumps(card))
    return folder


@pytest.mark.parametrize(
    ("changes", "shown"),
    [
        ({"reads__image_size": -1}, ("image_size", "16")),
        ({"reads__image_size": 10**5}, ("image_size", "1024")),
        ({"reads__image_size": 10**18}, ("image_size", "1024")),
        ({"model__metadata_width": 10**12}, ("metadata_width", "4096")),
        ({"model__metadata_width": 4096, "model__metadata_hidden_layers": 100}, ("(4096, 1)",)),
        (
            {"model__fusion_width": 4096, "model__fusion_hidden_layers": 8, "model__blocks": 1,
             "model__hidden_units": 64, "reads__image_size": 1024},
            ("another architecture",),
        ),
        ({"reads__views": [str(i) for i in range(100_000)]}, ("views", "16")),
        ({"classes": [str(i) for i in range(100_000)]}, ("classes", "200")),
        ({"seed": 2**63}, ("seed",)),
        ({"fold": 10**12}, ("fold", "100")),
        (
            {"reads__encoder__columns": [
                {"column": "age", "view": "case", "categories": [str(i) for i in range(200_000)]}
            ]},
            ("categories", "1000"),
        ),
    ],
)  # fmt: skip
def test_a_card_with_a_number_out_of_range_is_refused(
    bounded: Bounded, tmp_path: Path, small: Path, changes: dict[str, object], shown: tuple[str]
) -> None:
    model = write_model(tmp_path / "model", **changes)
    done = bounded("predict", model, "--data", small, "--out", "s.csv", code=3)
    assert "model.json" in done.stderr or "model.safetensors" in done.stderr
    for text in shown:
        assert text in done.stderr


def test_the_small_model_is_sound(tmp_path: Path) -> None:
    """Control of the cards above: without the change the model is read."""
    from milkreport.training.saved import load_model

    assert load_model(write_model(tmp_path / "model")).card.reads.image_size == 16


def test_a_network_is_counted_before_memory_is_taken() -> None:
    wide = Model(metadata_width=4096, metadata_hidden_layers=100)
    with pytest.raises(ConfigError) as caught:
        build_network(wide, Shape(32, ("a", "b"), (3, 3), 11))
    # 99 square layers and the first, with their biases, in two branches; the rest is small.
    assert re.search(r"a network of 3,32\d,\d{3},\d{3} parameters", str(caught.value))
    assert "metadata_width = 4,096" in str(caught.value)
    assert "500,000,000 at most" in str(caught.value)


def test_counting_draws_no_random_number() -> None:
    """The weights of a seed are what they were: the outline takes none of the stream."""
    from milkreport.models.lesion_net import MultiModalLesionNet

    torch.manual_seed(5)
    built = build_network(Model(), SHAPE).state_dict()
    torch.manual_seed(5)
    plain = MultiModalLesionNet(Model(), SHAPE).state_dict()
    assert all(torch.equal(built[name], plain[name]) for name in plain)


def test_weights_of_many_bytes_are_not_read(
    bounded: Bounded, tmp_path: Path, small: Path, dense: Callable[[str, int], Path]
) -> None:
    model = write_model(tmp_path / "model")
    dense("model/model.safetensors", 10**12)
    done = bounded("predict", model, "--data", small, "--out", "s.csv", code=3)
    assert "1,000,000,000,000 bytes: 4,000,000,000 at most" in done.stderr


# --- classifiers


def dumped(change: Callable[[object], None] = lambda pipeline: None, name: str = "naive_bayes"):
    rng = np.random.default_rng(0)
    columns = rng.normal(size=(80, 3)).astype(np.float32)
    labels = (columns[:, 0] > 0).astype(np.int64)
    nothing = np.zeros((80, 0), np.float32)
    settings = Classifier(name=name, trees=2)
    groups, weights = np.arange(80), np.ones(80)
    found = fit_classifier(settings, columns, nothing, labels, groups, weights, 0).pipeline
    change(found)
    return skops.io.dumps(found)


def test_a_classifier_that_unpacks_to_a_thousand_times_its_size_is_refused() -> None:
    buffer = io.BytesIO(dumped())
    with zipfile.ZipFile(buffer, "a", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("bomb.npy", bytes(200_000_000))
    with pytest.raises(DataError, match=r"bytes that become 200,\d{3},\d{3}"):
        load_classifier(buffer.getvalue(), "model.skops")


@pytest.mark.parametrize(
    ("key", "value"),
    [("left", 0), ("right", 10**6), ("feature_idx", 10**6), ("is_categorical", 1)],
)
def test_a_tree_that_leads_in_a_circle_or_out_of_its_arrays_is_refused(
    key: str, value: int
) -> None:
    def forge(pipeline) -> None:
        pipeline.named_steps["answer"]._predictors[0][0].nodes[key][0] = value

    assert load_classifier(dumped(name="gradient_boosting"), "model.skops")
    with pytest.raises(DataError, match="a tree that was not fitted"):
        load_classifier(dumped(forge, "gradient_boosting"), "model.skops")


# --- tables


def write_truth(folder: Path, labels: list[str]) -> Path:
    frame = pd.DataFrame({"case_id": [f"c{i}" for i in range(len(labels))], "label": labels})
    frame.to_csv(folder / "truth.csv", index=False)
    return folder / "truth.csv"


@pytest.mark.parametrize("command", ["evaluate", "data check"])
def test_a_table_of_a_million_columns_is_refused(
    bounded: Bounded, tmp_path: Path, data: Path, command: str
) -> None:
    path = data / "wide.csv" if command == "data check" else tmp_path / "wide.csv"
    names = ["case_id", *(f"c{i}" for i in range(10**6))]
    path.write_text(f"{','.join(names)}\n{','.join(['1'] * len(names))}\n")
    if command == "evaluate":
        arguments = ["evaluate", path, "--truth", write_truth(tmp_path, ["a", "b"])]
    else:
        describe(data, 'file = "wide.csv"\ncase = "case_id"\nlabel = "c1"', 'column = "c2"')
        arguments = ["data", "check", data]
    done = bounded(*arguments, code=3)
    assert "1,000,001 columns: a table has 10,000 at most" in done.stderr + done.stdout


def test_a_table_of_many_bytes_is_not_read(
    bounded: Bounded, tmp_path: Path, dense: Callable[[str, int], Path]
) -> None:
    truth = write_truth(tmp_path, ["a", "b"])
    done = bounded("evaluate", dense("p.csv", 10**12), "--truth", truth, code=3)
    assert "1,000,000,000,000 bytes: a table has 1,000,000,000 at most" in done.stderr


def test_a_table_of_many_short_rows_is_refused(
    bounded: Bounded, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert most_rows(2) == 7_142_857
    monkeypatch.setattr("milkreport.limits.MOST_CELLS", 7000)
    truth = write_truth(tmp_path, ["a", "b"])
    (tmp_path / "p.csv").write_bytes(b"case_id,a\n" + b"1,\n" * 1001)
    done = bounded("evaluate", tmp_path / "p.csv", "--truth", truth, code=3)
    assert "more than 1,000 rows of 2 columns" in done.stderr


def test_a_parquet_file_of_a_million_rows_in_a_few_bytes_is_refused(
    bounded: Bounded, tmp_path: Path
) -> None:
    arrow, parquet = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    truth = write_truth(tmp_path, ["a", "b"])
    ids = arrow.array(np.zeros(30_000_000, np.int8))
    parquet.write_table(arrow.table({"case_id": ids, "a": ids}), tmp_path / "p.parquet")
    done = bounded("evaluate", tmp_path / "p.parquet", "--truth", truth, code=3)
    assert "30,000,000 rows of 2 columns" in done.stderr
    text = arrow.DictionaryArray.from_arrays(np.zeros(10**6, np.int8), ["x" * 10_000])
    parquet.write_table(arrow.table({"case_id": text}), tmp_path / "q.parquet")
    assert (tmp_path / "q.parquet").stat().st_size < 10**6
    done = bounded("evaluate", tmp_path / "q.parquet", "--truth", truth, code=3)
    assert "more than 1,000,000,000 bytes once it is read" in done.stderr


def test_more_classes_than_a_matrix_can_hold_are_refused(bounded: Bounded, tmp_path: Path) -> None:
    labels = [f"k{i:04d}" for i in range(3000)]
    truth = write_truth(tmp_path, labels)
    frame = pd.read_csv(truth).rename(columns={"label": "prediction"})
    frame.to_csv(tmp_path / "p.csv", index=False)
    done = bounded("evaluate", tmp_path / "p.csv", "--truth", truth, code=3)
    assert "3,000 classes: 200 at most" in done.stderr


@pytest.mark.parametrize("cell", ["9" * 30, "-" + "9" * 30, "1e400", "9" * 400])
def test_an_integer_beyond_64_bits_is_a_cell_like_others(
    bounded: Bounded, tmp_path: Path, cell: str
) -> None:
    truth = write_truth(tmp_path, ["a", "b"])
    (tmp_path / "p.csv").write_text(f"case_id,a,b\nc0,{cell},0\nc1,0,1\n")
    done = bounded("evaluate", tmp_path / "p.csv", "--truth", truth, code=3)
    assert "p.csv:2:a" in done.stderr
    # As an id it is text.
    ids = ["9" * 30, "8" * 30]
    pd.DataFrame({"case_id": ids, "label": ["a", "b"]}).to_csv(truth, index=False)
    (tmp_path / "p.csv").write_text(f"case_id,a,b\n{ids[1]},0,1\n{ids[0]},1,0\n")
    done = bounded("evaluate", "p.csv", "--truth", "truth.csv", "--json", "--no-intervals", code=0)
    test = json.loads(done.stdout)["arms"][0]["parts"][0]
    assert (test["n_cases"], test["metrics"]["accuracy"]["value"]) == (2, 1.0)


# --- patterns


PATHS = [
    "p1/img_2.png", "P-007 left.jpg", "été 3/b.png", "x٣/y.png", "a_b[1].png", "", "pat12", "ab-7",
]  # fmt: skip


@pytest.mark.parametrize(
    "text",
    [
        r"(PAT_[0-9]+)_", r"^[^/]+/([^/]+)/", r"^([^/]+)/", r"(?i)((?:patient|pat|p)[-_ ]?\d+)",
        r"(?P<who>\w+)", r"(\w+)?\.png", r"(?:x)?(\d+)", r"([\w-]+)", r"([^\W\d_]+)", r"(\S+)\s",
        r"([a[\]]+)", r"([]a]+)", r"([^]/]+)", r"(a{,2})b", r"(.*)\Z", r"(a|b)+", r"(\W)", r"(\D+)\d",
        r"([\s\S])", r"((?i:P)\d+)",
    ],
)  # fmt: skip
def test_a_pattern_finds_what_python_finds(text: str) -> None:
    from milkreport.data.patterns import compile_pattern

    pattern, python = compile_pattern(text), re.compile(text)
    assert pattern.groups == python.groups
    # What is negated within brackets knows ASCII alone.
    ascii_alone = r"\W" in text[1:] and "[^" in text
    for path in PATHS:
        if ascii_alone and not path.isascii():
            continue
        mine, theirs = pattern.search(path), python.search(path)
        assert (mine and mine[1]) == (theirs and theirs[1]), path


@pytest.mark.parametrize(
    "text", [r"(a)(?=b)", r"(a)\1", r"(?<!x)(a)", r"(a{2000})", "(", r"(?>a)(b)"]
)
def test_a_pattern_that_is_not_available_is_refused_in_words(
    bounded: Bounded, classes: Path, text: str
) -> None:
    set_pattern(classes, text)
    done = bounded("data", "check", classes, code=2)
    assert "milkreport.toml: folder.group" in done.stderr
    assert text in done.stderr.replace("\\\\", "\\")


@pytest.fixture
def classes(tmp_path: Path, small: Path) -> Path:
    """A folder of two classes, whose file names make Python's engine try for ever."""
    folder = tmp_path / "classes"
    images = sorted(small.rglob("*.jpg"))[:8]
    assert len(images) == 8
    for i, image in enumerate(images):
        target = folder / "ab"[i % 2] / f"{'a' * (60 + i)}.jpg"
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(image.read_bytes())
    return folder


def set_pattern(folder: Path, text: str) -> None:
    lines = ['adapter = "folder"', 'name = "x"', "[folder]", f"group = {json.dumps(text)}"]
    (folder / "milkreport.toml").write_text("\n".join(lines))


@pytest.mark.parametrize("text", ["((?:a+)+)b$", "((?:a|a)*)b", "((?:a?){60}a{60})b"])
def test_no_pattern_runs_for_ever(bounded: Bounded, classes: Path, text: str) -> None:
    set_pattern(classes, text)
    done = bounded("data", "check", str(classes), code=3)
    assert "does not match" in done.stderr + done.stdout


# --- published figures


def write_reference(folder: Path, **changes: object) -> Path:
    import tomli_w

    values = {
        "name": "r", "title": "r", "source": "s", "data": "d", "classes": ["a", "b"], "split": "s",
        "rounding": "rounded", "margin": 0.1, "margin_reason": "m", "n": {"test": 20},
        "rules": [
            {"metric": name, "decision": "argmax", "averaging": "none", "zero_division": "none"}
            for name in ("accuracy", "log_loss")
        ],
        "figures": [{"arm": "x", "part": "test", "metric": "accuracy", "printed": "0.5"}],
    }  # fmt: skip
    (folder / "r.toml").write_text(tomli_w.dumps(values | changes))
    return folder / "r.toml"


FIGURE = {"arm": "x", "part": "test", "metric": "log_loss"}


@pytest.mark.parametrize(
    ("changes", "shown"),
    [
        (
            {"matrices": [{"arm": "x", "part": "test", "rows": [[10**12, 0], [0, 1]]}]},
            ("matrices.1.rows", "1000000"),
        ),
        (
            {"matrices": [{"arm": "x", "part": "test", "rows": [[10**6, 0], [0, 10**6]]}]},
            ("2,000,000 cases", "1,000,000"),
        ),
        ({"n": {"test": 10**12}}, ("n.test", "1000000")),
        ({"support": {"test": {"a": 10**12, "b": 1}}}, ("support.test.a", "1000000")),
        ({"min_seeds": 10**12}, ("min_seeds", "1000")),
        ({"figures": [FIGURE | {"printed": "0e999999999"}]}, ("printed", "1e40")),
        ({"figures": [FIGURE | {"printed": "1e999999999"}]}, ("printed", "1e40")),
        ({"classes": [f"c{i}" for i in range(1000)]}, ("classes", "200")),
    ],
)
def test_a_published_number_out_of_range_is_refused(
    bounded: Bounded, tmp_path: Path, changes: dict[str, object], shown: tuple[str, ...]
) -> None:
    done = bounded("audit", write_reference(tmp_path, **changes), code=2)
    for text in shown:
        assert text in done.stderr


def test_the_ways_to_mend_matrices_are_bounded(bounded: Bounded, tmp_path: Path) -> None:
    """Of 200 classes there are 20,100 ways to add two cases: none is tried."""
    k = 200
    rows = [[1 if i == j else 0 for j in range(k)] for i in range(k)]
    names = [f"c{i}" for i in range(k)]
    support = {"test": dict.fromkeys(names, 1) | {"c0": 3}}
    n = {"test": k + 2}
    matrices = [{"arm": "x", "part": "test", "rows": rows}]
    path = write_reference(tmp_path, classes=names, support=support, n=n, matrices=matrices)
    done = bounded("audit", str(path), "--json", code=0)
    told = [finding["what"] for finding in json.loads(done.stdout)["findings"]]
    assert "200 rows of 200 counts" in told
    assert "row sums differ from those stated: c0 1 (not 3)" in told


def test_a_column_of_ids_is_no_input(tmp_path: Path) -> None:
    from milkreport.data.cases import Feature
    from milkreport.data.features import fit_encoder

    table = pd.DataFrame({"note": [f"text {i}" for i in range(1001)]})
    feature = Feature(column="note", kind="categorical", view="case", zscore=False, title="")
    with pytest.raises(MilkreportError, match=r"note has 1,001 different values — at most 1,000"):
        fit_encoder(table, [feature])
    assert len(fit_encoder(table[:1000], [feature]).names("case")) == 1000
