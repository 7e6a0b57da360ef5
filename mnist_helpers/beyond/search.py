"""A search for good settings with Optuna: what is tried, the function whose value is to be made large, and what the
best settings are worth."""

from statistics import mean, stdev

import numpy as np

from ..devices import set_seed
from ..evaluation import evaluate
from ..images import Augmentation
from ..models import CNN, MLP
from ..training import fit

try:
    import optuna
    from optuna.trial import TrialState
except ImportError:  # only the course's extra brings it; the program says how to get it
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
# What the course trains with. It is the first trial of every study, so that the search cannot end below one noisy
# draw of it.
DEFAULTS = {
    "mlp": {"learning_rate": 8e-3, "width": 128, "weight_decay": 0.3, "batch_size": 512, "augmentation": 0.0},
    "cnn": {"learning_rate": 1e-2, "width": 16, "weight_decay": 0.05, "batch_size": 256, "augmentation": 1.0},
}
NEW_SEEDS = 10_000  # trials train with their number as seed; what is measured afterwards starts here


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


def objective(mnist, model, *, epochs, worker=""):
    """The function of a trial that Optuna maximises: the validation accuracy after the last epoch.

    The last, not the best: the best of several epochs is a luckier draw from the same noise. A trial that is behind the
    median of the others after an epoch is pruned, and so is one whose loss became infinite. `worker` is the name of the
    worker, which is kept with the trial.
    """

    def run(trial):
        trial.set_user_attr("worker", worker)

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


def sampler(*seeds):
    """TPE (Bergstra et al. 2011) that looks at all settings together (`multivariate`) and takes the trials that other
    workers are busy with for bad ones (`constant_liar`), so that not everybody tries the same."""
    seed = int(np.random.SeedSequence(seeds).generate_state(1)[0])
    return optuna.samplers.TPESampler(seed=seed, multivariate=True, constant_liar=True)


def taken(trials):
    """How many of `trials` count: those that ended well or were pruned."""
    return sum(trial.state in (TrialState.COMPLETE, TrialState.PRUNED) for trial in trials)


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
