"""A reference file from a pasted table: what is read, and what is refused by name."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import classification_report

from milkreport.checks.audit.draft import as_reference, read_draft, write_draft
from milkreport.checks.audit.printed_table import read_printed_table
from milkreport.checks.reference import load_reference
from milkreport.errors import ConfigError, DataError, NeedsOption
from tests.conftest import Command

MARKDOWN = """| Class | Precision | **Sensitivity** | F1-Score | Support |
|---|---:|---|---|---|
| a | 0.42 | 0.85 | **0.57** | 33 |
| b | 0.59 | 0.82 | 0.69 | 51 |
| Accuracy | | | 0.80 | 84 |
| Macro Avg | 0.51 | 0.84 | 0.63 | 84 |
"""
CSV = """Class,Precision,Sensitivity,F1-Score,Support
a,0.42,0.85,0.57,33
b,0.59,0.82,0.69,51
Accuracy,,,0.80,84
Macro Avg,0.51,0.84,0.63,84
"""
LATEX = r"""\begin{tabular}{lcccc}
\toprule
Class & Precision & Sensitivity & F1-Score & Support \\ \midrule
a & 0.42 & 0.85 & \textbf{0.57} & 33 \\
b & 0.59 & $0.82$ & 0.69 & 51 \\
Accuracy & & & 0.80 & 84 \\
Macro Avg & 0.51 & 0.84 & 0.63 & 84 \\
\bottomrule
\end{tabular}
"""


@pytest.mark.parametrize(
    "text", [MARKDOWN, CSV, LATEX, CSV.replace(",", ";"), CSV.replace(",", "\t")]
)
def test_every_markup_reads_the_same(text: str) -> None:
    draft = read_draft(read_printed_table(text, "t"), "t")
    assert draft.classes == ["a", "b"]
    assert draft.support == {"a": 33, "b": 51}
    assert draft.n == 84
    assert set(draft.figures) == {
        ("model", "precision", "a", "0.42"), ("model", "precision", "b", "0.59"),
        ("model", "recall", "a", "0.85"), ("model", "recall", "b", "0.82"),
        ("model", "f1", "a", "0.57"), ("model", "f1", "b", "0.69"),
        ("model", "accuracy", "", "0.80"), ("model", "macro_precision", "", "0.51"),
        ("model", "macro_recall", "", "0.84"), ("model", "macro_f1", "", "0.63"),
    }  # fmt: skip


def test_it_reads_what_scikit_learn_prints() -> None:
    truth = np.repeat([0, 1, 2], [10, 20, 30])
    answers = np.concatenate([truth[5:], truth[:5]])
    text = classification_report(truth, answers, target_names=["actinic keratosis", "b", "c"])
    draft = read_draft(read_printed_table(text, "t"), "t")
    assert draft.classes == ["actinic keratosis", "b", "c"]
    assert draft.support == {"actinic keratosis": 10, "b": 20, "c": 30}
    assert {m for _, m, c, _ in draft.figures if not c} >= {"accuracy", "macro_f1", "weighted_f1"}


def test_percentages_are_understood_and_said() -> None:
    models = "Model,Accuracy,Macro F1,Params (M)\nours,87.6,61.0,4.2\ntheirs,85.25,60,11\n"
    draft = read_draft(read_printed_table(models, "t"), "t")
    assert ("ours", "accuracy", "", "0.876") in draft.figures
    assert ("theirs", "accuracy", "", "0.8525") in draft.figures
    assert any("'Accuracy' is read as percentages" in h for h in draft.hints)
    assert any("'Params (M)' is not a metric" in h for h in draft.hints)
    signed = read_draft(read_printed_table("Model,Accuracy (%)\nours,0.5\ntheirs,87\n", "t"), "t")
    assert ("ours", "accuracy", "", "0.005") in signed.figures


def test_a_mean_is_read_without_its_spread_and_metrics_in_rows_are_turned() -> None:
    text = "Metric,ours,theirs\nAccuracy,0.87 ± 0.02,85.0%\nBalanced accuracy,0.71,0.65\n"
    draft = read_draft(read_printed_table(text, "t"), "t")
    assert set(draft.figures) == {
        ("ours", "accuracy", "", "0.87"), ("theirs", "accuracy", "", "0.850"),
        ("ours", "balanced_accuracy", "", "0.71"), ("theirs", "balanced_accuracy", "", "0.65"),
    }  # fmt: skip


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("Model,Accuracy\nours,87.6\ntheirs,0.85\n", "mixes fractions .theirs. and percentages"),
        ("Model,Accurcy,Kappa\nours,0.8,0.7\n", "column 'Accurcy' is not a metric — did you mean acc"),
        ("Model,Accuracy\nours,good\n", "'good' is not a number"),
        ("Model,Accuracy\nours,\"0,87\"\n", "write a decimal point"),
        ("Model,Accuracy\nours,870\n", "neither a fraction nor a percentage"),
        ("Class,Recall,Support\na,0.5,many\n", "'many' is not a count"),
        ("Class,Recall,Support\na,0.5,3\na,0.6,4\n", "stands twice"),
        ("Model,Accuracy\nours,0.8,0.9\n", "row 2 of the table has 3 cells"),
        ("Name,Colour\nours,red\n", "does the table have a row per class"),
        ("", "is empty"),
        ("just a line\n", "no table was found"),
    ],
)  # fmt: skip
def test_what_it_cannot_read_is_refused_by_name(text: str, said: str) -> None:
    with pytest.raises(DataError, match=said):
        read_draft(read_printed_table(text, "t"), "t")


def test_an_average_that_is_not_named_is_asked_for() -> None:
    table = read_printed_table("Model,Accuracy,F1\nours,0.8,0.7\n", "t")
    with pytest.raises(NeedsOption, match="--average macro"):
        read_draft(table, "t")
    assert ("ours", "weighted_f1", "", "0.7") in read_draft(table, "t", average="weighted").figures


@pytest.mark.parametrize("text", [None, MARKDOWN])
def test_the_file_loads_as_it_is_written(tmp_path: Path, text: str | None) -> None:
    table = None
    if text is not None:
        table = tmp_path / "t.md"
        table.write_text(text)
    write_draft(tmp_path / "my_paper.toml", table)
    reference = load_reference(str(tmp_path / "my_paper.toml"))
    assert reference.name == "my_paper"
    assert len(reference.figures) == (2 if text is None else 10)
    with pytest.raises(ConfigError, match="cannot be a reference's name"):
        write_draft(tmp_path / "my paper.toml", None)


def test_odd_names_are_quoted(tmp_path: Path) -> None:
    text = 'Class,Recall,Support\n"say ""hi""",0.5,4\n<b>é,0.25,8\n'
    draft = read_draft(read_printed_table(text, "t"), "t")
    (tmp_path / "x.toml").write_text(as_reference("x", draft), encoding="utf-8")
    assert load_reference(str(tmp_path / "x.toml")).classes == ['say "hi"', "<b>é"]


def test_the_command_writes_reads_and_audits(milkreport: Command, tmp_path: Path) -> None:
    (tmp_path / "t.md").write_text(MARKDOWN)
    done = milkreport("audit", "new", "mine.toml", "--table", "t.md")
    assert done.returncode == 0, done.stderr
    assert "read 10 numbers" in done.stderr
    for words, code, said in (
        (("new",), 2, "new needs the file to write"),
        (("new", "x.toml", "--table", "gone.md"), 3, "gone.md"),
        (("new", "x.toml", "--rows", "lines", "--table", "t.md"), 2, "--rows lines"),
        (("paper", "x.toml"), 2, "belong to new"),
        ((), 2, "name one reference"),
        (("paper", "--all"), 2, "name one reference"),
    ):
        done = milkreport("audit", *words)
        assert (done.returncode, said in done.stderr) == (code, True), done.stderr


GROUPED = r"""\begin{tabular}{lcc}
 & \multicolumn{2}{c}{Test} \\ \cmidrule(lr){2-3}
Model & Accuracy & Macro F1 \\
A & 87.6\% & 61.2\% \\
\multicolumn{3}{l}{Ours} \\
B & 80.1\% & 55.0\% \\
\end{tabular}
"""


def test_groups_of_columns_are_left_out_and_spans_fill_their_columns() -> None:
    draft = read_draft(read_printed_table(GROUPED, "t"), "t")
    assert [f[0] + f[3] for f in draft.figures if f[1] == "accuracy"] == ["A0.876", "B0.801"]
    twice = GROUPED.replace("Macro F1", "Accuracy")
    with pytest.raises(DataError, match="accuracy of A stands twice"):
        read_draft(read_printed_table(twice, "t"), "t")


def test_a_metric_in_a_row_of_its_own_is_no_class() -> None:
    draft = read_draft(read_printed_table(CSV + "AUC,0.9,,,\n", "t"), "t")
    assert draft.classes == ["a", "b"]
    assert any("'AUC' is a metric" in hint for hint in draft.hints)


def test_what_is_not_finite_is_no_number() -> None:
    with pytest.raises(DataError, match="'nan' is not a number"):
        read_draft(read_printed_table("Model,Accuracy\nA,nan\n", "t"), "t")
