"""fit, History, checkpoints: with PyTorch and arithmetic as the oracles."""

import math
import os
import pickle
import signal
import subprocess
import sys
import textwrap

import numpy as np
import pytest
import torch
import torch.nn.functional as F

import mnist_helpers as mh
from mnist_helpers import training


@pytest.fixture
def digits(mnist):
    """A small train and validation split."""
    return mnist.train[-600:], mnist.validation[:200]


def new_model(seed=0):
    mh.set_seed(seed)
    return mh.MLP()


def weights(model):
    return torch.cat([parameter.detach().flatten() for parameter in model.parameters()])


def quick(model, digits, **options):
    return mh.fit(model, *digits, **{"epochs": 4, "batch_size": 64, "progress": False} | options)


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


class Dropout(torch.nn.Sequential):
    """A network that draws from the global generator while it trains."""

    def __init__(self):
        super().__init__(torch.nn.Flatten(), torch.nn.Dropout(0.5), torch.nn.Linear(784, 10))


@pytest.mark.parametrize("make", [mh.MLP, Dropout])
def test_resuming_after_kill_9_gives_identical_weights(make, mnist, tmp_path):
    """A process that dies by SIGKILL in its third epoch, and a second that resumes, against one that ran through."""
    program = textwrap.dedent("""
        import os, signal, sys
        import torch
        import mnist_helpers as mh
        from test_training import Dropout

        torch.set_num_threads(1)
        name, path, resume, kill = sys.argv[1], sys.argv[2], sys.argv[3] == "True", sys.argv[4] == "True"
        mnist = mh.load_mnist()
        mh.set_seed(0 if not resume else 99)
        model = Dropout() if name == "Dropout" else mh.MLP()

        class DeadlyAugmentation(mh.Augmentation):
            batches = 0  # dies in the third epoch, at the fourth batch

            def __call__(self, images, generator=None):
                DeadlyAugmentation.batches += 1
                if kill and self.batches == 2 * 10 + 4:
                    os.kill(os.getpid(), signal.SIGKILL)
                return super().__call__(images, generator)

        mh.fit(model, mnist.train[-600:], mnist.validation[:200], epochs=4, batch_size=64, progress=False,
               augment=DeadlyAugmentation(), checkpoint=path, resume=resume)
    """)

    def run(path, resume, kill):
        command = [sys.executable, "-c", program, make.__name__, str(path), str(resume), str(kill)]
        return subprocess.run(command, cwd=os.path.dirname(__file__), capture_output=True, text=True, timeout=120)

    through, broken = tmp_path / "through.pth", tmp_path / "broken.pth"
    done = run(through, resume=False, kill=False)
    assert done.returncode == 0, done.stderr
    assert run(broken, resume=False, kill=True).returncode == -signal.SIGKILL
    assert torch.load(broken, weights_only=True)["epoch"] == 2
    done = run(broken, resume=True, kill=False)
    assert done.returncode == 0, done.stderr
    first, second = (torch.load(path, weights_only=True) for path in (through, broken))
    assert first["epoch"] == second["epoch"] == 4
    for name, tensor in first["model"].items():
        assert torch.equal(tensor, second["model"][name])
    assert first["history"]["train_loss"] == second["history"]["train_loss"]


def test_resume_refuses_another_training(digits, tmp_path):
    path = tmp_path / "run.pth"
    quick(new_model(), digits, checkpoint=path)
    with pytest.raises(ValueError, match=r"learning_rate was 0.008, now 0.01"):
        quick(new_model(), digits, checkpoint=path, resume=True, learning_rate=0.01)
    with pytest.raises(ValueError, match="train_data was"):
        mh.fit(new_model(), digits[0][:500], digits[1], epochs=4, batch_size=64, checkpoint=path, resume=True)
    with pytest.raises(mh.CheckpointError, match="does not fit"):
        quick(mh.MLP(hidden=(32, 16)), digits, checkpoint=path, resume=True)
    with pytest.raises(FileNotFoundError, match="no checkpoint"):
        quick(new_model(), digits, checkpoint=tmp_path / "none.pth", resume=True)
    mh.save_checkpoint(path, new_model())
    with pytest.raises(mh.CheckpointError, match="cannot be resumed"):
        quick(new_model(), digits, checkpoint=path, resume=True)


def test_resume_refuses_the_random_numbers_of_another_kind_of_device(digits, tmp_path):
    path = tmp_path / "run.pth"
    quick(new_model(), digits, checkpoint=path)
    state = torch.load(path, weights_only=True)
    state["generator"] = torch.zeros(16, dtype=torch.uint8)  # as long as CUDA's
    torch.save(state, path)
    model = new_model(seed=1)
    before = weights(model).clone()
    with pytest.raises(ValueError, match="comes from a training on another kind of device than cpu"):
        quick(model, digits, checkpoint=path, resume=True)
    assert torch.equal(weights(model), before)


# Checkpoint files


def test_numbers_of_numpy_make_a_checkpoint_that_can_be_read(digits, tmp_path):
    path = tmp_path / "run.pth"
    options = {"epochs": np.int64(1), "batch_size": np.int32(64), "seed": np.int64(1), "checkpoint": path}
    options |= {name: np.float64(0.01) for name in ("learning_rate", "weight_decay", "label_smoothing")}
    quick(mh.MLP(hidden=np.array([32, 16])), digits, **options)
    assert mh.load_checkpoint(path).state["settings"]["learning_rate"] == 0.01
    resumed = quick(mh.MLP(hidden=(32, 16)), digits, **options | {"resume": True})
    assert len(resumed) == 1
    mh.save_checkpoint(path, mh.CNN(np.int64(4)))
    assert mh.load_checkpoint(path).model.config == {"width": 4}


@pytest.mark.filterwarnings("ignore:for layers.*meta")  # a tensor there holds no numbers to load
def test_loading_leaves_a_model_on_its_device(tmp_path):
    path = tmp_path / "model.pth"
    mh.save_checkpoint(path, mh.MLP())
    model = mh.MLP().to("meta")
    assert next(mh.load_checkpoint(path, model=model).model.parameters()).device.type == "meta"
    assert next(mh.load_checkpoint(path).model.parameters()).device.type == "cpu"


def test_checkpoint_round_trip(digits, tmp_path):
    path = tmp_path / "mnist_model.pth"
    model = mh.MLP(hidden=(32, 16))
    history = quick(model, digits, checkpoint=path)
    checkpoint = mh.load_checkpoint(path)
    assert checkpoint.model.config == {"hidden": [32, 16]}
    assert torch.equal(weights(checkpoint.model), weights(model))
    assert not checkpoint.model.training
    assert checkpoint.state["history"]["train_loss"] == history.train_loss
    assert checkpoint.state["settings"]["train_data"] == digits[0].fingerprint()
    plain = torch.load(path, weights_only=True)
    twin = mh.MLP(hidden=(32, 16))
    twin.load_state_dict(plain["model"])
    assert torch.equal(weights(twin), weights(model))


class Trap:
    """Leaves a file behind when it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (open, (str(self.path), "w"))


def damaged_files(folder, good):
    """Each damaged or foreign file, by what is wrong with it."""
    data = good.read_bytes()
    files = {
        "empty": b"",
        "truncated": data[: len(data) // 2],
        "text": b"not a checkpoint",
        "pickle": pickle.dumps([1]),
    }
    for name, content in files.items():
        (folder / name).write_bytes(content)
    (folder / "code").write_bytes(pickle.dumps(Trap(folder / "executed")))
    torch.save({"format": training.FORMAT, "model": Trap(folder / "executed")}, folder / "code in a checkpoint")
    torch.save(mh.MLP().state_dict(), folder / "bare weights")
    torch.save([1, 2], folder / "a list")
    flipped = bytearray(data)
    flipped[len(data) // 2] ^= 0xFF
    (folder / "flipped").write_bytes(flipped)
    state = torch.load(good, weights_only=True)
    torch.save({**state, "architecture": {"name": "system", "config": {}}}, folder / "unknown network")
    torch.save({**state, "architecture": {"name": "MLP", "config": {"hidden": [9, 9]}}}, folder / "wrong shapes")
    torch.save({key: value for key, value in state.items() if key != "model"}, folder / "no weights")
    torch.save({**state, "architecture": {"name": "MLP", "config": {"width": 3}}}, folder / "wrong config")
    return [path for path in folder.iterdir() if path != good]


def test_damaged_and_foreign_files_get_one_clear_error_and_run_nothing(tmp_path):
    good = tmp_path / "good.pth"
    mh.save_checkpoint(good, mh.MLP())
    files = damaged_files(tmp_path, good)
    assert len(files) == 13
    for path in files:
        with pytest.raises(mh.CheckpointError) as caught:
            mh.load_checkpoint(path)
        assert path.name in str(caught.value)
    assert not (tmp_path / "executed").exists()
    mh.load_checkpoint(good)
    with pytest.raises(FileNotFoundError, match="no checkpoint"):
        mh.load_checkpoint(tmp_path / "missing.pth")


def test_another_architecture_is_refused(tmp_path):
    path = tmp_path / "model.pth"
    mh.save_checkpoint(path, mh.MLP())
    with pytest.raises(mh.CheckpointError, match=r"\[128, 64\].*does not fit this MLP with .*\[32, 16\]"):
        mh.load_checkpoint(path, model=mh.MLP(hidden=(32, 16)))
    mh.save_checkpoint(path, Dropout())
    with pytest.raises(mh.CheckpointError, match="pass such a network as model="):
        mh.load_checkpoint(path)
    assert isinstance(mh.load_checkpoint(path, model=Dropout()).model, Dropout)


@pytest.mark.skipif(os.name != "posix", reason="limits of a process are POSIX's")
def test_a_failed_save_leaves_the_old_file(tmp_path):
    path = tmp_path / "model.pth"
    mh.save_checkpoint(path, mh.MLP())
    before = path.read_bytes()
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)  # so that writing fails instead, as it does on a full disk
    resource.setrlimit(resource.RLIMIT_FSIZE, (len(before) // 2, hard))
    try:
        with pytest.raises(OSError, match="File too large"):
            mh.save_checkpoint(path, mh.MLP())
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]
    with pytest.raises(FileNotFoundError, match="no folder"):
        mh.save_checkpoint(tmp_path / "missing" / "model.pth", mh.MLP())


def test_the_pretrained_network_is_as_good_as_recorded(mnist):
    import json
    from importlib.resources import files

    record = json.loads((files("mnist_helpers") / "pretrained" / "mlp.json").read_text())
    result = mh.evaluate(mh.load_pretrained(), mnist.test)
    assert mh.count_parameters(mh.load_pretrained()) == 109_386
    if mnist.source.is_sample:
        assert result.accuracy > 0.96
    else:
        assert result.accuracy == pytest.approx(record["test"]["accuracy"], abs=3e-4)
        assert record["train_data"] == mnist.train.fingerprint()


# Devices, seeds, threads


def test_pick_device():
    assert mh.pick_device("cpu") == torch.device("cpu")
    assert mh.pick_device().type in ("cpu", "cuda", "mps")
    with pytest.raises(ValueError, match="'abacus' cannot be used here"):
        mh.pick_device("abacus")
    if not torch.cuda.is_available():
        with pytest.raises(ValueError, match="try 'auto' or 'cpu'"):
            mh.pick_device("cuda")


def threads_in(monkeypatch, before, cores=8, contended=False, **environment):
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(training, "_THREADS_AT_IMPORT", 16)
    monkeypatch.setattr(training, "usable_cores", lambda: cores)
    monkeypatch.setattr(training, "_seconds_with", lambda threads: threads if contended else 1 / threads)
    training.quick_threads.cache_clear()
    current = [before]
    monkeypatch.setattr(torch, "get_num_threads", lambda: current[-1])
    monkeypatch.setattr(torch, "set_num_threads", current.append)
    with training.sensible_threads() as count:
        assert current[-1] == count
    assert current[-1] == before
    training.quick_threads.cache_clear()
    return count


def test_threads_are_few_and_the_users_own_choice_stands(monkeypatch):
    assert threads_in(monkeypatch, before=16) == 4
    assert threads_in(monkeypatch, before=16, cores=2) == 2
    assert threads_in(monkeypatch, before=16, contended=True) == 1
    assert threads_in(monkeypatch, before=7) == 7  # by torch.set_num_threads
    assert threads_in(monkeypatch, before=16, OMP_NUM_THREADS="16") == 16
