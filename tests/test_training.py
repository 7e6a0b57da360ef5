"""fit and its History, with PyTorch and arithmetic as the oracles."""

import math

import pytest
import torch
import torch.nn.functional as F
from trainings import new_model, quick, weights

import mnist_helpers as mh
from mnist_helpers import training


def test_the_mlp_is_the_seeds_network():
    model = mh.MLP()
    shapes = [tuple(parameter.shape) for parameter in model.parameters()]
    assert shapes == [(128, 784), (128,), (64, 128), (64,), (10, 64), (10,)]
    assert mh.count_parameters(model) == 109_386
    assert model(torch.zeros(3, 1, 28, 28)).shape == (3, 10)


def test_fit_learns_and_counts_every_example_once(digits, monkeypatch):
    """The running means equal those computed from every batch's logits, short last batch included."""
    seen = []
    plain = F.cross_entropy

    def spy(logits, labels, **options):
        seen.append((logits.detach().clone(), labels.clone()))
        return plain(logits, labels, **options)

    model = new_model()
    monkeypatch.setattr(training.F, "cross_entropy", spy)
    history = quick(model, digits, epochs=1)
    monkeypatch.undo()
    batches, (validation_logits, validation_labels) = seen[:-1], seen[-1]
    assert [len(labels) for _, labels in batches] == [64] * 9 + [24]
    logits, labels = (torch.cat(part) for part in zip(*batches, strict=True))
    assert history.train_loss[0] == pytest.approx(plain(logits, labels).item(), rel=1e-5)
    assert history.train_accuracy[0] == pytest.approx((logits.argmax(1) == labels).double().mean().item())
    assert history.validation_loss[0] == pytest.approx(plain(validation_logits, validation_labels).item(), rel=1e-6)
    expected = mh.evaluate(model, digits[1])
    assert history.validation_accuracy[0] == pytest.approx(expected.accuracy)

    history = quick(new_model(), digits, epochs=10)
    assert len(history) == 10
    assert history.validation_accuracy[-1] > 0.7
    assert history.train_loss[-1] < history.train_loss[0] / 3


def test_fit_equals_a_loop_written_by_hand(digits, one_thread):
    model, twin = new_model(), new_model()
    quick(model, digits, epochs=2, learning_rate=3e-3, weight_decay=0.1)

    optimizer = torch.optim.AdamW(twin.parameters(), lr=3e-3, weight_decay=0.1)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 3e-3, total_steps=20)
    batches = mh.Batches(digits[0], 64, seed=0)
    for _ in range(2):
        for images, labels in batches:
            loss = F.cross_entropy(twin(images), labels)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
    assert torch.allclose(weights(model), weights(twin), atol=1e-5)


def test_label_smoothing_and_a_constant_rate_equal_a_loop_written_by_hand(digits, one_thread):
    model, twin = new_model(), new_model()
    quick(model, digits, epochs=2, learning_rate=1e-3, weight_decay=0.1, label_smoothing=0.2, one_cycle=False)

    optimizer = torch.optim.AdamW(twin.parameters(), lr=1e-3, weight_decay=0.1)
    batches = mh.Batches(digits[0], 64, seed=0)
    for _ in range(2):
        for images, labels in batches:
            target = 0.8 * F.one_hot(labels, 10) + 0.02
            loss = -(target * twin(images).log_softmax(1)).sum(1).mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    assert torch.allclose(weights(model), weights(twin), atol=1e-5)


def test_labels_may_be_probabilities(digits, one_thread):
    """Certain probabilities are as good as labels, and uncertain ones are learnt as they are."""
    train, validation = digits
    model, twin = new_model(), new_model()
    certain = mh.Split(train.images, F.one_hot(train.labels, 10).float())
    histories = [quick(one, (split, validation)) for one, split in ((model, train), (twin, certain))]
    assert torch.allclose(weights(model), weights(twin), atol=1e-4)
    assert histories[0].train_accuracy == pytest.approx(histories[1].train_accuracy, abs=0.01)

    halves = mh.Split(train.images, 0.5 * F.one_hot(train.labels, 10) + 0.05)
    student = new_model()
    quick(student, (halves, validation), epochs=12)
    mean = mh.predict_logits(student, train.images).softmax(1).max(1).values.mean()
    assert mean == pytest.approx(0.55, abs=0.06)


def test_bfloat16_learns_the_same_with_float32_weights(digits):
    """Not to the bit, but as well."""
    histories, models = [], []
    for precision in ("float32", "bfloat16"):
        mh.set_seed(0)
        models.append(mh.CNN(width=4))
        histories.append(quick(models[-1], digits, epochs=3, precision=precision))
    assert {parameter.dtype for parameter in models[1].parameters()} == {torch.float32}
    assert not torch.equal(weights(models[0]), weights(models[1]))
    assert histories[0].train_loss == pytest.approx(histories[1].train_loss, rel=0.1)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"label_smoothing": 1.0}, "label_smoothing is 1.0"),
        ({"label_smoothing": -0.1}, "label_smoothing is -0.1"),
        ({"precision": "float16"}, "precision is 'float16'.*float32.*bfloat16"),
    ],
)
def test_the_recipes_bad_arguments_are_named(digits, options, message):
    with pytest.raises(ValueError, match=message):
        quick(new_model(), digits, **options)


def test_seeds_decide_everything(digits, one_thread):
    results = []
    for seed in (0, 0, 1):
        model = new_model()
        quick(model, digits, epochs=1, seed=seed, augment=mh.Augmentation())
        results.append(weights(model))
    assert torch.equal(results[0], results[1])
    assert not torch.equal(results[0], results[2])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"epochs": 0}, "epochs is 0"),
        ({"batch_size": 601}, "batch_size is 601"),
        ({"batch_size": 0}, "batch_size is 0"),
        ({"resume": True}, "resume needs"),
    ],
)
def test_bad_arguments_are_named(digits, options, message):
    with pytest.raises(ValueError, match=message):
        quick(new_model(), digits, **options)


def test_there_must_be_data(digits):
    with pytest.raises(ValueError, match="validation is empty"):
        mh.fit(new_model(), digits[0], digits[1][:0], progress=False)


def test_only_train_may_have_probabilities(digits):
    train, validation = digits
    soft = mh.Split(validation.images, F.one_hot(validation.labels, 10).float())
    with pytest.raises(ValueError, match="validation needs one label"):
        mh.fit(new_model(), train, soft, progress=False)


def test_devices_must_agree(digits):
    with pytest.raises(ValueError, match="the model is on meta"):
        quick(mh.MLP().to("meta"), digits)


def test_nan_stops_the_training_and_keeps_the_last_sound_checkpoint(digits, tmp_path):
    path = tmp_path / "run.pth"

    def break_it(history):
        if len(history) == 2:
            with torch.no_grad():
                next(model.parameters()).fill_(math.nan)

    model = new_model()
    with pytest.raises(FloatingPointError, match=r"became nan in epoch 3: lower the learning rate"):
        quick(model, digits, checkpoint=path, on_epoch=break_it)
    kept = mh.load_checkpoint(path)
    assert kept.state["epoch"] == 2
    assert weights(kept.model).isfinite().all()


def test_weights_that_break_in_the_last_step_are_not_saved(digits, tmp_path):
    """The loss of that step is still finite; the one on validation is not."""
    with pytest.raises(FloatingPointError, match=r"the validation loss became nan in epoch 1"):
        quick(new_model(), digits, batch_size=600, one_cycle=False, learning_rate=1e20, checkpoint=tmp_path / "run.pth")
    assert not list(tmp_path.iterdir())


def test_interrupting_keeps_what_was_learnt(digits):
    def stop(history):
        if len(history) == 2:
            raise KeyboardInterrupt

    model = new_model()
    history = quick(model, digits, on_epoch=stop)
    assert history.interrupted
    assert len(history) == 2
    assert mh.evaluate(model, digits[1]).accuracy == pytest.approx(history.validation_accuracy[-1])
    assert not model.training


def test_numbers_that_would_be_misread_are_refused(digits):
    """Each of them would be trained on in silence."""
    train, validation = digits
    for images, labels, message in [
        (train.images / 255, train.labels, "images of train are on a scale of 0 to 1"),
        (train.images, train.labels + 1, "labels of train run from"),
        (train.images, train.labels.masked_fill(train.labels == 3, -100), "labels of train run from -100"),
    ]:
        with pytest.raises(ValueError, match=message):
            quick(new_model(), (mh.Split(images, labels), validation))
    with pytest.raises(ValueError, match="labels of the split run from"):
        mh.evaluate(new_model(), mh.Split(validation.images, validation.labels - 1))


@pytest.mark.parametrize("path", ["", ".", "missing/run.pth"])
def test_a_checkpoint_that_cannot_be_written_is_refused_before_the_first_epoch(digits, path, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    seen = []
    with pytest.raises((ValueError, OSError)):
        quick(new_model(), digits, checkpoint=path, on_epoch=seen.append)
    assert not seen
    assert not list(tmp_path.iterdir())
