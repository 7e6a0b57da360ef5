"""Several processes train one network: real torchrun, on the offline sample; and how their benchmark reckons. Every
wait has an end."""

import json
import os
import re
import subprocess
import sys
import textwrap
import threading
from pathlib import Path

import psutil
import pytest
import torch

import mnist_helpers as mh

TRAIN = Path(__file__).resolve().parent.parent / "train.py"
# Sums over two halves of a batch round otherwise than the sum over the whole, in the seventh digit, and training
# multiplies such differences: the losses of one process whose first weights are changed by 1e-7 of their size stray
# just as far. So the first steps are compared closely (measured: below 3e-6), all epochs loosely (up to 1e-2).
FIRST, ALL = 1e-4, 5e-2
RUN = ["--epochs", "12", "--batch-size", "500"]
SECONDS = 150


def launch(folder, processes, *arguments, restarts=0):
    """Start a program under torchrun, or by itself for one process."""
    if processes > 1 and sys.platform == "win32":
        pytest.skip("torchrun cannot start on Windows: PyTorch comes without libuv there")
    environment = {key: value for key, value in os.environ.items() if key not in ("MNIST_DATA", "DISPLAY")}
    environment |= {"MNIST_MIRRORS": " ", "MNIST_CACHE": str(folder / "no cache"), "OMP_NUM_THREADS": "1"}
    options = ["--standalone", f"--nproc_per_node={processes}", f"--max-restarts={restarts}"]
    command = [sys.executable, *(["-m", "torch.distributed.run", *options] if processes > 1 else []), *arguments]
    (folder / "no cache").mkdir(exist_ok=True)
    return subprocess.Popen(
        list(map(str, command)), cwd=folder, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )


def finish(process):
    """Its exit status, output and errors; torchrun ends its processes when it is ended."""
    try:
        output, errors = process.communicate(timeout=SECONDS)
    except subprocess.TimeoutExpired:
        process.terminate()
        process.communicate(timeout=60)
        raise
    return process.returncode, output, errors


def kill_a_worker_after(process, line):
    """Read the output up to `line`, then end the last of the processes by SIGKILL; returns what was read."""
    limit = threading.Timer(SECONDS, process.terminate)
    limit.start()
    seen = []
    for text in process.stdout:
        seen.append(text)
        if text.startswith(line):
            break
    limit.cancel()
    assert seen[-1].startswith(line), seen
    psutil.Process(process.pid).children()[-1].kill()
    return "".join(seen)


def files(folder):
    return sorted(path.name for path in folder.iterdir() if path.name != "no cache")


def saved(folder):
    return torch.load(folder / "mnist_model.pth", weights_only=True)


def same_weights(first, second):
    return all(torch.equal(tensor, second["model"][name]) for name, tensor in first["model"].items())


def epochs_in(output):
    return [int(number) for number in re.findall(r"^epoch +(\d+)", output, re.MULTILINE)]


@pytest.fixture(scope="module")
def one(tmp_path_factory):
    folder = tmp_path_factory.mktemp("one")
    status, _, errors = finish(launch(folder, 1, TRAIN, *RUN))
    assert status == 0, errors
    return saved(folder)


@pytest.fixture(scope="module")
def two(tmp_path_factory):
    """Folder, output and checkpoint of two processes."""
    folder = tmp_path_factory.mktemp("two")
    status, output, errors = finish(launch(folder, 2, TRAIN, *RUN))
    assert status == 0, errors
    return folder, output, saved(folder)


def test_two_processes_have_the_loss_curve_of_one(one, two):
    first, second = one["history"], two[2]["history"]
    for name in ("train_loss", "validation_loss"):
        assert first[name][:2] == pytest.approx(second[name][:2], rel=FIRST)
        assert first[name] == pytest.approx(second[name], rel=ALL)
        assert len(set(first[name])) == 12  # or the comparison would say little
    assert first["train_accuracy"] == pytest.approx(second["train_accuracy"], abs=0.01)


def test_only_the_first_process_writes_and_prints(one, two):
    folder, output, state = two
    assert files(folder) == ["mnist_model.pth", "prediction.png"]
    assert epochs_in(output) == list(range(1, 13))
    for line in ("MNIST: 5,000 images", "Training 109,386", "Test set: accuracy", "The network says"):
        assert output.count(line) == 1, line
    assert state["settings"] == one["settings"] | {"processes": 2}
    assert state["settings"]["threads"] == 1
    assert list(state) == list(one)


def test_a_batch_that_cannot_be_shared_is_one_clear_error(tmp_path):
    status, output, errors = finish(launch(tmp_path, 2, TRAIN, "--batch-size", "511"))
    assert status != 0
    message = "train.py: batch_size is 511, but must be a multiple of the 2 processes"
    assert errors.count(message) == 1
    assert "Error: batch_size" not in errors  # no traceback of ours
    assert not epochs_in(output)
    assert files(tmp_path) == []


def test_a_killed_process_costs_at_most_an_epoch(two, tmp_path):
    process = launch(tmp_path, 2, TRAIN, *RUN, restarts=1)
    before = kill_a_worker_after(process, "epoch   4")
    status, after, errors = finish(process)
    assert status == 0, errors
    numbers = epochs_in(before + after)
    assert numbers in ([*range(1, 13)], sorted([*range(1, 13), *set(numbers[4:6])])), numbers
    assert (before + after).count("Training 109,386") == 2  # it was started twice
    assert same_weights(saved(tmp_path), two[2])
    assert saved(tmp_path)["history"]["train_loss"] == two[2]["history"]["train_loss"]


def test_without_restarts_the_others_end_too_and_one_process_can_go_on(one, tmp_path):
    process = launch(tmp_path, 2, TRAIN, *RUN)
    kill_a_worker_after(process, "epoch   2")
    workers = psutil.Process(process.pid).children()
    status, _, _ = finish(process)
    assert status != 0
    assert not [worker for worker in workers if worker.is_running()]
    assert 2 <= saved(tmp_path)["epoch"] < 12
    status, _, errors = finish(launch(tmp_path, 1, TRAIN, *RUN, "--resume"))
    assert status == 0, errors
    assert saved(tmp_path)["history"]["train_loss"] == pytest.approx(one["history"]["train_loss"], rel=ALL)
    status, _, errors = finish(launch(tmp_path, 2, TRAIN, "--epochs", "13", "--resume"))
    assert status != 0
    assert errors.count("mnist_model.pth comes from another training: epochs was 12, now 13") == 1


def test_a_restart_does_not_take_up_an_older_file(tmp_path):
    program = tmp_path / "program.py"
    program.write_text(
        textwrap.dedent("""
            import os, sys, torch, mnist_helpers as mh

            attempt = int(os.environ["TORCHELASTIC_RESTART_COUNT"])
            with mh.join_processes(torch.device("cpu"), "model.pth") as restarted:
                print(f"{attempt} {restarted}", flush=True)
                torch.distributed.barrier()
                if attempt == 1 and os.environ["RANK"] == "0":
                    open("model.pth", "w").write("new")
                torch.distributed.barrier()
                sys.exit(0 if attempt == 2 else 1)
        """)
    )
    (tmp_path / "model.pth").write_text("old")
    status, output, errors = finish(launch(tmp_path, 2, program, restarts=2))
    assert status == 0, errors
    # Older versions of PyTorch print more, from both processes at once.
    assert re.findall(r"\d (?:False|True)", output) == ["0 False", "1 False", "2 True"]


def test_the_first_process_decides_whether_it_is_a_restart_and_no_other_leaves_before_it(tmp_path):
    """Each process has a folder of its own, and only the second one an old file in it."""
    program = tmp_path / "program.py"
    program.write_text(
        textwrap.dedent("""
            import os, signal, sys, time, torch, mnist_helpers as mh

            rank = os.environ["RANK"]
            os.makedirs(rank)
            if rank == "1":
                open("1/model.pth", "w").close()
            with mh.join_processes(torch.device("cpu"), f"{rank}/model.pth") as restarted:
                print(f"{rank} {restarted}", file=sys.stderr, flush=True)
                if rank == "0":
                    time.sleep(1)
                    open("written", "w").close()
            assert os.path.exists("written")
            assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
            try:
                with mh.join_processes(torch.device("cuda:0"), "model.pth"):
                    pass
            except ValueError as error:
                print(error, file=sys.stderr, flush=True)
        """)
    )
    status, _, errors = finish(launch(tmp_path, 2, program))
    assert status == 0, errors
    assert "0 False" in errors
    assert "1 False" in errors
    assert errors.count("each process needs a GPU of its own, not cuda:0") == 2


# What the processes share


@pytest.mark.parametrize("augment", [None, mh.Augmentation()])
@pytest.mark.parametrize("processes", [2, 3])
def test_the_parts_of_a_batch_make_the_whole(augment, processes, mnist):
    split = mnist.train[:250]  # the last batch has 10 images: of 3 processes, one gets 4

    def batches(rank, count):
        return list(mh.Batches(split, 60, seed=3, augment=augment, share=(rank, count)))

    whole, parts = batches(0, 1), [batches(rank, processes) for rank in range(processes)]
    for step, (images, labels) in enumerate(whole):
        assert torch.equal(labels, torch.cat([part[step][1] for part in parts]))
        assert torch.allclose(images, torch.cat([part[step][0] for part in parts]), atol=1e-5)
    assert len(whole) == len(parts[0]) == 5


def test_a_last_batch_too_small_to_share_is_refused(mnist):
    with pytest.raises(ValueError, match="batches of 60 has 2 images, too few for 3 processes"):
        mh.Batches(mnist.train[:242], 60, share=(0, 3))


TWICE = textwrap.dedent("""
    import json, os, torch
    import mnist_helpers as mh

    rank, results = int(os.environ["RANK"]), []
    with mh.join_processes(torch.device("cpu"), "none.pth"):
        mnist = mh.load_mnist()
        for make in (mh.MLP, mh.CNN):
            mh.set_seed(rank)  # the first process's weights count
            model = make()
            history = mh.fit(model, mnist.train[-201:], mnist.validation[:101], epochs=3, batch_size=64, progress=False,
                             checkpoint=f"{make.__name__} {rank}.pth")
            sums = [tensor.double().sum().item() for tensor in model.state_dict().values()]
            results.append([vars(history), sums, [*model.state_dict()]])
        with open(f"{rank}.json", "w") as file:
            json.dump(results, file)
""")


def test_a_short_last_batch_weighs_what_it_should_and_all_processes_agree(tmp_path):
    """201 images: the last batch has 9, of which one process gets 4 and the other 5."""
    (tmp_path / "twice.py").write_text(TWICE)
    status, _, errors = finish(launch(tmp_path, 2, "twice.py"))
    assert status == 0, errors
    assert files(tmp_path) == ["0.json", "1.json", "CNN 0.pth", "MLP 0.pth", "twice.py"]  # one process saves
    results = [json.loads((tmp_path / f"{rank}.json").read_text()) for rank in (0, 1)]
    assert results[0] == results[1]
    (history, _, names), (cnn_history, *_) = results[0]
    assert names == list(mh.MLP().state_dict())  # plain: no trace of the wrapper
    assert cnn_history["train_loss"][2] < cnn_history["train_loss"][0]

    # The same in this process, on the sample that the two have read.
    environment = pytest.MonkeyPatch()
    environment.delenv("MNIST_DATA", raising=False)
    environment.setenv("MNIST_MIRRORS", "")
    sample = mh.load_mnist(cache=tmp_path / "no cache")
    environment.undo()
    mh.set_seed(0)
    model = mh.MLP()
    alone = mh.fit(model, sample.train[-201:], sample.validation[:101], epochs=3, batch_size=64, progress=False)
    for name in ("train_loss", "validation_loss", "train_accuracy", "validation_accuracy"):
        assert history[name] == pytest.approx(getattr(alone, name), rel=FIRST), name


# The benchmark


@pytest.fixture
def scaling(monkeypatch):
    monkeypatch.syspath_prepend(TRAIN.parent / "benchmarks")
    import scaling

    return scaling


def test_ratios_are_those_of_each_round(scaling):
    """A machine that is half as fast in the second round changes no ratio, but would one of the medians."""
    entry = scaling.ratios([2.0, 4.0, 3.0], [1.0, 2.0, 2.0])
    assert entry == {"speedup": pytest.approx(11 / 6), "deviation": pytest.approx(0.5 / 3**0.5), "n": 3}
    assert scaling.in_words(entry) == "1.83 ± 0.29 times as fast (n = 3)"


def test_a_first_step_is_measured_with_an_empty_cache_and_with_the_one_it_filled(scaling, monkeypatch):
    used = []

    def run(command, env, **options):
        assert command[-2:] == ["compile", "MLP"]
        cache = Path(env["TORCHINDUCTOR_CACHE_DIR"])
        filled = any(cache.iterdir())
        (cache / "compiled").write_text("")
        used.append((cache, filled))
        return subprocess.CompletedProcess(command, 0, stdout=b"a line\n3.0\n" if filled else b"12.5\n")

    monkeypatch.setattr(scaling.subprocess, "run", run)
    steps = scaling.first_steps("MLP", 2)
    assert [filled for _, filled in used] == [False, True, False, True]
    assert used[0][0] == used[1][0] != used[2][0] == used[3][0]
    assert not used[0][0].exists()
    assert steps["empty"] == {"seconds": 12.5, "deviation": 0, "n": 2}
    assert steps["filled"] == {"seconds": 3.0, "deviation": 0, "n": 2}


def test_every_stored_ratio_has_its_deviation_and_number():
    results = mh.load_results("scaling")["results"]
    entries = [
        entry for part in ("processes", "speedups") for ways in results[part].values() for entry in ways.values()
    ]
    assert len(entries) == 12
    for entry in entries:
        assert entry["speedup"] > 0
        assert entry["deviation"] >= 0
        assert entry["n"] >= 5
    for ways in results["speedups"].values():
        empty, filled = (ways["compiled"]["first_step"][cache] for cache in ("empty", "filled"))
        assert empty["n"] == filled["n"] >= 3
        assert empty["seconds"] > 2 * filled["seconds"]
