"""One worker of a search for good settings; `python -m mnist_helpers.tune --help` lists the options.

Start it as often as you like, on as many machines as reach the storage: the workers share one study, and each adds
trials until there are as many as wanted. The rooms behind it are `beyond/search.py` and `beyond/storage.py`.
"""

import argparse
import os
import secrets
import sys
import threading
import warnings

from .beyond.search import NEW_SEEDS, SPACES, best_settings, measure, objective, optuna, sampler, spread, taken
from .beyond.storage import GRACE, join, open_storage, storage_failure
from .data import load_mnist
from .devices import pick_device
from .idx import DataError

if optuna is not None:
    from optuna.study import MaxTrialsCallback
    from optuna.trial import TrialState


def parse(arguments):
    parser = argparse.ArgumentParser(
        prog="python -m mnist_helpers.tune",
        description="One worker of a search for good settings. Start several with the same study and storage.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument("--study", default="mnist", help="name of the study to make or to join")
    parser.add_argument(
        "--storage", default="study.db", help="a SQLite file, or a URL such as postgresql+psycopg://..."
    )
    parser.add_argument("--trials", type=int, default=20, help="trials wanted of the study, all workers together; "
                        "those that are running when the last is done are finished, too")  # fmt: skip
    parser.add_argument("--model", choices=sorted(SPACES), default="mlp", help="which network")
    parser.add_argument("--epochs", type=int, default=10, help="passes over the training images in each trial")
    parser.add_argument("--seed", type=int, default=0, help="of the sampler of the worker that makes the study")
    parser.add_argument("--worker", default=str(os.getpid()), help="name of this worker, kept with its trials")
    parser.add_argument("--grace", type=int, default=GRACE, help="seconds without a sign of life after which the "
                        "others take a worker for dead")  # fmt: skip
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


def search(study, mnist, options):
    """Add trials until there are as many as wanted."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        optuna.storages.fail_stale_trials(study)  # Optuna does so before each trial, but there may be none to make
    enough = MaxTrialsCallback(options.trials, states=(TrialState.COMPLETE, TrialState.PRUNED))
    if taken(study.get_trials(deepcopy=False)) < options.trials:
        run = objective(mnist, options.model, epochs=options.epochs, worker=options.worker)
        study.optimize(run, callbacks=[report, enough])
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


def work(options):
    """What `main` does once the options are found to be possible."""
    device = pick_device(options.device)
    storage = open_storage(options.storage, options.grace)
    mnist = load_mnist(device)
    study, is_new = join(storage, options.study, options.model, options.epochs, mnist)
    # Whoever makes the study draws what the seed says. No other worker may draw the same.
    study.sampler = sampler(options.seed, 0 if is_new else secrets.randbits(32))
    if options.test:
        open_test(study, mnist, options)
    elif "test" in study.user_attrs:
        raise ValueError(
            f"the test set has been opened for the study {options.study!r}: more trials would be chosen with it in "
            "mind. Choose another --study"
        )
    else:
        search(study, mnist, options)


def main(arguments=None):
    options = parse(arguments)
    if optuna is None:
        raise ValueError('Optuna is not installed: python -m pip install "optuna>=5"')
    for name in ("trials", "epochs", "grace"):
        if getattr(options, name) < 1:
            raise ValueError(f"--{name} is {getattr(options, name)}, but must be at least 1")
    optuna.logging.set_verbosity(optuna.logging.ERROR)  # we print our own lines
    try:
        work(options)
    except Exception as error:  # Optuna meets a database that is gone in many places, not all of them prepared
        failure = storage_failure(error)
        if failure is None or isinstance(error, (ValueError, OSError)):
            raise
        raise OSError(f"the database of the study failed ({failure}). Start this again when it answers") from error
    return 0


def quiet(failure):
    """Of the thread that gives signs of life: that the database is gone is for the main thread to say."""
    if storage_failure(failure.exc_value) is None:
        threading.__excepthook__(failure)


def run(arguments=None):
    """The program: `main`, with one line for each error that a user can put right."""
    threading.excepthook = quiet
    try:
        sys.exit(main(arguments))
    except (ValueError, OSError, DataError) as error:
        sys.exit(f"tune.py: {str(error).strip().splitlines()[0]}")
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    run()
