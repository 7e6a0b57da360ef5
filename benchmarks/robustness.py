"""What spoilt images do to the MLP and the CNN, each trained on plain and on augmented digits.

    python benchmarks/robustness.py               five seeds (about 20 minutes of one core); stores the result
    python benchmarks/robustness.py --seeds 1     a short run, which stores nothing

Errors are those of the last epoch on the test images: all of them at severity 3, the first 1,000 at severities 1 to 5.
Nothing was chosen by them. No network saw a corruption in training.
"""

import argparse
import statistics

from hardware import describe, fit, store

import mnist_helpers as mh
from mnist_helpers.devices import sensible_threads

SEEDS = 5
FEW = 1000  # test images for the mean over the severities, which takes five times as many evaluations
NETWORKS = {"MLP": mh.MLP, "CNN": mh.CNN}
RECIPES = {
    "MLP": {"epochs": 10},
    "CNN": {
        "epochs": 4,
        "learning_rate": 1e-2,
        "weight_decay": 0.05,
        "batch_size": 256,
        "label_smoothing": 0.1,
        "precision": "bfloat16",
    },
}
AUGMENTATIONS = {"plain": None, "augmented": mh.Augmentation()}


def train(mnist, network, augment, seed):
    mh.set_seed(seed)
    model = NETWORKS[network]().to(mnist.train.images.device)
    fit(model, mnist.train, mnist.validation, seed=seed, augment=augment, progress=False, **RECIPES[network])
    return model


def spoil(split):
    """The split under every corruption: `{(name, severity): Split}`, of severities other than 3 only the first few."""
    spoilt = {}
    for name in mh.CORRUPTIONS:
        for severity in range(1, 6):
            some = split if severity == 3 else split[:FEW]
            spoilt[name, severity] = mh.Split(mh.corrupt(some.images, name, severity), some.labels)
    return spoilt


def measure(model, clean, spoilt):
    """Errors in percent: `clean`, at severity 3 by corruption, and the mean over the severities by corruption."""
    wrong = {
        key: mh.predict_logits(model, split.images, batch_size=250).argmax(1) != split.labels
        for key, split in spoilt.items()
    }
    errors = {key: 100 * each.double().mean().item() for key, each in wrong.items()}
    few = {key: 100 * each[:FEW].double().mean().item() for key, each in wrong.items()}
    return {
        "clean": 100 * (1 - mh.evaluate(model, clean).accuracy),
        "severity 3": {name: errors[name, 3] for name in mh.CORRUPTIONS},
        "severities 1 to 5": {
            name: statistics.mean(few[name, severity] for severity in range(1, 6)) for name in mh.CORRUPTIONS
        },
    }


def summary(values):
    return {"mean": statistics.mean(values), "deviation": statistics.stdev(values) if len(values) > 1 else 0.0}


def summarise(runs):
    """Mean and deviation over the seeds of everything that `measure` gave, and of the means over the corruptions."""
    result = {"clean": summary([run["clean"] for run in runs])}
    for part in ("severity 3", "severities 1 to 5"):
        result[part] = {name: summary([run[part][name] for run in runs]) for name in mh.CORRUPTIONS}
        result[part]["mean"] = summary([statistics.mean(run[part].values()) for run in runs])
    return result


def report(runs, mnist):
    """What is stored: how it was measured, and mean and deviation of everything, by network."""
    with sensible_threads() as threads:  # as many as `fit` takes
        return {
            "n": len(next(iter(runs.values()))),
            "test images": {"clean": len(mnist.test), "severity 3": len(mnist.test), "severities 1 to 5": FEW},
            "recipes": RECIPES,
            "augmentation": repr(AUGMENTATIONS["augmented"]),
            "threads": threads,
            "error in percent": {name: summarise(each) for name, each in runs.items()},
        }


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=SEEDS)
    seeds = parser.parse_args().seeds
    if seeds < 1:
        parser.error("--seeds must be at least 1")
    mnist = mh.load_mnist(mh.pick_device())
    if mnist.source.is_sample:
        raise SystemExit("this needs the full MNIST")
    spoilt = spoil(mnist.test)
    runs = {}
    for seed in range(seeds):
        for network in NETWORKS:
            for training, augment in AUGMENTATIONS.items():
                errors = measure(train(mnist, network, augment, seed), mnist.test, spoilt)
                runs.setdefault(f"{network}, {training}", []).append(errors)
                print(
                    f"seed {seed}, {network}, {training}: error {errors['clean']:.2f} % clean, "
                    f"{statistics.mean(errors['severity 3'].values()):.1f} % in the mean over the corruptions",
                    flush=True,
                )
        if seeds >= SEEDS:  # after every seed: a run that is stopped keeps those that it finished, and says how many
            store("robustness", "python benchmarks/robustness.py", report(runs, mnist))
    for name, each in report(runs, mnist)["error in percent"].items():
        print(f"{name}: clean {each['clean']['mean']:.2f} ± {each['clean']['deviation']:.2f} %, spoilt "
              f"{each['severity 3']['mean']['mean']:.1f} ± {each['severity 3']['mean']['deviation']:.1f} % "
              f"(mean ± deviation, n = {seeds}), {describe()}")  # fmt: skip


if __name__ == "__main__":
    main()
