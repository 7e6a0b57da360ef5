"""Checkpoints: what is written is what is read, and files of others do no harm."""

import os
import pickle
import signal
import time
import zipfile

import numpy as np
import pytest
import torch
from trainings import Dropout, quick, weights

import mnist_helpers as mh
from mnist_helpers import archive, checkpoints


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
    torch.save({"format": checkpoints.FORMAT, "model": Trap(folder / "executed")}, folder / "code in a checkpoint")
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
    answer = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)  # so that writing fails instead, as it does on a full disk
    resource.setrlimit(resource.RLIMIT_FSIZE, (len(before) // 2, hard))
    try:
        with pytest.raises(OSError, match="File too large"):
            mh.save_checkpoint(path, mh.MLP())
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, answer)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]
    with pytest.raises(FileNotFoundError, match="no folder"):
        mh.save_checkpoint(tmp_path / "missing" / "model.pth", mh.MLP())


# Files made to do harm. Each is refused before it takes more memory or time than its own size allows.


@pytest.fixture
def good(tmp_path):
    path = tmp_path / "good.pth"
    mh.save_checkpoint(path, mh.MLP())
    return path


@pytest.fixture
def unread(monkeypatch):
    """Nothing may be handed to PyTorch."""
    monkeypatch.setattr(archive.torch, "load", lambda *_, **__: pytest.fail("the file was read"))


def packed(good, path):
    """A small file that becomes large when it is unpacked."""
    with zipfile.ZipFile(good) as whole, zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        for name in whole.namelist():
            file.writestr(name, whole.read(name))
        file.writestr("archive/data/99", bytes(50_000_000))


def overlapping(good, path):
    """Many parts that all are the same bytes."""
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("archive/data/0", bytes(1_000_000))
        file.filelist *= 2000


def behind_something_else(good, path):
    """Of another format at the beginning, where PyTorch looks, and an archive at the end, where zipfile does."""
    path.write_bytes(b"ustar" + bytes(507) + good.read_bytes())


def before_something_else(good, path):
    path.write_bytes(good.read_bytes() + b"PK\x05\x06" + bytes(18))


def beside_another(good, path):
    """Two archives in one file, and a comment."""
    path.write_bytes(good.read_bytes() + good.read_bytes())


def with_program(good, path, program):
    """An archive as PyTorch writes it, in which the values are made by this program of pickle's."""
    with zipfile.ZipFile(good) as whole, zipfile.ZipFile(path, "w") as file:
        for name in whole.namelist():
            file.writestr(name, program if name.endswith("data.pkl") else whole.read(name))


def billions_of_bytes(good, path):
    with_program(good, path, b"\x80\x02c__builtin__\nbytearray\nJ" + (2**31 - 1).to_bytes(4, "little") + b"\x85R.")


def tuples_within_tuples(good, path, levels=60):
    """As the key of a dict, whose hash is that of 2^60 numbers."""
    program = b"\x80\x02}q\x00K\x01K\x01\x85q\x01s"
    for number in range(1, levels + 1):
        program += b"K%ch%ch%c\x86q%cs" % (number + 1, number, number, number + 1)
    with_program(good, path, program + b"h%cNs." % (levels + 1))


def two_programs(good, path):
    """PyTorch reads the first, whatever its case."""
    with zipfile.ZipFile(good) as whole, zipfile.ZipFile(path, "w") as file:
        for name in whole.namelist():
            file.writestr(name, whole.read(name))
            if name.endswith("data.pkl"):
                file.writestr(name.replace("data.pkl", "DATA.PKL"), whole.read(name))


EVIL = [packed, overlapping, behind_something_else, before_something_else, beside_another, billions_of_bytes]
EVIL += [tuples_within_tuples, two_programs]


@pytest.mark.usefixtures("unread")
@pytest.mark.parametrize("make", EVIL)
def test_an_archive_that_is_not_as_torch_save_writes_is_refused_unread(make, good, tmp_path):
    make(good, tmp_path / "evil.pth")
    start = time.monotonic()
    with pytest.raises(mh.CheckpointError, match=r"evil\.pth is not a usable checkpoint"):
        mh.load_checkpoint(tmp_path / "evil.pth")
    assert time.monotonic() - start < 2


def refusal(path):
    """The message of the error of loading a file."""
    try:
        mh.load_checkpoint(path)
    except mh.CheckpointError as error:
        return str(error)


@pytest.mark.parametrize(
    "architecture",
    [
        {"name": "MLP", "config": {"hidden": [32_000, 32_000]}},
        {"name": "CNN", "config": {"width": 10_000}},
    ],
)
def test_no_network_is_built_that_is_larger_than_the_file(architecture, good, elsewhere):
    torch.save(torch.load(good, weights_only=True) | {"architecture": architecture}, good)
    message, memory = elsewhere(refusal, good)
    assert "says that it holds" in message
    assert memory < 200_000_000  # of the billions that it would take


def test_weights_of_which_the_file_holds_a_single_number_are_refused(good, elsewhere):
    state = torch.load(good, weights_only=True)
    state["architecture"]["config"] = {"hidden": [20_000, 20_000]}
    shapes = [(20_000, 784), (20_000,), (20_000, 20_000), (20_000,), (10, 20_000), (10,)]
    state["model"] = {name: torch.zeros(1).expand(shape) for name, shape in zip(state["model"], shapes, strict=True)}
    torch.save(state, good)
    message, memory = elsewhere(refusal, good)
    assert "something else than weights" in message
    assert memory < 200_000_000


def nested(levels, times=2):
    """A list that holds a list twice, which holds a list twice, and so on: short in a file, endless in a message."""
    values = []
    for _ in range(levels):
        values = times * [values]
    return values


MLP = {"hidden": [128, 64]}
WRONG = {
    "no architecture": {"architecture": None},
    "a word": {"architecture": "MLP"},
    "nothing in it": {"architecture": {}},
    "no config": {"architecture": {"name": "MLP"}},
    "no name": {"architecture": {"config": MLP}},
    "a list for a name": {"architecture": {"name": ["MLP"], "config": MLP}},
    "a list for a config": {"architecture": {"name": "MLP", "config": [128, 64]}},
    "negative": {"architecture": {"name": "MLP", "config": {"hidden": [-1, 64]}}},
    "a billion": {"architecture": {"name": "MLP", "config": {"hidden": [10**9, 10**9]}}},
    "beyond all numbers": {"architecture": {"name": "MLP", "config": {"hidden": [10**30, 64]}}},
    "three layers": {"architecture": {"name": "MLP", "config": {"hidden": [128, 64, 32]}}},
    "words": {"architecture": {"name": "MLP", "config": {"hidden": "ab"}}},
    "numbers for names": {"architecture": {"name": "MLP", "config": {1: 2}}},
    "another network's name": {"architecture": {"name": "CNN", "config": {"width": 16}}},
    "no weights": {"model": None},
    "a list of weights": {"model": [torch.zeros(3)]},
    "no tensors": {"model": {"layers.1.weight": "heavy"}},
    "unnamed": {"model": {0: torch.zeros(3)}},
    "one layer": {"model": {"layers.1.weight": torch.zeros(128, 784)}},
    "sparse": {"model": {"layers.1.weight": torch.zeros(128, 784).to_sparse()}},
    "a list of lists without end": {"architecture": {"name": "CNN", "config": {"width": nested(60)}}},
    "a deep list": {"architecture": {"name": "CNN", "config": {"width": nested(100, 1)}}},
    "a name without end": {"architecture": {"name": "x" * 10**6, "config": {}}},
    "another format": {"format": "version 99"},
}


@pytest.mark.filterwarnings("ignore:Validating sparse tensor")
@pytest.mark.parametrize("kind", WRONG)
@pytest.mark.parametrize("given", [False, True], ids=["built", "given"])
def test_wrong_contents_get_one_clear_error(kind, given, good):
    torch.save(torch.load(good, weights_only=True) | WRONG[kind], good)
    model = mh.MLP() if given else None
    with pytest.raises(mh.CheckpointError, match=r"good\.pth") as caught:
        mh.load_checkpoint(good, model=model)
    assert len(str(caught.value)) < 1000
