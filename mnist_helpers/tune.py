"""One worker of a search for good settings, with Optuna; `python -m mnist_helpers.tune --help` lists the options.

Start it as often as you like, on as many machines as see the storage: the workers share one study, and each adds trials
until there are as many as wanted. A journal file serves the machines that share its folder, a database URL all others.
"""

import argparse
import itertools
import json
import re
import secrets
import sys
import warnings
from contextlib import contextmanager, suppress
from pathlib import Path
from statistics import mean, stdev

import filelock
import numpy as np

from .data import Augmentation, DataError, load_mnist
from .evaluation import evaluate
from .models import CNN, MLP
from .training import fit, pick_device, set_seed

try:
    import optuna
    from optuna.trial import TrialState
    from sqlalchemy.exc import ArgumentError, SQLAlchemyError
except ImportError:  # only the course's extra brings it; main says how to get it
    optuna = None

# Arguments of Optuna's suggest_int or suggest_float. Batch size and width are whole numbers on a log scale rather than
# a list of powers of two: the sampler then knows that 500 is close to 512. `augmentation` scales the default one.
_COMMON = {
    "weight_decay": {"low": 1e-3, "high": 1.0, "log": True},
    "batch_size": {"low": 64, "high": 1024, "log": True},
    "augmentation": {"low": 0.0, "high": 1.5, "step": 0.25},
}
SPACES = {
    "mlp": {
        "learning_rate": {"low": 5e-4, "high": 5e-2, "log": True},
        "width": {"low": 32, "high": 512, "log": True},
        **_COMMON,
    },
    "cnn": {
        "learning_rate": {"low": 1e-3, "high": 1e-1, "log": True},
        "width": {"low": 4, "high": 32, "log": True},
        **_COMMON,
    },
}
# What the course trains with. It is the first trial of every study, so that the search cannot end below it.
DEFAULTS = {
    "mlp": {"learning_rate": 8e-3, "width": 128, "weight_decay": 0.3, "batch_size": 512, "augmentation": 0.0},
    "cnn": {"learning_rate": 1e-2, "width": 16, "weight_decay": 0.05, "batch_size": 256, "augmentation": 1.0},
}
NEW_SEEDS = 10_000  # trials train with their number as seed; what is measured afterwards starts here


class Surplus(Exception):
    """Other workers have taken the last of the wanted trials in the meantime."""


def suggest(trial, space):
    """One value for each setting of `space`, chosen by the trial's sampler."""
    return {
        name: (trial.suggest_int if isinstance(limits["low"], int) else trial.suggest_float)(name, **limits)
        for name, limits in space.items()
    }


def train(mnist, model, settings, *, epochs, seed, on_epoch=None):
    """Train a new network `"mlp"` or `"cnn"` with `settings`, as in `DEFAULTS`; returns it and its `History`."""
    set_seed(seed)
    width, strength = settings["width"], settings["augmentation"]
    network = MLP(hidden=(width, max(1, width // 2))) if model == "mlp" else CNN(width)
    usual = Augmentation()
    network.to(mnist.train.images.device)
    history = fit(
        network,
        mnist.train,
        mnist.validation,
        epochs=epochs,
        batch_size=settings["batch_size"],
        learning_rate=settings["learning_rate"],
        weight_decay=settings["weight_decay"],
        label_smoothing=0.1 if model == "cnn" else 0.0,
        augment=Augmentation(*(strength * amount for amount in vars(usual).values())) if strength else None,
        seed=seed,
        on_epoch=on_epoch,
        progress=False,
    )
    return network, history


def objective(mnist, model, *, epochs, total=None, worker=0):
    """The function of a trial that Optuna maximises: the validation accuracy after the last epoch.

    The last, not the best: the best of several epochs is a luckier draw from the same noise. A trial that is behind the
    median of the others after an epoch is pruned, and so is one whose loss became infinite.

    Args:
        total: trials wanted of the study; one beyond that raises `Surplus`.
        worker: number of the worker, kept with the trial, by which others see whether it is alive.
    """

    def run(trial):
        trial.set_user_attr("worker", worker)
        earlier = [other for other in trial.study.get_trials(deepcopy=False) if other.number < trial.number]
        if total is not None and taken(earlier) >= total:
            trial.study.stop()
            raise Surplus

        def on_epoch(history):
            trial.report(history.validation_accuracy[-1], len(history))
            if len(history) < epochs and trial.should_prune():
                raise optuna.TrialPruned

        settings = suggest(trial, SPACES[model])
        try:
            history = train(mnist, model, settings, epochs=epochs, seed=trial.number, on_epoch=on_epoch)[1]
        except FloatingPointError as error:
            raise optuna.TrialPruned(str(error)) from error  # the sampler learns from it; a failure it would forget
        if history.interrupted:
            raise KeyboardInterrupt
        trial.set_user_attr("validation_loss", history.validation_loss[-1])
        return history.validation_accuracy[-1]

    return run


def taken(trials):
    """How many of `trials` count: those that ended well or were pruned, and those that a worker is busy with."""
    ended = (TrialState.COMPLETE, TrialState.PRUNED)
    return sum(t.state in ended or (t.state == TrialState.RUNNING and "worker" in t.user_attrs) for t in trials)


# Storages, and who is alive


def open_storage(name):
    """The Optuna storage of a URL or of a journal file, which is made if it is not there.

    A database learns by heartbeats which workers are alive; a journal has none, see `claim_number`.

    Raises:
        ValueError: `name` is no URL that can be used, or the file is no sound journal; it is left as it is.
        OSError: the file cannot be read or written, or the database does not answer.
    """
    if "://" in name:
        try:
            return optuna.storages.RDBStorage(name, heartbeat_interval=20, grace_period=60)
        except (ArgumentError, ImportError, RuntimeError) as error:
            raise ValueError(f"the storage {_without_password(name)} cannot be used: {error}") from error
        except (SQLAlchemyError, optuna.exceptions.StorageInternalError) as error:
            raise OSError(f"the storage {_without_password(name)} cannot be reached: {error}") from error
    if not Path(name).parent.is_dir():
        raise FileNotFoundError(f"there is no folder {str(Path(name).parent)!r} for the journal {Path(name).name!r}")
    # This kind of lock is made by every system and every NFS of this century, symbolic links are not.
    lock = optuna.storages.journal.JournalFileOpenLock(name)
    lock.acquire()  # so that nobody is in the middle of a line
    try:
        _check_journal(name)
    finally:
        lock.release()
    try:
        return optuna.storages.JournalStorage(optuna.storages.journal.JournalFileBackend(name, lock_obj=lock))
    except (KeyError, TypeError, AssertionError, optuna.exceptions.OptunaError) as error:
        raise ValueError(f"the journal {name} is damaged: an entry does not fit those before it ({error!r})") from error


def _check_journal(path):
    """Refuse a file with a line that is no entry of a journal: Optuna would add to it, and make it worse."""
    if not Path(path).exists():
        return
    with open(path, "rb") as file:
        for number, line in enumerate(file, start=1):
            try:
                sound = line.endswith(b"\n") and "op_code" in json.loads(line)
            except (ValueError, TypeError):
                sound = False
            if not sound:
                raise ValueError(
                    f"line {number} of {path} is no entry of an Optuna journal: name another file or, if it is a "
                    "damaged journal, go on from a copy of the lines before"
                )


def _without_password(url):
    return re.sub(r"(://[^:/@]*):[^@]*@", r"\1:***@", url)


@contextmanager
def claim_number(storage, study_name):
    """Yield a number that no other living worker of this study has, and a function that says whether another number's
    worker is alive.

    Of a journal, the number is a file beside it that the worker keeps locked. The operating system frees the lock when
    the process ends, however it ends. Databases have Optuna's heartbeats: any number will do, and nobody needs to ask.
    """
    if "://" in storage:
        yield secrets.randbits(32), lambda number: True
        return

    def lock_of(number):
        return filelock.FileLock(f"{storage}.{re.sub(r'[^A-Za-z0-9_-]', '_', study_name)}.worker{number}")

    def alive(number):
        try:
            with lock_of(number).acquire(timeout=0):
                return False
        except filelock.Timeout:
            return True

    for number in itertools.count():
        lock = lock_of(number)
        try:
            lock.acquire(timeout=0)
            break
        except filelock.Timeout:
            continue
        except NotImplementedError as error:
            raise OSError(f"the folder of {storage} is on a file system without locks; use a database") from error
    try:
        yield number, lambda other: other != number and alive(other)
    finally:
        lock.release()


def fail_orphans(study, alive):
    """Mark the trials that dead workers have left running as failed, so that others are made in their place. They are
    not tried again: settings that killed one worker, by wanting too much memory, would kill the next."""
    for trial in study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
        worker = trial.user_attrs.get("worker")
        if worker is not None and not alive(worker):
            with suppress(optuna.exceptions.UpdateFinishedTrialError):  # another worker was quicker
                study.tell(trial.number, state=TrialState.FAIL, skip_if_finished=True)
            print(f"trial {trial.number:3}  failed: worker {worker} died", flush=True)


# The study


def join(storage, name, model, epochs, mnist):
    """The study `name`, made if there is none, with the default settings as its first trial.

    Raises:
        ValueError: there is one already, of another search space, model, number of epochs or data.
    """
    settings = {
        "model": model,
        "epochs": epochs,
        **{setting: json.dumps(limits) for setting, limits in SPACES[model].items()},
        "augmentation of strength 1": repr(Augmentation()),
        "data": f"{mnist.train.fingerprint()}, {mnist.validation.fingerprint()}",
    }
    study = optuna.create_study(
        study_name=name,
        storage=storage,
        load_if_exists=True,
        direction="maximize",
        # All trials follow the same schedule, so that those at the same epoch can be compared. In the first half, near
        # the peak of the learning rate, even good ones look bad. Hyperband would need far more trials for its brackets.
        pruner=optuna.pruners.MedianPruner(n_startup_trials=5, n_warmup_steps=epochs // 2 + 1),
    )
    waiting = all(trial.state == TrialState.WAITING for trial in study.get_trials(deepcopy=False))
    found = study.user_attrs.get("settings")  # after the trials: a worker stores it before it begins one
    if found is None and waiting:
        study.enqueue_trial(DEFAULTS[model], skip_if_exists=True)
        study.set_user_attr("settings", settings)
        found = study.user_attrs["settings"]
    if found is None:
        raise ValueError(f"the study {name!r} was not made by this program; choose another --study")
    differing = [
        f"{key} was {found.get(key)}, now {settings[key]}" for key in settings if found.get(key) != settings[key]
    ]
    if differing:
        raise ValueError(f"the study {name!r} is of another search ({'; '.join(differing)}); choose another --study")
    return study


def sampler(*seeds):
    """TPE (Bergstra et al. 2011) that looks at all settings together (`multivariate`) and takes the trials that other
    workers are busy with for bad ones (`constant_liar`), so that not everybody tries the same."""
    seed = int(np.random.SeedSequence(seeds).generate_state(1)[0])
    return optuna.samplers.TPESampler(seed=seed, multivariate=True, constant_liar=True)


def best_settings(study):
    """The settings of the best trial, and the trial.

    Raises:
        ValueError: no trial is complete.
    """
    if not study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,)):
        raise ValueError("no trial is complete, so there is no best one")
    best = study.best_trial
    return dict(best.params), best


def measure(mnist, model, settings, *, epochs, seeds, test=False):
    """Validation accuracy, validation loss and, only with `test`, test accuracy of `settings`: lists by seed."""
    measured = {"validation": [], "validation_loss": []} | ({"test": []} if test else {})
    for seed in seeds:
        network, history = train(mnist, model, settings, epochs=epochs, seed=seed)
        if history.interrupted:
            raise KeyboardInterrupt
        measured["validation"].append(history.validation_accuracy[-1])
        measured["validation_loss"].append(history.validation_loss[-1])
        if test:
            measured["test"].append(evaluate(network, mnist.test).accuracy)
    return measured


def spread(values):
    """Accuracies in words: mean ± standard deviation over seeds."""
    return f"{mean(values):.2%} ± {100 * stdev(values):.2f} points (n = {len(values)})"


# The program


def parse(arguments):
    parser = argparse.ArgumentParser(
        prog="python -m mnist_helpers.tune",
        description="One worker of a search for good settings. Start several with the same study and storage.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument("--study", default="mnist", help="name of the study to make or to join")
    parser.add_argument("--storage", default="study.log", help="a journal file, or a URL such as postgresql://...")
    parser.add_argument("--trials", type=int, default=20, help="trials wanted of the study, all workers together")
    parser.add_argument("--model", choices=sorted(SPACES), default="mlp", help="which network")
    parser.add_argument("--epochs", type=int, default=10, help="passes over the training images in each trial")
    parser.add_argument("--seed", type=int, default=0, help="of the sampler, together with the worker's number")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda or mps")
    parser.add_argument("--test", action="store_true", help="search no more: train the best settings with five new "
                        "seeds, and open the test set, once for this study")  # fmt: skip
    return parser.parse_args(arguments)


def report(study, trial):
    """Print one line about a trial that has ended."""
    if trial.state == TrialState.FAIL:
        return
    accuracy = trial.value if trial.value is not None else float("nan")
    settings = ", ".join(f"{name} {value:.3g}" for name, value in trial.params.items())
    how = f"pruned in epoch {trial.last_step or 1}" if trial.state == TrialState.PRUNED else "complete"
    print(f"trial {trial.number:3}  {accuracy:.2%}  {how:20}  {settings}", flush=True)


def search(study, mnist, options, worker, alive):
    """Add trials until there are as many as wanted."""
    fail_orphans(study, alive)  # of a journal's dead workers
    optuna.storages.fail_stale_trials(study)  # of a database's
    if taken(study.get_trials(deepcopy=False)) < options.trials:
        study.optimize(
            objective(mnist, options.model, epochs=options.epochs, total=options.trials, worker=worker),
            catch=(Surplus,),
            callbacks=[
                report,
                lambda study, trial: fail_orphans(study, alive),
                lambda study, trial: taken(study.get_trials(deepcopy=False)) >= options.trials and study.stop(),
            ],
        )
    trials = study.get_trials(deepcopy=False)
    counts = [f"{sum(trial.state == state for trial in trials)} {state.name.lower()}" for state in
              (TrialState.COMPLETE, TrialState.PRUNED, TrialState.RUNNING, TrialState.FAIL)]  # fmt: skip
    print(f"Study {study.study_name}: {', '.join(counts)}.")
    if any(trial.state == TrialState.COMPLETE for trial in trials):
        settings, best = best_settings(study)
        print(f"Best trial: {best.number}, {best.value:.2%}, {settings}")


def open_test(study, mnist, options):
    """Measure the best settings on new seeds and, once for the study, on the test set, and print it."""
    stored = study.user_attrs.get("test")
    if stored is None:
        settings, best = best_settings(study)
        seeds = range(NEW_SEEDS, NEW_SEEDS + 5)
        stored = {"trial": best.number, "settings": settings, "validation_in_the_search": best.value}
        stored |= measure(mnist, options.model, settings, epochs=options.epochs, seeds=seeds, test=True)
        study.set_user_attr("test", stored)
    else:
        print("The test set has been opened for this study. What it said then:")
    print(f"Trial {stored['trial']}, {stored['settings']}")
    print(f"Validation: {stored['validation_in_the_search']:.2%} in the search, {spread(stored['validation'])} anew")
    print(f"Test set: {spread(stored['test'])}")


def main(arguments=None):
    options = parse(arguments)
    if optuna is None:
        raise ValueError('Optuna is not installed: python -m pip install "optuna>=5"')
    for name in ("trials", "epochs"):
        if getattr(options, name) < 1:
            raise ValueError(f"--{name} is {getattr(options, name)}, but must be at least 1")
    optuna.logging.set_verbosity(optuna.logging.ERROR)  # we print our own lines
    warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)  # heartbeats are called so since 2021
    device = pick_device(options.device)
    storage = open_storage(options.storage)
    mnist = load_mnist(device)
    with claim_number(options.storage, options.study) as (worker, alive):
        study = join(storage, options.study, options.model, options.epochs, mnist)
        # By worker and by what is there already, so that neither a neighbour nor a second start draws the same.
        study.sampler = sampler(options.seed, worker, len(study.get_trials(deepcopy=False)))
        if options.test:
            open_test(study, mnist, options)
        elif "test" in study.user_attrs:
            raise ValueError(
                f"the test set has been opened for the study {options.study!r}: more trials would be chosen with it in "
                "mind. Choose another --study"
            )
        else:
            search(study, mnist, options, worker, alive)
    return 0


if __name__ == "__main__":
    expected = (ValueError, OSError, DataError)
    if optuna is not None:
        expected += (optuna.exceptions.OptunaError, SQLAlchemyError)
    try:
        sys.exit(main())
    except expected as error:
        sys.exit(f"tune.py: {str(error).strip().splitlines()[0]}")
    except KeyboardInterrupt:
        sys.exit(130)
