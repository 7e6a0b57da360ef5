"""Attacks, temperature and prediction sets against closed forms, SciPy, torchmetrics and simulation."""

import math
from pathlib import Path

import numpy as np
import pytest
import scipy.optimize
import torch
import torch.nn.functional as F
from sklearn.metrics import roc_auc_score
from torchmetrics.functional.classification import multiclass_calibration_error

import mnist_helpers as mh
from mnist_helpers.beyond.mislead import smallest


@pytest.fixture(scope="module")
def model():
    return mh.load_pretrained()


@pytest.fixture(scope="module")
def some(mnist):
    return mnist.test[:200]


# Attacks


@pytest.mark.parametrize("steps", [1, 5])
@pytest.mark.parametrize("epsilon", [0.0, 0.1, 0.5, 1.0])
def test_an_attack_stays_in_its_box(model, some, epsilon, steps):
    attacked = mh.attack(model, some.images, some.labels, epsilon, steps=steps)
    assert attacked.shape == some.images.shape
    assert attacked.dtype == torch.float32
    assert attacked.min() >= 0
    assert attacked.max() <= 255
    furthest = (attacked - some.images).abs().max().item()
    assert furthest == pytest.approx(255 * epsilon, abs=1e-3)


def test_one_step_is_the_sign_of_the_gradient(model, some):
    images = (some.images.float() / 255).requires_grad_()
    F.cross_entropy(model((images.unsqueeze(1) - mh.MEAN) / mh.STD), some.labels).backward()
    expected = (images + 0.1 * images.grad.sign()).clamp(0, 1).detach()
    attacked = mh.attack(model, some.images, some.labels, 0.1) / 255
    # Where the gradient is nearly zero, its sign is a matter of rounding.
    assert ((attacked - expected).abs() < 1e-4).float().mean() > 0.999


def test_many_steps_find_the_corner_of_a_linear_model():
    """With two opposite logits, the worst point of the box is known: the corner against the weights."""
    layer = torch.nn.Linear(784, 1, bias=False)

    class Opposite(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = layer

        def forward(self, images):
            score = self.layer(images.flatten(1)) / 100
            return torch.cat([score, -score], 1)

    images = torch.rand(5, 28, 28) * 255
    corner = images - 25.5 * layer.weight.view(28, 28).sign()
    for steps in (1, 10):
        attacked = mh.attack(Opposite(), images, torch.zeros(5, dtype=torch.long), 0.1, steps=steps)
        assert torch.allclose(attacked, corner.clamp(0, 255), atol=1e-2)


@pytest.mark.parametrize("name", ["mlp", "cnn"])
def test_more_steps_hurt_more_and_chance_hurts_little(some, name):
    model = mh.load_pretrained(name=name)

    def loss(images):
        return F.cross_entropy(mh.predict_logits(model, images), some.labels).item()

    by_chance = (some.images + 25.5 * torch.randn(some.images.shape).sign()).clamp(0, 255)
    losses = [loss(some.images), loss(by_chance)]
    losses += [loss(mh.attack(model, some.images, some.labels, 0.1, steps=steps)) for steps in (1, 20)]
    assert losses[0] < losses[2]
    assert 3 * losses[1] < losses[2]
    assert losses[2] <= losses[3]


def test_an_attack_leaves_the_model_as_it_was(model, some):
    model.train().zero_grad()
    before = [parameter.clone() for parameter in model.parameters()]
    mh.attack(model, some.images, some.labels, 0.1, steps=2)
    assert model.training
    assert all(parameter.grad is None for parameter in model.parameters())
    assert all(torch.equal(a, b) for a, b in zip(before, model.parameters(), strict=True))
    model.eval()


def test_attacks_repeat_and_batches_do_not_matter(model, some):
    first, again, other = (mh.attack(model, some.images, some.labels, 0.1, steps=3, seed=seed) for seed in (1, 1, 2))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    whole, parts = (mh.attack(model, some.images, some.labels, 0.1, batch_size=size) for size in (200, 33))
    assert ((whole - parts).abs() < 1e-3).float().mean() > 0.999
    assert mh.attack(model, some.images[:0], some.labels[:0], 0.1).shape == (0, 28, 28)


def test_impossible_attacks_are_refused(model, some):
    for epsilon in (-0.01, 1.01, 8, math.nan, True):
        with pytest.raises(ValueError, match=r"epsilon is .*, but must be from 0 to 1"):
            mh.attack(model, some.images, some.labels, epsilon)
    with pytest.raises(ValueError, match="steps is 0"):
        mh.attack(model, some.images, some.labels, 0.1, steps=0)
    with pytest.raises(ValueError, match="200 images and 3 labels"):
        mh.attack(model, some.images, some.labels[:3], 0.1)


# Confidence


@pytest.mark.parametrize("temperature", [0.3, 1.0, 4.0])
def test_the_temperature_of_an_overconfident_network_is_found(temperature):
    generator = torch.Generator().manual_seed(0)
    honest = 2 * torch.randn(20_000, 10, generator=generator)
    labels = torch.multinomial(honest.softmax(1), 1, generator=generator).squeeze(1)
    fitted = mh.fit_temperature(temperature * honest, labels)
    assert fitted == pytest.approx(temperature, rel=0.03)
    best = scipy.optimize.minimize_scalar(
        lambda log: F.cross_entropy((temperature * honest).double() / math.exp(log), labels).item(), bounds=(-3, 3)
    )
    assert fitted == pytest.approx(math.exp(best.x), rel=1e-3)


def test_a_temperature_stays_within_its_limits():
    logits, labels = torch.eye(10), torch.arange(10)
    assert mh.fit_temperature(logits, labels) == pytest.approx(0.05, rel=1e-3)  # always right: as sure as can be
    assert mh.fit_temperature(logits, (labels + 1) % 10) == pytest.approx(20, rel=1e-3)  # always wrong
    for bad in (logits[:0], logits / 0):
        with pytest.raises(ValueError, match="a temperature needs"):
            mh.fit_temperature(bad, labels[: len(bad)])


@pytest.mark.parametrize("name", ["mlp", "cnn"])
def test_calibration_agrees_with_torchmetrics(mnist, name):
    result = mh.evaluate(mh.load_pretrained(name=name), mnist.test[:1000])
    for bins in (10, 15):
        theirs = multiclass_calibration_error(result.probabilities, result.labels, num_classes=10, n_bins=bins).item()
        assert mh.calibration(result, bins).error == pytest.approx(theirs, abs=1e-5)


def test_neighbours_tell_noise_from_digits(model, mnist):
    """What notebook 07 measures: an AUROC of 1 if every noise image is further away than every digit."""
    small = type(mnist)(mnist.train[-2000:], mnist.validation[:200], mnist.test[:200], mnist.source)
    noise = torch.randint(0, 256, (200, 28, 28), generator=torch.Generator().manual_seed(0)).byte()
    distances = mh.Judge(model, small).neighbours(torch.cat([small.test.images.cpu(), noise]))[2][:, -1]
    assert roc_auc_score([0] * 200 + [1] * 200, distances) > 0.9


# Prediction sets


@pytest.mark.parametrize(("alpha", "count"), [(0.1, 99), (0.2, 37), (0.02, 50)])
def test_sets_cover_as_promised(alpha, count):
    """Over many repeats: from 1 - alpha up to 1 - alpha + 1 / (M + 1), whether the network is any good or not."""
    generator = torch.Generator().manual_seed(0)
    covered = []
    for _ in range(400):
        logits = 3 * torch.randn(count + 100, 10, generator=generator)
        labels = torch.multinomial((logits / 2).softmax(1), 1, generator=generator).squeeze(1)
        probabilities = logits.softmax(1)
        sets = mh.prediction_sets(probabilities[count:], probabilities[:count], labels[:count], alpha)
        covered.append(sets[torch.arange(100), labels[count:]].double().mean().item())
    error = np.std(covered) / math.sqrt(len(covered))
    assert 1 - alpha - 3 * error <= np.mean(covered) <= 1 - alpha + 1 / (count + 1) + 3 * error


def test_a_set_by_hand():
    known = torch.full((9, 10), 0.02)
    labels = torch.arange(9)
    known[torch.arange(9), labels] = torch.tensor([0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3, 0.2, 0.1])
    new = torch.tensor([[0.45, 0.35, 0.2, 0, 0, 0, 0, 0, 0, 0]])
    # Of 9 known digits the 8th (alpha 0.2) or 6th (0.4) surest is the limit: 0.2 or 0.4.
    assert mh.prediction_sets(new, known, labels, 0.2)[0].tolist() == [True] * 3 + [False] * 7
    assert mh.prediction_sets(new, known, labels, 0.4)[0].tolist() == [True] + [False] * 9
    assert mh.prediction_sets(new, known, labels, 0.9)[0].sum() == 0


def test_impossible_promises_are_refused():
    known, labels = torch.full((9, 10), 0.1), torch.zeros(9, dtype=torch.long)
    for alpha in (0, 1, -0.1, 1.5, math.nan):
        with pytest.raises(ValueError, match=r"alpha is .*, but must be above 0 and below 1"):
            mh.prediction_sets(known, known, labels, alpha)
    with pytest.raises(ValueError, match=r"9 known images cannot promise alpha = 0.05: it takes 19"):
        mh.prediction_sets(known, known, labels, 0.05)
    assert mh.prediction_sets(known, known, labels, 0.1).all()
    with pytest.raises(ValueError, match=r"9 known images and 8 labels"):
        mh.prediction_sets(known, known, labels[:8], 0.2)


# The widget


def test_mislead_attacks_as_hard_as_its_slider_says(model, some):
    right = mh.predict_logits(model, some.images).argmax(1) == some.labels
    image, truth = some.images[right][0], int(some.labels[right][0])
    view = mh.mislead(model, image, truth)
    size, steps = view.children[:2]
    assert steps.value == 1
    picture = view.picture.value
    steps.value = 20
    assert view.picture.value != picture
    size.value = 0.5
    assert f"The network says {truth} with" not in view.sentence.value
    size.value = 0
    plain = mh.predict(model, image)
    assert f"The network says {truth} with {100 * plain.probabilities[truth]:.1f} %" in view.sentence.value
    assert f"the label is {truth}" in view.sentence.value


@pytest.mark.parametrize("name", ["mlp", "cnn"])
def test_mislead_opens_on_the_smallest_attack_that_succeeds(some, name):
    model = mh.load_pretrained(name=name)
    right = (mh.predict_logits(model, some.images).argmax(1) == some.labels).nonzero().squeeze(1)
    for position in right[:3]:
        truth = int(some.labels[position])
        view = mh.mislead(model, some.images[position], truth)
        says_the_truth = f"The network says {truth} with"
        assert says_the_truth not in view.sentence.value
        view.children[0].value = round(view.children[0].value - 0.01, 2)
        assert says_the_truth in view.sentence.value


def test_mislead_takes_twenty_steps_or_gives_up_where_one_is_not_enough():
    assert smallest(lambda size, steps: steps == 20 and size > 0.335) == (0.34, 20)
    assert smallest(lambda size, steps: size >= 0.2) == (0.2, 1)
    assert smallest(lambda size, steps: False) == (0.1, 1)


# The benchmark


@pytest.fixture
def robustness(monkeypatch):
    monkeypatch.syspath_prepend(Path(__file__).resolve().parent.parent / "benchmarks")
    import robustness

    return robustness


def test_training_moves_pixels_within_the_box_and_up_the_slope(robustness, model, some):
    images = mh.normalize(some.images)
    epsilon = robustness.SHORT["epsilon"]
    losses = {}
    for training in robustness.TRAININGS:
        mh.set_seed(0)
        moved = robustness.spoil_in_training(model, images, some.labels, training)
        assert not moved.requires_grad
        distance = ((moved - images) * mh.STD).abs().max().item()
        assert distance == (0 if training == "plain" else pytest.approx(epsilon, abs=2e-3))
        pixels = moved * mh.STD + mh.MEAN
        assert pixels.min() > -1e-5
        assert pixels.max() < 1 + 1e-5
        losses[training] = F.cross_entropy(model(moved), some.labels).item()
    assert losses["attacked"] > 3 * losses["noise by chance"]


def test_summaries_are_of_every_number(robustness):
    runs = [{"clean": 1.0, "by": {"fog": 10.0}}, {"clean": 3.0, "by": {"fog": 10.0}}]
    assert robustness.summarise(runs) == {
        "clean": {"mean": 2, "deviation": pytest.approx(math.sqrt(2))},
        "by": {"fog": {"mean": 10, "deviation": 0}},
    }
    assert robustness.with_mean({"fog": 1, "blur": 3}) == {"fog": 1, "blur": 3, "mean": 2}
    assert robustness.summarise(runs[:1])["clean"] == {"mean": 1, "deviation": 0}


def test_a_small_run_of_the_attacked(robustness, mnist, monkeypatch):
    monkeypatch.setattr(robustness, "SHORT", robustness.SHORT | {"epochs": 1})
    monkeypatch.setattr(robustness, "SIZES", (0.1,))
    monkeypatch.setattr(robustness, "STEPS", 2)
    small = type(mnist)(mnist.train[:768], mnist.validation, mnist.test[:20], mnist.source)
    monkeypatch.setattr(robustness.mh, "CORRUPTIONS", ("fog", "scale"))
    [(name, result)] = robustness.run_attacked(small, 1)
    assert (name, result["n"], result["train images"]) == ("attacked", 1, 128)
    assert result["test images"] == {"clean": 20, "else": 2}
    assert list(result["error in percent"]) == list(robustness.TRAININGS)
    for errors in result["error in percent"].values():
        assert list(errors["2 steps"]) == ["0.1"]
        assert list(errors["severity 3"]) == ["fog", "scale", "mean"]


def test_the_stored_runs_hold_what_the_notebook_reads(robustness):
    for name, kinds in (("robustness", 4), ("attacked", 3)):
        stored = mh.load_results(name)
        assert stored["command"].startswith("python benchmarks/robustness.py")
        assert stored["results"]["n"] == robustness.SEEDS
        measured = stored["results"]["error in percent"]
        assert len(measured) == kinds
        for errors in measured.values():
            assert set(errors["severity 3"]) == {*mh.CORRUPTIONS, "mean"}
    assert list(errors[f"{robustness.STEPS} steps"]) == [str(size) for size in robustness.SIZES]
