"""The mistakes gallery: the most confident errors of each arm."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from milkreport.evaluation.records.results import Results
from milkreport.reporting.blocks import Fact
from milkreport.reporting.cases import opens
from milkreport.reporting.sections.arms import is_classical
from milkreport.reporting.wording.text import decimal, listing, percent, shorten, signed
from milkreport.reporting.wording.titles import arm_title
from milkreport.runs.gallery_record import Gallery, Mistake, Shown
from milkreport.suite.models import sees_images
from milkreport.suite.suite import Suite

NO_IMAGES = "This arm reads no images, so none are shown."


@dataclass(frozen=True)
class Picture:
    """A thumbnail as a ``data:`` address, what it shows, and its caption."""

    address: str
    alternative: str
    caption: str


@dataclass(frozen=True)
class MistakeView:
    """One mistake. ``opens``: the case in the page's list of cases."""

    key: str
    title: str
    opens: str
    pictures: tuple[Picture, ...]
    facts: tuple[Fact, ...]


@dataclass(frozen=True)
class ArmMistakes:
    """Those of one arm. ``note``: what its model did not see."""

    title: str
    note: str
    mistakes: tuple[MistakeView, ...]


@dataclass(frozen=True)
class GalleryView:
    """All of them, with how to read them and whose images they are."""

    texts: tuple[str, ...]
    arms: tuple[ArmMistakes, ...]
    credit: str

    @property
    def has_pictures(self) -> bool:
        """Whether any image is shown."""
        return any(m.pictures for arm in self.arms for m in arm.mistakes)


def build_gallery(
    results: Results, gallery: Gallery, images: Mapping[str, bytes], suite: Suite | None = None
) -> GalleryView | None:
    """The gallery's view; ``None`` where it holds nothing.

    Args:
        images: file name to JPEG bytes; a missing file is left out.
        suite: says which arms read no images, of which none are shown.
    """
    arms, shown = [], []
    blind = _blind(suite)
    for arm in dict.fromkeys(m.arm for m in gallery.mistakes):
        mine = [m for m in gallery.mistakes if m.arm == arm]
        if arm in blind:
            mine = [m.model_copy(update={"images": []}) for m in mine]
        shown += mine
        views = tuple(_mistake(m, images) for m in mine)
        note = "" if any(m.images for m in mine) else NO_IMAGES
        arms.append(ArmMistakes(arm_title(results, arm), note, views))
    if not arms:
        return None
    units = results.data.units
    text = (
        f"For each arm, its wrong answers with the highest probability, on test {units}. They show which "
        f"{units} the arm confuses, and sometimes a doubtful label; they are not a random sample of its "
        "errors."
    )
    view = GalleryView((text, *_how_to_read(results, gallery, shown, images)), tuple(arms), "")
    if not view.has_pictures:
        return view
    credit = " ".join(
        part
        for part in (f"Images: {results.data.attribution}.", f"Licence: {results.data.licence}.")
        if "not stated" not in part
    )
    return replace(view, credit=shorten(credit.replace("..", "."), 600))


def _blind(suite: Suite | None) -> set[str]:
    """Arms whose model reads no images."""
    if suite is None:
        return set()
    return {a.name for a in suite.arms if not sees_images(suite.model_of(a), a.inputs.images)}


def _how_to_read(
    results: Results, gallery: Gallery, shown: Sequence[Mistake], images: Mapping[str, bytes]
) -> tuple[str, ...]:
    """What heat and columns mean, as far as they are shown."""
    heat = any(i.heat in images for m in shown for i in m.images)
    columns = any(m.attributions for m in shown)
    texts = []
    if heat:
        texts.append(
            "Blue: regions that raised the score of the wrong answer (Grad-CAM at the last convolution)."
        )
    if columns:
        texts.append(
            "Columns: how much each adds to the log probability of the answer, compared with an average case "
            "(integrated gradients)."
        )
    if texts:
        who = "Both show" if len(texts) == 2 else "This shows"
        texts.append(f"{who} what the network used, not what is correct, and can mislead.")
        return (" ".join(texts),)
    networks = {arm.name for arm in results.arms if not is_classical(arm)}
    if not gallery.explained and any(m.arm in networks for m in shown):
        return ("Install milkreport[explain] to see explanations here.",)
    return ()


def _mistake(mistake: Mistake, images: Mapping[str, bytes]) -> MistakeView:
    taken, true = shorten(mistake.predicted, 24), shorten(mistake.label, 24)
    pictures = [
        picture for shown in mistake.images for picture in _pictures(mistake, shown, images)
    ]
    likely = ", ".join(
        f"{shorten(c, 20)} {percent(p, 1)}" for c, p in mistake.probabilities.items()
    )
    known = ", ".join(
        f"{shorten(name.replace('_', ' '), 30)} {shorten(value, 40)}"
        for name, value in mistake.metadata.items()
    )
    trained = f"seed {mistake.seed}, fold {mistake.fold}"
    facts = [Fact("Probabilities", f"{likely} ({trained})")]
    facts += [Fact("Known", known)] if known else []
    facts += [Fact("Columns", _added(mistake.attributions))] if mistake.attributions else []
    title = f"{true} taken for {taken}, {decimal(mistake.probability, 2)}: {shorten(mistake.case_id, 40)}"
    return MistakeView(
        f"mistake-{mistake.arm}-{mistake.rank}",
        title,
        opens(id=mistake.case_id),
        tuple(pictures),
        tuple(facts),
    )


def _added(attributions: Mapping[str, float]) -> str:
    """What each column adds; a network that is sure whatever they say leaves nothing that two digits show."""
    told, small = [], []
    for name, value in attributions.items():
        words, text = shorten(name.replace("_", " "), 36), signed(value, 2)
        if text == decimal(0, 2):
            small.append(words)
        else:
            told.append(f"{words} {text}")
    if small:
        told.append(f"{listing(small)} less than 0.01{' each' if len(small) > 1 else ''}")
    return ", ".join(told)


def _pictures(mistake: Mistake, shown: Shown, images: Mapping[str, bytes]) -> list[Picture]:
    found = []
    for file, caption in (
        (shown.file, shown.view),
        (shown.heat, f"{shown.view}, regions that raised the score"),
    ):
        if file in images:
            address = f"data:image/jpeg;base64,{base64.b64encode(images[file]).decode()}"
            alternative = f"{caption}: case {shorten(mistake.case_id, 30)}, {mistake.label}"
            found.append(Picture(address, alternative, shorten(caption, 40)))
    return found
