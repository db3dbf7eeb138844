"""Depth maps, colour images and paths: every kind of file, and every kind of damage."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import ExifTags, Image

from bench.datasets._depth import read_depth, resize_nearest
from bench.datasets._files import find_root, inside
from bench.datasets._images import exif_orientation, read_rgb
from bench.errors import BenchError
from tests.rooms import save_depth_png, save_pfm

DEPTH = np.array([[0.0, 1.25, 2.5], [3.5, 0.5, 7.0]])
Floats = NDArray[np.float64]


def save_exr(path: Path, depth: Floats) -> None:
    OpenEXR = pytest.importorskip("OpenEXR")
    header = {"compression": OpenEXR.ZIP_COMPRESSION, "type": OpenEXR.scanlineimage}
    with OpenEXR.File(header, {"Y": depth.astype(np.float16)}) as file:
        file.write(str(path))


SAVE: dict[str, Callable[[Path, Floats], None]] = {
    ".png": lambda path, depth: save_depth_png(path, depth, 0.001),
    ".pfm": save_pfm,
    ".npy": lambda path, depth: np.save(path, depth.astype(np.float32)),
    ".npz": lambda path, depth: np.savez(path, depth=depth, confidence=np.ones_like(depth)),
    ".exr": save_exr,
}


@pytest.mark.parametrize("suffix", SAVE)
def test_depth(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"depth{suffix}"
    SAVE[suffix](path, DEPTH)
    unit = 0.001 if suffix == ".png" else 1.0
    depth = read_depth(path, unit)
    assert depth.dtype == np.float32
    np.testing.assert_allclose(depth, DEPTH, atol=1e-6)
    np.testing.assert_allclose(read_depth(path, 2 * unit), 2 * DEPTH, atol=1e-6)


@pytest.mark.parametrize("suffix", [".pfm", ".npy", ".npz", ".exr"])
def test_unknown_depth_is_zero(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"depth{suffix}"
    SAVE[suffix](path, np.array([[np.nan, np.inf, -1.0, 2.0]]))
    assert read_depth(path).tolist() == [[0, 0, 0, 2]]


@pytest.mark.parametrize("suffix", SAVE)
def test_damaged_depth(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"depth{suffix}"
    SAVE[suffix](path, np.random.default_rng(0).uniform(1, 2, (40, 50)))
    path.write_bytes(path.read_bytes()[:60])
    with pytest.raises(BenchError, match="depth"):
        read_depth(path)
    path.unlink()
    with pytest.raises(BenchError, match="is missing"):
        read_depth(path)


def test_pfm_of_the_other_byte_order(tmp_path: Path) -> None:
    path = tmp_path / "depth.pfm"
    path.write_bytes(b"Pf\n3 2\n1.0\n" + DEPTH[::-1].astype(">f4").tobytes())
    np.testing.assert_allclose(read_depth(path), DEPTH)


def test_pictures_are_not_depth(tmp_path: Path) -> None:
    path = tmp_path / "depth.png"
    Image.fromarray(np.zeros((4, 5), np.uint8)).save(path)
    with pytest.raises(BenchError, match="not a 16-bit depth map"):
        read_depth(path)
    with pytest.raises(BenchError, match="unknown kind"):
        read_depth(path.with_suffix(".jpg"))


def test_pickles_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "depth.npy"
    np.save(path, np.array([{"code": 1}], dtype=object), allow_pickle=True)
    with pytest.raises(BenchError, match="cannot be read"):
        read_depth(path)


def test_nearest_takes_the_pixel_under_the_centre() -> None:
    values = np.arange(6).reshape(2, 3)
    doubled = resize_nearest(values, (4, 6))
    assert (doubled == values.repeat(2, 0).repeat(2, 1)).all()
    assert resize_nearest(np.arange(9)[None], (1, 3)).tolist() == [[1, 4, 7]]


def turned(path: Path, orientation: int, pixels: NDArray[np.uint8]) -> Path:
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = orientation
    Image.fromarray(pixels).save(path, exif=exif)
    return path


def test_exif(tmp_path: Path) -> None:
    """The raster is the one that the camera was calibrated on, whatever the tag says."""
    pixels = np.random.default_rng(0).integers(0, 255, (4, 6, 3), dtype=np.uint8)
    quarter = turned(tmp_path / "quarter.png", 6, pixels)
    half = turned(tmp_path / "half.png", 3, pixels)
    assert exif_orientation(quarter) == 6

    def read(path: Path, size: tuple[int, int] | None, upright: bool = False) -> NDArray[np.uint8]:
        return read_rgb(path, size, upright).permute(1, 2, 0).numpy()

    assert (read(quarter, None) == pixels).all()
    assert (read(quarter, (4, 6)) == pixels).all()
    assert (read(quarter, (6, 4)) == np.rot90(pixels, -1)).all()
    assert (read(quarter, (6, 4), upright=True) == np.rot90(pixels, -1)).all()
    assert (read(half, (4, 6)) == pixels).all()
    assert (read(half, (4, 6), upright=True) == pixels[::-1, ::-1]).all()


def test_images_of_another_shape_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "image.png"
    Image.fromarray(np.zeros((40, 60, 3), np.uint8)).save(path)
    assert read_rgb(path, (80, 120)).shape == (3, 80, 120)
    assert read_rgb(path, (27, 40)).shape == (3, 27, 40)
    for size in ((60, 40), (40, 50), (80, 60)):
        with pytest.raises(BenchError, match="60 x 40 pixels, but its camera"):
            read_rgb(path, size)


def test_damaged_images(tmp_path: Path) -> None:
    path = tmp_path / "image.jpg"
    noise = np.random.default_rng(0).integers(0, 255, (64, 64, 3), dtype=np.uint8)
    Image.fromarray(noise).save(path)
    path.write_bytes(path.read_bytes()[:2000])
    with pytest.raises(BenchError, match=r"image.jpg cannot be read"):
        read_rgb(path)
    path.write_text("not an image")
    with pytest.raises(BenchError, match=r"image.jpg cannot be read"):
        read_rgb(path)


def test_grey_and_transparent_images_become_rgb(tmp_path: Path) -> None:
    for mode in ("L", "RGBA", "P"):
        path = tmp_path / f"{mode}.png"
        Image.new("RGB", (5, 4), (255, 255, 255)).convert(mode).save(path)
        image = read_rgb(path)
        assert image.shape == (3, 4, 5)
        assert (image == 255).all()


@pytest.mark.parametrize("name", ["../x", "/etc/passwd", "a/../../x", "a/b/../../../root2/x"])
def test_names_stay_inside(tmp_path: Path, name: str) -> None:
    with pytest.raises(BenchError, match="leads out of"):
        inside(tmp_path / "root", name)


def test_a_neighbour_with_the_same_beginning_is_outside(tmp_path: Path) -> None:
    with pytest.raises(BenchError, match="leads out of"):
        inside(tmp_path / "root", "../root2/x")
    assert inside(tmp_path / "root", "a/../b.png") == tmp_path / "root" / "b.png"


def test_root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("BENCH_DATA", raising=False)
    with pytest.raises(BenchError, match=r"neither.*BENCH_DATA.*Fetch it"):
        find_root(None, "navi", "navi", "Fetch it.")
    with pytest.raises(BenchError, match=r"does not exist.*Fetch it"):
        find_root(str(tmp_path / "none"), "navi", "navi", "Fetch it.")
    monkeypatch.setenv("BENCH_DATA", str(tmp_path))
    with pytest.raises(BenchError, match="navi does not exist"):
        find_root(None, "navi", "navi", "Fetch it.")
    (tmp_path / "navi").mkdir()
    assert find_root(None, "navi", "navi", "") == tmp_path / "navi"
    assert find_root("$BENCH_DATA/navi", "navi", "navi", "") == tmp_path / "navi"
    with pytest.raises(BenchError, match="names an environment variable that is not set"):
        find_root("$NO_SUCH_VARIABLE/navi", "navi", "navi", "")
