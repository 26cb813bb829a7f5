"""One image file to pixels: equal to outside implementations, and every kind of bad file by name."""

from __future__ import annotations

import io
import pickle
import struct
import sys
import zlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image, ImageFile, ImageOps
from scipy.fft import dctn

from milkreport.data.pixels.decode import MAX_PIXELS, RULES, BadImage, decode, require_decoder
from milkreport.data.pixels.perceptual_hash import NEAR_DISTANCE, perceptual_hash
from milkreport.errors import DataError, EnvironmentProblem
from tests.conftest import real_folder


def draw(seed: int = 0, width: int = 90, height: int = 70, patches: int = 8) -> Image.Image:
    """A smooth picture of coloured patches: nothing is symmetric in it."""
    rng = np.random.default_rng(seed)
    coarse = Image.fromarray(rng.integers(0, 256, (patches - 2, patches, 3), dtype=np.uint8))
    return coarse.resize((width, height), Image.Resampling.BICUBIC)


def encode(image: Image.Image, form: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, form, **options)
    return buffer.getvalue()


def problem(path: Path, size: int | None = 16) -> BadImage:
    with pytest.raises(BadImage) as caught:
        decode(path, size)
    error = caught.value
    assert isinstance(error, DataError)
    assert error.where == str(path)
    assert error.do
    assert str(path) not in error.what  # the caller says where, relative to what it wants
    return error


def outcome(path: Path) -> tuple[np.ndarray | None, str]:
    """Pixels, or the kind of the problem; anything else that is raised fails the test."""
    try:
        return decode(path, None).pixels, ""
    except BadImage as error:
        return None, error.kind


def as_png(width: int, height: int, depth: int, colour: int, rows: bytes) -> bytes:
    """A PNG by hand, for what Pillow does not write: *rows* with a filter byte before each row."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
        )

    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    parts = (b"IHDR", header), (b"IDAT", zlib.compress(rows)), (b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunk(*part) for part in parts)


@pytest.mark.parametrize("size", [(16, 16), (90, 70), (70, 300)])
@pytest.mark.parametrize("name", ["a.jpg", "a.jpeg", "a.JPG", "a.png", "a"])
def test_exact_equals_torchvisions_resize(tmp_path: Path, name: str, size: tuple[int, int]) -> None:
    functional = pytest.importorskip("torchvision.transforms.functional")
    path = tmp_path / name
    draw(1, *size).save(path, "PNG" if name == "a.png" else "JPEG")
    with Image.open(path) as image:
        expected = np.asarray(functional.resize(image, [32, 32]))
        whole = np.asarray(image)
    decoded = decode(path, 32)
    assert decoded.pixels.dtype == np.uint8
    assert (decoded.pixels == expected).all()
    assert (decode(path, None).pixels == whole).all()
    assert (np.asarray(decoded.rgb) == whole).all()
    assert (decoded.width, decoded.height) == size
    assert decoded.mode == "RGB"
    assert decoded.format == ("PNG" if name == "a.png" else "JPEG")


@pytest.mark.parametrize("form", ["JPEG", "PNG"])
@pytest.mark.parametrize("turn", range(1, 9))
def test_exif_orientation_is_applied(tmp_path: Path, turn: int, form: str) -> None:
    path = tmp_path / f"a.{form.lower()}"
    exif = Image.Exif()
    exif[0x0112] = turn
    draw(2).save(path, form, exif=exif)
    with Image.open(path) as image:
        upright = ImageOps.exif_transpose(image)
        stored = np.asarray(image)
    decoded = decode(path, None)
    assert (decoded.pixels == np.asarray(upright)).all()
    assert (decoded.pixels.shape == stored.shape) == (turn < 5)
    assert (decoded.width, decoded.height) == (90, 70)  # as in the file
    resized = upright.resize((20, 20), Image.Resampling.BILINEAR)
    assert (decode(path, 20).pixels == np.asarray(resized)).all()


def test_broken_exif_says_nothing(tmp_path: Path, recwarn: pytest.WarningsRecorder) -> None:
    path = tmp_path / "a.png"
    draw(2).save(path, exif=b"Exif\0\0II*\0\x08\0\0\0\xff")
    assert (decode(path, None).pixels == np.asarray(draw(2))).all()


def test_grey_is_repeated(tmp_path: Path) -> None:
    grey = draw(3).convert("L")
    expected = np.repeat(np.asarray(grey)[:, :, None], 3, axis=2)
    grey.save(tmp_path / "l.png")
    assert (decode(tmp_path / "l.png", None).pixels == expected).all()
    opaque = Image.merge("LA", (grey, Image.new("L", grey.size, 255)))
    opaque.save(tmp_path / "la.png")
    assert (decode(tmp_path / "la.png", None).pixels == expected).all()
    grey.save(tmp_path / "l.jpg", quality=95)
    decoded = decode(tmp_path / "l.jpg", None)
    assert decoded.mode == "L"
    assert (decoded.pixels[:, :, :1] == decoded.pixels).all()
    one_bit = grey.convert("1")
    one_bit.save(tmp_path / "1.png")
    assert decode(tmp_path / "1.png", None).mode == "1"
    assert (decode(tmp_path / "1.png", None).pixels[:, :, 0] == 255 * np.asarray(one_bit)).all()


def over_white(colour: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    share = alpha[:, :, None] / 255
    return share * colour + (1 - share) * 255


@pytest.mark.parametrize("mode", ["RGBA", "LA"])
def test_alpha_is_composited_over_white(tmp_path: Path, mode: str) -> None:
    alpha = np.random.default_rng(0).integers(0, 256, (70, 90), dtype=np.uint8)
    alpha[:2] = [[0], [255]]
    image = draw(4).convert(mode[:-1])
    image.putalpha(Image.fromarray(alpha))
    image.save(tmp_path / "a.png")
    decoded = decode(tmp_path / "a.png", None)
    assert decoded.mode == mode
    expected = over_white(np.asarray(image.convert("RGBA"))[:, :, :3].astype(float), alpha)
    assert np.abs(decoded.pixels - expected).max() <= 0.51  # rounded
    assert (decoded.pixels[0] == 255).all()
    assert (decoded.pixels[1] == np.asarray(image.convert("RGBA"))[1, :, :3]).all()


def test_a_palette_with_transparency_is_composited_over_white(tmp_path: Path) -> None:
    image = Image.new("P", (4, 1))
    image.putpalette([255, 0, 0, 0, 255, 0, 0, 0, 255])
    image.putdata([0, 1, 2, 1])
    image.save(tmp_path / "plain.png")
    image.save(tmp_path / "holes.png", transparency=1)
    image.save(tmp_path / "half.png", transparency=bytes([255, 255, 51]))  # blue at a fifth
    colours = [[255, 0, 0], [0, 255, 0], [0, 0, 255], [0, 255, 0]]
    assert decode(tmp_path / "plain.png", None).pixels[0].tolist() == colours
    white = [255, 255, 255]
    holes = decode(tmp_path / "holes.png", None).pixels[0].tolist()
    assert holes == [colours[0], white, colours[2], white]
    half = decode(tmp_path / "half.png", None).pixels[0].tolist()
    assert half == [colours[0], colours[1], [204, 204, 255], colours[3]]


def test_a_transparent_colour_of_an_rgb_image_is_white(tmp_path: Path) -> None:
    image = Image.new("RGB", (2, 1), (9, 8, 7))
    image.putpixel((1, 0), (1, 2, 3))
    image.save(tmp_path / "a.png", transparency=(1, 2, 3))
    assert decode(tmp_path / "a.png", None).pixels.tolist() == [[[9, 8, 7], [255, 255, 255]]]


def test_cmyk_is_converted_by_pillows_formula(tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    draw(5).convert("CMYK").save(path, quality=95)
    with Image.open(path) as image:
        assert image.mode == "CMYK"
        expected = np.asarray(image.convert("RGB"))
    decoded = decode(path, None)
    assert decoded.mode == "CMYK"
    assert (decoded.pixels == expected).all()
    assert np.abs(decoded.pixels.astype(int) - np.asarray(draw(5))).mean() < 8  # not inverted


def test_16_bit_rgb_gives_the_high_byte(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    values = rng.integers(0, 65536, (5, 7, 3)).astype(">u2")
    rows = b"".join(b"\0" + row.tobytes() for row in values)
    (tmp_path / "a.png").write_bytes(as_png(7, 5, 16, 2, rows))
    assert (decode(tmp_path / "a.png", None).pixels == values >> 8).all()


def test_16_bit_grey_is_refused_by_name(tmp_path: Path) -> None:
    Image.fromarray(np.arange(600, dtype=np.uint16).reshape(20, 30)).save(tmp_path / "a.png")
    error = problem(tmp_path / "a.png")
    assert error.kind == "unsupported"
    assert "I;16" in error.what
    with_alpha = as_png(1, 1, 16, 4, b"\0\x12\x34\xff\xff")
    (tmp_path / "b.png").write_bytes(with_alpha)
    assert problem(tmp_path / "b.png").kind == "unsupported"


@pytest.mark.parametrize("mode", ["F", "LAB", "YCbCr"])
def test_other_modes_are_refused_by_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mode: str
) -> None:
    draw().save(tmp_path / "a.jpg")
    monkeypatch.setattr("PIL.JpegImagePlugin.JpegImageFile.mode", property(lambda _: mode))
    error = problem(tmp_path / "a.jpg")
    assert error.kind == "unsupported"
    assert mode in error.what


def test_missing_empty_and_unreadable_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert problem(tmp_path / "none.jpg").kind == "missing"
    (tmp_path / "file.jpg").write_bytes(b"")
    assert problem(tmp_path / "file.jpg").kind == "empty"
    assert problem(tmp_path / "file.jpg" / "below.jpg").kind == "missing"
    (tmp_path / "folder.jpg").mkdir()
    assert problem(tmp_path / "folder.jpg").kind == "unreadable"
    draw().save(tmp_path / "denied.jpg")

    def deny(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", deny)
    error = problem(tmp_path / "denied.jpg")
    assert error.kind == "unreadable"
    assert error.what == "cannot be read: permission denied"


def test_a_disk_that_fails_while_decoding_is_no_truncated_image(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    draw().save(tmp_path / "a.jpg")

    def fail(*_: object) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(ImageFile.ImageFile, "load", fail)
    error = problem(tmp_path / "a.jpg")
    assert (error.kind, error.what) == ("unreadable", "cannot be read: input/output error")


@pytest.mark.parametrize("progressive", [False, True])
@pytest.mark.parametrize("form", ["JPEG", "PNG"])
def test_a_cut_file_is_truncated_or_whole(tmp_path: Path, form: str, progressive: bool) -> None:
    """Wherever it is cut: never other pixels."""
    options = {"progressive": progressive} if form == "JPEG" else {}
    whole = encode(draw(6, 40, 30), form, **options)
    path = tmp_path / f"a.{form.lower()}"
    path.write_bytes(whole)
    expected = decode(path, None).pixels
    for length in [*range(12, len(whole) - 12, 17), *range(len(whole) - 12, len(whole))]:
        path.write_bytes(whole[:length])
        pixels, kind = outcome(path)
        if pixels is None:
            assert kind == "truncated", length
        else:
            assert length > len(whole) - 17  # all that lacks comes after the pixels
            assert (pixels == expected).all()
    path.write_bytes(whole[: len(whole) // 2])
    assert problem(path).kind == "truncated"


OTHERS = {
    "GIF": encode(draw(), "GIF"),
    "TIFF": encode(draw(), "TIFF"),
    "WebP": encode(draw(), "WEBP"),
    "BMP": encode(draw(), "BMP"),
    "PDF": encode(draw(), "PDF"),
    "ZIP": b"PK\x03\x04" + bytes(40),
    "HEIC": b"\0\0\0\x18ftypheic" + bytes(40),
    "AVIF": b"\0\0\0\x18ftypavif" + bytes(40),
    "HTML": b"\n <!DOCTYPE html><html><body>404 Not Found</body></html>",
    "Git LFS pointer": b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n",
}


@pytest.mark.parametrize("name", OTHERS)
def test_other_formats_under_an_image_name_are_named(tmp_path: Path, name: str) -> None:
    for suffix in (".jpg", ".png"):
        path = tmp_path / f"a{suffix}"
        path.write_bytes(OTHERS[name])
        error = problem(path)
        assert error.kind == "mislabelled"
        assert error.what in (f"a {name} file named {suffix}", f"an {name} file named {suffix}")


def test_an_honest_name_of_another_format_is_unsupported(tmp_path: Path) -> None:
    draw().save(tmp_path / "a.tif")
    error = problem(tmp_path / "a.tif")
    assert (error.kind, error.what) == ("unsupported", "a TIFF file")


def test_jpeg_and_png_must_not_bear_each_others_names(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(encode(draw(), "PNG"))
    (tmp_path / "a.png").write_bytes(encode(draw(), "JPEG"))
    assert problem(tmp_path / "a.jpg").what == "a PNG file named .jpg"
    assert problem(tmp_path / "a.png").what == "a JPEG file named .png"
    (tmp_path / "b.jpg").write_bytes(b"nothing that is known")
    assert problem(tmp_path / "b.jpg").what == "named .jpg, but no JPEG image"


@pytest.mark.parametrize("n_pixels", [MAX_PIXELS + 8000, 100_000_000, 400_000_000])
@pytest.mark.parametrize("form", ["JPEG", "PNG"])
def test_a_bomb_is_refused_before_it_is_decoded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, form: str, n_pixels: int
) -> None:
    """Below, between and above the caps at which Pillow itself warns and fails."""
    width, height = 8000, n_pixels // 8000
    path = tmp_path / f"a.{form.lower()}"
    if form == "PNG":
        path.write_bytes(as_png(width, height, 8, 2, b""))
    else:
        whole = encode(Image.new("RGB", (8, 8)), "JPEG")
        frame = whole.index(b"\xff\xc0")
        path.write_bytes(
            whole[: frame + 5] + struct.pack(">HH", height, width) + whole[frame + 9 :]
        )
    monkeypatch.setattr(ImageFile.ImageFile, "load", lambda *_: pytest.fail("was decoded"))
    error = problem(path)
    assert error.kind == "too large"
    assert error.what == f"{width:,} x {height:,} pixels, more than 64,000,000"


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.sampled_from(["JPEG", "PNG"]),
    st.lists(st.tuples(st.integers(0, 10_000), st.integers(0, 255)), min_size=1, max_size=5),
)
@pytest.mark.filterwarnings("ignore")
def test_damage_gives_pixels_or_a_bad_image(
    tmp_path: Path, form: str, changes: list[tuple[int, int]]
) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    data = bytearray(encode(draw(7, 20, 16), form, exif=exif))
    for position, value in changes:
        data[position % len(data)] = value
    path = tmp_path / f"a.{form.lower()}"
    path.write_bytes(data)
    pixels, kind = outcome(path)
    assert (pixels is None) == (kind != "")


@pytest.mark.parametrize(
    ("width", "height", "size", "scale"),
    [
        (600, 450, 256, 2),
        (600, 450, 257, 2),
        (600, 450, 260, 1),  # 225 is less than 7/8 of it
        (600, 450, 64, 2),  # a quarter is less than 200
        (1700, 1800, 128, 8),
        (801, 803, 128, 4),
        (450, 600, 256, 2),
        (399, 600, 64, 1),
    ],
)
def test_fast_decodes_at_the_smallest_scale_that_is_enough(
    tmp_path: Path, width: int, height: int, size: int, scale: int
) -> None:
    path = tmp_path / "a.jpg"
    draw(8, width, height).save(path)
    fast, exact = decode(path, size, "fast"), decode(path, size)
    assert fast.rgb.size == (-(-width // scale), -(-height // scale))
    assert (fast.width, fast.height) == (width, height)
    assert (fast.pixels == exact.pixels).all() == (scale == 1)
    assert np.abs(fast.pixels.astype(int) - exact.pixels).mean() < 2
    by_pillow = np.asarray(fast.rgb.resize((size, size), Image.Resampling.BILINEAR))
    assert np.abs(fast.pixels.astype(int) - by_pillow).max() <= 1
    assert RULES["fast"] != RULES["exact"]


def test_without_its_package_fast_is_refused_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    require_decoder("fast")
    monkeypatch.setitem(sys.modules, "cykooz_resizer", None)
    require_decoder("exact")
    with pytest.raises(EnvironmentProblem, match=r'pip install "milkreport\[fast\]"'):
        require_decoder("fast")


def test_fast_turns_what_it_drafted_and_leaves_the_rest_alone(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    draw(9, 900, 600).save(tmp_path / "a.jpg", exif=exif)
    draw(9, 900, 600).convert("L").save(tmp_path / "grey.jpg")
    draw(9, 900, 600).convert("CMYK").save(tmp_path / "cmyk.jpg")
    draw(9, 900, 600).save(tmp_path / "a.png")
    turned = decode(tmp_path / "a.jpg", 100, "fast")
    assert turned.rgb.size == (300, 450)
    exact = decode(tmp_path / "a.jpg", 100).pixels.astype(int)
    assert np.abs(turned.pixels - exact).mean() < 2
    assert np.abs(np.rot90(turned.pixels, 2) - exact).mean() > 20  # negative control
    assert decode(tmp_path / "grey.jpg", 100, "fast").rgb.size == (450, 300)
    for name in ("cmyk.jpg", "a.png"):
        fast, exact_too = decode(tmp_path / name, 100, "fast"), decode(tmp_path / name, 100)
        assert (fast.pixels == exact_too.pixels).all()
    assert decode(tmp_path / "a.jpg", None, "fast").pixels.shape == (900, 600, 3)


def distance(one: Image.Image, other: Image.Image) -> int:
    first, second = perceptual_hash(one), perceptual_hash(other)
    assert len(first) == len(second) == 64
    return (int(first, 16) ^ int(second, 16)).bit_count()


def test_the_hash_is_that_of_its_definition() -> None:
    """A 64 x 64 grey image is hashed as it is; SciPy's transform."""
    grey = np.random.default_rng(0).integers(0, 256, (64, 64), dtype=np.uint8)
    low = dctn(grey.astype(float))[:16, :16].ravel()
    bits = "".join("1" if value > np.median(low) else "0" for value in low)
    image = Image.fromarray(grey).convert("RGB")
    assert perceptual_hash(image) == f"{int(bits, 2):064x}"
    slope = np.tile(np.arange(50, 178, 2, dtype=np.uint8), (64, 1))
    bits_across = int(perceptual_hash(Image.fromarray(slope).convert("RGB")), 16)
    assert bits_across & ((1 << 240) - 1) == 0  # nothing down the image


def test_the_hash_survives_what_leaves_the_picture_the_same() -> None:
    image = draw(10, 600, 450, patches=24)
    for quality in (30, 50, 90):
        again = Image.open(io.BytesIO(encode(image, "JPEG", quality=quality)))
        assert distance(image, again) <= NEAR_DISTANCE
    for size in ((300, 225), (1200, 900), (256, 256), (77, 91)):
        assert distance(image, image.resize(size, Image.Resampling.BILINEAR)) <= NEAR_DISTANCE
    assert distance(image, image.point(lambda value: round(0.9 * value))) <= NEAR_DISTANCE
    assert distance(image, draw(11, 600, 450, patches=24)) > 60
    assert distance(image, ImageOps.mirror(image)) > 60


def test_a_flat_image_has_no_hash() -> None:
    rng = np.random.default_rng(0)
    assert perceptual_hash(Image.new("RGB", (300, 200), "red")) == ""
    noise = Image.fromarray(rng.normal(128, 4, (300, 400, 3)).clip(0, 255).astype(np.uint8))
    assert perceptual_hash(noise) == ""
    slope = np.linspace(100, 140, 300).astype(np.uint8)
    assert perceptual_hash(Image.fromarray(np.tile(slope, (200, 1))).convert("RGB")) != ""
    for size in ((1, 1), (3, 500), (5000, 2)):
        assert perceptual_hash(draw(12).resize(size)) in (
            "",
            perceptual_hash(draw(12).resize(size)),
        )


def test_originals_decode_as_they_are() -> None:
    folder = real_folder("milk10k_sample")
    if not folder.is_dir():
        pytest.skip("the 99 original MILK10k lesions are not at hand")
    paths = sorted(folder.rglob("*.jpg"))
    assert len(paths) == 198
    for path in paths[::20]:
        exact, fast = decode(path, 256), decode(path, 256, "fast")
        with Image.open(path) as image:
            expected = image.convert("RGB").resize((256, 256), Image.Resampling.BILINEAR)
        assert (exact.pixels == np.asarray(expected)).all()
        assert fast.rgb.size == (300, 225)
        assert distance(exact.rgb, fast.rgb) <= 10
        assert np.abs(fast.pixels.astype(int) - exact.pixels).mean() < 3


def test_truncation_is_seen_whatever_another_library_set(tmp_path: Path, monkeypatch) -> None:
    """Importing WeasyPrint lets Pillow read truncated files in the whole process."""
    path = tmp_path / "cut.png"
    noise = np.random.default_rng(0).integers(0, 256, (20, 30, 3), dtype=np.uint8)
    Image.fromarray(noise).save(path)
    path.write_bytes(path.read_bytes()[:300])
    monkeypatch.setattr(ImageFile, "LOAD_TRUNCATED_IMAGES", True)
    with Image.open(path) as image:
        image.load()  # negative control: so set, Pillow says nothing
    with pytest.raises(BadImage, match="truncated"):
        decode(path, 16)


def test_a_bad_image_comes_home_from_another_process(tmp_path: Path) -> None:
    with pytest.raises(BadImage) as caught:
        decode(tmp_path / "a.png", 16)
    home = pickle.loads(pickle.dumps(caught.value))
    assert (home.kind, str(home)) == ("missing", str(caught.value))
