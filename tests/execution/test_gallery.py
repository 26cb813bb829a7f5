"""The mistakes gallery: the right cases, the network's own probabilities, and explanations."""

from __future__ import annotations

import io
import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

from milkreport.data.adapters.load import load_cases
from milkreport.errors import DataError
from milkreport.runs.folder import RunFolder
from milkreport.training.explain import Explainer, explain, is_available
from milkreport.training.saved import load_model
from tests.conftest import Command

pytestmark = pytest.mark.skipif(not is_available(), reason="captum is not installed")


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory, synthetic: Path, cache: Path) -> Path:
    """A short run of the quick suite on synthetic data."""
    import os
    import subprocess
    import sys

    folder = tmp_path_factory.mktemp("gallery")
    command = [
        *(
            sys.executable,
            "-m",
            "milkreport",
            "run-all",
            "quick",
            "--data",
            synthetic,
            "--out",
            "out",
        ),
        *("--no-pdf", "--set", "training.epochs=2"),
    ]
    environment = os.environ | {"MILKREPORT_CACHE": str(cache)}
    subprocess.run(
        command, cwd=folder, env=environment, check=True, capture_output=True, timeout=300
    )
    return folder / "out"


@pytest.mark.slow
def test_it_shows_each_arms_surest_errors_with_the_networks_own_probabilities(run: Path) -> None:
    gallery, files = RunFolder(run).load_gallery()
    listed = pd.read_csv(run / "mistakes.csv", dtype={"case_id": str})
    assert gallery.explained
    for arm in ("baseline", "weighted_loss", "sampler"):
        wanted = listed[(listed["arm"] == arm) & (listed["rank"] <= 4)]
        mine = [m for m in gallery.mistakes if m.arm == arm]
        assert [m.case_id for m in mine] == wanted["case_id"].tolist()
        for m in mine:
            path = run / f"cells/{arm}/seed-{m.seed}/fold-{m.fold}/predictions.csv"
            row = pd.read_csv(path, dtype={"case_id": str}).set_index("case_id").loc[m.case_id]
            assert row["split"] == "test"
            assert m.label == row["label"] != m.predicted
            for name, p in m.probabilities.items():
                assert p == pytest.approx(float(row[name]), abs=2e-5)
            assert next(iter(m.probabilities)) == m.predicted
            assert [i.view for i in m.images] == ["clinical", "dermoscopic"]
    named = {f for m in gallery.mistakes for i in m.images for f in (i.file, i.heat)}
    assert files.keys() == named


def test_thumbnails_are_rebuilt_from_pixels(run: Path) -> None:
    _, files = RunFolder(run).load_gallery()
    for data in files.values():
        picture = Image.open(io.BytesIO(data))
        assert picture.format == "JPEG"
        assert max(picture.size) <= 160
        assert not picture.getexif()
        assert "comment" not in picture.info


@pytest.mark.slow
def test_the_report_shows_it_and_leaves_it_out_where_asked(run: Path, milkreport: Command) -> None:
    page = (run / "report.html").read_text(encoding="utf-8")
    gallery, _ = RunFolder(run).load_gallery()
    case = gallery.mistakes[0].case_id
    assert page.count("data:image/jpeg") == 4 * len(gallery.mistakes)
    assert case in page
    assert "in the gallery of mistakes thumbnails, ids and metadata" in page
    copy = run.parent / "bare"
    shutil.copytree(run, copy)
    assert milkreport("report", copy, "--no-pdf", "--no-images").returncode == 0
    bare = (copy / "report.html").read_text(encoding="utf-8")
    assert "data:image/jpeg" not in bare
    assert case not in bare  # its lists of cases are packed
    assert "no image and no row of the data" in bare
    assert milkreport("report", copy, "--no-pdf", "--no-cases").returncode == 0
    bare = (copy / "report.html").read_text(encoding="utf-8")
    assert "data:image/jpeg" not in bare
    assert "no image, no row of the data and no case id" in bare


def test_a_name_in_the_record_reads_nothing_outside_the_gallery(run: Path) -> None:
    copy = run.parent / "crooked"
    shutil.copytree(run, copy)
    path = copy / "gallery" / "gallery.json"
    record = json.loads(path.read_text())
    record["mistakes"][0]["images"][0]["file"] = "../suite.toml"
    path.write_text(json.dumps(record))
    with pytest.raises(DataError, match="damaged"):
        RunFolder(copy).load_gallery()


@pytest.fixture(scope="module")
def trained(run: Path):
    folder = run / "cells/baseline/seed-0/fold-0"
    explainer = Explainer(load_model(folder))
    network, encoder = explainer.network, explainer.reads.encoder
    generator = torch.Generator().manual_seed(0)
    size = explainer.reads.image_size
    images = [torch.rand((1, 3, size, size), generator=generator) for _ in network.views]
    features = [torch.randn((1, len(encoder.names(v))), generator=generator) for v in network.views]
    return network, images, features


def test_attributions_add_up_to_the_change_of_the_answer(trained) -> None:
    """Completeness of integrated gradients (Sundararajan et al., 2017)."""
    network, images, features = trained
    found = explain(network, images, features, answer=2)
    with torch.no_grad():
        here = network.log_probabilities(network(images, features))[0, 2]
        zero = [torch.zeros_like(f) for f in features]
        there = network.log_probabilities(network(images, zero))[0, 2]
    total = sum(float(a.sum()) for a in found.attributions)
    assert total == pytest.approx(float(here - there), abs=0.05 * abs(float(here - there)) + 1e-3)


@pytest.mark.slow
def test_an_answer_without_a_finite_gradient_is_shown_unexplained(
    run: Path, synthetic: Path, cache: Path
) -> None:
    """A published softmax that has saturated: its probabilities are 0 and 1 to the last bit."""
    explainer = Explainer(load_model(run / "cells/baseline/seed-0/fold-0"))
    table = load_cases(synthetic, "auto", cache).table.head(1)
    size = explainer.reads.image_size
    pixels = np.full((len(explainer.reads.views), size, size, 3), 99, np.uint8)
    answer = explainer.card.classes[0]
    assert explainer.look(pixels, table, answer)[1] is not None
    network = explainer.network
    network.softmax_output = True
    *_, last = (module for module in network.modules() if isinstance(module, torch.nn.Linear))
    with torch.no_grad():
        last.weight.zero_()
        last.bias.copy_(torch.linspace(0, 1e4, len(last.bias)))
    p, why = explainer.look(pixels, table, answer)
    assert (p[answer], why) == (0, None)


def test_the_maps_are_gradcam_by_hand(trained) -> None:
    """Selvaraju et al. (2017): channels of the last convolution, weighted by their mean gradient."""
    network, images, features = trained
    found = explain(network, images, features, answer=1)
    for position, view in enumerate(network.views):
        kept = {}
        layers = [
            m for m in network.image_branches[view].modules() if isinstance(m, torch.nn.Conv2d)
        ]

        def keep(module, inputs, output, kept=kept):
            output.retain_grad()
            kept["out"] = output

        handle = layers[-1].register_forward_hook(keep)
        network.log_probabilities(network(images, features))[0, 1].backward()
        handle.remove()
        out, gradient = kept["out"], kept["out"].grad
        heat = (gradient.mean(dim=(2, 3), keepdim=True) * out).sum(dim=1, keepdim=True).relu()
        size = images[0].shape[-1]
        wide = torch.nn.functional.interpolate(
            heat, (size, size), mode="bilinear", align_corners=False
        )
        expected = wide[0, 0].detach().numpy()
        expected = expected / expected.max() if expected.max() > 0 else expected
        assert found.maps[position] == pytest.approx(expected, abs=1e-5)
        assert 0 <= found.maps[position].min() <= found.maps[position].max() <= 1 + 1e-6
        assert np.isfinite(found.maps[position]).all()


@pytest.mark.slow
def test_a_finished_run_keeps_its_gallery(run: Path, milkreport: Command, synthetic: Path) -> None:
    path = run / "gallery" / "gallery.json"
    before = path.stat().st_mtime_ns
    done = milkreport(
        "run-all",
        "quick",
        "--data",
        synthetic,
        "--out",
        run,
        "--no-pdf",
        "--set",
        "training.epochs=2",
    )
    assert done.returncode == 0, done.stderr
    assert path.stat().st_mtime_ns == before
