"""Draws a synthetic skin lesion twice: as a clinical close-up and as a dermoscopic image.

A lesion is a set of *traits* (amounts of pigment, blood, scale, ... and a shape). The painter turns
them into density maps on the skin, absorbs light in them (Beer-Lambert), lays scale and crust on
top and photographs the result: wide and warm from a distance, or close through a dermatoscope.
Both views read the same maps at the same places, so they show the same lesion.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from milkreport.data.synthetic.canvas import (
    Array,
    Scene,
    Strokes,
    View,
    bend_view,
    cell_repeat,
    make_view,
    over,
    photograph,
    smoothstep,
    texture,
)

# Near the median border colour of the real images, by skin tone 0 (very dark) to 5 (very light).
_CLINICAL_SKIN = np.array(
    [
        [119, 75, 53],
        [140, 95, 74],
        [160, 121, 94],
        [173, 125, 100],
        [184, 143, 119],
        [201, 163, 145],
    ]
)
_DERMOSCOPIC_SKIN = np.array(
    [
        [121, 87, 79],
        [160, 124, 122],
        [180, 154, 156],
        [180, 149, 146],
        [184, 156, 156],
        [188, 160, 162],
    ]
)
# How strongly one unit of a substance absorbs red, green and blue.
_MELANIN = np.array([0.50, 0.82, 1.02])
_BLOOD = np.array([0.12, 0.74, 0.56])
_DEEP = np.array([1.05, 0.85, 0.50])  # melanin deep in the skin looks blue
# Opaque layers.
_VEIL, _SCALE = np.array([0.56, 0.60, 0.70]), np.array([0.90, 0.86, 0.82])
_KERATIN, _CRUST = np.array([0.84, 0.70, 0.42]), np.array([0.30, 0.11, 0.08])
_WHITE = np.array([1.0, 1.0, 1.0])


@dataclass(frozen=True)
class Lesion:
    """What the painter needs to know of one lesion.

    Attributes:
        traits: amount of each drawing trait (see ``looks`` in the profile); an absent one is 0,
            but radius (units), elong (length over width), wobble and soft must be there.
        tone: skin tone class, 0 (very dark) to 5 (very light).
        age: years; older skin is more mottled, its hair greyer.
        signs: standard scores of ``hair``, ``gel`` and ``ink``, each (clinical, dermoscopic).
    """

    traits: Mapping[str, float]
    tone: int
    age: float
    signs: Mapping[str, tuple[float, float]]


@dataclass(frozen=True)
class _Maps:
    """A lesion's shape in one view: how far inside (0 to 1), scaled radius, and height."""

    inside: Array
    radius: Array
    height: Array


def draw_pair(
    lesion: Lesion, size: int, rng: np.random.Generator
) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Draws the clinical and the dermoscopic image of a lesion, each ``size`` x ``size`` x 3.

    All chance comes from ``rng``; the lesion says what is drawn, the generator where.
    """
    n = size if size >= 160 else size * 3 // 2  # small images are drawn larger and reduced
    places = rng.uniform(0, 1, (24, 2))
    shape_seed = int(rng.integers(2**32))
    turn, far = float(rng.uniform(-0.3, 0.3)), float(np.clip(rng.normal(2.5, 0.5), 1.6, 4.0))
    near = float(np.clip(rng.lognormal(0.0, 0.16), 0.7, 1.4))
    views = (
        make_view(n, dermoscopic=False, zoom=far, turn=turn, shift=_pair(rng.normal(0, 0.15, 2))),
        make_view(n, dermoscopic=True, zoom=near, turn=0.0, shift=_pair(rng.normal(0, 0.07, 2))),
    )
    scene = Scene(lesion.traits["radius"], lesion.age, lesion.signs)
    images = []
    for view in views:
        # The same generator state for both views: vessels and dots must lie at the same places.
        image = _paint_lesion(view, lesion, places, np.random.default_rng(shape_seed))
        image = photograph(image, view, scene, rng)
        pixels = Image.fromarray(np.round(np.clip(image, 0, 1) * 255).astype(np.uint8))
        images.append(np.asarray(pixels.resize((size, size), Image.Resampling.BOX)))
    return images[0], images[1]


def _pair(values: Array) -> tuple[float, float]:
    return float(values[0]), float(values[1])


def _shape(view: View, t: Mapping[str, float], places: Array) -> _Maps:
    angle = 2 * np.pi * places[0, 0]
    c, s = np.cos(angle), np.sin(angle)
    long, wide = t["elong"] ** 0.5, t["elong"] ** -0.5
    px, py = (view.x * c + view.y * s) / long, (view.y * c - view.x * s) / wide
    r = np.hypot(px, py) / t["radius"]
    bumps = 0.7 * texture("cloud", view, 0.14, places[1])
    bumps += 0.3 * texture("rough", view, 0.25, places[2])
    edge = r - 1.0 + t["wobble"] * np.clip(bumps, -1.8, 1.8) * np.clip(r, 0.2, 1.1)
    inside = 1.0 / (1.0 + np.exp(np.clip(edge / (0.35 * t["soft"]), -40, 40)))
    if t["broken"]:
        holes = smoothstep(texture("rough", view, 0.3, places[3]), -0.6, 0.7)
        inside = inside * (1.0 - t["broken"] + t["broken"] * holes)
    return _Maps(inside, r, t["raised"] * np.clip(1.0 - (r / 1.25) ** 2, 0, 1) ** 1.3)


def _paint_lesion(view: View, lesion: Lesion, places: Array, shape: np.random.Generator) -> Array:
    """Skin with the lesion on it, in even white light."""
    t = _Amounts(lesion.traits)
    m = _shape(view, t, places)
    fine = 1.0 if view.dermoscopic else 0.45  # a distant camera sees less of the fine structure
    bent = bend_view(view, 0.05, places[3])  # living cells are no honeycomb
    melanin, blood = _skin_densities(view, lesion, places)
    melanin += _melanin(view, bent, t, m, places, fine)
    blood += _blood(view, bent, t, m, places)
    deep = t["blue"] * m.inside * smoothstep(texture("cloud", view, 0.25, places[10]), -0.4, 0.9)
    vessels, spots, nests = Strokes(view), Strokes(view), Strokes(view)
    _draw_vessels(vessels, t, shape)
    _draw_spots(spots, nests, t, shape)
    blood += fine * 0.8 * vessels.alpha(0.5) * smoothstep(m.inside, 0.05, 0.5)
    blood += fine * t["dots"] * 0.8 * spots.alpha(0.3) * m.inside
    deep += 0.75 * t["nests"] * nests.alpha(view.n * 0.012 / view.zoom) * m.inside
    skin = (_DERMOSCOPIC_SKIN if view.dermoscopic else _CLINICAL_SKIN)[lesion.tone] / 255.0
    light = melanin[..., None] * _MELANIN + blood[..., None] * _BLOOD + deep[..., None] * _DEEP
    image = skin * np.exp(-light)
    return _lay_over(image, view, t, m, places, spots)


class _Amounts(dict[str, float]):
    """Traits of which an absent one is 0."""

    def __missing__(self, key: str) -> float:
        return 0.0


def _skin_densities(view: View, lesion: Lesion, places: Array) -> tuple[Array, Array]:
    """Melanin and blood of the skin around: mottling grows with age, lines show from afar."""
    worn = float(np.clip((lesion.age - 20) / 60, 0.1, 1.1)) * (0.2 + 1.3 * places[4, 0])
    mottle = texture("rough", view, 0.12, places[5])
    flush = texture("cloud", view, 0.11, places[6])
    melanin = 0.04 * worn * mottle
    freckles = smoothstep(texture("rough", view, 0.3, places[7]), 1.6 - 0.4 * worn, 3.2)
    melanin = melanin + 0.30 * worn * freckles + 0.02 * texture("fine", view, 0.5, places[8])
    blood = 0.035 * worn * (flush + mottle) + 0.08 * worn * smoothstep(flush, 0.3, 2.2)
    if not view.dermoscopic:
        lines = texture("edge", view, cell_repeat(0.11 + 0.06 * places[9, 0]), places[8], 1.7)
        melanin = melanin + (0.02 + 0.09 * places[4, 1]) * (lines - 0.35)
        blood = blood + 0.04 * texture("fine", view, 0.5, places[9])
    return melanin, blood


def _melanin(view: View, bent: View, t: _Amounts, m: _Maps, places: Array, fine: float) -> Array:
    patches = texture("cloud", view, 0.22, places[11]) + 0.4 * texture(
        "rough", view, 0.4, places[12]
    )
    angle = 2 * np.pi * places[13, 0]
    side = (view.x * np.cos(angle) + view.y * np.sin(angle)) / t["radius"]
    amount = np.exp(np.clip(0.5 * t["patchy"] * patches + 0.8 * t["asym"] * side, -2.2, 0.6))
    amount *= 1.0 + t["core"] * (0.7 - m.radius)
    if t["network"]:
        net = texture("edge", bent, cell_repeat(0.045 + 0.03 * places[14, 0]), places[14])
        shown = smoothstep(texture("cloud", view, 0.3, places[14]), -0.9, 1.0)
        amount *= 1.0 + fine * t["network"] * 2.0 * shown * (net - 0.4)
    if t["globules"]:
        width = 0.05 + 0.04 * places[15, 0]
        clods = texture("clod", bent, cell_repeat(width), places[15])
        chosen = texture("cell", bent, cell_repeat(width), places[15]) > 0.62
        amount += fine * t["globules"] * 0.9 * smoothstep(clods * chosen, 0.3, 0.9)
    # A pale centre leaves the pigment at the rim.
    amount *= 1.0 - 0.85 * min(t["pale"], 1.1) * np.exp(-((m.radius / 0.6) ** 2))
    dense = t["melanin"] * m.inside * np.maximum(amount, 0.05)
    return np.asarray(2.4 * np.tanh(dense / 2.4))  # even the darkest lesion is seldom black


def _blood(view: View, bent: View, t: _Amounts, m: _Maps, places: Array) -> Array:
    patches = texture("rough", view, 0.22, places[16])
    amount = np.exp(np.clip(0.45 * (0.4 + t["patchy"]) * patches, -1.2, 1.0))
    amount *= 1.0 - 0.55 * min(t["pale"], 1.1) * np.exp(-((m.radius / 0.55) ** 2))
    if t["lacunae"]:
        width = 0.13 + 0.1 * places[17, 0]
        walls = texture("edge", bent, cell_repeat(width), places[17])
        tint = texture("cell", bent, cell_repeat(width), places[17])
        amount *= np.maximum(0.15, 1.0 + t["lacunae"] * (0.5 * tint - 0.6 * walls))
    halo = 0.28 * t["halo"] * np.exp(-((np.maximum(m.radius - 0.7, 0) / 0.6) ** 2))
    return np.asarray(t["blood"] * m.inside * amount + halo)


def _draw_vessels(strokes: Strokes, t: _Amounts, rng: np.random.Generator) -> None:
    """Arborising vessels: thick stems from the border inwards that branch and taper."""

    def grow(at: Array, heading: float, width: float, steps: int) -> None:
        points = [at]
        for _ in range(steps):
            heading += rng.normal(0, 0.38)
            points.append(points[-1] + 0.06 * np.array([np.cos(heading), np.sin(heading)]))
            if width > 0.011 and rng.random() < 0.3:
                turn = heading + rng.choice((-1, 1)) * rng.uniform(0.5, 1.1)
                grow(points[-1], turn, width * 0.62, max(3, steps // 2))
        strokes.line(np.array(points), width, 0.9)

    for _ in range(rng.poisson(4.5 * t["vessels"])):
        angle, reach = rng.uniform(0, 2 * np.pi), t["radius"] * rng.uniform(0.5, 1.1)
        start = reach * np.array([np.cos(angle), np.sin(angle)])
        grow(start, angle + np.pi + rng.normal(0, 0.7), rng.uniform(0.012, 0.028), 9)


def _draw_spots(spots: Strokes, nests: Strokes, t: _Amounts, rng: np.random.Generator) -> None:
    """Small dots (vessels seen end-on, or milia) and large ovoid nests."""
    for _ in range(rng.poisson(40 * max(t["dots"], 0.6 * t["milia"]))):
        spots.dot(rng.normal(0, 0.55 * t["radius"], 2), rng.uniform(0.010, 0.024))
    for _ in range(rng.poisson(7 * t["nests"])):
        at = rng.normal(0, 0.5 * t["radius"], 2)
        for _ in range(3):
            nests.dot(at + rng.normal(0, 0.03, 2), rng.uniform(0.015, 0.06), rng.uniform(0.4, 1))


def _lay_over(
    image: Array, view: View, t: _Amounts, m: _Maps, places: Array, spots: Strokes
) -> Array:
    """Veil, cracks, milia, scale, keratin and crust, from the deepest to the topmost."""
    cloud = texture("cloud", view, 0.25, places[18])
    flake = texture("rough", view, 0.5, places[19])
    pale = 0.30 * t["pale"] * np.exp(-((m.radius / 0.55) ** 2)) * m.inside
    image = over(image, np.array([0.88, 0.80, 0.80]), pale)
    image = over(image, _VEIL, 0.5 * t["veil"] * smoothstep(cloud, 0.1, 1.8) * m.inside)
    if t["cracks"]:
        crack = texture("edge", bend_view(view, 0.09, places[3]), cell_repeat(0.15), places[20])
        crack = crack * m.inside
        image = image * (1.0 - 0.28 * t["cracks"] * smoothstep(crack, 0.5, 1.0)[..., None])
    if t["milia"]:
        image = over(image, np.array([0.92, 0.86, 0.70]), 0.7 * spots.alpha(0.3) * m.inside)
    scale = smoothstep(flake + 0.5 * cloud, 1.3 - 1.4 * t["scale"], 2.4 - 1.0 * t["scale"])
    image = over(image, _SCALE, 0.75 * min(1.0, 2.5 * t["scale"]) * scale * m.inside)
    grain = 0.14 * texture("fine", view, 0.5, places[21])
    keratin = smoothstep(flake - 0.6 * cloud - 0.8 * m.radius, 0.9 - 1.6 * t["keratin"], 1.5)
    plug = t["plug"] * (1.0 - smoothstep(m.radius + 0.12 * flake, 0.3, 0.55))
    horn = (_KERATIN + np.array([0.02, 0.08, 0.22]) * places[22, 1]) * (1 + grain[..., None])
    image = over(image, horn, np.maximum(min(1.0, 1.6 * t["keratin"]) * keratin, plug) * m.inside)
    crust = smoothstep(
        cloud + 0.7 * flake - 0.9 * m.radius, 1.1 - 2.0 * t["crust"], 1.9 - t["crust"]
    )
    dark = _CRUST * (1.0 + 0.5 * texture("fine", view, 0.4, places[22])[..., None])
    image = over(image, dark, 0.9 * min(1.0, 2 * t["crust"]) * crust * m.inside)
    strength = 0.20 if not view.dermoscopic else 0.07
    bumps = m.height * (1.0 + 0.12 * flake) + 0.02 * grain
    gy, gx = np.gradient(bumps, 2 * view.zoom / view.n)
    slope = (gx * np.cos(6.3 * places[23, 0]) + gy * np.sin(6.3 * places[23, 0])) * t["radius"]
    image = image * (1.0 + strength * np.clip(slope, -1.2, 1.2))[..., None]
    shine = smoothstep(slope * m.inside + 0.25 * flake * m.inside, 0.75, 1.6)
    return over(image, _WHITE, (0.10 + 0.35 * t["shine"]) * shine * (t["raised"] > 0))
