"""Mini-batches: every image once in every epoch, in an order that the seed decides."""

import pytest
import torch

import mnist_helpers as mh


@pytest.fixture
def split():
    """100 images that differ, each labelled with its position."""
    images = torch.arange(100, dtype=torch.uint8).view(100, 1, 1).expand(100, 28, 28).clone()
    return mh.Split(images, torch.arange(100))


def epoch(batches):
    """The order in which one epoch shows the images of `split`; also whether each image came with its label."""
    order = []
    for images, labels in batches:
        pixels = (images * mh.STD + mh.MEAN)[:, 0, 0, 0] * 255
        assert pixels.round().long().tolist() == labels.tolist()
        order += labels.tolist()
    return order


def test_every_image_comes_once_in_every_epoch_in_a_new_order(split):
    batches = mh.Batches(split, 32)
    first, second = epoch(batches), epoch(batches)
    assert sorted(first) == sorted(second) == list(range(100))
    assert first != second
    assert list(range(100)) not in (first, second)


def test_seed_decides_the_order(split):
    assert epoch(mh.Batches(split, 32, seed=1)) == epoch(mh.Batches(split, 32, seed=1))
    assert epoch(mh.Batches(split, 32, seed=1)) != epoch(mh.Batches(split, 32, seed=2))


@pytest.mark.parametrize(
    ("size", "expected"), [(32, [32, 32, 32, 4]), (50, [50, 50]), (99, [99, 1]), (100, [100]), (1, [1] * 100)]
)
def test_last_batch_may_be_short(size, expected, split):
    batches = mh.Batches(split, size)
    shapes = [(tuple(images.shape), tuple(labels.shape)) for images, labels in batches]
    assert shapes == [((count, 1, 28, 28), (count,)) for count in expected]
    assert len(batches) == len(expected)


@pytest.mark.parametrize("size", [-1, 0, 101])
def test_impossible_batch_size_is_refused(size, split):
    with pytest.raises(ValueError, match=f"batch_size is {size}"):
        mh.Batches(split, size)


def test_batches_leave_the_split_as_it_is(split):
    pixels = mh.Split(split.images.float(), split.labels)
    for given in (split, pixels):
        before = given.fingerprint()
        list(mh.Batches(given, 100, augment=mh.Augmentation()))
        mh.normalize(given.images)
        assert given.fingerprint() == before


def test_augmented_batches_are_reproducible_and_change_from_epoch_to_epoch(split):
    def epochs():
        batches = mh.Batches(split, 100, augment=mh.Augmentation())
        return [next(iter(batches))[0] for _ in range(2)]

    first, second = epochs()
    assert torch.equal(torch.stack([first, second]), torch.stack(epochs()))
    assert not torch.equal(first.flatten(1).sum(1).sort().values, second.flatten(1).sum(1).sort().values)
