"""Going on where a training was interrupted: to the bit, and from nothing that does not fit."""

import copy
import os
import signal

import joblib
import pytest
import torch
from trainings import Dropout, new_model, quick, weights

import mnist_helpers as mh
from mnist_helpers import training


class DeadlyAugmentation(mh.Augmentation):
    """Ends the process by SIGKILL in the third epoch, at the fourth batch, if it was told to."""

    batches, deadly = 0, False

    def __call__(self, images, generator=None):
        DeadlyAugmentation.batches += 1
        if self.deadly and self.batches == 2 * 10 + 4:
            os.kill(os.getpid(), signal.SIGKILL)
        return super().__call__(images, generator)


def train(make, path, resume, kill):
    """A training, run in a process of its own."""
    torch.set_num_threads(1)
    DeadlyAugmentation.deadly = kill
    mnist = mh.load_mnist()
    mh.set_seed(99 if resume else 0)
    digits = mnist.train[-600:], mnist.validation[:200]
    quick(make(), digits, augment=DeadlyAugmentation(), checkpoint=path, resume=resume)


@pytest.mark.parametrize("make", [mh.MLP, Dropout])
def test_resuming_after_kill_9_gives_identical_weights(make, processes, tmp_path):
    """A process that dies in its third epoch, and a second that resumes, against one that ran through."""

    def run(path, resume, kill):
        process = processes.Process(target=train, args=(make, path, resume, kill))
        process.start()
        process.join(120)
        process.kill()  # if it still runs
        process.join()
        return process.exitcode

    through, broken = tmp_path / "through.pth", tmp_path / "broken.pth"
    assert run(through, resume=False, kill=False) == 0
    assert run(broken, resume=False, kill=True) == -signal.SIGKILL
    assert torch.load(broken, weights_only=True)["epoch"] == 2
    assert run(broken, resume=True, kill=False) == 0
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


# States of a training made to do harm: an optimizer that PyTorch would take on trust writes over memory that is not its
# own.


@pytest.fixture(scope="module")
def interrupted(mnist, tmp_path_factory):
    """The dict in the checkpoint of a training that was interrupted after the second of four epochs."""
    path = tmp_path_factory.mktemp("run") / "run.pth"

    def stop(history):
        if len(history) == 2:
            raise KeyboardInterrupt

    quick(new_model(), (mnist.train[-600:], mnist.validation[:200]), checkpoint=path, on_epoch=stop)
    return torch.load(path, weights_only=True)


def moments(state, name, value):
    state["optimizer"]["state"][0][name] = value


def group(state, name, value):
    state["optimizer"]["param_groups"][0][name] = value


TENSOR = torch.zeros(128, 784)
HARM = {
    "moments too short": lambda s: moments(s, "exp_avg", torch.zeros(3)),
    "moments with a single number": lambda s: moments(s, "exp_avg_sq", torch.zeros(1)),
    "moments of another type": lambda s: moments(s, "exp_avg", TENSOR.double()),
    "moments that are no tensor": lambda s: moments(s, "exp_avg", [0.0]),
    "sparse moments": lambda s: moments(s, "exp_avg", TENSOR.to_sparse()),
    "more moments": lambda s: moments(s, "max_exp_avg_sq", TENSOR),
    "a step that is a list": lambda s: moments(s, "step", [1]),
    "steps": lambda s: moments(s, "step", torch.ones(5)),
    "no moments": lambda s: s["optimizer"]["state"].clear(),
    "moments of one parameter more": lambda s: s["optimizer"]["state"].update({6: s["optimizer"]["state"][5]}),
    "moments in a list": lambda s: s["optimizer"]["state"].update(
        {0: [["step", 1], ["exp_avg", 2], ["exp_avg_sq", 3]]}
    ),
    "moments in words": lambda s: s["optimizer"]["state"].update({0: "ab"}),
    "no groups": lambda s: s["optimizer"].update(param_groups=[]),
    "two groups": lambda s: s["optimizer"].update(param_groups=2 * s["optimizer"]["param_groups"]),
    "a rate that is a word": lambda s: group(s, "lr", "high"),
    "a negative rate": lambda s: group(s, "lr", -1.0),
    "an infinite rate": lambda s: group(s, "lr", float("inf")),
    "betas": lambda s: group(s, "betas", (2.0, 0.9)),
    "one beta": lambda s: group(s, "betas", (0.9,)),
    "no optimizer": lambda s: s.update(optimizer=None),
    "an optimizer that is a list": lambda s: s.update(optimizer=[]),
    "no schedule": lambda s: s.update(schedule=None),
    "a schedule elsewhere": lambda s: s["schedule"].update(last_epoch=7),
    "a schedule of tensors": lambda s: s["schedule"].update(last_epoch=torch.zeros(2)),
    "a schedule of words": lambda s: s["schedule"].update(last_epoch="x"),
    "no history": lambda s: s.update(history=None),
    "a longer history": lambda s: s["history"].update(
        {name: 9 * [0.5] for name in s["history"] if name != "interrupted"}
    ),
    "columns of different length": lambda s: s["history"]["train_loss"].pop(),
    "words in the history": lambda s: s["history"].update(seconds=["a", "b"]),
    "a column less": lambda s: s["history"].pop("seconds"),
    "a column more": lambda s: s["history"].update(append=[1.0, 2.0]),
    "no threads": lambda s: s["settings"].pop("threads"),
    "threads in words": lambda s: s["settings"].update(threads="all"),
    "no threads at all": lambda s: s["settings"].update(threads=0),
    "settings that are a list": lambda s: s.update(settings=[]),
    "a generator that is a list": lambda s: s.update(generator=[1]),
    "a generator of floats": lambda s: s.update(generator=torch.zeros(5056)),
    "random numbers too short": lambda s: s.update(torch_random=torch.zeros(3, dtype=torch.uint8)),
    "no random numbers": lambda s: s.update(torch_random=None),
    "a GPU's random numbers in words": lambda s: s.update(cuda_random=["x"]),
}


@pytest.mark.filterwarnings("ignore:Validating sparse tensor")
@pytest.mark.parametrize("kind", HARM)
def test_a_damaged_state_is_refused_and_changes_nothing(kind, interrupted, digits, tmp_path):
    state = copy.deepcopy(interrupted)
    HARM[kind](state)
    path, model = tmp_path / "evil.pth", new_model(seed=1)
    torch.save(state, path)
    before, content = weights(model).clone(), path.read_bytes()
    with pytest.raises(mh.CheckpointError, match=r"evil\.pth"):
        quick(model, digits, checkpoint=path, resume=True)
    assert torch.equal(weights(model), before)
    assert path.read_bytes() == content


def test_what_the_settings_decide_is_not_taken_from_the_file(interrupted, digits, tmp_path, one_thread, monkeypatch):
    """A state can be harmless in form and still change what is computed, or with how many threads."""
    changed = copy.deepcopy(interrupted)
    for name, value in {"amsgrad": True, "weight_decay": 0.9, "max_lr": 5.0, "fused": False, "maximize": True}.items():
        group(changed, name, value)
    changed["schedule"].update(total_steps=10**9, base_lrs=[99.0])
    changed["settings"]["threads"] = 10**9
    results, asked, original = [], [], training.sensible_threads
    monkeypatch.setattr(training, "sensible_threads", lambda *args: asked.append(args[0]) or original(*args))
    for number, state in enumerate((interrupted, changed)):
        path, model = tmp_path / f"{number}.pth", new_model()
        torch.save(state, path)
        assert len(quick(model, digits, checkpoint=path, resume=True)) == 4
        results.append(weights(model))
    assert torch.equal(*results)
    assert asked == [interrupted["settings"]["threads"], joblib.cpu_count()]


class Frozen(torch.nn.Module):
    """With a layer that is not trained, and one that nothing depends on: an optimizer has no state of them."""

    def __init__(self):
        super().__init__()
        self.frozen, self.last, self.unused = (torch.nn.Linear(784, 32), torch.nn.Linear(32, 10), torch.nn.Linear(1, 1))
        self.frozen.requires_grad_(False)

    def forward(self, images):
        return self.last(self.frozen(images.flatten(1)).relu())


def test_layers_that_are_not_trained_are_no_hindrance(digits, tmp_path, one_thread):
    results = []
    for name, stop in (("through", 99), ("broken", 2)):
        options = {"checkpoint": tmp_path / name}

        def interrupt(history, stop=stop):
            if len(history) == stop:
                raise KeyboardInterrupt

        mh.set_seed(0)
        model = Frozen()
        quick(model, digits, on_epoch=interrupt, **options)
        if stop < 4:
            assert len(quick(model, digits, resume=True, **options)) == 4
        results.append(weights(model))
    assert torch.equal(*results)


def test_weights_of_a_network_of_the_same_name_that_do_not_fit_change_nothing(digits, tmp_path):
    path = tmp_path / "run.pth"
    quick(Dropout(), digits, checkpoint=path)
    model = Dropout()
    model[2] = torch.nn.Linear(784, 10, bias=False)
    before = weights(model).clone()
    for load in (
        lambda: quick(model, digits, checkpoint=path, resume=True),
        lambda: mh.load_checkpoint(path, model=model),
    ):
        with pytest.raises(mh.CheckpointError, match="its weights do not fit"):
            load()
        assert torch.equal(weights(model), before)


def test_moments_that_share_one_number_get_memory_of_their_own(interrupted, digits, tmp_path):
    """A tensor can look larger than its memory. PyTorch's quickest kernel would write beyond it."""
    state, path = copy.deepcopy(interrupted), tmp_path / "evil.pth"
    for each in state["optimizer"]["state"].values():
        each["exp_avg"] = torch.zeros(1).expand(each["exp_avg"].shape)
    torch.save(state, path)
    model = new_model()
    assert len(quick(model, digits, checkpoint=path, resume=True)) == 4
    assert weights(model).isfinite().all()
