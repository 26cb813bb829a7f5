"""Graded corruptions of images, by name: what they are called and how strong each severity is.

Brightness, contrast, defocus blur, Gaussian noise, JPEG and resolution have the strengths that MedMNIST-C
gives one of its sets (Di Salvo, Doerrich and Ledig, 2024, arXiv:2406.17536; DermaMNIST in
``medmnistc/corruptions/registry.py`` of francescodisalvo05/medmnistc-api). It has no hair and no gel; those
strengths are this project's own. :mod:`milkreport.data.corruptions` says what each does to pixels.
"""

from __future__ import annotations

from dataclasses import dataclass

from milkreport.errors import ConfigError, did_you_mean

#: Severity 0 is the image as it is.
SEVERITIES = (1, 2, 3, 4, 5)
#: The severity at which arms are compared in a table.
TABLE_SEVERITY = 3
ALL = "all"


@dataclass(frozen=True)
class Corruption:
    """One way to corrupt an image.

    ``group``: what a user may name several by. ``title``: in a report. ``strengths``: one a severity, from 1
    to 5. ``words``: what a strength is, with a place for it.
    """

    name: str
    group: str
    title: str
    words: str
    strengths: tuple[float, ...]

    def said(self, severity: int) -> str:
        """The strength of a severity from 1 on, in words."""
        return self.words.format(self.strengths[SEVERITIES.index(severity)])


CORRUPTIONS = {
    c.name: c
    for c in (
        Corruption("brightness_up", "brightness", "Brighter", "factor {:g}", (1.1, 1.2, 1.3, 1.4, 1.5)),
        Corruption("brightness_down", "brightness", "Darker", "factor {:g}", (0.9, 0.8, 0.7, 0.6, 0.5)),
        Corruption("contrast_up", "contrast", "More contrast", "factor {:g}", (1.1, 1.2, 1.3, 1.4, 1.6)),
        Corruption("contrast_down", "contrast", "Less contrast", "factor {:g}", (0.8, 0.7, 0.6, 0.5, 0.4)),
        Corruption("defocus_blur", "blur", "Defocus blur", "radius {:g} of 224 px", (4, 5, 6, 7, 8)),
        Corruption(
            *("gaussian_noise", "noise", "Gaussian noise", "SD {:g} of white"),
            (0.04, 0.08, 0.12, 0.18, 0.26),
        ),
        Corruption("jpeg", "jpeg", "JPEG", "quality {:g}", (30, 20, 15, 10, 7)),
        Corruption("resolution", "resolution", "Resolution", "side times {:g}", (0.7, 0.5, 0.4, 0.3, 0.25)),
        Corruption("hair", "hair", "Hair", "{:g} hairs", (4, 8, 16, 24, 36)),
        Corruption("gel", "gel", "Gel bubbles", "{:g} bubbles", (5, 10, 15, 25, 40)),
    )
}  # fmt: skip
GROUPS = tuple(dict.fromkeys(c.group for c in CORRUPTIONS.values()))


def parse_corruptions(text: str) -> tuple[str, ...]:
    """The corruptions that an option names, in the order of :data:`CORRUPTIONS`; none of an empty text.

    Args:
        text: ``all``, or names or groups between commas: ``blur,noise``.

    Raises:
        ConfigError: an unknown word.
    """
    wanted = set()
    for word in filter(None, (part.strip().lower() for part in text.split(","))):
        found = {c.name for c in CORRUPTIONS.values() if word in (ALL, c.name, c.group)}
        if not found:
            known = [*GROUPS, *CORRUPTIONS, ALL]
            do = did_you_mean(word, known) or f"give {ALL}, or some of: {', '.join(GROUPS)}"
            raise ConfigError(f"--robustness: unknown corruption {word!r}", do)
        wanted |= found
    if text and not wanted:
        raise ConfigError(
            f"--robustness {text!r} names nothing", f"give {ALL}, or some of: {', '.join(GROUPS)}"
        )
    return tuple(name for name in CORRUPTIONS if name in wanted)
