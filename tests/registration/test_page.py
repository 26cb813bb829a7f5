"""What the report says of registrations, deviations, time stamps and the ledger."""

from __future__ import annotations

from typing import Any

import pytest

from milkreport.evaluation.records.adherence import (
    Adherence,
    Deviation,
    LedgerCount,
    Registered,
    Stamp,
)
from milkreport.evaluation.records.results import Results
from milkreport.reporting.html import render_html
from milkreport.reporting.registration import (
    build_registration,
    count_shown,
    registered_sentence,
)
from milkreport.reporting.view import build_view
from tests.report_samples import sample_manifest, sample_results, sample_suite

STARTED = "2026-11-28T03:00:00Z"


def registered(results: Results, **changes: Any) -> Registered:
    values: dict[str, Any] = {
        "hash": "ab" * 32,
        "created": "2026-11-28T01:02:03Z",
        "milkreport": "0.1.1",
        "arms": [arm.name for arm in results.arms],
        "seeds": sorted({cell.seed for arm in results.arms for cell in arm.cells}),
        "folds": 1 + max(cell.fold for arm in results.arms for cell in arm.cells),
        "n_cases": 100,
        "trainings_before": 0,
        "other_settings_before": 0,
        "difference": 0.02,
        "power": 0.8,
    }
    return Registered(**(values | changes))


def results_with(ledger: dict[str, Any] | None = None, **changes: Any) -> Results:
    results = sample_results()
    counted = LedgerCount(**({"kept": True, "before": 0} | (ledger or {})))
    values: dict[str, Any] = {"registration": registered(results), "ledger": counted}
    adherence = Adherence(run_id="r", **(values | changes))
    return results.model_copy(update={"adherence": adherence})


def test_a_run_that_kept_to_its_registration() -> None:
    results = results_with()
    known = results.adherence.registration  # type: ignore[union-attr]
    shown, planned = count_shown(results, known)  # type: ignore[arg-type]
    done = sum(c.status == "complete" for arm in results.arms for c in arm.cells)
    assert shown == done <= planned
    assert registered_sentence(results, STARTED) == (
        "Yes, on 28 November 2026, 01:02 UTC, by milkreport 0.1.1; hash abababababababab. "
        f"{shown} of {planned} registered trainings shown; 0 restarts. No deviation."
    )


def test_trainings_that_were_not_registered_do_not_count_as_shown() -> None:
    results = sample_results()
    all_of_them = registered(results)
    one_arm = registered(results, arms=all_of_them.arms[:1])
    other_seed = registered(results, seeds=[999])
    assert count_shown(results, one_arm)[0] == sum(
        cell.status == "complete" for cell in results.arms[0].cells
    )
    assert count_shown(results, other_seed) == (0, len(all_of_them.arms) * all_of_them.folds)


SAID = {
    "restarts": ({"restarts": 2}, "2 restarts."),
    "one restart": ({"restarts": 1}, "1 restart."),
    "not shown": (
        {"not_shown": 9},
        "In the ledger: 9 trainings of this data and suite not shown.",
    ),
    "other settings": ({"other_settings": 1}, "1 training of this data with other settings."),
    "reused": ({"reused": 2}, "2 taken over from other runs."),
    "before": ({"before": 10}, "Before registration: 10 trainings of this data and suite."),
    "elsewhere": ({"before": None}, "The ledger has no entry of this registration."),
    "broken": (
        {"problem": "line 7: changed since it was written"},
        "The ledger of trainings cannot be trusted: line 7: changed since it was written.",
    ),
    "not kept": ({"kept": False}, "The ledger was not kept throughout"),
}


@pytest.mark.parametrize("what", SAID)
def test_what_the_ledger_has_is_said(what: str) -> None:
    ledger, sentence = SAID[what]
    assert sentence in registered_sentence(results_with(ledger))
    assert sentence not in registered_sentence(results_with())  # negative control


def test_a_broken_ledger_counts_nothing() -> None:
    said = registered_sentence(results_with({"problem": "line 1: not JSON", "not_shown": 5}))
    assert "restart" not in said
    assert "5" not in said.partition("trusted")[2]


def test_runs_without_a_registration_and_evaluations() -> None:
    assert registered_sentence(results_with(registration=None)) == ""
    others = results_with({"not_shown": 3}, registration=None)
    assert registered_sentence(others) == (
        "No. In the ledger: 3 trainings of this data and suite not shown."
    )
    older = sample_results()
    manifest = sample_manifest()
    assert build_view(older, manifest, sample_suite(), None).summary.registered == ""
    page = render_html(build_view(older, manifest, sample_suite(), None))
    assert "<span>not registered</span>" in page
    view = build_view(older, manifest, None, None)
    assert view.summary.registered == ""
    assert view.registration is None
    page = render_html(view)
    assert "<dt>Registered</dt>" not in page
    assert "not registered" not in page
    assert "none of its own" in page
    unfinished = results_with(ledger=None, registration=None)
    bare = unfinished.adherence.model_copy(update={"ledger": None})  # type: ignore[union-attr]
    said = registered_sentence(unfinished.model_copy(update={"adherence": bare}))
    assert said == "No. The ledger was not counted: the run did not come to its end."


STAMPS = {
    "verified": (
        Stamp(kind="rfc3161", time="2026-11-28T02:00:00Z", verified=True, identity="/CN=A"),
        "Time-stamped 28 November 2026, 02:00 UTC (RFC 3161, signature verified).",
    ),
    "not verified": (
        Stamp(kind="rfc3161", time="2026-11-28T02:00:00Z", verified=False, identity=""),
        "(RFC 3161, signature not verified).",
    ),
    "late": (
        Stamp(kind="rfc3161", time="2026-11-28T04:00:00Z", verified=True, identity=""),
        "04:00 UTC, after the run started (RFC 3161",
    ),
    "git": (
        Stamp(kind="git", time="2026-11-28T02:00:00Z", verified=False, identity="c" * 40),
        "In a git commit of 28 November 2026, 02:00 UTC (the committer's word).",
    ),
}


@pytest.mark.parametrize("what", STAMPS)
def test_what_dates_it_is_said_with_its_reach(what: str) -> None:
    stamp, sentence = STAMPS[what]
    said = registered_sentence(results_with(stamp=stamp), STARTED)
    assert sentence in said
    assert ("after the run started" in said) == (what == "late")


@pytest.mark.parametrize(
    "changes",
    [{"hash": "<b>"}, {"hash": "AB" * 32}, {"created": "yesterday " * 99}, {"seeds": "all"}],
)
def test_a_record_that_holds_anything_else_is_not_read(changes: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="validation error"):
        registered(sample_results(), **changes)


def test_deviations_stand_in_a_table_and_their_text_is_no_markup() -> None:
    hostile = "<script>alert(1)</script> \u202e/home/somebody/secret.csv"
    one = Deviation(
        key="seeds", registered="[0, 1]", now="[0]", reason=hostile, recorded="2026-11-28T05:00:00Z"
    )
    results = results_with(deviations=[one] * 70)
    assert "70 deviations." in registered_sentence(results)
    found = build_registration(results)
    assert found is not None
    assert found.deviations is not None
    assert "The first 60 of 70" in found.deviations.caption
    page = render_html(build_view(results, sample_manifest(), sample_suite(), None))
    assert "Deviations from the registration." in page
    assert "<script>alert(1)" not in page
    assert "/home/somebody" not in page
    assert "\u202e" not in page
    assert "ab" * 32 in page
