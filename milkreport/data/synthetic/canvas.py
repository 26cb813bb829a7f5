"""What synthetic lesions are drawn with: a view's sample grid, textures, strokes and blending.

Lengths are in half-widths of the dermoscopic image ("units"); colours are sRGB from 0 to 1.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw
from scipy.ndimage import gaussian_filter, map_coordinates
from scipy.spatial import cKDTree

Array = NDArray[np.float64]

_TILE = 512  # a power of two, so that places wrap with a bit mask
_CELLS = 30  # cells along one side of a cellular texture


@dataclass(frozen=True)
class View:
    """One photograph: where its pixels lie on the skin.

    Attributes:
        dermoscopic: through a dermatoscope (else a clinical close-up).
        x, y: lesion coordinates of the pixels, in units; the lesion's centre is (0, 0).
        u, v: image coordinates of the pixels, -1 to 1.
        zoom: half-width of the image in units.
        turn: angle of the camera in radians.
        shift: lesion coordinates of the image's centre, in units.
    """

    dermoscopic: bool
    x: Array
    y: Array
    u: Array
    v: Array
    zoom: float
    turn: float
    shift: tuple[float, float]

    @property
    def n(self) -> int:
        """Pixels along one side."""
        return int(self.u.shape[0])


def make_view(
    n: int, *, dermoscopic: bool, zoom: float, turn: float, shift: tuple[float, float]
) -> View:
    """A view of ``n`` x ``n`` pixels; see `View` for the other arguments."""
    axis = (np.arange(n) + 0.5) * 2.0 / n - 1.0
    u, v = np.meshgrid(axis, axis)
    c, s = np.cos(turn), np.sin(turn)
    x, y = zoom * (c * u - s * v) + shift[0], zoom * (s * u + c * v) + shift[1]
    return View(dermoscopic, x, y, u, v, zoom, turn, shift)


@cache
def _bank() -> dict[str, Array]:
    """Tileable textures, the same for all lesions: each lesion reads them at its own place.

    Made once a process and from a fixed seed, because making them costs more than an image.
    """
    rng = np.random.default_rng(20250)
    f = np.hypot(np.fft.fftfreq(_TILE)[:, None], np.fft.fftfreq(_TILE)[None, :]) * _TILE
    bank: dict[str, Array] = {}
    for name, fall, low in (("cloud", 2.4, 3.0), ("rough", 1.6, 3.0), ("fine", 0.9, 8.0)):
        wave = np.fft.fft2(rng.standard_normal((_TILE, _TILE)))
        wave *= np.where(f >= low, np.maximum(f, low) ** -fall, 0.0)
        field = np.real(np.fft.ifft2(wave))
        bank[name] = field / field.std()
    corner = np.stack(np.meshgrid(*[np.arange(_CELLS)] * 2), axis=-1).reshape(-1, 2)
    points = corner + rng.uniform(0.08, 0.92, (_CELLS**2, 2))
    pixel = np.stack(np.meshgrid(*[np.arange(_TILE) * _CELLS / _TILE] * 2), axis=-1)
    box = np.full(2, float(_CELLS))
    found = cKDTree(points, boxsize=box).query(pixel.reshape(-1, 2), k=2)
    near, index = np.asarray(found[0]), np.asarray(found[1])
    gap, square = near[:, 1] - near[:, 0], (_TILE, _TILE)
    bank["edge"] = np.exp(-((gap / 0.28) ** 2)).reshape(square)
    bank["clod"] = np.exp(-((near[:, 0] / 0.42) ** 2)).reshape(square)
    bank["cell"] = rng.uniform(0, 1, _CELLS**2)[index[:, 0]].reshape(square)
    return bank


def texture(name: str, view: View, repeat: float, place: Array, stretch: float = 1.0) -> Array:
    """Reads a texture at the view's pixels.

    Args:
        name: ``cloud``, ``rough``, ``fine`` (mean 0, SD 1, ever more detail), or the cellular
            ``edge`` (1 on the borders of cells), ``clod`` (1 in their middle), ``cell`` (a
            uniform value from 0 to 1 a cell).
        repeat: how often the texture repeats itself in a unit.
        place: two numbers from 0 to 1, where the lesion starts to read.
        stretch: how much narrower the texture is along y.
    """
    tile = _bank()[name]
    row, column = view.y * (repeat * stretch) + place[0], view.x * repeat + place[1]
    if 2 * view.zoom / view.n * repeat * _TILE >= 0.7:  # pixels no finer than the texture's own
        wrap = _TILE - 1
        i, j = (row * _TILE).astype(np.int64) & wrap, (column * _TILE).astype(np.int64) & wrap
        return np.asarray(tile.ravel()[(i * _TILE) + j])
    at = np.stack([row, column]) * _TILE
    return np.asarray(map_coordinates(tile, at, order=1, mode="grid-wrap"))


def bend_view(view: View, by: float, place: Array) -> View:
    """The view with its lesion coordinates shifted about by roughly ``by`` units."""
    dx, dy = texture("cloud", view, 0.5, place), texture("cloud", view, 0.5, place[::-1])
    return replace(view, x=view.x + by * dx, y=view.y + by * dy)


def cell_repeat(width: float) -> float:
    """The ``repeat`` with which a cellular texture has cells of ``width`` units."""
    return 1.0 / (_CELLS * width)


def smoothstep(x: Array, low: float, high: float) -> Array:
    """0 below ``low``, 1 above ``high``, a smooth rise between them."""
    t = np.clip((x - low) / (high - low), 0.0, 1.0)
    return t * t * (3.0 - 2.0 * t)


def over(image: Array, colour: Array, alpha: Array) -> Array:
    """Lays an opaque colour over the image where ``alpha`` (clipped to 0..1) says so."""
    return image + (colour - image) * np.clip(alpha, 0.0, 1.0)[..., None]


class Strokes:
    """Lines and dots in lesion coordinates (``of_lesion``) or image coordinates, antialiased."""

    def __init__(self, view: View, *, of_lesion: bool = True) -> None:
        self._view, self._of_lesion = view, of_lesion
        self._mask = Image.new("L", (2 * view.n, 2 * view.n))
        self._pen = ImageDraw.Draw(self._mask)
        self._scale = view.n / (view.zoom if of_lesion else 1.0)

    def _pixels(self, points: Array) -> list[tuple[float, float]]:
        if self._of_lesion:
            p = (points - np.array(self._view.shift)) / self._view.zoom
            c, s = np.cos(self._view.turn), np.sin(self._view.turn)
            points = np.stack([p[:, 0] * c + p[:, 1] * s, p[:, 1] * c - p[:, 0] * s], axis=1)
        return [(float(a), float(b)) for a, b in (points + 1.0) * self._view.n]

    def line(self, points: Array, width: float, strength: float = 1.0) -> None:
        """A line through the points (k x 2); one thinner than a pixel is drawn fainter."""
        wide = width * self._scale
        fill = round(255 * strength * min(1.0, wide))
        self._pen.line(self._pixels(points), fill=fill, width=max(1, round(wide)), joint="curve")

    def dot(self, centre: Array, radius: float, strength: float = 1.0) -> None:
        """A filled circle; one smaller than a pixel is drawn fainter."""
        ((cx, cy),) = self._pixels(centre[None, :])
        r = radius * self._scale
        fill = round(255 * strength * min(1.0, 4 * r * r))
        r = max(r, 0.5)
        self._pen.ellipse((cx - r, cy - r, cx + r, cy + r), fill=fill)

    def alpha(self, blur: float = 0.0) -> Array:
        """How much of each pixel is covered, 0 to 1; ``blur`` is an SD in pixels."""
        small = self._mask.resize((self._view.n, self._view.n), Image.Resampling.BOX)
        values = np.asarray(small, dtype=np.float64) / 255.0
        return np.asarray(gaussian_filter(values, blur)) if blur else values


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
