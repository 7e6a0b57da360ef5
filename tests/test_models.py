"""The networks: shapes, counts and what they compute, against PyTorch's functions."""

import json
from importlib.resources import files

import pytest
import torch
import torch.nn.functional as F

import mnist_helpers as mh


@pytest.fixture(scope="module")
def cnn():
    return mh.load_pretrained(name="cnn")


def test_the_cnn_is_small_and_has_the_shapes_it_says(cnn):
    assert mh.count_parameters(mh.CNN()) == 28_794
    maps = mh.activations(cnn, torch.zeros(3, 28, 28, dtype=torch.uint8))
    shapes = [(3, 16, 24, 24), (3, 32, 10, 10), (3, 32, 8, 8), (3, 32, 4, 4), (3, 10)]
    assert [tuple(layer.shape) for layer in maps] == shapes
    assert mh.CNN(width=8)(torch.zeros(2, 1, 28, 28)).shape == (2, 10)
    assert mh.CNN(width=8).config == {"width": 8}


def test_the_cnn_computes_what_its_layers_say(cnn, mnist):
    """The same forward pass in functions, with the running statistics of batch normalisation written out."""
    state = cnn.state_dict()
    h = mh.normalize(mnist.validation.images[:8])
    for index, (padding, pool) in zip((0, 4, 7, 11), ((0, 2), (0, 1), (0, 2), (1, 1)), strict=True):
        h = F.conv2d(h, state[f"layers.{index}.weight"], padding=padding)
        norm = f"layers.{index + 1}"
        mean, variance = (state[f"{norm}.running_{name}"].view(-1, 1, 1) for name in ("mean", "var"))
        scale, offset = (state[f"{norm}.{name}"].view(-1, 1, 1) for name in ("weight", "bias"))
        h = F.max_pool2d(((h - mean) / (variance + 1e-5).sqrt() * scale + offset).relu(), pool)
    logits = h.flatten(1) @ state["layers.15.weight"].T + state["layers.15.bias"]
    assert torch.allclose(logits, mh.predict_logits(cnn, mnist.validation.images[:8]), atol=1e-3)


def test_the_cnn_keeps_its_channels_last_also_from_a_checkpoint(tmp_path):
    model = mh.CNN()
    mh.save_checkpoint(tmp_path / "cnn.pth", model)
    loaded = mh.load_checkpoint(tmp_path / "cnn.pth").model
    assert isinstance(loaded, mh.CNN)
    for one in (model, loaded):
        assert one.layers[4].weight.is_contiguous(memory_format=torch.channels_last)
    assert all(
        torch.equal(a, b) for a, b in zip(model.state_dict().values(), loaded.state_dict().values(), strict=True)
    )


def test_the_shipped_cnn_reaches_what_its_record_says(cnn, mnist):
    record = json.loads((files("mnist_helpers") / "pretrained" / "cnn.json").read_text())
    result = mh.evaluate(cnn, mnist.test)
    if mnist.source.is_sample:  # its 500 digits are all from the standard validation split
        assert result.accuracy > 0.98
    else:
        assert result.accuracy == pytest.approx(record["test"]["accuracy"], abs=0.0003)
        assert record["train_data"] == mnist.train.fingerprint()
    assert record["test"]["accuracy"] > 0.995


def test_an_unknown_pretrained_network_is_named():
    with pytest.raises(ValueError, match=r"no pretrained 'lenet'.*mlp.*cnn"):
        mh.load_pretrained(name="lenet")


def test_an_ensemble_answers_with_the_mean_probabilities(mnist):
    models = []
    for seed in range(3):
        mh.set_seed(seed)
        models.append(mh.MLP())
    images = mnist.validation.images[:50]
    mean = sum(mh.predict_logits(model, images).softmax(1) for model in models) / 3
    together = mh.predict_logits(mh.Ensemble(models), images)
    assert torch.allclose(together.softmax(1), mean, atol=1e-6)
    assert together.isfinite().all()
    assert mh.count_parameters(mh.Ensemble(models)) == 3 * 109_386


def test_an_ensemble_may_look_at_shifted_images_too():
    mh.set_seed(0)
    model, images = mh.MLP(), torch.randint(0, 256, (5, 28, 28), dtype=torch.uint8)
    shifts = ((0, 0), (1, 0), (0, -2))  # rows down, columns to the right
    moved = [images, images[:, [27, *range(27)]], images[:, :, [*range(2, 28), 0, 1]]]
    mean = torch.stack([mh.predict_logits(model, view).softmax(1) for view in moved]).mean(0)
    together = mh.predict_logits(mh.Ensemble([model], shifts), images)
    assert torch.allclose(together.softmax(1), mean, atol=1e-6)
    assert not torch.allclose(together.softmax(1), mh.predict_logits(model, images).softmax(1), atol=1e-3)


def test_an_ensemble_of_none_is_refused():
    with pytest.raises(ValueError, match="at least one model"):
        mh.Ensemble([])
    with pytest.raises(ValueError, match="one shift"):
        mh.Ensemble([mh.MLP()], shifts=())


def test_an_ensemble_that_is_sure_has_finite_logits():
    class Sure(torch.nn.Module):
        def forward(self, images):
            return torch.tensor([[1e4] + 9 * [-1e4]]).expand(len(images), 10)

    assert mh.Ensemble([Sure(), Sure()])(torch.zeros(2, 1, 28, 28)).isfinite().all()
