"""The search worker: its errors, its workers that die, work at once or come late, and the test set kept shut."""

import inspect
import json
import multiprocessing
import os
import subprocess
import sys
import time
from pathlib import Path

import optuna
import pytest
from optuna.trial import TrialState

import mnist_helpers as mh
from mnist_helpers import tune
from mnist_helpers.data import MNIST

JOURNAL = Path("study.log")  # in the empty folder of each test


@pytest.fixture(autouse=True)
def offline(monkeypatch, tmp_path):
    """An empty folder to work in, and the offline sample for the processes."""
    for name in ("MNIST_DATA", "MNIST_MIRRORS"):
        monkeypatch.setenv(name, "")
    for name in ("XDG_CACHE_HOME", "TMPDIR"):
        monkeypatch.setenv(name, str(tmp_path / "cache"))
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    (tmp_path / "cache").mkdir()
    monkeypatch.chdir(tmp_path)
    yield
    optuna.logging.set_verbosity(optuna.logging.INFO)


@pytest.fixture
def small(mnist, monkeypatch):
    """1,700 images in place of MNIST, and no test set: whoever touches it fails."""
    few = MNIST(mnist.train[-1500:], mnist.validation[:200], None, mnist.source)
    monkeypatch.setattr(tune, "load_mnist", lambda device: few)
    return few


@pytest.fixture
def quick(small, monkeypatch):
    """Training that takes no time: the accuracy after an epoch depends on the settings alone. Returns the calls."""
    calls = []

    def train(mnist, model, settings, *, epochs, seed, on_epoch=None):
        calls.append((settings, seed))
        history = mh.History()
        for epoch in range(1, epochs + 1):
            history.append(1.0, 0.5, 1.0, (0.9 - settings["weight_decay"] / 2) * epoch / epochs, 0.1)
            if on_epoch:
                on_epoch(history)
        return None, history

    monkeypatch.setattr(tune, "train", train)
    return calls


def worker(*options):
    return tune.main(["--trials", "3", "--epochs", "2", *options])


def study(storage="study.log", name="mnist"):
    return optuna.load_study(study_name=name, storage=tune.open_storage(storage))


def states(found):
    return [trial.state.name for trial in found.trials]


def start(play, *options):
    """A worker in a process of its own, whose training is nothing but `play(seed, epoch)`. It is forked: to start
    Python and PyTorch anew would take longer than the test."""

    def train(mnist, model, settings, *, epochs, seed, on_epoch=None):
        history = mh.History()
        for epoch in range(epochs):
            play(seed, epoch)
            history.append(1.0, 0.5, 1.0, 0.5 + seed / 1000, 0.1)
            on_epoch(history)
        return None, history

    def run():
        tune.train = train
        worker(*options)

    process = multiprocessing.get_context("fork").Process(target=run)
    process.start()
    return process


# A search


def test_a_search_makes_the_wanted_trials_and_no_more(small, capsys):
    assert worker() == 0
    first = study()
    assert states(first) == ["COMPLETE"] * 3
    assert first.trials[0].params == tune.DEFAULTS["mlp"]
    best = max(first.trials, key=lambda trial: trial.value)
    assert f"Best trial: {best.number}, {best.value:.2%}" in capsys.readouterr().out
    for trial in first.trials:
        assert list(trial.intermediate_values) == [1, 2]
        assert trial.value == trial.intermediate_values[2]  # the last epoch's
        assert trial.user_attrs["validation_loss"] > 0

    worker()
    assert [trial.datetime_complete for trial in study().trials] == [t.datetime_complete for t in first.trials]
    worker("--trials", "4")
    assert states(study()) == ["COMPLETE"] * 4


def test_the_settings_reach_the_training(small):
    settings = {"learning_rate": 1e-2, "width": 33, "weight_decay": 0.1, "batch_size": 50, "augmentation": 0.5}
    network, history = tune.train(small, "mlp", settings, epochs=1, seed=3)
    mh.set_seed(3)
    wanted = mh.MLP(hidden=(33, 16))
    augment = mh.Augmentation(rotation=5, shift=1, scale=0.05, shear=5)
    known = {key: settings[key] for key in ("learning_rate", "weight_decay", "batch_size")}
    again = mh.fit(wanted, small.train, small.validation, epochs=1, seed=3, augment=augment, progress=False, **known)
    assert network.config == wanted.config
    assert history.validation_loss == pytest.approx(again.validation_loss, rel=1e-4)
    assert tune.train(small, "cnn", settings | {"width": 4}, epochs=1, seed=0)[0].config == {"width": 4}


def test_the_defaults_are_those_of_the_course_and_within_the_space():
    usual = {name: parameter.default for name, parameter in inspect.signature(mh.fit).parameters.items()}
    for name in ("learning_rate", "weight_decay", "batch_size"):
        assert tune.DEFAULTS["mlp"][name] == usual[name]
    for model, space in tune.SPACES.items():
        assert set(space) == set(tune.DEFAULTS[model])
        for name, limits in space.items():
            assert limits["low"] <= tune.DEFAULTS[model][name] <= limits["high"]


def test_one_worker_draws_the_same_again_and_another_worker_differently(quick):
    worker("--storage", "a.log")
    worker("--storage", "b.log")
    a, b = ([trial.params for trial in study(name).trials] for name in ("a.log", "b.log"))
    assert a == b
    worker("--storage", "c.log", "--seed", "1")
    assert [trial.params for trial in study("c.log").trials][1:] != a[1:]
    draws = [tune.sampler(0, number, 0)._random_sampler._rng.rng.random() for number in range(3)]
    assert len(set(draws)) == 3


def test_what_is_behind_is_pruned_but_not_in_the_first_half_and_counts(quick):
    worker("--trials", "25", "--epochs", "6")
    trials = study().trials
    assert len(trials) == 25
    pruned = [trial for trial in trials if trial.state == TrialState.PRUNED]
    assert 3 <= len(pruned) <= 20
    assert {trial.last_step for trial in pruned} == {4}  # the first after the half; here nothing changes later
    assert all(trial.number >= 5 for trial in pruned)
    complete = [trial.value for trial in trials if trial.state == TrialState.COMPLETE]
    assert max(trial.value for trial in pruned) < max(complete) * 4 / 6 + 1e-9


def test_fit_lets_a_pruned_trial_through(small):
    def prune(history):
        raise optuna.TrialPruned

    with pytest.raises(optuna.TrialPruned):
        tune.train(small, "mlp", tune.DEFAULTS["mlp"] | {"batch_size": 100}, epochs=3, seed=0, on_epoch=prune)


def test_an_infinite_loss_is_pruned(quick, monkeypatch):
    def explode(*_, **__):
        raise FloatingPointError("the training loss became nan")

    monkeypatch.setattr(tune, "train", explode)
    worker()
    assert states(study()) == ["PRUNED"] * 3


def test_an_interrupted_search_goes_on(quick, monkeypatch):
    sound = tune.train

    def interrupt(*arguments, seed, **more):
        network, history = sound(*arguments, seed=seed, **more)
        history.interrupted = seed == 1
        return network, history

    monkeypatch.setattr(tune, "train", interrupt)
    with pytest.raises(KeyboardInterrupt):
        worker()
    assert states(study()) == ["COMPLETE", "FAIL"]
    worker()
    assert states(study()) == ["COMPLETE", "FAIL", "COMPLETE", "COMPLETE"]


# Several workers


def test_a_killed_worker_loses_its_trial_and_no_other(small, capfd):
    def stall(seed, epoch):
        if (seed, epoch) == (2, 1):
            Path("stalled").touch()
            time.sleep(600)

    victim = start(stall, "--trials", "4")
    try:
        wait_until(Path("stalled").exists)
        before = study().trials
        assert [trial.state.name for trial in before] == ["COMPLETE", "COMPLETE", "RUNNING"]
        # While it lives, others leave its trial alone.
        with tune.claim_number("study.log", "mnist") as (number, alive):
            assert number == 1
            assert alive(0)
            tune.fail_orphans(study(), alive)
        assert states(study())[2] == "RUNNING"
    finally:
        victim.kill()
        victim.join()

    successor = start(lambda seed, epoch: None, "--trials", "4")
    successor.join(120)
    assert successor.exitcode == 0
    assert "trial   2  failed: worker 0 died" in capfd.readouterr().out
    after = study().trials
    assert [trial.state.name for trial in after] == ["COMPLETE", "COMPLETE", "FAIL", "COMPLETE", "COMPLETE"]
    assert [trial.params for trial in after[:3]] == [trial.params for trial in before]
    assert [trial.value for trial in after[:2]] == [trial.value for trial in before[:2]]


def wait_until(condition):
    deadline = time.monotonic() + 120
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_two_workers_at_once_make_exactly_the_wanted_trials(small):
    def together(seed, epoch):  # each waits in its first trial for the other to have one too
        Path(f"here-{os.getpid()}").touch()
        wait_until(lambda: len(list(Path().glob("here-*"))) == 2)
        time.sleep(0.01)

    both = [start(together, "--trials", "9") for _ in range(2)]
    for each in both:
        each.join(240)
        assert each.exitcode == 0
    trials = study().trials
    assert tune.taken(trials) == 9
    assert {trial.state.name for trial in trials} <= {"COMPLETE", "PRUNED", "FAIL"}
    assert {trial.user_attrs["worker"] for trial in trials} == {0, 1}
    assert len({str(trial.params) for trial in trials if trial.params}) == 9
    assert all("op_code" in json.loads(line) for line in JOURNAL.read_text().splitlines())


def test_a_trial_too_many_is_given_up(quick):
    made = tune.join(tune.open_storage("study.log"), "mnist", "mlp", 2, tune.load_mnist("cpu"))
    made.ask().set_user_attr("worker", 7)
    made.optimize(tune.objective(None, "mlp", epochs=2, total=1, worker=0), n_trials=5, catch=(tune.Surplus,))
    assert states(made) == ["RUNNING", "FAIL"]
    assert not quick


def test_a_database_serves_as_well_and_misses_heartbeats(quick):
    url = "sqlite:///study.db"
    worker("--storage", url)
    assert states(study(url)) == ["COMPLETE"] * 3

    storage = tune.open_storage(url)
    orphan = optuna.load_study(study_name="mnist", storage=storage).ask()
    orphan.set_user_attr("worker", 7)
    storage.record_heartbeat(orphan._trial_id)
    import sqlalchemy

    with sqlalchemy.create_engine(url).begin() as connection:  # as if it had been an hour ago
        connection.execute(sqlalchemy.text("update trial_heartbeats set heartbeat = datetime('now', '-1 hour')"))
    worker("--storage", url, "--trials", "4")
    assert states(study(url)) == ["COMPLETE"] * 3 + ["FAIL", "COMPLETE"]


def test_workers_that_start_together_share_the_study(quick, monkeypatch):
    """The other one stores the settings and begins a trial while this one looks whether there are any."""
    storage, mnist = tune.open_storage("study.log"), tune.load_mnist("cpu")
    look, others = optuna.study.Study.get_trials, []

    def other_first(study, *arguments, **options):
        if not others:
            others.append("joins")
            tune.join(storage, "mnist", "mlp", 2, mnist).ask()
        return look(study, *arguments, **options)

    monkeypatch.setattr(optuna.study.Study, "get_trials", other_first)
    assert states(tune.join(storage, "mnist", "mlp", 2, mnist)) == ["RUNNING"]
    assert others


# Errors


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--epochs", "3"], "another search .epochs was 2, now 3"),
        (["--model", "cnn"], "another search .model was mlp, now cnn"),
    ],
)
def test_another_search_is_not_joined(quick, options, message):
    worker()
    with pytest.raises(ValueError, match=message):
        worker(*options)
    assert states(study()) == ["COMPLETE"] * 3


def test_another_search_space_and_other_data_are_not_joined(quick, small, monkeypatch):
    worker()
    other = MNIST(small.train[:300], small.validation, None, small.source)
    with monkeypatch.context() as patch:
        patch.setattr(tune, "load_mnist", lambda device: other)
        with pytest.raises(ValueError, match=r"another search \(data was "):
            worker("--trials", "4")
    monkeypatch.setitem(tune.SPACES["mlp"], "width", {"low": 2, "high": 4, "log": True})
    with pytest.raises(ValueError, match=r"another search \(width was "):
        worker("--trials", "4")
    assert states(study()) == ["COMPLETE"] * 3


def test_a_study_of_another_program_is_not_joined(quick):
    other = optuna.create_study(study_name="mnist", storage=tune.open_storage("study.log"))
    other.optimize(lambda trial: 1.0, n_trials=1)
    with pytest.raises(ValueError, match="not made by this program"):
        worker()
    assert len(study().trials) == 1


def damaged(kind):
    """The bytes of a file that is no sound journal."""
    worker("--storage", "sound.log")
    lines = Path("sound.log").read_bytes().splitlines(keepends=True)
    return {
        "torn": b"".join(lines)[:-9],
        "overwritten": b"".join([*lines[:4], b"\0" * len(lines[4]), *lines[5:]]),
        "text": b"dear diary\n",
        "a database": b"SQLite format 3\0" + bytes(200),
    }[kind]


@pytest.mark.parametrize("kind", ["torn", "overwritten", "text", "a database"])
def test_a_damaged_journal_is_one_error_and_left_as_it_is(quick, kind):
    content = damaged(kind)
    JOURNAL.write_bytes(content)
    with pytest.raises(ValueError, match=r"no entry of an Optuna journal|is damaged"):
        worker()
    assert JOURNAL.read_bytes() == content
    assert not os.path.exists("study.log.lock")


@pytest.mark.parametrize(
    ("storage", "message"),
    [
        ("missing/study.log", "no folder 'missing' for the journal 'study.log'"),
        ("cache", "cache"),  # a folder
        ("abacus://somewhere", "abacus://somewhere cannot be used"),
        ("://", "cannot be used"),
        ("postgresql+abacus://somewhere/x", "cannot be used"),
        ("sqlite:///missing/study.db", "cannot be reached"),
        ("sqlite:///notes.txt", "cannot be reached"),
    ],
)
def test_a_storage_out_of_reach_is_one_error(quick, storage, message):
    Path("notes.txt").write_text("dear diary\n" * 100)
    with pytest.raises((ValueError, OSError), match=message):
        worker("--storage", storage)
    assert Path("notes.txt").read_text() == "dear diary\n" * 100
    assert not quick


def test_no_password_is_shown():
    with pytest.raises(ValueError, match="cannot be used") as error:
        tune.open_storage("abacus://anna:secret@somewhere/x")
    assert "secret" not in str(error.value)
    assert "anna" in str(error.value)


@pytest.mark.parametrize("options", [["--trials", "0"], ["--epochs", "0"], ["--device", "abacus"]])
def test_options_out_of_range_leave_nothing_behind(options):
    with pytest.raises(ValueError, match=r"must be at least 1|cannot be used"):
        worker(*options)
    assert os.listdir() == ["cache"]


@pytest.mark.parametrize(
    ("before", "options", "message"),
    [
        ("", ["--storage", "missing/study.log"], "there is no folder 'missing'"),
        ("sys.modules['optuna'] = None", [], "Optuna is not installed: python -m pip install"),
    ],
)
def test_as_a_program_an_error_is_one_line(before, options, message):
    program = (
        f"import runpy, sys\n{before}\nrunpy.run_module('mnist_helpers.tune', run_name='__main__', alter_sys=True)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, *options], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 1
    assert done.stderr.startswith("tune.py: ")
    assert done.stderr.count("\n") == 1
    assert message in done.stderr


# The test set


def test_the_test_set_is_opened_once(mnist, monkeypatch, capsys):
    few = MNIST(mnist.train[-1500:], mnist.validation[:200], mnist.test[:100], mnist.source)
    monkeypatch.setattr(tune, "load_mnist", lambda device: few)
    with pytest.raises(ValueError, match="no trial is complete"):
        worker("--test")
    worker()
    best = study().best_trial
    capsys.readouterr()
    worker("--test")
    first = capsys.readouterr().out
    stored = study().user_attrs["test"]
    assert stored["settings"] == best.params
    assert stored["validation_in_the_search"] == best.value
    assert len(stored["test"]) == len(stored["validation"]) == 5
    assert f"Test set: {tune.spread(stored['test'])}" in first

    def never(*_, **__):
        raise AssertionError("measured again")

    monkeypatch.setattr(tune, "train", never)
    worker("--test")
    again = capsys.readouterr().out
    assert "has been opened" in again
    assert first.splitlines()[-1] == again.splitlines()[-1]
    with pytest.raises(ValueError, match="more trials would be chosen with it in mind"):
        worker("--trials", "9")
    assert len(study().trials) == 3


def test_new_seeds_are_none_of_the_search(quick, mnist):
    worker()
    measured = tune.measure(
        None, "mlp", tune.DEFAULTS["mlp"], epochs=1, seeds=range(tune.NEW_SEEDS, tune.NEW_SEEDS + 2)
    )
    assert set(measured) == {"validation", "validation_loss"}
    seeds = [seed for _, seed in quick]
    assert seeds == [0, 1, 2, tune.NEW_SEEDS, tune.NEW_SEEDS + 1]
