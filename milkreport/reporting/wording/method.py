"""How the arms were compared, in words: chosen by seeds, groups, metric and margin of the comparison."""

from __future__ import annotations

from milkreport.evaluation.compare import ALPHA, is_permuted, most_permutations
from milkreport.evaluation.metrics.definitions import HEADLINE
from milkreport.evaluation.records.results import SEEDS_TO_RANK, Comparison, Results
from milkreport.reporting.wording.intervals import interval_methods
from milkreport.reporting.wording.pairs import trained
from milkreport.reporting.wording.text import mid_sentence, numeral, whole
from milkreport.reporting.wording.titles import primary_pairs


def method_texts(results: Results, comparison: Comparison) -> tuple[str, ...]:
    """Pairing, intervals, tests, and what each finding means; a paragraph each."""
    units = results.data.units if comparison.n_groups is None else "groups"
    drawn = f"{whole(comparison.resamples)} bootstrap resamples of the {units} as they come"
    text = [
        f"Differences are paired over the same {whole(comparison.n_cases)} {comparison.part} "
        f"{results.data.units}{_grouped(results, comparison)}. Intervals come from {drawn}, so that the "
        f"class mix varies too. {_test(results, comparison, units)} Holm's correction is over the pairs. "
        "Detectable: the difference that a test of this pair alone finds with 80% power.",
        *([] if results.data.synthetic else [_findings(results)]),
    ]
    if own := interval_methods(HEADLINE):
        text.append(f"Of single arms, {mid_sentence(own)}")
    if comparison.n_folds > 1:
        text.append(
            f"Predictions are pooled out of fold over {numeral(comparison.n_folds)} folds: the "
            "intervals describe these predictions, not a newly drawn training set."
        )
    if comparison.n_seeds < SEEDS_TO_RANK:
        text.append(
            f"With one training seed per arm, the table applies to {trained(comparison)} only; methods are "
            "not ranked. Another training can differ by more than the intervals."
        )
    return tuple(text)


def _test(results: Results, comparison: Comparison, units: str) -> str:
    """Where p comes from."""
    if comparison.n_seeds >= SEEDS_TO_RANK:
        return (
            "Training seeds are readers of the same cases (Obuchowski and Rockette, 1995; degrees of freedom "
            f"by Hillis, 2007): intervals and p include both new {units} and new training seeds."
        )
    if not is_permuted(results.primary_metric, comparison.n_seeds):
        return "p: two-sided, Student's t of the difference over its standard error."
    least = 1 / (most_permutations(comparison.resamples, len(primary_pairs(results))) + 1)
    return (
        f"p: two-sided test that exchanges the two models' answers to the same {units} at random; the "
        f"smallest possible p is {least:.2g}."
    )


def _findings(results: Results) -> str:
    """What the words of the last column mean."""
    margin, equal = results.margin, "this is no evidence that the arms are equal"
    text = (
        f"Better or worse: the 95% interval excludes 0 and the Holm-adjusted p is below {ALPHA:g}. "
    )
    if margin is None:
        return f"{text}Undecided: otherwise; {equal}, which needs a margin (--margin, or that of the suite)."
    return (
        f"{text}Equivalent: the 90% interval lies within ±{margin:g}, the margin declared beforehand "
        f"(two one-sided tests at 5%). Not worse: the 95% interval excludes a loss of {margin:g}. "
        f"Undecided: none of these; {equal}."
    )


def _grouped(results: Results, comparison: Comparison) -> str:
    if comparison.n_groups is None:
        return ""
    return f" of {whole(comparison.n_groups)} groups, which are drawn whole"
