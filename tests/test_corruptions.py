"""Corruptions against closed forms and SciPy, on real digits."""

import time

import numpy as np
import pytest
import scipy.ndimage
import scipy.stats
import torch

import mnist_helpers as mh
from mnist_helpers.beyond import corruptions

WITHOUT_CHANCE = {"scale", "brightness", "canny_edges"}


@pytest.fixture(scope="module")
def digits(mnist):
    return mnist.validation.images[:: len(mnist.validation) // 100][:100].cpu()


@pytest.fixture(params=mh.CORRUPTIONS)
def name(request):
    return request.param


def blank(count, value=0):
    return torch.full((count, 28, 28), value, dtype=torch.uint8)


# All of them


def test_the_fifteen_of_mnist_c_in_the_paper_s_order():
    assert mh.CORRUPTIONS == (
        "shot_noise", "impulse_noise", "glass_blur", "motion_blur", "shear", "scale", "rotate", "brightness",
        "translate", "stripe", "fog", "spatter", "dotted_line", "zigzag", "canny_edges",
    )  # fmt: skip


def test_shape_and_type_stay_and_the_input_too(name, digits):
    before = digits.clone()
    for dtype in (torch.uint8, torch.float32, torch.float64):
        spoilt = mh.corrupt(digits.to(dtype), name)
        assert spoilt.shape == digits.shape
        assert spoilt.dtype == dtype
        assert spoilt.device == digits.device
        assert spoilt.min() >= 0
        assert 100 < spoilt.max() <= 255
    assert torch.equal(digits, before)
    exact = mh.corrupt(digits.float(), name)
    assert (exact - mh.corrupt(digits, name).float()).abs().max() <= 0.5 + 1e-3
    assert mh.corrupt(digits[:0], name).shape == (0, 28, 28)


def test_a_seed_decides_everything(name, digits):
    torch.manual_seed(1)
    first = mh.corrupt(digits, name, seed=3)
    torch.manual_seed(2)
    assert torch.equal(first, mh.corrupt(digits, name, seed=3))
    assert torch.equal(first, mh.corrupt(digits, name, seed=4)) == (name in WITHOUT_CHANCE)


def test_every_image_is_spoilt_in_its_own_way(name, digits):
    same = digits[:1].expand(300, 28, 28)  # more than are worked on at a time
    kinds = len(mh.corrupt(same, name).unique(dim=0))
    if name in WITHOUT_CHANCE:
        assert kinds == 1
    else:
        assert kinds >= {"shear": 2, "rotate": 2, "stripe": 5}.get(name, 250)


def test_more_severe_is_further_from_the_digit(name, digits):
    distances = [
        (mh.corrupt(digits, name, severity).float() - digits).square().mean().item() for severity in range(1, 6)
    ]
    assert distances == sorted(distances)
    assert distances[4] > 1.2 * distances[0] > 0


def test_what_does_not_exist_is_refused(digits):
    with pytest.raises(ValueError, match=r"no corruption 'snow': choose one of shot_noise, .*, canny_edges"):
        mh.corrupt(digits, "snow")
    for wrong in (0, 6, -1, True, "3", 2.0, None):
        with pytest.raises(ValueError, match=r"no severity .*: choose 1, 2, 3, 4 or 5"):
            mh.corrupt(digits, "fog", wrong)
    for images in (digits[0], digits.unsqueeze(1), digits.long()):
        with pytest.raises(ValueError, match=r"images are \(N, 28, 28\), uint8 or float"):
            mh.corrupt(images, "fog")
    assert torch.equal(mh.corrupt(digits, "fog", np.int64(2)), mh.corrupt(digits, "fog", 2))


def test_whole_batches_are_spoilt_at_once(digits):
    many = digits.repeat(20, 1, 1)
    start = time.process_time()
    for name in mh.CORRUPTIONS:
        mh.corrupt(many, name)
    assert time.process_time() - start < 15  # about 1 s; one image at a time would take a minute


# One by one


def test_shot_noise_counts_photons():
    spoilt = mh.corrupt(torch.full((200, 28, 28), 51.0), "shot_noise", 3) / 255 * 12  # 12 photons at full ink
    assert torch.allclose(spoilt, spoilt.round(), atol=1e-4)
    assert spoilt.mean().item() == pytest.approx(12 * 0.2, rel=0.02)
    assert spoilt.var().item() == pytest.approx(12 * 0.2, rel=0.03)  # Poisson: as large as the mean
    assert mh.corrupt(blank(2), "shot_noise", 5).max() == 0


@pytest.mark.parametrize(("severity", "share"), [(1, 0.03), (5, 0.27)])
def test_impulse_noise_is_salt_and_pepper(severity, share):
    values, counts = mh.corrupt(blank(200, 100), "impulse_noise", severity).unique(return_counts=True)
    assert values.tolist() == [0, 100, 255]
    assert (counts / counts.sum()).tolist() == pytest.approx([share / 2, 1 - share, share / 2], abs=0.005)


@pytest.mark.parametrize("sigma", [0.6, 1.0, 2.5])
def test_blur_agrees_with_scipy(sigma, digits):
    ours = corruptions._blur(digits.float(), sigma)
    for image, blurred in zip(digits[:10], ours, strict=False):
        expected = scipy.ndimage.gaussian_filter(image.numpy().astype(float), sigma, mode="constant", truncate=4)
        assert np.allclose(blurred, expected, atol=1e-3)


def test_glass_blur_moves_ink_only_a_little():
    dots = blank(500).float()
    dots[:, 14, 14] = 255
    mean = mh.corrupt(dots, "glass_blur", 1).mean(0)
    assert mean.sum() == pytest.approx(255, rel=0.2)  # a pixel may be shown twice or not at all, on average once
    rows = torch.arange(28.0) - 14
    spread = (mean.sum(1) * rows.square()).sum() / mean.sum()
    # Twice the blur's variance, which sampling widens hardly at all, and half of the time a step of -1, 0 or 1.
    assert spread.item() == pytest.approx(2 * 0.6**2 + 0.5 * 2 / 3, rel=0.15)


def test_motion_blur_smears_along_a_path():
    dots = blank(100).float()
    dots[:, 14, 14] = 255
    spoilt = mh.corrupt(dots, "motion_blur", 3)
    y, x = (grid.float() - 14 for grid in torch.meshgrid(torch.arange(28), torch.arange(28), indexing="ij"))
    for image in spoilt / spoilt.sum((1, 2), keepdim=True):
        values, vectors = np.linalg.eigh([[(image * a * b).sum().item() for a in (x, y)] for b in (x, y)])
        # Eight places, a pixel apart: variance (8² - 1) / 12; bilinear sampling adds at most 1/4 in either direction.
        assert 5.25 <= values[1] + 1e-4 <= 5.25 + 0.26
        assert values[0] < 0.26
        assert abs(vectors[0, 1]) > abs(vectors[1, 1]) - 0.1  # within 45° of the horizontal
    assert spoilt.sum((1, 2)).numpy() == pytest.approx(np.full(100, 255), rel=1e-3)


@pytest.mark.parametrize(("name", "argument"), [("shear", "shear"), ("rotate", "rotation")])
def test_shear_and_rotation_go_either_way(name, argument, digits):
    spoilt = mh.corrupt(digits, name, 4)
    either = [mh.affine(digits, **{argument: angle}) for angle in (40, -40)]
    ways = [(spoilt == each).all(2).all(1) for each in either]
    assert (ways[0] | ways[1]).all()
    assert 20 < ways[0].sum() < 80


def test_scale_agrees_with_scipy(digits):
    spoilt = mh.corrupt(digits.float(), "scale", 3)
    for image, small in zip(digits[:5], spoilt, strict=False):
        expected = scipy.ndimage.affine_transform(
            image.numpy().astype(float), np.eye(2) / 0.7, 13.5 - 13.5 / 0.7, order=1, mode="grid-constant"
        )
        assert np.allclose(small, expected, atol=0.01)


def test_translate_keeps_its_distance_in_all_directions():
    dots = blank(200).float()
    dots[:, 14, 14] = 255
    spoilt = mh.corrupt(dots, "translate", 2)
    places = np.array([scipy.ndimage.center_of_mass(image.numpy()) for image in spoilt]) - 14
    assert np.allclose(np.hypot(*places.T), 3, atol=0.01)
    assert abs(places.mean(0)).max() < 0.5
    assert places.min(0).max() < -2.9


def test_brightness_adds_and_clips(digits):
    assert torch.allclose(mh.corrupt(digits.float(), "brightness", 2), (digits + 51.0).clamp(max=255), atol=1e-3)


def test_a_stripe_twice_is_none(digits):
    once = mh.corrupt(digits, "stripe", 3)
    assert torch.equal(mh.corrupt(once, "stripe", 3), digits)
    inverted = (mh.corrupt(blank(100), "stripe", 3) == 255).all(1)  # (100, 28): columns, from top to bottom
    assert (inverted.sum(1) == 6).all()
    assert (inverted[:, 9:19].sum(1) == 6).all()


def test_fog_is_a_layer_over_any_image(digits):
    cloud = mh.corrupt(blank(100).float(), "fog", 3)
    spoilt = mh.corrupt(digits.float(), "fog", 3)
    assert torch.allclose(spoilt - cloud, digits / 2, atol=1e-3)  # of strength 1: half is left of every contrast
    assert cloud.amin((1, 2)).max() < 1e-3
    assert torch.allclose(cloud.amax((1, 2)), torch.tensor(127.5), atol=1e-3)
    smooth = (cloud[:, 1:] - cloud[:, :-1]).abs().mean() / cloud.std()
    assert smooth < 0.5


def test_mud_hides_what_is_under_it(digits):
    on_paper, on_ink = (mh.corrupt(blank(300, value).float(), "spatter", 3) for value in (0, 255))
    mud = 1 - (on_ink - on_paper) / 255
    assert torch.allclose(on_paper, 127.5 * mud, atol=1e-3)
    covered = (mud[:, 6:22, 6:22] > 0.01).float().mean().item()
    assert covered == pytest.approx(1 - scipy.stats.norm.cdf(1.1), abs=0.02)


@pytest.mark.parametrize("name", ["dotted_line", "zigzag"])
def test_lines_only_add_ink(name, digits):
    lines = mh.corrupt(blank(100), name, 3)
    assert torch.equal(mh.corrupt(digits, name, 3), torch.maximum(digits, lines))
    assert ((lines > 0).sum((1, 2)) > 20).all()


def test_a_zigzag_is_connected_and_a_dotted_line_is_not():
    parts = {}
    for name in ("dotted_line", "zigzag"):
        images = mh.corrupt(blank(100), name, 2).numpy() > 0
        parts[name] = [scipy.ndimage.label(image, np.ones((3, 3)))[1] for image in images]
    assert min(parts["dotted_line"]) >= 4
    assert np.mean(parts["zigzag"]) < 1.5  # at the edge of the image, a tooth may be cut in two


def test_the_edges_of_a_square_are_its_outline():
    square = blank(1)
    square[0, 8:20, 8:20] = 255
    edges = mh.corrupt(square, "canny_edges", 1)[0]
    assert set(edges.unique().tolist()) == {0, 255}
    y, x = edges.nonzero().T - 13.5
    from_middle = torch.maximum(y.abs(), x.abs())
    assert from_middle.min() >= 5.5  # its outermost pixels, or those just beside them
    assert from_middle.max() <= 6.5
    assert scipy.ndimage.label(edges.numpy(), np.ones((3, 3)))[1] == 1
    filled = scipy.ndimage.binary_fill_holes(edges.numpy() > 0).sum()
    assert 144 <= filled <= 14 * 14
    assert len(y) <= 52  # thin


def test_edges_are_followed_as_scipy_would(digits):
    strong, weak = digits > 252, digits > 60
    found = corruptions._connected(strong & weak, weak)
    for s, w, f in zip(strong.numpy(), weak.numpy(), found.numpy(), strict=True):
        assert np.array_equal(f, scipy.ndimage.binary_propagation(s, np.ones((3, 3)), mask=w))
