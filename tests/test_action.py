"""The GitHub Action: its own shell steps, run here with a stand-in for GitHub's command ``gh``."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml

ROOT = Path(__file__).resolve().parents[1]
ACTION: dict[str, Any] = yaml.safe_load((ROOT / "action.yml").read_text(encoding="utf-8"))
GH = """#!/bin/sh
printf '%s\\n' "$*" >> "$FAKE/calls"
case "$*" in
  *--jq*) cat "$FAKE/known" ;;
  *) for word in "$@"; do case "$word" in body=@*) cp "${word#body=@}" "$FAKE/body" ;; esac; done
     exit "$(cat "$FAKE/code")" ;;
esac
"""


class Job:
    """One job's steps, as the runner would run them."""

    def __init__(self, folder: Path, pull_request: str = "7") -> None:
        self.folder, self.outputs = folder, folder / "outputs"
        self.fake = folder / "fake"
        self.fake.mkdir()
        (self.fake / "gh").write_text(GH)
        (self.fake / "gh").chmod(0o755)
        for name, text in (("known", ""), ("code", "0"), ("calls", "")):
            (self.fake / name).write_text(text)
        self.outputs.write_text("")
        self.context = {
            "github.token": "secret",
            "github.repository": "someone/theirs",
            "github.action_path": str(ROOT),
            "github.event.pull_request.number": pull_request,
        }

    def value(self, text: str) -> str:
        """*text* with expressions evaluated: names, ``||`` and ``&&``, ``==`` and ``!=`` with quoted text."""

        def one(expression: str) -> str:
            for operator, pick in (("&&", lambda a, b: b if a else a), ("||", lambda a, b: a or b)):
                if operator in expression:
                    left, right = expression.split(operator, 1)
                    return pick(one(left), one(right))
            if match := re.fullmatch(r"(.+?) (==|!=) '(.*)'", expression.strip()):
                equal = one(match[1]) == match[3]
                return "true" if equal == (match[2] == "==") else ""
            return self.context[expression.strip()]

        return re.sub(r"\$\{\{ (.*?) \}\}", lambda found: one(found[1]), text)

    def run(self, **inputs: str) -> dict[str, subprocess.CompletedProcess[str]]:
        """Steps by name until one fails."""
        for name, given in ACTION["inputs"].items():
            key = name.replace("-", "_")
            self.context[f"inputs.{name}"] = inputs.get(key, self.value(given.get("default", "")))
        done: dict[str, subprocess.CompletedProcess[str]] = {}
        for step in ACTION["runs"]["steps"]:
            if "uses" in step or step["name"] == "Install" or not self.value(step.get("if", "x")):
                continue
            path = f"{self.fake}{os.pathsep}{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
            done[step["name"]] = subprocess.run(
                ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", step["run"]],
                cwd=self.folder,
                env=os.environ
                | {"PATH": path, "PYTHONPATH": str(ROOT), "FAKE": str(self.fake)}
                | {
                    "GITHUB_OUTPUT": str(self.outputs),
                    "GITHUB_STEP_SUMMARY": f"{self.folder}/summary",
                }
                | {name: self.value(text) for name, text in step["env"].items()},
                capture_output=True,
                text=True,
                timeout=300,
            )
            told = dict(line.split("=", 1) for line in self.outputs.read_text().splitlines())
            self.context["steps.check.outputs.exit-code"] = told.get("exit-code", "")
            if done[step["name"]].returncode:
                break
        return done


@pytest.fixture
def job(tmp_path: Path) -> Job:
    rng = np.random.default_rng(1)
    labels = rng.random(300) < 0.4
    ids = [f"c{i}" for i in range(300)]
    pd.DataFrame({"id": ids, "label": np.where(labels, "ill", "well")}).to_csv(
        tmp_path / "truth.csv", index=False
    )
    for name, gain in (("old", 0.3), ("new", 0.55), ("bad", 0.05)):
        p = np.clip(rng.normal(0.25 + gain * labels, 0.12), 0, 1)
        pd.DataFrame({"id": ids, "ill": p, "well": 1 - p}).to_csv(
            tmp_path / f"{name}.csv", index=False
        )
    return Job(tmp_path)


def evaluate_old(job: Job) -> str:
    words = [
        "evaluate",
        "model=old.csv",
        "--truth",
        "truth.csv",
        "--primary",
        "accuracy",
        "--out",
        "before",
    ]
    subprocess.run(
        [sys.executable, "-m", "milkreport", *words, "--no-pdf"],
        cwd=job.folder, env=os.environ | {"PYTHONPATH": str(ROOT)}, check=True, capture_output=True,
    )  # fmt: skip
    return "before"


@pytest.mark.slow
def test_a_better_model_passes_and_is_commented(job: Job) -> None:
    done = job.run(
        predictions="model=new.csv",
        truth="truth.csv",
        against=evaluate_old(job),
        primary="accuracy",
    )
    assert [*done] == ["Evaluate", "Check", "Comment", "Verdict"]
    assert all(step.returncode == 0 for step in done.values()), done["Check"].stdout
    assert "PASS" in (job.folder / "summary").read_text()
    assert (job.folder / "milkreport-report" / "check.xml").is_file()
    page = (job.folder / "milkreport-report" / "report.html").read_text(encoding="utf-8")
    assert "Against an earlier run" in page
    body = (job.fake / "body").read_text(encoding="utf-8")
    assert body.startswith("<!-- milkreport -->\n")
    assert (job.folder / "milkreport-report" / "export" / "summary.md").read_text(
        encoding="utf-8"
    ) in body
    calls = (job.fake / "calls").read_text().splitlines()
    assert calls[-1].startswith("api --method POST repos/someone/theirs/issues/7/comments")
    # The next push edits it.
    (job.fake / "known").write_text("4711\n")
    job.run(predictions="model=new.csv", truth="truth.csv", against="before", primary="accuracy")
    assert (
        "--method PATCH repos/someone/theirs/issues/comments/4711"
        in (job.fake / "calls").read_text()
    )


@pytest.mark.slow
def test_a_worse_model_fails_after_the_comment(job: Job) -> None:
    (job.fake / "code").write_text("1")  # a fork's token may not write
    done = job.run(
        predictions="model=bad.csv",
        truth="truth.csv",
        against=evaluate_old(job),
        primary="accuracy",
    )
    assert {name: step.returncode for name, step in done.items()} == {
        "Evaluate": 0, "Check": 0, "Comment": 0, "Verdict": 1,
    }  # fmt: skip
    assert "::notice::" in done["Comment"].stdout
    assert "::error" in done["Check"].stdout


def test_options_are_words_and_never_scripts(job: Job) -> None:
    """Two arms, a class with a blank, no check; and text that a shell would run."""
    attack = "$(touch hacked)`touch hacked`"
    done = job.run(
        predictions="old.csv\n\nthe_new=new.csv\n", truth="truth.csv",
        options=f"--title\n{attack}\n--positive\nill",
        comment="false",
    )  # fmt: skip
    assert [*done] == ["Evaluate"]
    assert done["Evaluate"].returncode == 0, done["Evaluate"].stderr
    assert not (job.folder / "hacked").exists()
    page = (job.folder / "milkreport-report" / "report.html").read_text(encoding="utf-8")
    assert attack in page
    assert "the_new" in page


def test_a_wrong_table_fails_the_step(job: Job) -> None:
    done = job.run(predictions="nowhere.csv", truth="truth.csv", against="before")
    assert [*done] == ["Evaluate"]
    assert done["Evaluate"].returncode == 3
    assert "nowhere.csv" in done["Evaluate"].stderr


def test_no_input_is_part_of_a_script() -> None:
    for step in ACTION["runs"]["steps"]:
        assert "${{" not in step.get("run", ""), step
    assert all(given.get("description") for given in ACTION["inputs"].values())
    assert re.search(
        r"uses: .*milkreport", (ROOT / "docs" / "gating.md").read_text(encoding="utf-8")
    )
