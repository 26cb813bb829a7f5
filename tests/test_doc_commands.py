"""Every command on every page works: each is typed here, or the table says which test does it instead.

All commands of README.md and docs/*.md are parsed: command, options, suites, settings, references and metrics
must exist. Then each page's commands are typed from top to bottom in a folder of its own, in which the
names that pages use (DIR, RUN, predictions.csv, ...) are small synthetic things. A new command is typed
without anything to be done here; one that can't be typed needs an entry in ELSEWHERE.
"""

from __future__ import annotations

import difflib
import re
import shlex
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import typer

from milkreport.checks.reference import shipped_references
from milkreport.cli import app
from milkreport.data.synthetic.write import write_synthetic
from milkreport.errors import ConfigError
from milkreport.evaluation.metrics.definitions import CLASS_DEFINITIONS, DEFINITIONS
from milkreport.execution.grid import parse_grid
from milkreport.suite.suite import load_suite
from tests.conftest import call_main

ROOT = Path(__file__).resolve().parents[1]
PAGES = {
    path.relative_to(ROOT).as_posix(): path.read_text(encoding="utf-8")
    for path in [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
}
#: Pages that repeat what others have.
SUMMARIES = ("README.md", "docs/at_a_glance.md")
#: Code that is a page's commands. A block without a language is one, so say ``text`` where it is none.
SHELL = ("", "sh", "bash", "shell", "console")

#: Commands that are not typed here, and the test or the reason instead. A pattern matches from the start.
ELSEWHERE = {
    # Other programs.
    r"make ": "tests/test_repository.py::test_make_runs",
    r"source \.venv/bin/activate": "the shell's own",
    r"pip install ": "tests/test_packaging.py::test_evaluation_checks_and_reporting_work_without_torch",
    r"python predict\.py ": "the reader's own program",
    r"milkreport verify report\.pdf": (
        "tests/verifying/test_verify.py::test_a_report_is_verified_in_another_folder"
    ),
    r"milkreport report report\.pdf ": (
        "tests/verifying/test_verify.py::test_a_report_is_drawn_again_from_itself_to_the_same_bytes"
    ),
    r"milkreport compare new/report\.pdf ": (
        "tests/verifying/test_verify.py::test_two_reports_are_compared_and_checked_like_run_folders"
    ),
    r"python examples/make_three_class_set\.py": "tests/data/test_own_data.py::walk",
    r"python scripts/(choose_nested|study_results)\.py": (
        "tests/test_study.py::test_the_nested_choice_takes_the_best_inner_score_of_each_fold"
    ),
    r"python scripts/simulate_gate\.py": (
        "tests/checks/test_evidence.py::test_a_worse_method_passes_no_more_often_than_it_may"
    ),
    r"python scripts/(simulate_intervals|simulate_comparisons|tabulate_coverage)\.py": (
        "tests/evaluation/test_statistics.py::test_intervals_cover_where_cases_bring_their_own_class_mix"
    ),
    r"python scripts/foretell_clinics\.py": (
        "tests/evaluation/test_foretell_clinics.py::test_forecasts_hold_where_shares_alone_differ"
    ),
    r"python scripts/simulate_findings\.py": (
        "tests/evaluation/test_review.py::test_calibrated_probabilities_are_rarely_said_not_to_be"
    ),
    r"python scripts/simulate_operating\.py": (
        "tests/evaluation/test_binary.py::test_intervals_hold_what_a_newly_chosen_threshold_is_worth"
    ),
    r"python scripts/simulate_risk\.py": (
        "tests/evaluation/test_binary.py::test_calibration_intervals_hold_what_the_population_has"
    ),
    r"python scripts/simulate_roc\.py": (
        "tests/evaluation/test_binary.py::test_bands_and_changes_hold_what_the_population_has"
    ),
    r"python scripts/simulate_readers\.py": (
        "tests/evaluation/test_readers.py::test_intervals_of_readers_hold_what_new_readers_reach"
    ),
    r"python scripts/simulate_plan\.py": (
        "tests/evaluation/test_plan.py::test_between_both_power_is_that_of_the_test_with_its_estimated_error"
    ),
    # Many processes, or a cluster.
    r"milkreport run-all .*--executor ray": "tests/execution/test_ray.py::test_ray_on_the_command_line",
    r"milkreport run-all .*--workers \d": (
        "tests/execution/test_executors.py::test_processes_give_the_same_bits"
    ),
    r"milkreport run-all .*--grid ": (
        "tests/execution/test_grid.py::test_each_point_is_a_run_and_all_are_one_report"
    ),
    # Scorings by the hundred.
    r"milkreport run-all .*--robustness ": (
        "tests/execution/test_robustness.py::test_it_adds_to_a_finished_run_and_changes_nothing_else"
    ),
    r"milkreport predict .*--robustness ": (
        "tests/execution/test_robustness.py::test_predict_tells_the_metric_or_the_agreement"
    ),
    # Suites that take long, or live in a folder of their own.
    r"milkreport run-all classical ": (
        "tests/models/test_models.py::test_classifiers_are_scikit_learns_on_standardised_columns"
    ),
    r"milkreport (run-all study/planning|plan --from runs/planning) ": (
        "tests/evaluation/test_plan.py::test_a_run_is_planned_from"
    ),
    r"milkreport run-all own_model\.toml": "tests/models/test_models.py::test_the_example_is_an_arm",
    r"milkreport run-all .*--gate paper": (
        "tests/runs/test_run.py::test_a_gate_makes_the_verdict_the_exit_code"
    ),
    # Data, runs and files that are not those of the kit.
    r"milkreport run-all .*--external ": (
        "tests/execution/test_external.py::test_a_finished_run_takes_a_set_without_training"
    ),
    r"milkreport evaluate .*--external ": (
        "tests/evaluation/test_external.py::test_the_report_carries_and_verify_computes_it_again"
    ),
    r"milkreport predict .*--thresholds validation": (
        "tests/inference/test_trained_models.py::test_thresholds_of_the_validation_part_are_folded_in"
    ),
    r"milkreport predict .*--trust-module ": (
        "tests/security/test_trusted.py::test_an_own_model_runs_where_the_user_names_it"
    ),
    r"milkreport import-pickle ": (
        "tests/inference/test_trained_models.py::test_foreign_pickles_take_the_card_of_a_model_alike"
    ),
    r"milkreport finetune ": "tests/finetuning/test_finetune.py::test_ctrl_c_keeps_what_is_done",
    r"milkreport data init DIR": "tests/data/test_own_data.py::walk",
    r"milkreport report runs/cv5 runs/cv5-128px ": (
        "tests/execution/test_grid.py::test_runs_are_paired_case_by_case"
    ),
    r"milkreport report runs/clinic-a ": (
        "tests/evaluation/test_data_sets.py::test_runs_of_other_data_are_ranked_and_not_pooled"
    ),
}
#: Pages that another test types as a whole.
WHOLE_PAGES = {
    "docs/your_own_data.md": "tests/data/test_own_data.py::walk",
    "docs/study.md": "hours on the real data; the same suites are typed for docs/your_milk10k.md",
    "docs/commands.md": "written from the help; its examples are parsed",
}
#: Commands that end otherwise than with 0, and why.
CODES = {
    r"milkreport check (RUN|runs/paper)$": (5, "synthetic data is compared with no publication"),
}
#: What makes a command of training or drawing cheap.
CHEAP = ["--set", "training.epochs=1", "--set", "data.image_size=16", "--no-pdf", "--no-images"]
#: The synthetic stand-in has too few cases for the paper's test part.
FEW = "{AKIEC=1,BCC=8,BEN_OTH=1,BKL=2,DF=1,INF=1,MAL_OTH=1,MEL=2,NV=2,SCCKA=2,VASC=1}"


@dataclass(frozen=True)
class Command:
    """One command of a page, as it would be typed."""

    page: str
    text: str

    @property
    def words(self) -> list[str]:
        return shlex.split(self.text, comments=True)

    @property
    def plain(self) -> str:
        """Without comment, on one line."""
        return " ".join(shlex.quote(w) if " " in w or not w else w for w in self.words)

    @property
    def is_ours(self) -> bool:
        return self.text.startswith("milkreport")


def commands_of(page: str, text: str) -> Iterator[Command]:
    """The commands of a page's code blocks: lines, continued ones and here-documents as one."""
    for language, block in re.findall(
        r"^```(\w*)[^\n]*\n(.*?)^```", text, re.MULTILINE | re.DOTALL
    ):
        if language in ("yaml", "yml"):
            for line in re.findall(r"^\s*-\s+(?:run:\s*)?(\S.*)", block, re.MULTILINE):
                if re.match(r"(milkreport|pip|python|make) ", line):
                    yield Command(page, line)
        elif language in SHELL:
            yield from (Command(page, one) for one in _typed(block))


def _typed(block: str) -> Iterator[str]:
    lines = iter(block.splitlines())
    for line in lines:
        while line.endswith("\\"):
            line = f"{line[:-1]} {next(lines).strip()}"
        here = re.search(r"<<'?(\w+)'?", line)
        while here and not line.endswith(f"\n{here[1]}"):
            line += "\n" + next(lines)
        if line.strip() and not line.startswith("#"):
            yield line.removeprefix("$ ")


ALL = [command for page, text in PAGES.items() for command in commands_of(page, text)]
#: Commands within sentences, which may leave arguments out.
INLINE = [
    Command(page, span)
    for page, text in PAGES.items()
    if page != "docs/commands.md"  # usages, with [OPTIONS]
    for span in re.findall(
        r"`(milkreport [^`]*)`", re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL)
    )
]


def entry_for(command: Command, table: dict[str, Any]) -> str | None:
    """The pattern of *table* that speaks of this command."""
    return next((pattern for pattern in table if re.match(pattern, command.plain)), None)


# Parsing ---------------------------------------------------------------------------------------------


def parse(words: list[str], *, whole: bool = True) -> None:
    """Raise a ConfigError if the command line knows no such command, option, suite, setting or metric.

    *whole*: arguments that are needed must be there.
    """
    command: Any = typer.main.get_command(app.app)
    rest = words[1:]
    while rest and hasattr(command, "commands") and not rest[0].startswith("-"):
        if rest[0] not in command.commands and not _stands_for(rest[0]):
            near = difflib.get_close_matches(rest[0], command.commands, n=1)
            raise ConfigError(f"no command {rest[0]!r}", f"did you mean {near}?")
        if rest[0] not in command.commands:
            return  # milkreport COMMAND --help
        command, rest = command.commands[rest[0]], rest[1:]
    if hasattr(command, "commands"):
        known = {opt for p in command.params for opt in p.opts} | {"--help", "-h"}
        if (whole and not rest) or not set(rest) <= known:
            raise ConfigError(f"no whole command: {' '.join(words)}")
        return
    for parameter in command.params:
        parameter.required &= whole
    try:
        found = command.make_context(" ".join(words), list(rest)).params
    except typer.TyperException as error:
        raise ConfigError(error.format_message()) from error
    except typer.Exit:
        return  # --help
    _check_names(words, found)


def _check_names(words: list[str], found: dict[str, Any]) -> None:
    """Suites, settings, references and metrics exist; names that only stand for one are let pass."""
    if "overrides" in found:
        suite = found["suite"] if not _stands_for(found["suite"]) else "paper"
        settings = [s for s in found["overrides"] or [] if not _stands_for(s)]
        for point in parse_grid(found.get("grid") or []):
            load_suite(suite, [*settings, *point.overrides])
    # "main" is what pages call a frozen one; `audit new` writes one.
    known = shipped_references() | {"main", "new"}
    for key in ("against", "gate", "reference"):
        name = found.get(key)
        if name and name not in known and not _stands_for(name):
            raise ConfigError(f"no reference {name!r}", f"known: {sorted(known)}")
    metrics = {*DEFINITIONS, *CLASS_DEFINITIONS}
    for key in ("primary", "metric", "per_class"):
        value = found.get(key)
        for name in [value] if isinstance(value, str) else value or []:
            if name and name.partition(":")[0] not in metrics and not _stands_for(name):
                raise ConfigError(f"no metric {name!r}")


def _stands_for(name: str) -> bool:
    """DIR, runs/cv5, mine.toml, section.key=value: what a page calls something of the reader's."""
    return bool(re.match(r"[A-Z_]{2,}$|[\w./-]*/|[\w./-]+\.toml$|section\.", name))


def inline_words(command: Command) -> list[str]:
    return [word for word in command.words if word != "..."]


def test_commands_are_found() -> None:
    found = {page: sum(c.page == page for c in ALL) for page in PAGES}
    assert found["README.md"] >= 10
    assert found["docs/at_a_glance.md"] > 25
    assert found["docs/your_own_data.md"] == 7
    assert found["docs/gating.md"] > 10  # the workflows' too
    assert len(INLINE) > 40


@pytest.mark.slow
@pytest.mark.parametrize("page", sorted({c.page for c in ALL} | {c.page for c in INLINE}))
def test_every_command_of_the_page_is_understood(page: str) -> None:
    for command in [c for c in ALL if c.page == page and c.is_ours]:
        parse(command.words)
    for command in [c for c in INLINE if c.page == page]:
        parse(inline_words(command), whole=False)


WRONG = {
    "command": "milkreport reprot RUN",
    "inner command": "milkreport data chek DIR",
    "option": "milkreport run-all paper --dat DIR",
    "argument": "milkreport compare RUN",
    "needed option": "milkreport evaluate mine.csv",
    "one too many": "milkreport status RUN RUN",
    "number": "milkreport run-all paper --data DIR --seeds five",
    "suite": "milkreport run-all papr --data DIR",
    "setting": "milkreport run-all paper --data DIR --set training.epoch=10",
    "value": "milkreport run-all paper --data DIR --set training.epochs=0",
    "grid": "milkreport run-all cv5 --data DIR --grid training.learning_rat=0.1,0.2",
    "reference": "milkreport check RUN --against papr",
    "gate": "milkreport run-all paper --data DIR --gate papr",
    "metric": "milkreport evaluate mine.csv --truth truth.csv --primary macro_f2",
    "half a command": "milkreport data",
}


@pytest.mark.parametrize("what", WRONG)
def test_what_is_misspelt_is_seen(what: str) -> None:
    """Negative controls."""
    with pytest.raises(ConfigError):
        parse(shlex.split(WRONG[what]))
    if what not in ("argument", "needed option", "half a command"):
        with pytest.raises(ConfigError):
            parse(shlex.split(WRONG[what]), whole=False)


def test_the_collector_sees_every_way_of_writing_a_command() -> None:
    page = "\n".join(
        [
            "```",
            "milkreport doctor   # a remark",
            "milkreport run-all \\",
            "    --seeds 5",
            "```",
            "```toml",
            'milkreport = "no command"',
            "```",
            "```sh",
            "cat > x <<'END'",
            "milkreport is = no command",
            "END",
            "$ milkreport status RUN",
            "```",
            "```yaml",
            "- run: milkreport check RUN",
            "- milkreport audit paper",
            "- uses: actions/checkout@v4",
            "```",
        ]
    )
    found = [command.text for command in commands_of("page", page)]
    assert [text.split("\n")[0] for text in found] == [
        "milkreport doctor   # a remark",
        "milkreport run-all  --seeds 5",
        "cat > x <<'END'",
        "$ milkreport status RUN".removeprefix("$ "),
        "milkreport check RUN",
        "milkreport audit paper",
    ]
    assert Command("page", found[0]).words == ["milkreport", "doctor"]


# Typing ----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Kit:
    """What is made once: small data, a run on it, and tables of predictions."""

    data: Path
    run: Path
    cache: Path
    tables: Path


@pytest.fixture(scope="session")
def kit(tmp_path_factory: pytest.TempPathFactory) -> Kit:
    folder = tmp_path_factory.mktemp("kit")
    write_synthetic(folder / "DIR", cases=120, seed=3, size=16)
    write_tables(folder / "tables")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MILKREPORT_CACHE", str(folder / "cache"))
        patch.setenv("MILKREPORT_WORKERS", "1")
        train = ["run-all", "quick", "--data", "DIR", "--out", "RUN", *CHEAP]
        assert call_main(train, folder).returncode == 0
    return Kit(folder / "DIR", folder / "RUN", folder / "cache", folder / "tables")


def write_tables(folder: Path) -> None:
    """Predictions of three classes under every name that pages use, and their truth."""
    folder.mkdir()
    rng = np.random.default_rng(5)
    classes = ["MEL", "NV", "BCC"]
    truth = rng.choice(3, 150, p=[0.2, 0.5, 0.3])
    ids = [f"case-{i}" for i in range(150)]
    table = {"case_id": ids, "label": np.array(classes)[truth]}
    pd.DataFrame(table).to_csv(folder / "truth.csv", index=False)
    for name in ("predictions", "mine", "a", "b", "old", "new", "s0", "s1", "val", "test"):
        values = rng.dirichlet(np.ones(3), 150) + 0.8 * np.eye(3)[truth]
        frame = pd.DataFrame(values / values.sum(axis=1, keepdims=True), columns=classes)
        frame.insert(0, "case_id", ids)
        frame.to_csv(folder / f"{name}.csv", index=False)
    elsewhere = rng.choice(3, 200, p=[0.4, 0.4, 0.2])  # unlabelled
    values = rng.dirichlet(np.ones(3), 200) + 0.8 * np.eye(3)[elsewhere]
    clinic = pd.DataFrame(values / values.sum(axis=1, keepdims=True), columns=classes)
    clinic.insert(0, "case_id", [f"new-{i}" for i in range(200)])
    clinic.to_csv(folder / "clinic.csv", index=False)
    shares = pd.DataFrame({"class": classes, "count": [12, 300, 41]})
    shares.to_csv(folder / "shares.csv", index=False)
    for name in ("ann", "bob"):  # human readers
        answers = np.where(rng.random(150) < 0.7, truth, rng.integers(0, 3, 150))
        read = pd.DataFrame({"case_id": ids, "prediction": np.array(classes)[answers]})
        read.to_csv(folder / f"{name}.csv", index=False)
    write_odd_tables(folder, frame, truth)


def write_odd_tables(folder: Path, frame: pd.DataFrame, truth: np.ndarray) -> None:
    """The same cases as other people write them: two classes, positions, long, names with commas."""
    ids, values = frame["case_id"], frame[["MEL", "NV", "BCC"]]
    long = [frame.assign(model=arm, seed=seed) for arm in ("one", "two") for seed in (0, 1)]
    commas = {"NV": "naevus, atypical"}
    tables = {
        "scores": pd.DataFrame({"image_name": ids, "prob": values["MEL"]}),
        "fewer": pd.DataFrame({"image_name": ids[5:], "prob": values["MEL"][5:]}),
        "labels": pd.DataFrame({"image_name": ids, "target": (truth == 0).astype(float)}),
        "named": pd.DataFrame(
            {"image_name": ids, "label": np.where(truth == 0, "malignant", "benign")}
        ),
        "indices": frame.set_axis(["id", "prob_0", "prob_1", "prob_2"], axis=1),
        "positions": pd.DataFrame({"id": ids, "label": truth}),
        "long": pd.concat(long),
        "commas": frame.rename(columns=commas),
        "commas_truth": pd.DataFrame(
            {"id": ids, "label": pd.Series(["MEL", "NV", "BCC"])[truth].replace(commas).to_numpy()}
        ),
    }
    for name, table in tables.items():
        table.to_csv(folder / f"{name}.csv", index=False)


def lay_out(kit: Kit, folder: Path, page: str) -> None:
    """The folder in which a page is typed: what its commands read is there, what they write is not."""
    shutil.copytree(kit.data, folder / "DIR")
    for table in kit.tables.iterdir():
        shutil.copy(table, folder)
    made = {word for command in typed(page) for word in outputs(command)}
    read = {word for command in typed(page) for word in command.words}
    if "runs" in read:
        (folder / "runs").mkdir()
    for name in sorted(read - made):
        if re.fullmatch(r"(NEW_|OTHER_)?RUN|runs/[\w-]+", name):
            shutil.copytree(kit.run, folder / name)


def outputs(command: Command) -> set[str]:
    """Folders that a command makes."""
    words = command.words
    if words[1:2] == ["register"]:
        return set()
    if words[1:2] in (["run-all"], ["evaluate"]) and "--dry-run" not in words:
        if "--out" in words:
            return {words[words.index("--out") + 1]}
        return {f"runs/{suite_of(words)}"} if words[1] == "run-all" else set()
    return {words[words.index("--out") + 1]} if "--out" in words else set()


def suite_of(words: list[str]) -> str:
    """The suite that a ``run-all`` names, or means."""
    return words[2] if len(words) > 2 and not words[2].startswith("-") else "quick"


def typed(page: str) -> list[Command]:
    """The commands of a page that are typed here; of a summary those that no other page types."""
    if page in WHOLE_PAGES:
        return []
    mine = [c for c in ALL if c.page == page and entry_for(c, ELSEWHERE) is None]
    if page not in SUMMARIES:
        return mine
    others = {c.plain for other in PAGES if other not in SUMMARIES for c in typed(other)}
    return [c for c in mine if c.plain not in others]


def cheap(words: list[str]) -> list[str]:
    """The same command, with small settings behind its own."""
    words = [word.replace("$MILKREPORT_DATA", "DIR") for word in words]
    words = ["DIR" if word == "../shared/milk10k_256" else word for word in words]
    if words[1] in ("run-all", "register"):
        words += CHEAP if words[1] == "run-all" else CHEAP[:4]
        words += ["--seeds", "1"] if "--seeds" in words else []
        words += ["--set", "split.folds=2"] if "cv5" in words else []
        words += (
            ["--set", f"split.test_support={FEW}"] if suite_of(words).startswith("paper") else []
        )
        if "--data" not in words:
            words += ["--set", "data.synthetic.cases=66", "--set", "data.synthetic.size=16"]
    elif words[1] in ("report", "evaluate", "audit") and "--pdf" not in words:
        words += ["--no-pdf"]
    return words


@pytest.mark.slow
@pytest.mark.parametrize("page", [page for page in PAGES if typed(page)])
def test_every_command_of_the_page_works(
    page: str, kit: Kit, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MILKREPORT_CACHE", str(kit.cache))
    monkeypatch.delenv("GITHUB_STEP_SUMMARY", raising=False)
    lay_out(kit, tmp_path, page)
    for command in typed(page):
        if not command.is_ours:
            subprocess.run(["sh", "-e", "-c", command.text], cwd=tmp_path, check=True, timeout=60)
            continue
        done = call_main(cheap(command.words)[1:], tmp_path)
        pattern = entry_for(command, CODES)
        expected = CODES[pattern][0] if pattern else 0
        assert done.returncode == expected, f"{command.text}\n{done.stderr}"
        assert "Traceback" not in done.stderr


def crossing(commands: list[Command]) -> list[str]:
    """Runs that would find another run in their folder: same folder and data, other settings."""
    seen: dict[tuple[str, str], str] = {}
    found = []
    for command in commands:
        words = command.words
        if words[1:2] != ["run-all"] or "--grid" in words or "--dry-run" in words:
            continue
        (out,) = outputs(command)
        data = words[words.index("--data") + 1] if "--data" in words else ""
        settings = " ".join([suite_of(words), *(b for a, b in pairwise(words) if a == "--set")])
        if seen.setdefault((out, data), settings) != settings:
            found.append(command.plain)
    return found


@pytest.mark.parametrize("page", PAGES)
def test_no_page_sends_two_runs_into_one_folder(page: str) -> None:
    """They would be refused; typed here with the same small settings, they are not."""
    assert crossing([c for c in ALL if c.page == page and c.is_ours]) == []


def test_two_runs_in_one_folder_are_seen() -> None:
    """Negative control."""
    one = Command("page", "milkreport run-all paper --data DIR --set data.image_size=64")
    other = Command("page", "milkreport run-all paper --data DIR")
    more = Command("page", "milkreport run-all paper --data DIR --seeds 5")
    assert crossing([one, other]) == [other.plain]
    assert crossing([other, more]) == []


@pytest.mark.slow
def test_a_command_that_fails_is_seen(kit: Kit, tmp_path: Path) -> None:
    """Negative control: understood, and wrong."""
    assert call_main(["report", "RUN"], tmp_path).returncode == 3
    shutil.copytree(kit.run, tmp_path / "RUN")
    assert call_main(["report", "RUN", "--no-pdf"], tmp_path).returncode == 0


def test_every_entry_of_the_tables_is_needed_and_names_a_test() -> None:
    for pattern in ELSEWHERE:
        assert any(re.match(pattern, c.plain) for c in ALL), f"no page says {pattern}"
    for pattern in CODES:
        assert any(entry_for(c, {pattern: 0}) for p in PAGES for c in typed(p)), pattern
    for page in WHOLE_PAGES:
        assert any(c.page == page for c in ALL)
    for place in [*ELSEWHERE.values(), *WHOLE_PAGES.values()]:
        file, colons, name = place.partition("::")
        if colons:
            assert f"def {name}(" in (ROOT / file).read_text(encoding="utf-8"), place


def test_a_new_command_must_be_typed_or_accounted_for() -> None:
    """Negative control: what no table knows is typed, whatever program it is of."""
    new = Command("docs/new.md", "milkreport-next run")
    assert entry_for(new, ELSEWHERE) is None
    assert entry_for(Command("docs/new.md", "make docs"), ELSEWHERE) is not None


# Real data -------------------------------------------------------------------------------------------

REAL = [
    "milkreport data check DIR",
    "milkreport run-all paper --data DIR --set data.image_size=64 --set training.epochs=10 --out runs/small",
]


@pytest.mark.slow
@pytest.mark.parametrize("text", REAL)
def test_commands_on_the_real_data(
    text: str, real_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Those of *Your MILK10k* that take seconds, and the plan of those that take minutes."""
    (command,) = {c.plain for c in ALL if c.page == "docs/your_milk10k.md" and c.plain == text}
    words = [str(real_data) if word == "DIR" else word for word in shlex.split(command)]
    words += ["--dry-run"] if words[1] == "run-all" else []
    assert call_main(words[1:], tmp_path).returncode == 0
