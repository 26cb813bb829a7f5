"""Photographs a drawn lesion: what lies on the skin, the light, the lens and the sensor.

The amounts of hair, gel and ink follow a lesion's scores, so that tables and images agree.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from scipy.ndimage import gaussian_filter

from milkreport.data.synthetic.canvas import Array, Strokes, View, over, smoothstep, texture

_INK, _WHITE = np.array([0.22, 0.20, 0.62]), np.array([1.0, 1.0, 1.0])


@dataclass(frozen=True)
class Scene:
    """What a photograph shows beside the lesion.

    Attributes:
        radius: the lesion's, in units; ink is drawn around it.
        age: years; older hair is greyer.
        signs: standard scores of ``hair``, ``gel`` and ``ink``, each (clinical, dermoscopic).
    """

    radius: float
    age: float
    signs: Mapping[str, tuple[float, float]]


def photograph(image: Array, view: View, scene: Scene, rng: np.random.Generator) -> Array:
    """The image as a camera saw it: with ink, hair, gel, light, lens and sensor noise."""
    which = int(view.dermoscopic)
    image = _ink(image, view, scene.signs["ink"][which], scene.radius, rng)
    image = _hair(image, view, scene.signs["hair"][which], scene.age, rng)
    exposure, tint = rng.normal(0, 0.11), rng.normal(0, 0.035, 3)
    if view.dermoscopic:
        # Dermatoscopes lean to purple, grey or yellow: blue moves against green.
        tint = tint + max(-0.03, rng.normal(0.03, 0.06)) * np.array([0.3, -0.6, 1.0])
        image = _gel(image, view, scene.signs["gel"][which], rng)
    else:
        tint = tint + rng.normal(0, 0.07) * np.array([0.5, -0.1, -0.9])
    image = image * np.exp(exposure + tint)
    image = _light(image, view, rng)
    blur = float(np.abs(rng.normal(0.25, 0.25))) * view.n / 96
    image = np.asarray(gaussian_filter(image, (blur, blur, 0)))
    return image + rng.normal(0, 0.010, image.shape)


def _light(image: Array, view: View, rng: np.random.Generator) -> Array:
    angle, kind = rng.uniform(0, 2 * np.pi), rng.random()
    side = view.u * np.cos(angle) + view.v * np.sin(angle)
    image = image * (1.0 + rng.normal(0, 0.07) * side)[..., None]
    off = rng.normal(0, 0.08, 2)
    r = np.hypot(view.u - off[0], view.v - off[1])
    if view.dermoscopic:
        image = image * (1.0 - rng.uniform(0.0, 0.22) * smoothstep(r, 0.4, 1.4))[..., None]
        if kind < 0.16:  # the tube's rim in the corners, or all around
            rim = rng.uniform(1.12, 1.36) if kind < 0.12 else rng.uniform(0.92, 1.1)
            image = image * (1.0 - 0.97 * smoothstep(r, rim - 0.03, rim + 0.05))[..., None]
    elif kind < 0.3:  # the body turns away from the light
        edge = smoothstep(side + 0.15 * view.u * view.v, rng.uniform(0.1, 0.4), 1.35)
        image = image * (1.0 - rng.uniform(0.3, 0.75) * edge)[..., None]
        if kind < 0.09:  # and ends before a dark room
            room = smoothstep(side + 0.1 * view.v**2, 0.78, 0.86)
            image = over(image, np.array([0.07, 0.06, 0.06]), room)
    return image


def _ink(image: Array, view: View, sign: float, radius: float, rng: np.random.Generator) -> Array:
    if rng.random() > 0.10 / (1 + np.exp(-1.6 * sign)) * 2:
        return image
    strokes, start = Strokes(view), rng.uniform(0, 6.3)
    ring = radius * rng.uniform(1.35, 1.9)
    if rng.random() < 0.6:
        for a in start + np.arange(rng.integers(2, 7)) * rng.uniform(0.8, 1.3):
            at = ring * np.array([np.cos(a), np.sin(a)])
            for _ in range(5):
                strokes.dot(at + rng.normal(0, 0.035, 2), rng.uniform(0.02, 0.07))
    else:
        a = np.linspace(start, start + rng.uniform(1.5, 5.8), 24)
        strokes.line(ring * np.stack([np.cos(a), np.sin(a)], axis=1), 0.045)
    ragged = 0.75 + 0.2 * texture("fine", view, 0.3, rng.uniform(0, 1, 2))
    return over(image, _INK * rng.uniform(0.7, 1.2), 0.85 * strokes.alpha(0.6) * ragged)


def _hair(image: Array, view: View, sign: float, age: float, rng: np.random.Generator) -> Array:
    strokes = Strokes(view, of_lesion=False)
    mean = 1.8 * np.exp(1.1 * min(sign, 2.2)) * (1.0 if view.dermoscopic else 1.6)
    heading, spread = rng.uniform(0, 2 * np.pi), rng.uniform(0.15, 0.7)
    grey = rng.random() < np.clip((age - 40) / 60, 0.02, 0.55)
    for _ in range(min(60, rng.poisson(mean))):
        a, length = heading + rng.normal(0, spread), rng.uniform(0.25, 1.1)
        way = np.array([np.cos(a), np.sin(a)])
        length *= 1.0 if view.dermoscopic else 0.45
        bend = np.array([-way[1], way[0]]) * rng.normal(0, 0.25) * length
        s = np.linspace(-1, 1, 10)[:, None]
        at = rng.uniform(-1.1, 1.1, 2) + way * length * s + bend * s**2
        width = rng.uniform(0.007, 0.020) if view.dermoscopic else rng.uniform(0.004, 0.010)
        strokes.line(at, width, rng.uniform(0.35, 1.0))
    colour = np.array([0.78, 0.76, 0.74]) if grey else np.array([0.13, 0.09, 0.08])
    return over(image, colour, (0.5 if grey else 0.85) * strokes.alpha(0.3))


def _gel(image: Array, view: View, sign: float, rng: np.random.Generator) -> Array:
    """Air bubbles in the contact gel: a bright rim and a glint."""
    for _ in range(min(14, rng.poisson(0.7 * np.exp(1.2 * min(sign, 2.0))))):
        at, r = rng.uniform(-1, 1, 2), rng.uniform(0.02, 0.10)
        d = np.hypot(view.u - at[0], view.v - at[1])
        rim = np.exp(-(((d - r) / 0.014) ** 2))
        glint = np.exp(-((np.hypot(view.u - at[0] - r / 3, view.v - at[1] + r / 3) / 0.015) ** 2))
        image = image * (1.0 - 0.12 * np.exp(-((d / r) ** 6)))[..., None]
        image = over(image, _WHITE, 0.35 * rim + 0.7 * glint)
    return image
