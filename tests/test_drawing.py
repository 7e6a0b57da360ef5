"""Drawings: strokes to images against other rasterisers, what does and does not change an image, files, bad input.

Grey levels run from 0 to 255. "Within 1 level" is float rounding: `render` works in float32, then rounds.
"""

import functools
import itertools
import json
import math
import operator
import os
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from PIL import Image, ImageDraw
from scipy import ndimage
from scipy.spatial import KDTree

from mnist_helpers import to_mnist
from mnist_helpers.centring import place
from mnist_helpers.pad.drawings import (
    as_split,
    change_drawings,
    format_drawings,
    load_drawings,
    parse_drawings,
    save_drawings,
)
from mnist_helpers.pad.strokes import MAX_POINTS, PEN, SMALLEST, Drawing, render
from mnist_helpers.pictures import ImageError

TURN = np.linspace(0, 2 * np.pi, 41)
FIGURES = {
    "one": [[(0.5, 0.1), (0.52, 0.9)]],
    "four": [[(0.4, 0.1), (0.3, 0.5), (0.7, 0.5)], [(0.6, 0.3), (0.6, 0.9)]],
    "seven": [[(0.2, 0.2), (0.7, 0.2), (0.4, 0.8)], [(0.3, 0.5), (0.6, 0.5)]],
    "eight": [
        np.c_[0.5 + 0.15 * np.cos(TURN), 0.35 + 0.15 * np.sin(TURN)],
        np.c_[0.5 + 0.2 * np.cos(TURN), 0.7 + 0.2 * np.sin(TURN)],
    ],
    "dash": [[(0.1, 0.5), (0.5, 0.45), (0.9, 0.6)]],
}
SEVEN = Drawing(FIGURES["seven"], label=7)

# Coordinates on a grid, as files hold them: there, exact ties are common.
coordinates = st.integers(0, 1000).map(lambda thousandths: thousandths / 1000)


def strokes_of(coordinate):
    points = st.tuples(coordinate, coordinate)
    strokes = st.lists(st.lists(points, min_size=1, max_size=6), min_size=1, max_size=3)
    return strokes.map(lambda many: [np.array(stroke, float) for stroke in many])


drawn = strokes_of(coordinates)
either = st.booleans()
pens = st.sampled_from([1.0, 2.0, PEN, 4.0, 10.0])


def repeatable(examples):
    return settings(deadline=None, derandomize=True, max_examples=examples)


def image(strokes, pen=PEN, fit=True):
    """Grey levels as `int64`, whose differences can be negative."""
    return render(Drawing(strokes, pen=pen), fit=fit).numpy().astype(np.int64)


def box(strokes):
    points = np.concatenate(strokes)
    return points.min(0), np.ptp(points, axis=0)


def differ(first, second):
    """The greatest difference between two images in any pixel, in grey levels."""
    return abs(first - second).max()


def centre_of_mass(pixels):
    return np.array(ndimage.center_of_mass(pixels.astype(float)))


def moved(pixels, down, right):
    """Nothing may leave the canvas on one side, to come in on the other."""
    assert pixels[28 - down :].sum() == pixels[:, 28 - right :].sum() == 0
    return np.roll(pixels, (down, right), (0, 1))


def assert_same(first, second, levels=1, edge=0.01):
    """The same image. Where the centre of mass is on the edge of the rounding to whole pixels, 13.5 or 14.5, one image
    may lie a pixel off. The centres are taken from whole grey levels, which moves them by up to 0.01 pixels."""
    if differ(first, second) > levels:
        distance = abs((centre_of_mass(first) - 13.5 + 0.5) % 1 - 0.5)  # of each axis to the edge
        shifts = [(down, right) for down in (-1, 0, 1) for right in (-1, 0, 1)]
        fitting = [shift for shift in shifts if differ(first, np.roll(second, shift, (0, 1))) <= levels]
        assert fitting, "another image, not only in another place"
        assert (distance[np.flatnonzero(fitting[0])] < edge).all(), "moved, though the rounding was clear"


# As MNIST was made


@repeatable(150)
@given(drawn, pens, st.floats(0, 1), st.floats(0, 1), st.floats(0, 1))
def test_where_and_how_large_it_was_drawn_does_not_matter(strokes, pen, size, across, down):
    low, extent = box(strokes)
    assume(extent.max() > 0.05)
    smallest = 1.001 * SMALLEST / extent.max()
    scale = smallest + size * (1 / extent.max() - smallest)  # from the smallest that counts to all of the square
    corner = np.array([across, down]) * (1 - scale * extent)
    assert_same(image(strokes, pen), image([(stroke - low) * scale + corner for stroke in strokes], pen))


@repeatable(150)
@given(drawn, st.floats(0.5, 10))
def test_the_ink_fits_20_pixels_and_its_mass_is_in_the_middle(strokes, pen):
    assume(box(strokes)[1].max() >= SMALLEST)
    made = render(Drawing(strokes, pen=pen))
    assert made.dtype == torch.uint8
    assert made.shape == (28, 28)
    assert made.max() == 255
    assert made.device.type == "cpu"
    rows, columns = ndimage.find_objects((made.numpy() > 0).astype(int))[0]
    assert max(rows.stop - rows.start, columns.stop - columns.start) == 20
    for centre, side in zip(centre_of_mass(made.numpy()), (rows, columns), strict=True):
        # Rounding to whole grey levels moves the centre a little. At the canvas' edge it may be anywhere.
        assert 13.49 <= centre < 14.51 or (side.start == 0 and centre > 14) or (side.stop == 28 and centre < 14)


def test_a_fitted_drawing_is_as_wide_and_high_as_its_aspect_says():
    """Half as wide as high, in ink: the pen comes on top of both sides."""
    made = image([[(0.1, 0.1), (0.35, 0.1), (0.35, 0.6), (0.1, 0.6), (0.1, 0.1)]])
    height, width = ((made >= 128).any(axis).sum() for axis in (1, 0))  # to where the ink is half
    assert height == 20
    assert width == round((20 - PEN) / 2 + PEN)


def test_lopsided_ink_stays_on_the_canvas():
    """A scribble at the end of a long line: the centre of mass cannot be in the middle."""
    scribble = [(0.75 + 0.25 * (step % 2), 0.25 + step / 120) for step in range(60)]
    strokes = [[(0.0, 0.5), (0.75, 0.5)], scribble]
    made = image(strokes, pen=1)
    assert (made > 0).any(0).sum() == 20
    assert made[:, 0].max() > 0  # against the edge,
    assert centre_of_mass(made)[1] > 14.5  # and still not there
    opposite = image([[(1 - x, y) for x, y in stroke] for stroke in strokes], pen=1)
    assert made[:, 27].max() == 0
    assert opposite[:, 27].max() > 0
    for size in np.linspace(0.3, 0.9, 400):  # of some, float arithmetic makes 20.000000000000004 pixels
        smaller = image([[((1 - x) * size + 0.05, y * size) for x, y in stroke] for stroke in strokes], pen=1)
        assert differ(smaller, opposite) <= 1


@pytest.mark.parametrize(
    ("mass", "start"),
    [
        ([0] * 9 + [1, 1] + [0] * 9, 4),  # centre 9.5 goes to 13.5, the edge that belongs to the middle
        ([0] * 9 + [1, 1.01] + [0] * 9, 4),
        ([0] * 9 + [1.01, 1] + [0] * 9, 5),  # just below 13.5, so one on
        ([1] * 3, 13),
        ([1] + [0] * 19, 8),  # 14 would push it over the edge
        ([0] * 19 + [1], 0),  # and so would -5
    ],
)
def test_the_centre_goes_to_the_middle_by_whole_pixels(mass, start):
    assert place(np.array(mass, np.float32)) == start


@repeatable(80)
@given(drawn, st.floats(0.05, 0.9))
def test_a_symmetric_drawing_lies_where_its_exact_centre_says(strokes, width):
    """A centre of mass of exactly 9.5 goes to 13.5, so the ink starts at 4; float noise must not make that 5."""
    strokes = [stroke * [width, 1] for stroke in strokes]
    strokes += [stroke * [1, -1] + [0, 1] for stroke in strokes]  # upside down
    _, (across, down) = box(strokes)
    assume(down > max(across, SMALLEST))
    assert np.flatnonzero(image(strokes).any(1))[[0, -1]].tolist() == [4, 23]


@repeatable(60)
@given(drawn, pens, either)
def test_rows_and_columns_are_made_alike(strokes, pen, fit):
    """With x and y exchanged the image is transposed."""
    assume(box(strokes)[1].max() >= SMALLEST)
    turned = image([stroke[:, ::-1] for stroke in strokes], pen, fit).T
    assert_same(image(strokes, pen, fit), turned)


def test_a_dot_stays_a_dot():
    """It is not magnified, wherever it is, nor if the hand shook a little; a digit of one pixel of the pad is."""
    assert SMALLEST == 1 / 28
    dot = image([[(0.3, 0.9)]])
    assert dot.max() == 255
    assert (dot > 0).any(0).sum() == (dot > 0).any(1).sum() == 3
    assert_same(dot, image([[(0.3, 0.9)] * 4, [(0.3, 0.9)]]))
    assert_same(dot, image([[(0.0, 0.0)]]))
    wiggle = 0.1 * SMALLEST * np.random.default_rng(0).random((50, 2))
    shaken = image([0.5 + wiggle])
    assert max((shaken > 0).any(0).sum(), (shaken > 0).any(1).sum()) <= math.ceil(0.1 * (20 - PEN) + PEN)
    small = image([[(0.5, 0.5), (0.5, 0.5 + SMALLEST)]])
    assert (small > 0).any(1).sum() == 20
    half = image([[(0.5, 0.5), (0.5, 0.5 + SMALLEST / 2)]])
    assert (half > 0).any(1).sum() == math.ceil((20 - PEN) / 2 + PEN)  # nothing jumps at the threshold


# As drawn


@repeatable(60)
@given(drawn, st.sampled_from([1.0, PEN, 4.0]), st.integers(0, 10), st.integers(0, 10))
def test_moved_by_whole_pixels_the_image_moves_with_the_strokes(strokes, pen, right, down):
    inside = [3 / 28 + stroke * 12 / 28 for stroke in strokes]  # with the pen's edge from 0.5 to 17.5 pixels
    there = image([stroke + np.array([right, down]) / 28 for stroke in inside], pen, fit=False)
    assert differ(moved(image(inside, pen, fit=False), down, right), there) <= 1


@repeatable(40)
@given(drawn, pens)
def test_mirrored_strokes_give_the_mirrored_image(strokes, pen):
    """True as drawn; fitted, the rounding of size and place to whole pixels has a side that it prefers."""
    mirrored = image([[1, 0] + stroke * [-1, 1] for stroke in strokes], pen, fit=False)
    assert differ(image(strokes, pen, fit=False)[:, ::-1], mirrored) <= 1


def test_coordinates_are_pixels_over_28():
    """A dot of 2 pixels in the middle of the pixel in row 20, column 5."""
    made = image([[(5.5 / 28, 20.5 / 28)]], pen=2, fit=False)
    assert made[20, 5] == 255
    assert centre_of_mass(made) == pytest.approx([20, 5])
    assert made[19, 5] == made[20, 4] == round(255 * 0.5)  # its edge goes through the middle of the neighbours
    assert (made > 0).sum() == 9
    assert made[19, 4] == round(255 * (1.5 - math.sqrt(2)))


@repeatable(60)
@given(st.floats(0.25, 0.75), st.floats(2, 10), either)
def test_a_line_is_as_wide_as_the_pen(x, pen, lies):
    """Exactly: its soft edges add up to the same wherever they fall. Below 2 pixels the strongest may not reach 1."""
    line = np.array([(x, 0.0), (x, 1.0)])
    made = image([line[:, ::-1] if lies else line], pen, fit=False)
    widths = made.sum(0 if lies else 1) / 255
    assert abs(widths - pen).max() < 4 * 0.5 / 255 + 1e-4  # at most four pixels are neither 0 nor 255


@repeatable(100)
@given(st.tuples(coordinates, coordinates), st.tuples(coordinates, coordinates), st.floats(2.5, 5))
def test_a_straight_line_holds_as_much_ink_as_its_area(start, end, pen):
    """Pen × length, and a half disc at each end. Sampling costs 4 %, and lines of 5 pixels another 4 %."""
    ends = 4 / 28 + np.array([start, end]) * 20 / 28  # nothing is cut off at the edge
    assume(28 * math.dist(*ends) > 5)
    area = pen * 28 * math.dist(*ends) + math.pi * pen**2 / 4
    short = 0.04 * 5 / (28 * math.dist(*ends))
    assert image([ends], pen, fit=False).sum() / 255 == pytest.approx(area, rel=0.04 + short)


@repeatable(60)
@given(drawn, drawn, st.floats(2.5, 10))
def test_another_stroke_takes_no_ink_away(strokes, more, pen):
    """Within a level. From 2.42 pixels on, a pen covers some pixel wholly wherever it touches; the strongest of a
    thinner one may be below 1, and what it is scaled by to 255 changes with every stroke."""
    assert (image([*strokes, *more], pen, fit=False) - image(strokes, pen, fit=False)).min() >= -1


def test_thin_pens_reach_255_too():
    for fit in (True, False):
        assert image([[(0.5, 0.2), (0.5, 0.8)]], pen=0.5, fit=fit).max() == 255


# Against other rasterisers


def coverage(paths, pen, fine=8):
    """The share of each of 28×28 pixels that a round pen covers: 8×8 points in each, inked or not by their distance to
    points that lie densely on the paths."""
    dense = []
    for path in paths:
        dense += [path[:1]]
        for start, end in itertools.pairwise(path):
            dense += [np.linspace(start, end, 2 + int(20 * math.dist(start, end)))]
    ticks = (np.arange(28 * fine) + 0.5) / fine
    samples = np.stack(np.meshgrid(ticks, ticks), -1).reshape(-1, 2)
    distances, _ = KDTree(np.concatenate(dense)).query(samples, distance_upper_bound=pen / 2)
    return np.isfinite(distances).reshape(28, fine, 28, fine).mean((1, 3))


def assert_agree(made, expected, pixels=0.1, total=0.07, centre=0.25):
    """Up to `pixels` of the ink may be elsewhere: where strokes cross or bend, and along diagonals, the soft edge is
    not quite the share that is covered. The defaults are for the worst that can be drawn, such as a line at 45°."""
    expected = expected * 255 / expected.max()
    assert abs(made - expected).sum() < pixels * expected.sum()
    assert made.sum() == pytest.approx(expected.sum(), rel=total)
    assert centre_of_mass(made) == pytest.approx(centre_of_mass(expected), abs=centre)


@pytest.mark.parametrize("name", FIGURES)
def test_digits_agree_with_counting_points_under_the_pen(name):
    """Nearly: a pen 5 % too wide or a shift by a tenth of a pixel would not pass."""
    paths = [28 * np.array(stroke) for stroke in FIGURES[name]]
    made = image(FIGURES[name], pen=2.6, fit=False)
    assert_agree(made, coverage(paths, 2.6), pixels=0.045, total=0.02, centre=0.05)


long = drawn.filter(
    lambda strokes: sum(np.linalg.norm(np.diff(stroke, axis=0), axis=1).sum() for stroke in strokes) > 0.5
)


@repeatable(60)
@given(long, st.sampled_from([PEN, 4.0]))
def test_as_drawn_it_agrees_with_counting_points_under_the_pen(strokes, pen):
    assert_agree(image(strokes, pen, fit=False), coverage([28 * stroke for stroke in strokes], pen))


@repeatable(60)
@given(long, st.sampled_from([PEN, 4.0]))
def test_fitted_it_agrees_with_counting_points_under_the_pen(strokes, pen):
    low, extent = box(strokes)
    assume(extent.max() > 0.1)
    paths = [(stroke - low) * (20 - pen) / extent.max() + pen / 2 for stroke in strokes]
    made, expected = image(strokes, pen), coverage(paths, pen)  # this with its corner at 0
    down, across = centre_of_mass(expected)
    assume(min(across, down) > 6 and max(across, down) < 13)  # it need not be kept from the canvas' edge
    # The rule of MNIST: the first whole shift that brings the centre to 13.5 or beyond. The two do not quite agree on
    # the centre; where it is near to an edge of the rounding, there are two.
    places = itertools.product(
        *({math.ceil(13.5 - centre + near) for near in (-0.2, 0.2)} for centre in (down, across))
    )
    assert_agree(made, min((moved(expected, *place) for place in places), key=lambda it: abs(made - 255 * it).sum()))


@pytest.mark.parametrize("name", FIGURES)
def test_it_agrees_with_a_picture_of_the_same_drawing(name):
    """Drawn by Pillow, 20 times as large and elsewhere, and read as any picture is. That rounds the shorter side to
    whole pixels and smooths more, which costs 6 levels in the mean; a shift by one pixel costs 10 and more, but for
    lines along it. With some other pens, a centre of mass is so near to the edge that the two round it differently."""
    strokes, pen, fine = [np.array(stroke) for stroke in FIGURES[name]], 2.6, 20
    low, extent = box(strokes)
    picture = Image.new("L", (700, 600), "white")
    pencil, radius = ImageDraw.Draw(picture), pen * fine / 2
    for stroke in strokes:
        path = (stroke - low) * (20 - pen) * fine / extent.max() + [120, 80]
        pencil.line([tuple(point) for point in path], fill="black", width=round(2 * radius))
        for x, y in path:
            pencil.ellipse([x - radius, y - radius, x + radius, y + radius], fill="black")
    assert abs(image(strokes, pen) - to_mnist(picture).numpy()).mean() < 6


# What does not change an image


@repeatable(80)
@given(drawn, either, st.randoms(use_true_random=False), st.floats(0, 1))
def test_only_the_lines_count_not_how_they_were_drawn(strokes, fit, random, share):
    """Order and direction of the strokes, points twice, a segment in two, empty strokes: within a level."""
    expected = image(strokes, fit=fit)

    def same(changed):
        assert differ(image(changed, fit=fit), expected) <= 1

    same(random.sample(strokes, len(strokes)))
    same([stroke[::-1] for stroke in strokes])
    same([np.repeat(stroke, 2, axis=0) for stroke in strokes])
    same([*strokes, *strokes])
    same([[], *strokes, np.zeros((0, 2))])
    halves = [stroke[:-1] + (stroke[1:] - stroke[:-1]) * share for stroke in strokes]
    same([np.insert(a, range(1, len(a)), b, axis=0) for a, b in zip(strokes, halves, strict=True)])
    same([segment for stroke in strokes for segment in [stroke[:1], *itertools.pairwise(stroke)]])


def test_a_line_shorter_than_a_pixel_has_two_ends():
    line = np.array([(0.5, 0.5), (0.503, 0.5)])
    made = image([line], fit=False)
    assert differ(made, image([line[::-1]], fit=False)) <= 1
    assert centre_of_mass(made)[1] == pytest.approx(28 * 0.5015 - 0.5, abs=0.05)


def test_one_stroke_does_not_run_on_into_the_next():
    """Two parallel lines are no Z."""
    made = image([[(0.2, 0.1), (0.8, 0.1)], [(0.2, 0.9), (0.8, 0.9)]], fit=False)
    assert made[8:20].sum() == 0


@pytest.mark.parametrize("strokes", [[], (), [[]], [[], []], [np.zeros((0, 2))], [[[]]]])
def test_a_drawing_without_points_is_blank_paper(strokes):
    drawing = Drawing(strokes)
    assert drawing.strokes == ()
    for fit in (True, False):
        made = render(drawing, fit=fit)
        assert made.dtype == torch.uint8
        assert made.shape == (28, 28)
        assert made.sum() == 0


def test_thousands_of_points():
    """More than are inked at once; and what comes last counts as much as what comes first."""
    points = np.random.default_rng(0).random((5_000, 2))
    assert (image([points]) >= 128).sum() > 390  # 20×20 pixels are full, but for corners
    corners = np.array([(0.9, 0.1), (0.1, 0.1), (0.1, 0.9)])
    for times in itertools.permutations([1, 1, 1_500]):
        assert differ(image([np.repeat(corners, times, axis=0)]), image([corners])) <= 1


def test_over_100000_points_are_refused():
    assert MAX_POINTS == 100_000
    most = np.tile([[0.1, 0.2], [0.9, 0.8]], (50_000, 1))
    assert len(Drawing([most]).strokes[0]) == 100_000
    with pytest.raises(ImageError, match="more than 100,000 points"):
        Drawing([most, most[:1]])


beyond = st.one_of(coordinates, st.floats(-3, 4), st.sampled_from([-1e300, 1e300, -0.0]))


@repeatable(60)
@given(strokes_of(beyond), either)
def test_beyond_the_square_the_pen_slides_along_its_edge(strokes, fit):
    inside = [np.array([[min(max(x, 0.0), 1.0) for x in point] for point in stroke]) for stroke in strokes]
    assert differ(image(strokes, fit=fit), image(inside, fit=fit)) == 0


def test_a_drawing_keeps_its_own_copy():
    stroke = np.array([(0.1, 0.1), (0.9, 0.9)])
    drawing = Drawing([stroke])
    before = render(drawing)
    stroke[:] = 0
    assert torch.equal(render(drawing), before)


def test_a_drawing_says_what_it_is():
    assert repr(SEVEN) == "Drawing of a 7 in 2 strokes, 5 points"
    assert repr(Drawing([[(0, 0)]])) == "Drawing in 1 strokes, 1 points"
    assert (SEVEN.pen, SEVEN.style, Drawing([]).label) == (PEN, "", None)


def test_drawings_can_be_looked_for_in_a_list():
    assert SEVEN in [Drawing(FIGURES["one"]), SEVEN]


# Bad input

POINTS = "lists of points"
FINITE = "not a finite number"


@pytest.mark.parametrize(
    ("strokes", "message"),
    [
        ([[(0.1, math.nan)]], FINITE),
        ([[(0.1, 0.2)], [(math.inf, 0.1)]], FINITE),
        ([[(-math.inf, 0.1)]], FINITE),
        ([[(10**400, 0.1)]], f"{FINITE}|{POINTS}"),  # such whole numbers are more than a float can hold
        ([[(None, 0.1)]], f"{FINITE}|{POINTS}"),
        (None, POINTS),
        (5, POINTS),
        ([5], POINTS),
        ("text", POINTS),
        ([["ab", "cd"]], POINTS),
        ([[("0.1", "0.2")]], POINTS),
        ([[(0.1, 0.2), (0.3,)]], POINTS),
        ([[(0.1, 0.2), 0.3]], POINTS),
        ([[(0.1, 0.2, 0.3)]], POINTS),
        ([[(0.1, 0.2, 0.3), (0.4, 0.5, 0.6)]], POINTS),  # six numbers are not three points
        ([[0.1, 0.2]], POINTS),  # a point is no stroke
        ([0.1, 0.2], POINTS),
        ([[[(0.1, 0.2)]]], POINTS),
        ([[(0.1, 0.2j)]], POINTS),
        ([[{}]], POINTS),
    ],
)
def test_strokes_that_are_none_are_refused(strokes, message):
    with pytest.raises(ImageError, match=message):
        Drawing(strokes)


@pytest.mark.parametrize("label", [10, -1, "7", "", 2.5, 3.0, True, math.nan, [3]])
def test_only_a_digit_is_a_label(label):
    with pytest.raises(ImageError, match="digit from 0 to 9, not " + repr(label).replace("[", r"\[")):
        Drawing([[(0, 0)]], label=label)


@pytest.mark.parametrize("pen", [0, 50, -2.6, 0.499, 10.01, math.nan, math.inf, "2", None])
def test_only_0_5_to_10_pixels_is_a_pen(pen):
    with pytest.raises(ImageError, match=f"0.5 to 10 pixels wide, not {pen!r}"):
        Drawing([[(0, 0)]], pen=pen)


def test_all_digits_and_the_thinnest_and_widest_pen_are_taken():
    assert [Drawing([], label=digit).label for digit in range(10)] == list(range(10))
    assert [Drawing([], pen=pen).pen for pen in (0.5, 10)] == [0.5, 10]


@pytest.mark.parametrize("label", [np.int64(7), np.uint8(7), torch.tensor(7)])
def test_digits_of_other_libraries_are_labels_that_can_be_saved(label):
    assert parse_drawings(format_drawings([Drawing([[(0, 0)]], label=label)]))[0].label == 7


def test_a_style_is_text():
    with pytest.raises(ImageError, match="style"):
        Drawing([[(0, 0)]], style=["small"])


def test_true_is_no_pen():
    with pytest.raises(ImageError, match=r"0\.5 to 10 pixels wide, not True"):
        Drawing([[(0, 0)]], pen=True)


# Files

exact = st.floats(0, 1)


@repeatable(60)
@given(st.lists(st.builds(Drawing, strokes_of(exact), st.none() | st.integers(0, 9), st.floats(0.5, 10), st.text())))
def test_what_is_saved_is_what_is_loaded(drawings):
    """Coordinates to three decimals, all else exactly."""
    text = format_drawings(drawings)
    for again in (parse_drawings(text), parse_drawings(text.encode())):
        assert len(again) == len(drawings)
        for drawing, copy in zip(drawings, again, strict=True):
            assert (copy.label, copy.pen, copy.style) == (drawing.label, drawing.pen, drawing.style)
            assert len(copy.strokes) == len(drawing.strokes)
            for stroke, loaded in zip(drawing.strokes, copy.strokes, strict=True):
                assert np.array_equal(loaded, stroke.round(3))


@repeatable(60)
@given(strokes_of(exact), either)
def test_what_is_loaded_makes_the_same_image(strokes, fit):
    """A coordinate is off by half a thousandth at most: if half the pad is used, by 1/28 of a pixel once fitted, which
    costs 13 levels at the ink's edge, and moves the centre of mass as little."""
    assume(box(strokes)[1].max() > 0.5)
    loaded = parse_drawings(format_drawings([Drawing(strokes)]))[0]
    assert_same(image(strokes, fit=fit), image(loaded.strokes, fit=fit), levels=15, edge=0.05)


def test_a_file_has_one_drawing_a_line_and_is_json(tmp_path):
    path = tmp_path / "digits.json"
    save_drawings(path, [SEVEN, Drawing([[(1 / 3, 2 / 3)]], style="ä"), Drawing([])])
    text = path.read_text(encoding="utf-8")
    assert len(text.splitlines()) == 3 + 2
    assert "[0.333,0.667]" in text
    assert [entry["label"] for entry in json.loads(text)["drawings"]] == [7, None, None]
    assert [drawing.style for drawing in load_drawings(path)] == ["", "ä", ""]
    assert len(load_drawings(str(path))) == 3
    save_drawings(path, [])
    assert load_drawings(path) == []


def test_a_folder_is_read_by_name(tmp_path):
    for label, name in [(2, "b.json"), (3, "c.json"), (1, "a.json")]:
        save_drawings(tmp_path / name, [Drawing([[(0, 0)]], label)] * label)
    (tmp_path / "notes.txt").write_text("nothing to read here")
    (tmp_path / "a.json.lock").touch()
    assert [drawing.label for drawing in load_drawings(tmp_path)] == [1, 2, 2, 3, 3, 3]
    (tmp_path / "b.json").write_text("broken")
    with pytest.raises(ImageError, match=r"^b\.json does not hold drawings"):
        load_drawings(tmp_path)


def test_what_is_missing_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"no drawings in .*missing\.json"):
        load_drawings(tmp_path / "missing.json")
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty" / "notes.txt").touch()
    with pytest.raises(FileNotFoundError, match=r"no drawings in .*empty"):
        load_drawings(tmp_path / "empty")


def names(folder):
    """What lies there but for locks, which may stay."""
    return {file.name for file in folder.iterdir() if file.suffix != ".lock"}


def with_strokes(text):
    return b'{"drawings":[{"strokes":' + text + b"}]}"


WHOLE = format_drawings([SEVEN, SEVEN]).encode()
UNREADABLE = {
    "empty": b"",
    "truncated": WHOLE[: len(WHOLE) // 2],
    "junk": bytes(range(256)),
    "zeros": bytes(1000),
    "list": b"[]",
    "number": b"5",
    "null": b"null",
    "text": b'"drawings"',
    "without drawings": b"{}",
    "drawings are an object": b'{"drawings":{}}',
    "drawings are text": b'{"drawings":""}',
    "drawings are null": b'{"drawings":null}',
    "drawings of text": b'{"drawings":["strokes"]}',
    "drawing is a list": b'{"drawings":[[]]}',
    "drawing without strokes": b'{"drawings":[{"label":3}]}',
    "strange entry": b'{"drawings":[{"strokes":[],"colour":"red"}]}',
    "bad label": b'{"drawings":[{"strokes":[[[0,0]]],"label":11}]}',
    "bad pen": b'{"drawings":[{"strokes":[[[0,0]]],"pen":99}]}',
    "bad point": with_strokes(b"[[[0,NaN]]]"),
    "huge float": with_strokes(b"[[[0,1e999]]]"),
    "huge integer": with_strokes(b"[[[0,1" + b"0" * 400 + b"]]]"),
    "three coordinates": with_strokes(b"[[[0,0,0],[1,1,1]]]"),
    "deep": b"[" * 1000 + b"]" * 1000,
    "deep strokes": with_strokes(b"[" * 1000 + b"]" * 1000),
    "very deep": b"[" * 100_000 + b"]" * 100_000,
}


@pytest.mark.parametrize("kind", UNREADABLE)
def test_an_unreadable_file_is_named_and_left_as_it_is(kind, tmp_path):
    path = tmp_path / "class.json"
    path.write_bytes(UNREADABLE[kind])
    with pytest.raises(ImageError, match=r"^class\.json does not hold drawings"):
        load_drawings(path)
    with pytest.raises(ImageError, match=r"^class\.json does not hold drawings"):
        add(path, SEVEN)
    assert path.read_bytes() == UNREADABLE[kind]
    assert names(tmp_path) == {"class.json"}


def test_the_reason_is_given_where_one_drawing_is_wrong():
    with pytest.raises(ImageError, match=r"mine does not .* digit from 0 to 9, not 11"):
        parse_drawings(UNREADABLE["bad label"], "mine")
    with pytest.raises(ImageError, match=r"^the file does not"):
        parse_drawings("")


def add(path, drawing):
    return change_drawings(path, lambda drawings: [*drawings, drawing])


def test_a_change_makes_the_file_or_starts_from_what_it_holds(tmp_path):
    path = tmp_path / "mine.json"
    assert [drawing.label for drawing in add(path, SEVEN)] == [7]
    added = add(str(path), Drawing(FIGURES["one"], 1, style="small"))
    assert [drawing.label for drawing in added] == [7, 1]
    again = load_drawings(path)
    assert [(drawing.label, drawing.style) for drawing in again] == [(7, ""), (1, "small")]
    assert torch.equal(render(again[0]), render(SEVEN))  # its coordinates have three decimals and fewer
    assert len(change_drawings(path, lambda drawings: drawings[:-1])) == len(load_drawings(path)) == 1


def test_a_change_that_fails_changes_nothing_and_lets_others_in(tmp_path):
    path = tmp_path / "mine.json"
    save_drawings(path, [SEVEN])
    before = path.read_bytes()
    with pytest.raises(IndexError):
        change_drawings(path, lambda drawings: [drawings[5]])
    assert path.read_bytes() == before
    assert len(add(path, SEVEN)) == 2


def label_and_style(drawing):
    return drawing.label, drawing.style


def test_processes_that_change_it_at_once_lose_nothing(processes, tmp_path):
    drawings = [Drawing(FIGURES["eight"], label, style=str(turn)) for label in range(4) for turn in range(10)]
    path = tmp_path / "class.json"
    with processes.Pool(4) as pool:
        additions = [functools.partial(operator.add, [drawing]) for drawing in drawings]  # to what the file holds
        sizes = [len(kept) for kept in pool.map(functools.partial(change_drawings, path), additions, chunksize=10)]
    assert sorted(sizes) == list(range(1, 41))
    assert sorted(map(label_and_style, load_drawings(path))) == sorted(map(label_and_style, drawings))
    assert names(tmp_path) == {"class.json"}


@pytest.mark.parametrize("write", [save_drawings, lambda path, drawings: add(path, drawings[0])])
def test_a_file_is_replaced_whole_or_not_at_all(write, tmp_path, monkeypatch):
    path = tmp_path / "mine.json"
    save_drawings(path, [SEVEN])
    before = path.read_bytes()

    def full(*_, **__):
        raise OSError("no space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", full)
        with pytest.raises(OSError, match="no space left"):
            write(path, [SEVEN, SEVEN])
        with pytest.raises(OSError, match="no space left"):
            write(tmp_path / "new.json", [SEVEN])
    assert path.read_bytes() == before
    assert names(tmp_path) == {"mine.json"}

    with monkeypatch.context() as patch:  # and if the disk is full half-way
        patch.setattr(Path, "write_text", full)
        with pytest.raises(OSError, match="no space left"):
            write(path, [SEVEN, SEVEN])
    assert path.read_bytes() == before
    assert names(tmp_path) == {"mine.json"}


# Splits


@repeatable(20)
@given(st.lists(st.builds(Drawing, drawn, st.integers(0, 9), pens), min_size=1, max_size=4), either)
def test_a_split_holds_the_images_and_labels(drawings, fit):
    split = as_split(drawings, fit=fit)
    assert split.images.dtype == torch.uint8
    assert split.images.shape == (len(drawings), 28, 28)
    assert split.labels.dtype == torch.int64
    assert split.labels.tolist() == [drawing.label for drawing in drawings]
    for drawing, made in zip(drawings, split.images, strict=True):
        assert torch.equal(made, render(drawing, fit=fit))


def test_a_split_is_fitted_unless_told_not_to():
    corner = Drawing([[(0.1, 0.1), (0.2, 0.2)]], label=1)
    assert torch.equal(as_split([corner]).images[0], render(corner))
    assert torch.equal(render(corner), render(corner, fit=True))
    assert not torch.equal(render(corner), render(corner, fit=False))


@pytest.mark.parametrize(
    ("drawings", "message"),
    [
        ([], "no drawings yet"),
        ([SEVEN, Drawing(FIGURES["one"])], "drawing 1 has no label"),
        ([Drawing([], label=1), SEVEN], "drawing 0 has no strokes"),
        ([SEVEN, SEVEN, Drawing([])], "drawing 2 has no strokes"),
    ],
)
def test_a_split_needs_labels_and_strokes(drawings, message):
    with pytest.raises(ImageError, match=message):
        as_split(drawings)


def test_in_a_folder_only_files_that_show_count(tmp_path):
    save_drawings(tmp_path / "a.json", [SEVEN])
    (tmp_path / "b.json").mkdir()
    (tmp_path / "._a.json").write_bytes(b"\x00\x05")  # macOS leaves such files on other disks
    assert len(load_drawings(tmp_path)) == 1


def test_a_message_stays_short():
    with pytest.raises(ImageError) as caught:
        Drawing([[(0, 0)]], label="7" * 400_000)
    assert len(str(caught.value)) < 200
