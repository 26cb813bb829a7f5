"""The sentences about the data: each follows from the record by a fixed rule."""

from __future__ import annotations

from collections.abc import Sequence

from milkreport.evaluation.records.data import DataSummary, DuplicateSummary, SplitProof
from milkreport.reporting.blocks import Badge
from milkreport.reporting.wording.text import (
    decimal,
    listing,
    numeral,
    sentence,
    shorten,
    shorten_apart,
    whole,
    without_paths,
)
from milkreport.tables import plural

MOST_KINDS = 10  # of problems that are named
#: Of fewer cases a test part of a fifth holds fewer than ten, which reports mark as too few to judge a class.
FEW_CASES = 50
_MOST_SMALL = 12  # of small classes that are named


def tidy(data: DataSummary) -> DataSummary:
    """The record with the data's own noun short enough for a sentence."""
    words = {"unit": shorten(data.unit, 24), "units": shorten(data.units, 24)}
    return data.model_copy(update=words)


def is_labelled(data: DataSummary) -> bool:
    """Whether any case has a label."""
    return any(data.class_counts.values())


def data_sentence(data: DataSummary, classes: Sequence[str]) -> str:
    """What the data was, in one or two sentences."""
    counts = {name: data.class_counts.get(name, 0) for name in classes}
    views = ""
    if data.n_images:
        names = listing(shorten(v, 30) for v in data.views)
        kinds = f" ({names})" if names else ""
        views = f" with {plural(data.n_images, 'image', 'images')}{kinds}"
    used = plural(data.n_used, data.unit, data.units)
    if data.n_used < data.n_found:
        used = f"{whole(data.n_used)} of {plural(data.n_found, data.unit, data.units)}"
    text = f"{shorten(data.name, 80)}: {used}{views}"
    if not is_labelled(data):
        return f"{text}, without labels."
    text += f" in {plural(len(classes), 'class', 'classes')}"
    present = {name: n for name, n in counts.items() if n > 0}
    if len(present) > 1 and len(set(present.values())) == 1:
        text += f", {whole(next(iter(present.values())))} in each"
    elif len(present) > 1:
        most, least = max(present, key=present.__getitem__), min(present, key=present.__getitem__)
        ratio = present[most] / present[least]
        said = whole(round(ratio)) if ratio >= 100 else decimal(ratio, 1)
        codes = shorten_apart([most, least], 24)
        largest, smallest = (
            _with_title(data, name, code) for name, code in zip((most, least), codes, strict=True)
        )
        text += (
            f". The largest class, {largest}, has {whole(present[most])}, the smallest, {smallest}, has "
            f"{whole(present[least])} ({said} to 1)"
        )
    text += "."
    if len(counts) > len(present):
        text += (
            f" {plural(len(counts) - len(present), 'class has', 'classes have')} no {data.unit}."
        )
    return text


def _with_title(data: DataSummary, name: str, code: str) -> str:
    """The class by its code, with what it stands for where the data says so."""
    title = data.class_titles.get(name, "")
    return f"{code} ({shorten(title, 48)})" if title and title != name else code


def small_classes_sentence(data: DataSummary, classes: Sequence[str]) -> str:
    """Which classes have too few cases to be judged by a test part of a fifth; empty if none."""
    small = {name: n for name in classes if 0 < (n := data.class_counts.get(name, 0)) < FEW_CASES}
    if not small:
        return ""
    ordered = sorted(small, key=small.__getitem__)
    shown = shorten_apart(ordered[:_MOST_SMALL], 24)
    named = [f"{name} {whole(small[key])}" for name, key in zip(shown, ordered, strict=False)]
    if more := len(ordered) - len(shown):
        named.append(f"{numeral(more)} more")
    have = plural(len(small), "class has", "classes have")
    return (
        f"{have} fewer than {whole(FEW_CASES)} {data.units} ({listing(named)}): a test part of a fifth holds "
        "fewer than ten of such a class, too few to judge it. Pooled folds (run-all cv5) test every "
        f"{data.unit} once."
    )


def cleaning_rule(data: DataSummary) -> str:
    """What became of incomplete cases."""
    return {
        "paper": f"Every {data.unit} with a missing value or view is removed.",
        "strict": f"No {data.unit} may be incomplete.",
        "impute": (
            f"Missing values are filled from the training part; every {data.unit} without all "
            "views is removed."
        ),
    }.get(data.cleaning, sentence(shorten(data.cleaning, 160)))


def bad_image_rule(data: DataSummary) -> str:
    """What became of files that cannot be decoded."""
    return {
        "error": "One file that cannot be decoded stops the run before anything is trained.",
        "skip": f"Every {data.unit} with a file that cannot be decoded is removed.",
    }.get(data.on_bad_image, sentence(shorten(data.on_bad_image, 160)))


def decoder_rule(data: DataSummary) -> str:
    """How files became pixels."""
    return {
        "exact": "exact: decoded whole, then resized",
        "fast": "fast: JPEGs are decoded at a reduced scale where enough pixels remain",
    }.get(data.decoder, shorten(data.decoder, 160))


def duplicate_sentences(data: DataSummary, found: DuplicateSummary) -> tuple[str, ...]:
    """Which images stand under several cases, what was done about it, and what this cannot find."""
    one, many = data.unit, data.units
    limit = (
        f"Another photograph of the same {one}, or of the same patient, is not found by comparing "
        "images."
    )
    if not found.identical + found.near:
        said = f"0 images stand under two {many}: no two are identical, no two look alike."
        return said, limit
    links = plural(found.identical, "link", "links")
    said = (
        f"Between different {many} there are {links} by identical images and {whole(found.near)} "
        "by images that look alike (n equal images make n − 1 links)."
    )
    if not found.groups:
        kept = f"None of these {many} are kept together: they may stand in different parts."
    elif found.groups == 1:
        kept = f"They make 1 group of {plural(found.largest, one, many)}, which stays in one part."
    else:
        kept = (
            f"They make {whole(found.groups)} groups, the largest of "
            f"{plural(found.largest, one, many)}; each stays in one part of every split."
        )
    return f"{said} {kept}", limit


def proof_badge(data: DataSummary, proof: SplitProof) -> Badge:
    """Whether parts share anything, as it was counted from the written files."""
    shared = listing(
        (
            plural(proof.shared_cases, data.unit, data.units),
            plural(proof.shared_groups, "group", "groups"),
            plural(proof.shared_images, "image", "images"),
        )
    )
    folds = plural(proof.folds, "fold", "folds")
    note = (
        f"Counted again from the written files, {plural(proof.groups, 'group', 'groups')}; "
        f"splits.csv, SHA-256 {shorten(proof.splits_sha256, 64)}"
    )
    if not proof.comparisons:
        text = f"In {folds} there are no two parts to compare."
        return Badge("○", "NOT COMPARED", "none", text, note)
    compared = plural(proof.comparisons, "comparison of parts", "comparisons of parts")
    text = f"In {folds}, {compared}: {shared} stand in two parts."
    if proof.shared_cases or proof.shared_groups or proof.shared_images:
        return Badge("✗", "PARTS SHARE DATA", "fail", text, note)
    return Badge("✓", "NOTHING SHARED", "pass", text, note)


def problem_badge(data: DataSummary, problems: Sequence[tuple[str, int]]) -> Badge:
    """The verdict over the data: sound, or which kinds of problems, and how many of each."""
    if not problems:
        images = plural(data.n_images, "image", "images")
        looked = (
            "every row was read and every image decoded: no problem in "
            f"{plural(data.n_used, data.unit, data.units)} with {images}"
        )
        return Badge("✓", "SOUND", "pass", looked)
    named = [f"{shorten(without_paths(kind), 40)} {whole(n)}" for kind, n in problems[:MOST_KINDS]]
    if len(problems) > MOST_KINDS:
        named.append(f"{numeral(len(problems) - MOST_KINDS)} more")
    kinds = plural(len(problems), "kind of problem", "kinds of problems")
    return Badge("✗", f"{kinds}:", "fail", f"{listing(named)}.")
