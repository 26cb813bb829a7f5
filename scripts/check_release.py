"""Build wheel and sdist, and use both as a stranger would: in clean environments of each Python at hand.

    python scripts/check_release.py                     # base install: a few hundred MB an environment
    python scripts/check_release.py --train             # with PyTorch too: about 6 GB an environment
    python scripts/check_release.py --python python3.12 # only this one; may be said several times

The wheel is built from the sdist, so the sdist is whole. The first thing that does not work ends it with 1.
The packages come from wherever pip is set up to take them from, in the versions of constraints.txt.
"""

from __future__ import annotations

import argparse
import csv
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
CANDIDATES = ("python3.11", "python3.12", "python3.13", "python3.14")
OLDEST = (3, 11)


def run(*command: str | Path, cwd: Path, **variables: str) -> str:
    """What *command* prints; if it fails, all that it said and an end with 1."""
    environment = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("PYTHON", "MILKREPORT_", "VIRTUAL_ENV"))
    } | variables
    done = subprocess.run(
        [str(part) for part in command],
        cwd=cwd,
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
    )
    if done.returncode != 0:
        said = " ".join(str(part) for part in command)
        raise SystemExit(f"{said}\nended with {done.returncode}\n{done.stdout}{done.stderr}")
    return done.stdout


def expect(holds: bool, otherwise: str) -> None:
    if not holds:
        raise SystemExit(otherwise)


def version_of(python: str) -> tuple[int, int] | None:
    """Its version, or None where there is no such Python or it cannot make environments."""
    if shutil.which(python) is None:
        return None
    asked = "import sys, venv, ensurepip; print(*sys.version_info[:2])"
    done = subprocess.run([python, "-c", asked], capture_output=True, text=True)
    if done.returncode != 0:
        return None
    major, minor = done.stdout.split()
    return int(major), int(minor)


def build(folder: Path) -> Path:
    """The wheel, made from the sdist that is made from this checkout."""
    run(sys.executable, "-m", "build", "--no-isolation", "--outdir", folder, ROOT, cwd=folder)
    (wheel,) = folder.glob("*.whl")
    (sdist,) = folder.glob("*.tar.gz")
    print(f"built {sdist.name} and {wheel.name}, the second from the first", flush=True)
    return wheel


def write_predictions(folder: Path) -> None:
    """A truth of 63 cases in three classes, and predictions of which two in three are right."""
    names = ["a", "b", "c"]
    with (
        (folder / "truth.csv").open("w", newline="") as truth,
        (folder / "mine.csv").open("w", newline="") as mine,
    ):
        labels, probabilities = csv.writer(truth), csv.writer(mine)
        labels.writerow(["case_id", "label"])
        probabilities.writerow(["case_id", *names])
        for case in range(63):
            label = case % 3
            answer = label if case % 9 < 6 else (label + 1) % 3
            labels.writerow([f"case-{case}", names[label]])
            probabilities.writerow(
                [f"case-{case}", *(0.8 if name == answer else 0.1 for name in range(3))]
            )


def check_base(python: Path, folder: Path) -> None:
    """What needs no PyTorch: version, completion by the shell, a report in HTML and PDF, the gate."""
    module = (python, "-m", "milkreport")
    run(python, "-c", "import importlib.util as u; assert u.find_spec('torch') is None", cwd=folder)
    run(*module, "--version", cwd=folder)
    completed = run(
        python.with_name("milkreport"),
        cwd=folder,
        _MILKREPORT_COMPLETE="complete_bash",
        COMP_WORDS="milkreport eva",
        COMP_CWORD="1",
    )
    expect(completed.split() == ["evaluate"], f"eva is completed to {completed.split()}")
    write_predictions(folder)
    run(
        *(*module, "evaluate", "mine.csv", "--truth", "truth.csv", "--out", "runs/eval"),
        *("--pdf", "require"),
        cwd=folder,
    )
    with (folder / "runs/eval/metrics.csv").open() as table:
        (accuracy,) = {
            float(row["value"])
            for row in csv.DictReader(table)
            if row["metric"] == "accuracy" and row["slice"] == "" and row["decision"] == "argmax"
        }
    expect(abs(accuracy - 2 / 3) < 1e-9, f"accuracy is {accuracy}, not two thirds")
    for name in ("report.html", "report.pdf"):
        expect((folder / "runs/eval" / name).stat().st_size > 0, f"{name} is empty")
    run(*module, "check", "--self-test", cwd=folder)


def check_train(python: Path, folder: Path) -> None:
    """Training of the shipped suite on synthetic data, with its report, and the prediction of it."""
    module = (python, "-m", "milkreport")
    run(*module, "run-all", "quick", "--out", "runs/quick", "--pdf", "require", cwd=folder)
    expect((folder / "runs/quick/report.pdf").stat().st_size > 0, "report.pdf is empty")
    run(*module, "check", "runs/quick", "--exact", cwd=folder)  # ends with 0 if every bit is equal


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--train", action="store_true", help="try the extra train as well")
    parser.add_argument("--python", action="append", help=f"default: {', '.join(CANDIDATES)}")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="milkreport-release-") as name:
        work = Path(name)
        wheel = build(work)
        tried = 0
        for candidate in arguments.python or CANDIDATES:
            version = version_of(candidate)
            if version is None or version < OLDEST:
                if arguments.python:
                    raise SystemExit(f"{candidate}: no Python of 3.11 or later that has venv")
                continue
            for extra in ["", "[train]"][: 1 + arguments.train]:
                folder = work / f"{version[0]}.{version[1]}{extra}"
                folder.mkdir()
                run(candidate, "-m", "venv", folder / "environment", cwd=folder)
                python = folder / "environment" / "bin" / "python"
                run(
                    *(python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"),
                    *("-c", ROOT / "constraints.txt", f"{wheel}{extra}"),
                    cwd=folder,
                )
                (check_train if extra else check_base)(python, folder)
                print(f"Python {version[0]}.{version[1]}: milkreport{extra} works", flush=True)
                shutil.rmtree(folder)  # the next one needs its space
                tried += 1
        if not tried:
            raise SystemExit(f"none of {', '.join(CANDIDATES)} is on this machine")


if __name__ == "__main__":
    main()
