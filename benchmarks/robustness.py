"""What spoilt and attacked images do to networks that were trained in different ways.

    python benchmarks/robustness.py               the fifteen corruptions: MLP and CNN, each trained on plain and on
                                                  augmented digits (about 20 minutes of one core)
    python benchmarks/robustness.py attacked      a CNN trained on plain digits, on digits under noise by chance, and on
                                                  digits under attack (about 15 minutes of one core)
    python benchmarks/robustness.py --seeds 1     a short run, which stores nothing

Both take five seeds, and store their result. Errors are those of the last epoch on the test images, and nothing was
chosen by them. No network saw a corruption in training.
"""

import argparse
import statistics

import torch
import torch.nn.functional as F
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
TRAININGS = ("plain", "noise by chance", "attacked")
SHORT = {"epochs": 4, "batch_size": 128, "learning_rate": 1e-2, "weight_decay": 0.01, "epsilon": 0.15}
EVERY_TRAIN, EVERY_TEST = 6, 10  # every sixth training image, and every tenth test image for what takes long
SIZES, STEPS = (0.05, 0.1, 0.15, 0.2, 0.3), 20  # of the attacks on the trained networks


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
    errors = {key: 100 * each.float().mean().item() for key, each in wrong.items()}
    few = {key: 100 * each[:FEW].float().mean().item() for key, each in wrong.items()}
    return {
        "clean": 100 * (1 - mh.evaluate(model, clean).accuracy),
        "severity 3": with_mean({name: errors[name, 3] for name in mh.CORRUPTIONS}),
        "severities 1 to 5": with_mean(
            {name: statistics.mean(few[name, severity] for severity in range(1, 6)) for name in mh.CORRUPTIONS}
        ),
    }


def with_mean(errors):
    return errors | {"mean": statistics.mean(errors.values())}


def summarise(runs):
    """Mean and deviation over the runs of every number in their dicts."""
    if isinstance(runs[0], dict):
        return {key: summarise([run[key] for run in runs]) for key in runs[0]}
    return {"mean": statistics.mean(runs), "deviation": statistics.stdev(runs) if len(runs) > 1 else 0.0}


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


def spoil_in_training(model, images, labels, training):
    """A batch of normalised images `(B, 1, 28, 28)`, each moved within a box of ±epsilon around its pixels: to a random
    place of it, and if `attacked` from there one step up the slope of the loss, as Wong, Rice and Kolter (2020,
    arXiv:2001.03994) do it."""
    if training == "plain":
        return images
    pixels, epsilon = images * mh.STD + mh.MEAN, SHORT["epsilon"]
    low, high = (pixels - epsilon).clamp(min=0), (pixels + epsilon).clamp(max=1)
    moved = low + (high - low) * torch.rand_like(pixels)
    if training == "attacked":
        moved.requires_grad_()
        slope = torch.autograd.grad(F.cross_entropy(model((moved - mh.MEAN) / mh.STD), labels), moved)[0]
        moved = (moved.detach() + 1.25 * epsilon * slope.sign()).clamp(low, high)
    return (moved - mh.MEAN) / mh.STD


def train_short(split, training, seed):
    """A CNN after a short training of the kind that notebook 07 shows, in evaluation mode."""
    mh.set_seed(seed)
    model = mh.CNN().to(split.images.device)
    batches = mh.Batches(split, SHORT["batch_size"], seed=seed)
    optimizer = torch.optim.AdamW(model.parameters(), weight_decay=SHORT["weight_decay"])
    steps = SHORT["epochs"] * len(batches)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, SHORT["learning_rate"], total_steps=steps)
    with sensible_threads():
        for _ in range(SHORT["epochs"]):
            for images, labels in batches:
                loss = F.cross_entropy(model(spoil_in_training(model, images, labels, training)), labels)
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                schedule.step()
    return model.eval()


def measure_attacked(model, test):
    """Errors in percent: `clean`, under attacks by their size, and at severity 3 by corruption."""
    few = test[::EVERY_TEST]

    def error(images):
        return 100 * (1 - mh.evaluate(model, mh.Split(images, few.labels)).accuracy)

    attacked = {
        str(size): error(mh.attack(model, few.images, few.labels, size, steps=STEPS, batch_size=250)) for size in SIZES
    }
    return {
        "clean": 100 * (1 - mh.evaluate(model, test).accuracy),
        f"{STEPS} steps": attacked,
        "severity 3": with_mean({name: error(mh.corrupt(few.images, name, 3)) for name in mh.CORRUPTIONS}),
    }


def run_attacked(mnist, seeds):
    """Train and measure every kind with every seed; what is stored afterwards each time."""
    runs, train = {training: [] for training in TRAININGS}, mnist.train[::EVERY_TRAIN]
    for seed in range(seeds):
        for training in TRAININGS:
            errors = measure_attacked(train_short(train, training, seed), mnist.test)
            runs[training].append(errors)
            hit = ", ".join(f"{share:.1f} % at {size}" for size, share in errors[f"{STEPS} steps"].items())
            print(f"seed {seed}, {training}: error {errors['clean']:.2f} % clean, attacked {hit}", flush=True)
        yield (
            "attacked",
            {
                "n": seed + 1,
                "train images": len(train),
                "test images": {"clean": len(mnist.test), "else": len(mnist.test[::EVERY_TEST])},
                "recipe": SHORT,
                "error in percent": {training: summarise(each) for training, each in runs.items()},
            },
        )


def run_corruptions(mnist, seeds):
    """The same for the corruptions."""
    runs, spoilt = {}, spoil(mnist.test)
    for seed in range(seeds):
        for network in NETWORKS:
            for training, augment in AUGMENTATIONS.items():
                errors = measure(train(mnist, network, augment, seed), mnist.test, spoilt)
                runs.setdefault(f"{network}, {training}", []).append(errors)
                print(
                    f"seed {seed}, {network}, {training}: error {errors['clean']:.2f} % clean, "
                    f"{errors['severity 3']['mean']:.1f} % in the mean over the corruptions",
                    flush=True,
                )
        yield "robustness", report(runs, mnist)


PARTS = {"corruptions": run_corruptions, "attacked": run_attacked}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("part", nargs="?", choices=PARTS, default="corruptions")
    parser.add_argument("--seeds", type=int, default=SEEDS)
    options = parser.parse_args()
    if options.seeds < 1:
        parser.error("--seeds must be at least 1")
    mnist = mh.load_mnist(mh.pick_device())
    if mnist.source.is_sample:
        raise SystemExit("this needs the full MNIST")
    command = "python benchmarks/robustness.py" + (" attacked" if options.part == "attacked" else "")
    for name, result in PARTS[options.part](mnist, options.seeds):
        if options.seeds >= SEEDS:  # after every seed: a run that is stopped keeps those that it finished, and says n
            store(name, command, result)
    for kind, errors in result["error in percent"].items():
        print(f"{kind}: clean {errors['clean']['mean']:.2f} ± {errors['clean']['deviation']:.2f} %, spoilt "
              f"{errors['severity 3']['mean']['mean']:.1f} ± {errors['severity 3']['mean']['deviation']:.1f} % "
              f"(mean ± deviation, n = {result['n']}), {describe()}")  # fmt: skip


if __name__ == "__main__":
    main()
