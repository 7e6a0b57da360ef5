"""Evaluation against scikit-learn, SciPy and arithmetic; figures and their sentences."""

import io
import math
from importlib.resources import files
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch
from scipy.stats import binomtest
from sklearn.metrics import accuracy_score, confusion_matrix, log_loss

import mnist_helpers as mh


@pytest.fixture(scope="module")
def result(mnist):
    """A mediocre network on 301 images, a number that no batch size divides."""
    mh.set_seed(0)
    model = mh.MLP()
    mh.fit(model, mnist.train[-500:], mnist.validation[:50], epochs=3, batch_size=50, progress=False)
    return mh.evaluate(model, mnist.test[:301]), model


@pytest.fixture(autouse=True)
def close_figures():
    plt.switch_backend("agg")
    yield
    plt.close("all")


def test_evaluate_agrees_with_scikit_learn(result, mnist):
    result, _ = result
    labels, predictions = mnist.test.labels[:301].numpy(), result.predictions.numpy()
    assert result.accuracy == pytest.approx(accuracy_score(labels, predictions))
    assert result.confusion.numpy().tolist() == confusion_matrix(labels, predictions, labels=range(10)).tolist()
    probabilities = result.probabilities.double().numpy()
    probabilities /= probabilities.sum(1, keepdims=True)  # float32 sums to 1 only nearly
    assert result.loss == pytest.approx(log_loss(labels, probabilities, labels=range(10)), rel=1e-4)
    wrong = np.flatnonzero(labels != predictions)
    assert sorted(result.mistakes.tolist()) == wrong.tolist()
    confidences = probabilities.max(1)[result.mistakes.numpy()]
    assert (np.diff(confidences) <= 0).all()
    assert 0 < len(wrong) < 301


def test_every_example_weighs_the_same(mnist):
    """1,001 images: batches of 1,000 and 1. A mean of the batches' means would be off by far."""
    split = mnist.train[-1001:]
    labels = split.labels.clone()
    labels[:1000] = 0
    labels[1000] = 1

    class AlwaysZero(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.weight = torch.nn.Parameter(torch.zeros(1))

        def forward(self, images):
            return torch.nn.functional.one_hot(torch.zeros(len(images), dtype=torch.long), 10) * 5.0 + self.weight

    result = mh.evaluate(AlwaysZero(), mh.Split(split.images, labels))
    assert result.accuracy == pytest.approx(1000 / 1001)
    right, wrong = math.log(1 + 9 * math.exp(-5)), 5 + math.log(1 + 9 * math.exp(-5))
    assert result.loss == pytest.approx((1000 * right + wrong) / 1001, rel=1e-5)


@pytest.mark.parametrize(("correct", "count"), [(0, 10), (10, 10), (1, 3), (9800, 10_000), (9999, 10_000)])
def test_wilson_interval_agrees_with_scipy(correct, count):
    expected = binomtest(correct, count).proportion_ci(0.95, method="wilson")
    assert mh.wilson_interval(correct, count) == pytest.approx((expected.low, expected.high), abs=1e-6)


def test_an_empty_split_is_refused(mnist):
    with pytest.raises(ValueError, match="the split is empty"):
        mh.evaluate(mh.MLP(), mnist.test[:0])


def test_probabilities_are_no_labels_to_evaluate_by(mnist):
    few = mnist.test[:3]
    with pytest.raises(ValueError, match="needs one label"):
        mh.evaluate(mh.MLP(), mh.Split(few.images, torch.eye(10)[few.labels]))


def test_evaluating_leaves_the_model_as_it_was(mnist):
    model = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Dropout(0.9), torch.nn.Linear(784, 10)).train()
    first, second = (mh.evaluate(model, mnist.test[:50]).loss for _ in range(2))
    assert first == second  # no dropout while evaluating
    assert model.training


def test_logits_can_be_targets_of_another_training(mnist):
    logits = mh.predict_logits(mh.MLP(), mnist.test.images[:4])
    scale = torch.ones(1, requires_grad=True)
    (scale * logits).sum().backward()
    assert scale.grad == pytest.approx(logits.sum().item(), rel=1e-4)


def test_calibration_agrees_with_a_loop(result):
    result, _ = result
    measured = mh.calibration(result, bins=10)
    confidence = result.probabilities.max(1).values.double().numpy()
    right = (result.predictions == result.labels).numpy()
    error = 0.0
    for index in range(10):
        inside = (confidence >= index / 10) & (confidence < (index + 1) / 10 + (index == 9))
        assert measured.counts[index] == inside.sum()
        if inside.any():
            assert measured.accuracy[index] == pytest.approx(right[inside].mean())
            assert measured.confidence[index] == pytest.approx(confidence[inside].mean())
            error += abs(right[inside].mean() - confidence[inside].mean()) * inside.mean()
    assert measured.error == pytest.approx(error)
    assert int(measured.counts.sum()) == 301


# Figures


def test_every_figure_draws_and_says_what_it_shows(result, mnist, capsys):
    result, model = result
    history = mh.History([1.0, 0.5], [0.6, 0.8], [0.9, 0.6], [0.7, 0.75], [1.0, 1.0])
    prediction = mh.predict(model, mnist.test.images[0])
    label = int(mnist.test.labels[0])
    said = []
    for draw in (
        lambda: mh.plot_digits(mnist.test.images[:12], mnist.test.labels[:12]),
        lambda: mh.plot_weights(model),
        lambda: mh.plot_pixel_values(mnist.test.images[:100]),
        lambda: mh.plot_history(history)[0],
        lambda: mh.plot_confusion(result.confusion),
        lambda: mh.plot_mistakes(result, mnist.test[:301]),
        lambda: mh.plot_probabilities(prediction.probabilities, truth=label),
        lambda: mh.plot_prediction(prediction)[0],
        lambda: mh.plot_calibration(mh.calibration(result)),
    ):
        capsys.readouterr()
        ax = draw()
        said.append(" ".join(capsys.readouterr().out.splitlines()))
        assert said[-1].endswith(".")
        buffer = io.BytesIO()
        ax.figure.savefig(buffer, format="raw")
        assert len(set(buffer.getvalue())) > 2  # something besides paper
    assert "went from 1.000 to 0.500" in said[3]
    assert "ended at 75.00%" in said[3]
    assert f"{len(result.mistakes)} off the diagonal" in said[4]
    assert f"the label is {label}" in said[6]


def test_a_perfect_confusion_matrix_names_no_mistake(capsys):
    mh.plot_confusion(torch.eye(10, dtype=torch.int64))
    assert capsys.readouterr().out == "Confusion matrix of 10 images, 0 off the diagonal.\n"


def test_figures_go_on_the_axes_they_are_given(result, mnist):
    result, _ = result
    _, axes = plt.subplots(1, 2)
    assert mh.plot_confusion(result.confusion, ax=axes[0]) is axes[0]
    assert mh.plot_digits(mnist.test.images[:3], ax=axes[1]) is axes[1]
    assert len(plt.get_fignums()) == 1


def test_drawing_leaves_the_model_where_it_was(result):
    model = result[1].train()
    before = [parameter.clone() for parameter in model.parameters()]
    mh.plot_weights(model)
    assert model.training
    assert all(torch.equal(a, b) for a, b in zip(before, model.parameters(), strict=True))


def test_figures_refuse_what_they_cannot_show(result, mnist):
    result, _ = result
    with pytest.raises(ValueError, match="3 images and 2 titles"):
        mh.plot_digits(mnist.test.images[:3], ["a", "b"])
    with pytest.raises(ValueError, match="no epoch was finished"):
        mh.plot_history(mh.History())
    with pytest.raises(ValueError, match="does not read 784 pixels"):
        mh.plot_weights(torch.nn.Linear(10, 10))
    perfect = mh.evaluate(mh.load_pretrained(), mnist.train[-3:])
    assert len(perfect.mistakes) == 0
    with pytest.raises(ValueError, match="no mistakes"):
        mh.plot_mistakes(perfect, mnist.train[-3:])


def test_stored_results_name_their_command():
    folder = files("mnist_helpers") / "results"
    names = [path.name.removesuffix(".json") for path in folder.iterdir()]
    assert names
    for name in names:
        stored = mh.load_results(name)
        assert set(stored) == {"command", "hardware", "results"}
        assert stored["command"].startswith("python ")
        assert (Path(__file__).resolve().parent.parent / stored["command"].split()[1]).is_file()


def test_unknown_results_are_named():
    with pytest.raises(ValueError, match=r"no stored results 'nonsense': choose one of \["):
        mh.load_results("nonsense")
