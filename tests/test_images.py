"""Normalising, affine maps and augmentation, with SciPy, NumPy and torchvision as oracles."""

import math

import numpy as np
import pytest
import scipy.ndimage
import torch
from mirror import TRAIN_IMAGES

from mnist_helpers import images as room


def test_pixels_are_normalised_as_torchvision_does():
    transforms = pytest.importorskip("torchvision.transforms")
    images = torch.arange(28 * 28).remainder(256).to(torch.uint8).view(1, 28, 28)
    textbook = transforms.Compose([transforms.ToTensor(), transforms.Normalize((room.MEAN,), (room.STD,))])
    normalised = room.normalize(images)
    assert normalised.dtype == torch.float32
    torch.testing.assert_close(normalised[0], textbook(images[0].numpy()), rtol=1e-5, atol=1e-6)


def test_mean_and_deviation_are_those_of_the_training_pixels(real_files):
    counts = np.bincount(np.frombuffer(real_files[TRAIN_IMAGES], np.uint8, offset=16), minlength=256)
    values = np.arange(256) / 255
    mean = np.average(values, weights=counts)
    assert mean == pytest.approx(room.MEAN, abs=5e-5)
    assert np.average((values - mean) ** 2, weights=counts) ** 0.5 == pytest.approx(room.STD, abs=5e-5)


# Affine maps


@pytest.fixture
def picture():
    """One image of noise, black at its edges."""
    image = torch.zeros(1, 28, 28, dtype=torch.uint8)
    image[0, 6:22, 6:22] = torch.randint(0, 256, (16, 16), generator=torch.Generator().manual_seed(0))
    return image


@pytest.fixture
def stroke():
    """One upright stroke through the centre."""
    image = torch.zeros(1, 28, 28)
    image[0, 4:24, 13:15] = 255
    return image


def column_of_mass(rows):
    """Where a group of rows has its centre of mass, in pixels to the right of the image's centre."""
    weights = rows.sum(0)
    return float((weights * torch.arange(28)).sum() / weights.sum()) - 13.5


def by_scipy(image, rotation=0.0, shift=(0.0, 0.0), scale=1.0, shear=0.0):
    """The same map by `scipy.ndimage`, put together from (row, column) matrices; rows count downwards."""
    angle, lean = math.radians(rotation), math.tan(math.radians(shear))
    turned = np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
    leaning = np.array([[1.0, 0.0], [-lean, 1.0]])
    inverse = np.linalg.inv(turned @ leaning @ (scale * np.eye(2)))
    centre = np.array([13.5, 13.5])
    offset = centre - inverse @ (centre + np.array([shift[1], shift[0]]))
    return scipy.ndimage.affine_transform(image, inverse, offset, order=1, mode="grid-constant", prefilter=False)


@pytest.mark.parametrize(
    "change",
    [
        {"rotation": 30.0},
        {"rotation": -90.0},
        {"shift": (1.25, -3.5)},
        {"scale": 1.4},
        {"scale": 0.6},
        {"shear": 20.0},
        {"rotation": 25.0, "shift": (2.5, 1.0), "scale": 1.2, "shear": -15.0},
    ],
    ids=str,
)
def test_affine_agrees_with_scipy(change, picture):
    expected = by_scipy(picture[0].numpy().astype(float), **change)
    np.testing.assert_allclose(room.affine(picture.float(), **change)[0], expected, atol=0.01)


def test_positive_rotation_is_counter_clockwise(stroke):
    turned = room.affine(stroke, rotation=20.0)[0]
    assert column_of_mass(turned[:10]) < -1
    assert column_of_mass(turned[18:]) > 1


def test_quarter_turn_is_exact(picture):
    assert torch.equal(room.affine(picture, rotation=90.0), picture.rot90(1, (1, 2)))


def test_positive_shear_leans_to_the_right(stroke):
    leaning = room.affine(stroke, shear=20.0)[0]
    assert column_of_mass(leaning[:10]) > 1
    assert column_of_mass(leaning[18:]) < -1
    torch.testing.assert_close(leaning.sum(1), stroke[0].sum(1))  # every row keeps its ink


@pytest.mark.parametrize(("right", "down"), [(3, 0), (0, 2), (-4, 5), (12, -1)])
def test_whole_pixels_are_shifted_exactly(right, down, picture):
    """To the right and down; what leaves the image is gone and does not come in again on the other side."""
    padded = torch.nn.functional.pad(picture, (28, 28, 28, 28))
    expected = padded[:, 28 - down : 56 - down, 28 - right : 56 - right]
    assert torch.equal(room.affine(picture, shift=(right, down)), expected)


def test_scale_above_1_enlarges():
    block = torch.zeros(1, 28, 28)
    block[0, 12:16, 12:16] = 100.0
    assert float(room.affine(block, scale=2.0).sum() / block.sum()) == pytest.approx(4, rel=0.01)


@pytest.mark.parametrize("dtype", [torch.uint8, torch.float32, torch.float64])
def test_identity_changes_nothing_and_dtype_is_kept(dtype, picture):
    image = picture.to(dtype)
    same = room.affine(image)
    assert same is not image
    torch.testing.assert_close(same, image, rtol=0, atol=0 if dtype == torch.uint8 else 0.01)
    assert room.affine(image, rotation=10.0).dtype == dtype


def test_each_image_may_have_its_own_amounts(picture):
    amounts = {
        "rotation": torch.tensor([0.0, 30.0, -45.0]),
        "scale": torch.tensor([1.0, 1.2, 0.8]),
        "shear": torch.tensor([5.0, 0.0, -5.0]),
    }
    right = torch.tensor([1.0, 0.0, -2.5])
    together = room.affine(picture.expand(3, 28, 28), shift=(right, 1.0), **amounts)
    for i in range(3):
        alone = room.affine(picture, shift=(right[i], 1.0), **{name: value[i] for name, value in amounts.items()})
        assert torch.equal(together[i : i + 1], alone)


# Augmentation


def test_augmentation_draws_for_every_image_anew(picture):
    equal = picture.float().expand(8, 28, 28)
    changed = room.Augmentation()(equal, torch.Generator().manual_seed(0))
    assert len({image.numpy().tobytes() for image in changed}) == 8


def test_augmentation_is_reproducible_with_a_seeded_generator(picture):
    def draw(seed):
        return room.Augmentation()(picture.expand(8, 28, 28), torch.Generator().manual_seed(seed))

    assert torch.equal(draw(0), draw(0))
    assert not torch.equal(draw(0), draw(1))


def test_augmentation_stays_within_its_limits_and_uses_them(monkeypatch):
    drawn = {}
    monkeypatch.setattr(room, "affine", lambda images, **amounts: drawn.update(amounts))
    limits = room.Augmentation(rotation=15.0, shift=3.0, scale=0.2, shear=7.0)
    limits(torch.zeros(2_000, 28, 28), torch.Generator().manual_seed(0))
    right, down = drawn["shift"]
    columns = drawn["rotation"], right, down, drawn["scale"] - 1, drawn["shear"]
    for amounts, limit in zip(columns, (15.0, 3.0, 3.0, 0.2, 7.0), strict=True):
        assert amounts.abs().max() <= limit * 1.0001
        assert amounts.min() < -0.95 * limit
        assert amounts.max() > 0.95 * limit
        assert abs(amounts.mean()) < 0.1 * limit
    assert np.abs(np.corrcoef(torch.stack(columns)) - np.eye(5)).max() < 0.1  # drawn independently
