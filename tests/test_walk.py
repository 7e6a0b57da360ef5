"""The walk of a kernel: what Python computes, and the still of it. A browser tests the rest."""

import re

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from test_diagrams import elements, texts, value, words

import mnist_helpers as mh
from mnist_helpers.svg import MINUS, PLUS

KERNEL = torch.tensor([[-1.0, -1.0, -1.0], [0.0, 0.25, 0.0], [1.0, 1.0, 1.0]])


@pytest.fixture
def image():
    return torch.randint(256, (28, 28), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


def test_a_walk_begins_where_it_is_told(image):
    assert mh.walk(image, KERNEL, place=(25, 3)).place == mh.walk(image, KERNEL, place=[25, 3]).place == [25, 3]


def test_the_map_is_that_of_conv2d(image):
    walk = mh.walk(image, KERNEL)
    expected = F.conv2d(image[None, None] / 255, KERNEL[None, None])[0, 0]
    assert np.allclose(walk.answers, expected)
    assert np.allclose(walk.image, image / 255)
    assert np.array_equal(walk.kernel, KERNEL)
    assert walk.answers[walk.place[0]][walk.place[1]] == max(max(row) for row in walk.answers)


def test_bytes_and_floats_are_the_same_image(image):
    assert mh.walk(image, KERNEL).answers == mh.walk(image / 255, KERNEL).answers


def test_the_still_shows_the_nine_products_at_the_place_where_the_walk_is(image):
    walk = mh.walk(image, KERNEL, place=(0, 0))
    for row, column in ((0, 0), (25, 0), (3, 17)):
        walk.place = [row, column]
        pixels = (image / 255)[row : row + 3, column : column + 3]
        shown = words(walk.still())
        assert [value(text) for text in shown if text.startswith("=")] == pytest.approx(
            (pixels * KERNEL).flatten().tolist(), abs=0.0051
        )
        assert [value(text) for text in shown if text.startswith("×")] == KERNEL.flatten().tolist()
        total = (pixels * KERNEL).sum().item()
        [said] = [text for text in texts(walk.still()) if text.words.startswith("sum")]
        assert value(said.words) == pytest.approx(total, abs=0.0051)
        assert said.colour == (PLUS if total >= 0 else MINUS)
        assert walk.still().sentence == (
            f"A 3×3 kernel on an image of 28×28 pixels, at row {row}, column {column}: the nine products of pixel and "
            f"weight add up to {said.words.removeprefix('sum ')}, one number of the feature map of 26×26."
        )


def test_the_window_frames_its_pixels(image):
    walk = mh.walk(image[:, :14], KERNEL, place=(20, 3))
    boxes = [box for box in elements(walk.still()).iter() if box.get("stroke-width") == "2.5"]
    window = [float(boxes[0].get(name)) for name in ("x", "y", "width", "height")]
    edge = 196 / 28
    assert window == pytest.approx([2 + 3 * edge, 28 + 20 * edge, 3 * edge, 3 * edge])


def test_where_nothing_runs_the_still_stands_in(image):
    walk = mh.walk(image, KERNEL, place=(3, 17))
    data, _ = walk._repr_mimebundle_()
    assert data["image/svg+xml"] == walk.still()._repr_svg_()
    assert walk.still().sentence in data["text/html"]
    assert data["text/plain"] == repr(walk)
    assert "application/vnd.jupyter.widget-view+json" in data


def test_the_front_end_needs_no_network():
    front = mh.walk(torch.eye(3), KERNEL)
    assert not re.search(r"https?://|import |fetch\(", f"{front._esm}{front._css}")


@pytest.mark.parametrize(
    ("image", "kernel", "place", "message"),
    [
        (torch.eye(28), torch.ones(5, 5), None, r"the shape \(3, 3\)"),
        (torch.eye(28), torch.full((3, 3), torch.inf), None, "finite weights"),
        (torch.ones(1, 28, 28), KERNEL, None, r"not the shape \(1, 28, 28\)"),
        (torch.ones(2, 28), KERNEL, None, "3 to 64 rows"),
        (torch.eye(28) * 255, KERNEL, None, "divide it by 255"),
        (torch.full((28, 28), torch.nan), KERNEL, None, "divide it by 255"),
        (torch.eye(28), KERNEL, (26, 0), r"none at \(26, 0\)"),
        (torch.eye(28), KERNEL, (0, -1), r"none at \(0, -1\)"),
        (torch.eye(28), KERNEL, 7, "none at 7"),
    ],
)
def test_what_cannot_be_walked_is_refused_in_one_line(image, kernel, place, message):
    with pytest.raises(ValueError, match=message) as raised:
        mh.walk(image, kernel, place)
    assert "\n" not in str(raised.value)
    assert len(str(raised.value)) < 200
