"""Pictures of others: bounded memory, no programs started, one clear error."""

import io
import os
import random

import numpy as np
import pytest
from PIL import Image, ImageDraw

import mnist_helpers as mh
from mnist_helpers.pictures import FORMATS, read_grey


def digit(size, mode="L"):
    """A dark 7 on light paper."""
    picture, (width, height) = Image.new(mode, size, "white"), size
    stroke = [(width * x // 100, height * y // 100) for x, y in ((30, 20), (60, 20), (42, 85))]
    ImageDraw.Draw(picture).line(stroke, fill="black", width=height // 12, joint="curve")
    return picture


def test_a_file_called_png_that_is_postscript_starts_no_program(tmp_path, monkeypatch):
    """Pillow hands PostScript to the program `gs`, if there is one."""
    started = tmp_path / "started"
    (tmp_path / "gs").write_text(f"#!/bin/sh\ntouch {started}\n")
    (tmp_path / "gs").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    (tmp_path / "digit.png").write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 20 20\n%%EndComments\n")
    with pytest.raises(mh.ImageError, match="none of PNG, JPEG"):
        mh.to_mnist(tmp_path / "digit.png")
    with pytest.raises(mh.ImageError, match="none of PNG, JPEG"):
        read_grey(io.BytesIO((tmp_path / "digit.png").read_bytes()))
    assert not started.exists()


@pytest.mark.filterwarnings("ignore:.*:UserWarning")  # TIFF has its own ways to complain
@pytest.mark.parametrize("kind", FORMATS)
def test_a_damaged_file_of_any_kind_is_one_clear_error(kind):
    """Whatever Pillow's reader raises: it is not always an OSError."""
    try:
        buffer = io.BytesIO()
        digit((60, 60), "RGB").save(buffer, format=kind)
    except (OSError, KeyError):
        pytest.skip(f"this build of Pillow cannot write {kind}")
    whole, dice, refused = buffer.getvalue(), random.Random(0), 0
    for _ in range(150):
        content = bytearray(whole[: dice.choice([len(whole), dice.randrange(20, len(whole))])])
        for _ in range(dice.randrange(1, 6)):
            content[dice.randrange(min(200, len(content)))] = dice.randrange(256)
        try:
            read_grey(io.BytesIO(content))
        except mh.ImageError:
            refused += 1
    assert refused > 5


@pytest.mark.parametrize("error", [RuntimeError, NotImplementedError, AttributeError, KeyError, ValueError])
def test_whatever_a_reader_of_pillow_s_raises(error, tmp_path, monkeypatch):
    digit((60, 60)).save(tmp_path / "a.png")

    def fail(*_, **__):
        raise error("inside")

    monkeypatch.setattr(Image.Image, "reduce", fail)
    with pytest.raises(mh.ImageError, match="cannot be read as a picture"):
        mh.to_mnist(tmp_path / "a.png")


def read(path):
    return mh.to_mnist(path).numpy()


@pytest.mark.parametrize(("mode", "name"), [("L", "a.png"), ("RGBA", "a.png"), ("RGB", "a.jpg"), ("I;16", "a.png")])
def test_a_picture_of_fifty_million_pixels_takes_little_memory(mode, name, tmp_path, elsewhere):
    """As numbers it takes 200 MB and more, several times over."""
    size = (10_000, 5000)
    picture = digit(size)
    if mode == "I;16":
        picture = Image.fromarray(np.asarray(picture).astype(np.uint16) * 257)
    picture.convert(mode).save(tmp_path / name, compress_level=1)
    image, memory = elsewhere(read, tmp_path / name)
    small = mh.to_mnist(digit((1000, 500))).float().numpy()
    assert abs(image - small).mean() < 3
    assert memory < 450_000_000


def test_a_picture_is_shrunk_without_a_change_of_its_own_object():
    picture = digit((5000, 4000))
    grey = read_grey(picture)
    assert picture.size == (5000, 4000)
    assert max(grey.shape) <= 2000
    assert grey.shape[1] / grey.shape[0] == pytest.approx(5 / 4, rel=0.01)
    expected = np.asarray(digit((5000, 4000)).reduce(3), np.float32) / 255
    assert np.array_equal(grey, expected)
