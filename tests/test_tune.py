"""The search worker: its errors, its workers that die, work at once or come late, and the test set kept shut."""

import inspect
import itertools
import multiprocessing
import os
import subprocess
import sys
import time
from pathlib import Path

import optuna
import pytest
from optuna.trial import TrialState
from postgres import HOW, Postgres, find

import mnist_helpers as mh
from mnist_helpers import tune
from mnist_helpers.beyond import search, storage
from mnist_helpers.data import MNIST

FILE = Path("study.db")  # in the empty folder of each test


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

    monkeypatch.setattr(search, "train", train)
    return calls


def worker(*options):
    return tune.main(["--trials", "3", "--epochs", "2", *options])


def study(place="study.db", name="mnist"):
    return optuna.load_study(study_name=name, storage=storage.open_storage(place))


def states(found):
    return [trial.state.name for trial in found.trials]


FORK = multiprocessing.get_context("fork")


def start(play, *options, ready=None):
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
        search.train = train
        if ready:
            ready.wait()
        tune.run(["--trials", "3", "--epochs", "2", *options])

    process = FORK.Process(target=run)
    process.start()
    return process


# A search


def test_a_search_makes_the_wanted_trials_and_no_more(small, capsys):
    assert worker() == 0
    first = study()
    assert states(first) == ["COMPLETE"] * 3
    assert first.trials[0].params == search.DEFAULTS["mlp"]
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
    network, history = search.train(small, "mlp", settings, epochs=1, seed=3)
    mh.set_seed(3)
    wanted = mh.MLP(hidden=(33, 16))
    augment = mh.Augmentation(rotation=5, shift=1, scale=0.05, shear=5)
    known = {key: settings[key] for key in ("learning_rate", "weight_decay", "batch_size")}
    again = mh.fit(wanted, small.train, small.validation, epochs=1, seed=3, augment=augment, progress=False, **known)
    assert network.config == wanted.config
    assert history.validation_loss == pytest.approx(again.validation_loss, rel=1e-4)
    assert search.train(small, "cnn", settings | {"width": 4}, epochs=1, seed=0)[0].config == {"width": 4}


def test_the_defaults_are_those_of_the_course_and_within_the_space():
    usual = {name: parameter.default for name, parameter in inspect.signature(mh.fit).parameters.items()}
    for name in ("learning_rate", "weight_decay", "batch_size"):
        assert search.DEFAULTS["mlp"][name] == usual[name]
    for model, space in search.SPACES.items():
        assert set(space) == set(search.DEFAULTS[model])
        for name, limits in space.items():
            assert limits["low"] <= search.DEFAULTS[model][name] <= limits["high"]


def test_one_worker_draws_the_same_again_and_another_worker_differently(quick):
    worker("--storage", "a.db")
    worker("--storage", "b.db")
    a, b = ([trial.params for trial in study(name).trials] for name in ("a.db", "b.db"))
    assert a == b
    worker("--storage", "c.db", "--seed", "1")
    assert [trial.params for trial in study("c.db").trials][1:] != a[1:]
    for name in ("a.db", "b.db"):  # a second worker, though it says the same seed
        worker("--storage", name, "--trials", "4")
    assert study("a.db").trials[3].params != study("b.db").trials[3].params


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
        search.train(small, "mlp", search.DEFAULTS["mlp"] | {"batch_size": 100}, epochs=3, seed=0, on_epoch=prune)


def test_an_infinite_loss_is_pruned(quick, monkeypatch):
    def explode(*_, **__):
        raise FloatingPointError("the training loss became nan")

    monkeypatch.setattr(search, "train", explode)
    worker()
    assert states(study()) == ["PRUNED"] * 3


def test_an_interrupted_search_goes_on(quick, monkeypatch):
    sound = search.train

    def interrupt(*arguments, seed, **more):
        network, history = sound(*arguments, seed=seed, **more)
        history.interrupted = seed == 1
        return network, history

    monkeypatch.setattr(search, "train", interrupt)
    with pytest.raises(KeyboardInterrupt):
        worker()
    assert states(study()) == ["COMPLETE", "FAIL"]
    worker()
    assert states(study()) == ["COMPLETE", "FAIL", "COMPLETE", "COMPLETE"]


# Several workers, on a file and on a real database server


@pytest.fixture(scope="module")
def server():
    if find() is None:
        pytest.skip(f"there is no PostgreSQL: {HOW}")
    server = Postgres()
    yield server
    server.remove()


@pytest.fixture(params=["SQLite", "PostgreSQL"])
def place(request):
    """An empty database."""
    if request.param == "SQLite":
        return "study.db"
    names = (f"study_{number}" for number in itertools.count())
    server, name = request.getfixturevalue("server"), next(n for n in names if n not in DATABASES)
    DATABASES.add(name)
    return server.make(name)


DATABASES = set()


def wait_until(condition):
    deadline = time.monotonic() + 120
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_a_killed_worker_loses_its_trial_and_no_other(small, place, capfd):
    def stall(seed, epoch):
        if (seed, epoch) == (2, 1):
            Path("stalled").touch()
            time.sleep(600)

    victim = start(stall, "--trials", "4", "--storage", place, "--worker", "Anna", "--grace", "2")
    try:
        wait_until(Path("stalled").exists)
        before = study(place).trials
        assert [trial.state.name for trial in before] == ["COMPLETE", "COMPLETE", "RUNNING"]
        time.sleep(3)  # longer than a dead worker's silence: while it lives, others leave its trial alone
        with pytest.warns(optuna.exceptions.ExperimentalWarning):
            optuna.storages.fail_stale_trials(study(place))
        assert states(study(place))[2] == "RUNNING"
    finally:
        victim.kill()
        victim.join()

    time.sleep(3)
    successor = start(lambda seed, epoch: None, "--trials", "4", "--storage", place, "--grace", "2")
    successor.join(120)
    assert successor.exitcode == 0
    assert "trial   2  failed: worker Anna died" in capfd.readouterr().out
    after = study(place).trials
    assert [trial.state.name for trial in after] == ["COMPLETE", "COMPLETE", "FAIL", "COMPLETE", "COMPLETE"]
    assert [trial.params for trial in after[:3]] == [trial.params for trial in before]
    assert [trial.value for trial in after[:2]] == [trial.value for trial in before[:2]]


def test_two_workers_that_start_on_an_empty_database_at_the_same_moment_share_one_study(small, place):
    """Both want to make the tables and the study."""

    def together(seed, epoch):  # each waits in its first trial for the other to have one too
        Path(f"here-{os.getpid()}").touch()
        wait_until(lambda: len(list(Path().glob("here-*"))) == 2)
        time.sleep(0.01)

    ready = FORK.Barrier(2)
    both = [start(together, "--trials", "9", "--storage", place, ready=ready) for _ in range(2)]
    for each in both:
        each.join(240)
        assert each.exitcode == 0
    trials = study(place).trials
    assert 9 <= search.taken(trials) <= 10  # one may be at work while the other does the last
    assert {trial.state.name for trial in trials} <= {"COMPLETE", "PRUNED"}
    assert {trial.user_attrs["worker"] for trial in trials} == {str(each.pid) for each in both}
    assert len({str(trial.params) for trial in trials}) == len(trials)
    assert trials[0].params == search.DEFAULTS["mlp"]


def test_a_database_that_stops_in_the_middle_of_a_search_is_one_clear_line(small, server, capfd):
    """And what was finished is there when it comes back."""

    def play(seed, epoch):
        if seed == 1:
            Path("busy").touch()
            wait_until(Path("stopped").exists)

    url = server.make("stopped")
    process = start(play, "--storage", url, "--grace", "3")
    wait_until(Path("busy").exists)
    server.stop()
    time.sleep(1.5)  # a sign of life is due
    Path("stopped").touch()
    process.join(60)
    printed = capfd.readouterr()
    server.start()
    assert process.exitcode == 1
    assert printed.err.startswith("tune.py: the database of the study failed (")
    assert printed.err.endswith("Start this again when it answers\n")
    assert printed.err.count("\n") == 1
    assert states(study(url)) == ["COMPLETE", "RUNNING"]
    time.sleep(2)  # until the trial counts as lost
    worker("--storage", url, "--grace", "2")
    assert sorted(states(study(url))) == ["COMPLETE"] * 3 + ["FAIL"]


def test_who_joins_while_the_study_is_made_waits_for_what_it_is_about(quick, monkeypatch):
    opened, mnist = storage.open_storage("study.db"), tune.load_mnist("cpu")
    optuna.create_study(study_name="mnist", storage=opened, direction="maximize")
    pauses = []

    def other(seconds):  # has made the study, and now says for what
        pauses.append(seconds)
        made = optuna.load_study(study_name="mnist", storage=opened)
        complete, _ = storage.join(opened, "another", "mlp", 2, mnist)
        made.set_user_attr("settings", complete.user_attrs["settings"])

    monkeypatch.setattr(storage.time, "sleep", other)
    joined, is_new = storage.join(opened, "mnist", "mlp", 2, mnist)
    assert not is_new
    assert len(pauses) == 1
    assert joined.study_name == "mnist"


def test_a_study_whose_maker_died_before_it_said_for_what_is_made_ready(quick, monkeypatch):
    monkeypatch.setattr(storage, "PATIENCE", 0.2)
    for trials in (0, 1):
        place = f"{trials}.db"
        made = optuna.create_study(study_name="mnist", storage=storage.open_storage(place), direction="maximize")
        if trials:
            made.enqueue_trial(search.DEFAULTS["mlp"])
        worker("--storage", place)
        assert states(study(place)) == ["COMPLETE"] * 3
        assert study(place).trials[0].params == search.DEFAULTS["mlp"]
        worker("--storage", place, "--trials", "4")


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
    monkeypatch.setitem(search.SPACES["mlp"], "width", {"low": 2, "high": 4, "log": True})
    with pytest.raises(ValueError, match=r"another search \(width was "):
        worker("--trials", "4")
    assert states(study()) == ["COMPLETE"] * 3


def test_a_study_of_another_program_is_not_joined(quick):
    other = optuna.create_study(study_name="mnist", storage=storage.open_storage("study.db"))
    other.optimize(lambda trial: 1.0, n_trials=1)
    with pytest.raises(ValueError, match="not made by this program"):
        worker()
    assert len(study().trials) == 1


@pytest.mark.parametrize(
    ("place", "message"),
    [
        ("missing/study.db", "no folder 'missing' for the study"),
        ("cache", "cannot be reached: .*unable to open database file"),  # a folder
        ("postgresql+psycopg://course@127.0.0.1:1/x", "cannot be reached: .*connection failed"),
        ("abacus://somewhere", "abacus://somewhere cannot be used"),
        ("://", "cannot be used"),
        ("postgresql+abacus://somewhere/x", "cannot be used"),
        ("sqlite:///missing/study.db", "no folder 'missing'"),
        ("notes.txt", "cannot be reached: .*file is not a database"),
    ],
)
def test_a_storage_out_of_reach_is_one_error(quick, place, message):
    Path("notes.txt").write_text("dear diary\n" * 100)
    with pytest.raises((ValueError, OSError), match=message):
        worker("--storage", place)
    assert Path("notes.txt").read_text() == "dear diary\n" * 100
    assert not quick


def test_no_password_is_shown():
    with pytest.raises(ValueError, match="cannot be used") as error:
        storage.open_storage("abacus://anna:secret@somewhere/x")
    assert "secret" not in str(error.value)
    assert "anna" in str(error.value)


@pytest.mark.parametrize("options", [["--trials", "0"], ["--epochs", "0"], ["--grace", "0"], ["--device", "abacus"]])
def test_options_out_of_range_leave_nothing_behind(options):
    with pytest.raises(ValueError, match=r"must be at least 1|cannot be used"):
        worker(*options)
    assert os.listdir() == ["cache"]


@pytest.mark.parametrize(
    ("before", "options", "message"),
    [
        ("", ["--storage", "missing/study.db"], "there is no folder 'missing'"),
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
    assert f"Test set: {search.spread(stored['test'])}" in first

    def never(*_, **__):
        raise AssertionError("measured again")

    monkeypatch.setattr(search, "train", never)
    worker("--test")
    again = capsys.readouterr().out
    assert "has been opened" in again
    assert first.splitlines()[-1] == again.splitlines()[-1]
    with pytest.raises(ValueError, match="more trials would be chosen with it in mind"):
        worker("--trials", "9")
    assert len(study().trials) == 3


def test_new_seeds_are_none_of_the_search(quick, mnist):
    worker()
    measured = search.measure(
        None, "mlp", search.DEFAULTS["mlp"], epochs=1, seeds=range(search.NEW_SEEDS, search.NEW_SEEDS + 2)
    )
    assert set(measured) == {"validation", "validation_loss"}
    seeds = [seed for _, seed in quick]
    assert seeds == [0, 1, 2, search.NEW_SEEDS, search.NEW_SEEDS + 1]
