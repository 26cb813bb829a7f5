"""How long a report takes, and how it grows with the number of trainings.

Random predictions of 1,038 cases of 11 classes with the supports of the paper's test part, scored as any are,
with curves of 50 epochs beside them: three arms of one seed, then more arms and seeds, up to 100 trainings.
HTML: from the records to the page, drawings included. PDF: laid out from the same view in its own process.

Prints a table and, as its last line, one JSON object: ``html_s``, ``pdf_s``, ``html_mb``, ``pages`` of the
three arms, and ``growth``: what each further training adds, as a share of the three arms' time (0.01: a
hundred trainings more double it).

    python benchmarks/report.py [--no-pdf]
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd
from pypdf import PdfReader

import milkreport
from milkreport.evaluation.records.results import CellRecord, Curve, Results
from milkreport.reporting.html import render_html, render_print
from milkreport.reporting.pdf import write_pdf
from milkreport.reporting.view import build_view
from milkreport.runs.manifest import Manifest, read_environment
from milkreport.suite.suite import load_suite

SUPPORT = (64, 527, 7, 112, 4, 10, 2, 83, 122, 98, 9)
CLASSES = list("ABCDEFGHIJK")
EPOCHS = 50
#: Arms, and seeds an arm.
SIZES = ((3, 1), (4, 5), (10, 5), (20, 5))


def make_results(n_arms: int, n_seeds: int) -> Results:
    """Results of random predictions, with curves and cells as a run of a suite has them."""
    rng = np.random.default_rng(0)
    truth = rng.permutation(np.repeat(np.arange(11), SUPPORT))
    ids = [f"case{i:05d}" for i in range(len(truth))]
    labels = pd.DataFrame({"case_id": ids, "label": [CLASSES[t] for t in truth]})
    facts = pd.DataFrame({"case_id": ids, "sex": rng.choice(["f", "m"], len(truth))})
    arms = {}
    for i in range(n_arms):
        arms[f"arm-{i + 1}"] = []
        for _ in range(n_seeds):
            logits = rng.normal(size=(len(truth), 11)) + (1.2 + 0.05 * i) * np.eye(11)[truth]
            p = np.exp(logits)
            frame = pd.DataFrame(p / p.sum(axis=1, keepdims=True), columns=CLASSES)
            arms[f"arm-{i + 1}"].append(frame.assign(case_id=ids))
    results = milkreport.evaluate(arms, labels, metadata=facts, positive=["A", "H"])
    return results.model_copy(
        update={"arms": [_trained(arm, n_seeds, rng) for arm in results.arms]}
    )


def _trained(arm, n_seeds: int, rng: np.random.Generator):
    names = [f"{part}_{m}" for part in ("train", "test") for m in ("loss", "accuracy", "macro_f1")]
    curves = [
        Curve(
            seed=seed,
            fold=0,
            columns={n: np.sort(rng.random(EPOCHS)).tolist() for n in names},
        )
        for seed in range(n_seeds)
    ]
    cells = [
        CellRecord(
            seed=seed, fold=0, status="complete", seconds=60.0, epoch_used=EPOCHS,
            weights_sha256="0" * 64, parameters=48_213, peak_memory_bytes=10**9,
        )
        for seed in range(n_seeds)
    ]  # fmt: skip
    return arm.model_copy(update={"curves": curves, "cells": cells})


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--no-pdf", action="store_true")
    with_pdf = not parser.parse_args().no_pdf
    manifest = Manifest(
        **read_environment(), suite="paper", suite_sha256="0" * 64, data_sha256="0" * 64,
        command="milkreport run-all", device="cpu", device_name="cpu", cpu_capability="", threads=2,
    )  # fmt: skip
    print(
        f"{'arms':>5} {'seeds':>5} {'cells':>5} {'html s':>8} {'MB':>6} {'pdf s':>8} {'pages':>6}"
    )
    rows = []
    with tempfile.TemporaryDirectory() as scratch:
        paper = Path(scratch) / "report.pdf"
        for n_arms, n_seeds in SIZES:
            results = make_results(n_arms, n_seeds)
            started = time.perf_counter()
            view = build_view(results, manifest, load_suite("paper"), None)
            page = render_html(view)
            html_s = time.perf_counter() - started
            pdf_s, pages = 0.0, 0
            if with_pdf:
                started = time.perf_counter()
                write_pdf(render_print(view), paper, created="2026-01-01T00:00:00Z", seconds=600)
                pdf_s, pages = time.perf_counter() - started, len(PdfReader(paper).pages)
            megabytes, cells = len(page.encode()) / 1e6, n_arms * n_seeds
            rows.append((cells, html_s, megabytes, pdf_s, pages))
            print(
                f"{n_arms:>5} {n_seeds:>5} {cells:>5} {html_s:>8.2f} {megabytes:>6.2f} {pdf_s:>8.2f} "
                f"{pages:>6}",
                flush=True,
            )
    first, last = rows[0], rows[-1]
    least, most = first[1] + first[3], last[1] + last[3]
    found = {
        "html_s": round(first[1], 2),
        "pdf_s": round(first[3], 2),
        "html_mb": round(first[2], 2),
        "pages": first[4],
        "growth": round((most - least) / (last[0] - first[0]) / least, 4),
    }
    print(json.dumps(found))


if __name__ == "__main__":
    main()
