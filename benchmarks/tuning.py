"""A search on the full MNIST by two workers, and what its winner is worth; stored for notebook 08.

    python benchmarks/tuning.py

First the noise floor: the same settings with eight seeds. Then the search. Its best settings and the defaults are
trained with five new seeds, the four runners-up with two. The test set is opened once, for the best settings.
"""

import argparse
import os
import subprocess
import sys

import optuna
from hardware import store

import mnist_helpers as mh
from mnist_helpers.beyond import search
from mnist_helpers.beyond.storage import open_storage

STUDY, TRIALS, EPOCHS = "mlp", 30, 6


def workers(storage, *options, count=1):
    """Run `count` workers at once and wait for them."""
    command = [sys.executable, "-m", "mnist_helpers.tune", "--study", STUDY, "--storage", storage]
    command += ["--trials", str(TRIALS), "--epochs", str(EPOCHS), *options]
    running = [subprocess.Popen(command, env=os.environ | {"OMP_NUM_THREADS": "1"}) for _ in range(count)]
    for worker in running:
        if worker.wait():
            raise SystemExit("a worker failed")


def summary(trial):
    """What a figure needs of a trial, as plain values."""
    return {
        "number": trial.number,
        "state": trial.state.name.lower(),
        "value": trial.value,
        "validation_loss": trial.user_attrs.get("validation_loss"),
        "settings": trial.params,
        "by_epoch": list(trial.intermediate_values.values()),
        "worker": trial.user_attrs.get("worker"),
        "seconds": round(trial.duration.total_seconds(), 2),
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--storage", default="tuning.db", help="a SQLite file; if it is there, the search goes on")
    storage = parser.parse_args().storage
    mnist = mh.load_mnist(mh.pick_device())
    if mnist.source.is_sample:
        raise SystemExit("this needs the full MNIST")

    def measure(settings, first, count):
        return search.measure(mnist, "mlp", settings, epochs=EPOCHS, seeds=range(first, first + count))

    noise = measure(search.DEFAULTS["mlp"], search.NEW_SEEDS + 100, 8)
    print(f"The same settings eight times: {search.spread(noise['validation'])}", flush=True)
    workers(storage, count=2)
    workers(storage, "--test")

    study = optuna.load_study(study_name=STUDY, storage=open_storage(storage))
    ranked = sorted(study.get_trials(states=(optuna.trial.TrialState.COMPLETE,)), key=lambda trial: -trial.value)
    runners_up = [{"number": trial.number, **measure(trial.params, search.NEW_SEEDS, 2)} for trial in ranked[1:5]]
    results = {
        "epochs": EPOCHS,
        "space": search.SPACES["mlp"],
        "defaults": search.DEFAULTS["mlp"],
        "noise": noise,
        "trials": [summary(trial) for trial in study.trials],
        "defaults_anew": measure(search.DEFAULTS["mlp"], search.NEW_SEEDS, 5),
        "best_anew": study.user_attrs["test"],
        "runners_up_anew": runners_up,
    }
    store("tuning", "python benchmarks/tuning.py", results)
    print(f"The defaults anew: {search.spread(results['defaults_anew']['validation'])}")


if __name__ == "__main__":
    main()
