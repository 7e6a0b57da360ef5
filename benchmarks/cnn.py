"""How far small networks go: the CNN, what each part of its recipe is worth, an ensemble, and an MLP taught by it.

    python benchmarks/cnn.py accuracy       test accuracy of the CNN, five seeds
    python benchmarks/cnn.py ablation       the recipe without each of its parts, five seeds each
    python benchmarks/cnn.py ensemble       ensembles of three wider CNNs, no network in two of them
    python benchmarks/cnn.py distillation   the 109,386-parameter MLP taught by the five CNNs of `accuracy`, five seeds
    python benchmarks/cnn.py ship           seed 0 of `accuracy`, stored as the package's pretrained CNN

Every network is trained for a fixed number of epochs and tested once, with its last weights; the recipes were chosen on
the validation split. Networks are kept in `benchmarks/networks`, so that an interrupted run goes on where it was.
"""

import argparse
import json
import statistics
import sys
from pathlib import Path

import torch
from hardware import describe, fit, store

import mnist_helpers as mh
from mnist_helpers.atomic import atomic_write

RECIPE = {
    "epochs": 30,
    "batch_size": 256,
    "learning_rate": 1e-2,
    "weight_decay": 0.05,
    "label_smoothing": 0.1,
    "augment": mh.Augmentation(rotation=10, shift=2, scale=0.1, shear=10),
    "precision": "bfloat16",
}
SHORT = RECIPE | {"epochs": 6}
WITHOUT = {
    "the whole recipe": {},
    "without augmentation": {"augment": None},
    "without the one-cycle schedule": {"one_cycle": False, "learning_rate": 2e-3},
    "without label smoothing": {"label_smoothing": 0.0},
    "without all three": {"augment": None, "one_cycle": False, "learning_rate": 2e-3, "label_smoothing": 0.0},
}
LONGER = RECIPE | {"epochs": 20, "augment": mh.Augmentation(rotation=15, shift=3, scale=0.15, shear=15)}
WIDTH = 32  # maps of the first layer of an ensemble's networks
MEMBERS = 3  # networks in an ensemble
SHIFTS = ((0, 0), (-1, 0), (1, 0), (0, -1), (0, 1))  # rows and columns; each member sees every image so moved
TEACHERS = 5
COPIES = 100  # augmented copies of the training images that the teacher answers, once for all students
STUDENT = {"epochs": 6, "batch_size": 512, "learning_rate": 4e-3, "weight_decay": 0.05}
PACKAGE = Path(mh.__file__).parent
NETWORKS = Path(__file__).resolve().parent / "networks"


def train(name, model, mnist, seed, recipe, train_split=None):
    """Train `model`, or go on where an interrupted run was, or take the finished one; and its `History`."""
    NETWORKS.mkdir(exist_ok=True)
    path = NETWORKS / f"{name}-{seed}.pth"
    history = fit(
        model,
        train_split or mnist.train,
        mnist.validation,
        seed=seed,
        checkpoint=path,
        resume=path.exists(),
        progress=False,
        **recipe,
    )
    print(f"  {name}, seed {seed}: {history}, {sum(history.seconds):.0f} s", flush=True)
    return history


def new(network, seed, device, **config):
    mh.set_seed(seed)
    return network(**config).to(device)


def summary(values, digits=4):
    """Mean, deviation and n of shares, in per cent."""
    per_cent = [100 * value for value in values]
    deviation = statistics.stdev(per_cent) if len(per_cent) > 1 else 0.0
    return {"mean": round(statistics.mean(per_cent), digits), "deviation": round(deviation, digits), "n": len(values)}


def say(name, one):
    print(f"{name}: {one['mean']:.2f} ± {one['deviation']:.2f} % (mean ± deviation, n = {one['n']})", flush=True)


def shown(recipe):
    return {key: value if isinstance(value, (int, float, str)) else repr(value) for key, value in recipe.items()}


def accuracy(mnist, device, seeds):
    rows = []
    for seed in range(seeds):
        model = new(mh.CNN, seed, device)
        history = train("cnn", model, mnist, seed, RECIPE)
        test, validation = mh.evaluate(model, mnist.test), history.validation_accuracy[-1]
        rows.append({"validation": validation, "test": test.accuracy, "seconds": round(sum(history.seconds), 1)})
    total = summary([row["test"] for row in rows])
    say(f"CNN, {mh.count_parameters(model):,} parameters, test accuracy of the last epoch", total)
    return {"recipe": shown(RECIPE), "parameters": mh.count_parameters(model), "seeds": rows, "test": total}


def ablation(mnist, device, seeds):
    """Compared on the validation split, as every choice is."""
    table = {}
    for name, change in WITHOUT.items():
        values = []
        for seed in range(seeds):
            model = new(mh.CNN, seed, device)
            history = train(name.replace(" ", "-"), model, mnist, seed, SHORT | change)
            values.append(history.validation_accuracy[-1])
        table[name] = {"values": values} | summary(values)
        say(f"validation accuracy, {name}", table[name])
    return {
        "recipe": shown(SHORT),
        "changes": {name: shown(change) for name, change in WITHOUT.items()},
        "table": table,
    }


def ensemble(mnist, device, seeds):
    """One network and three, each asked once and with shifted views, so that the two remedies can be told apart."""
    rows = []
    for seed in range(seeds):
        networks, seconds = [], 0.0
        for member in range(MEMBERS * seed, MEMBERS * (seed + 1)):
            networks.append(new(mh.CNN, member, device, width=WIDTH))
            seconds += sum(train("wide", networks[-1], mnist, member, LONGER).seconds)
        rows.append({"seconds": round(seconds, 1)} | remedies(networks, mnist))
        print(f"  ensemble {seed}: {rows[-1]['validation']}", flush=True)
    total = {}
    for split in ("validation", "test"):
        total[split] = {kind: summary(flat(row[split][kind] for row in rows)) for kind in rows[0][split]}
        for kind, one in total[split].items():
            say(f"CNNs of width {WIDTH}, {kind}, {split} accuracy", one)
    recipe = shown(LONGER) | {"width": WIDTH, "members": MEMBERS, "shifts": SHIFTS}
    return {"recipe": recipe, "parameters": mh.count_parameters(networks[0]), "seeds": rows} | total


def remedies(networks, mnist):
    """Accuracy on both splits of each network alone, of each with shifted views, and of all together likewise."""
    asked = {
        "one": networks,
        "one, shifted views": [mh.Ensemble([one], SHIFTS) for one in networks],
        "three": [mh.Ensemble(networks)],
        "three, shifted views": [mh.Ensemble(networks, SHIFTS)],
    }
    return {
        split: {
            kind: [mh.evaluate(model, getattr(mnist, split)).accuracy for model in models]
            for kind, models in asked.items()
        }
        for split in ("validation", "test")
    }


def flat(lists):
    return [value for values in lists for value in values]


def distillation(mnist, device, seeds):
    """A teacher's probabilities for augmented copies of the training images, learnt by the MLP."""
    networks = [new(mh.CNN, seed, device) for seed in range(TEACHERS)]
    for seed, network in enumerate(networks):
        train("cnn", network, mnist, seed, RECIPE)
    teacher = mh.Ensemble(networks)
    # Label smoothing has taught the teacher to be too modest. It answers at the temperature that makes it honest.
    temperature = mh.fit_temperature(mh.predict_logits(teacher, mnist.validation.images), mnist.validation.labels)
    generator = torch.Generator(device).manual_seed(0)
    copies, answers = [], []
    for copy in range(COPIES):
        for few in mnist.train.images.split(5000):
            copies.append(RECIPE["augment"](few, generator).round().to(torch.uint8))
            answers.append((mh.predict_logits(teacher, copies[-1], batch_size=250) / temperature).softmax(1))
        print(f"  copy {copy + 1} of {COPIES} answered", flush=True)
    lesson = mh.Split(torch.cat(copies), torch.cat(answers))
    rows = []
    for seed in range(seeds):
        student = new(mh.MLP, seed, device)
        history = train("student", student, mnist, seed, STUDENT, lesson)
        rows.append({"validation": history.validation_accuracy[-1], "test": mh.evaluate(student, mnist.test).accuracy})
    total = summary([row["test"] for row in rows])
    say(f"MLP taught by the ensemble, {mh.count_parameters(student):,} parameters, test accuracy", total)
    teachers = {"validation": mh.evaluate(teacher, mnist.validation).accuracy}
    recipe = shown(STUDENT) | {"copies": COPIES, "temperature": temperature}
    return {"recipe": recipe, "teacher": teachers, "seeds": rows, "test": total}


def ship(mnist, device):
    """Store the first network of `accuracy` in the package and, beside it, how it was made and what it reaches."""
    model = new(mh.CNN, 0, device)
    history = train("cnn", model, mnist, 0, RECIPE)
    results = {
        "command": "python benchmarks/cnn.py ship",
        "recipe": shown(RECIPE) | {"seed": 0},
        "train_data": mnist.train.fingerprint(),
        "hardware": describe(),
        "seconds": round(sum(history.seconds), 1),
    }
    for name in ("validation", "test"):
        result = mh.evaluate(model, getattr(mnist, name))
        results[name] = {"accuracy": result.accuracy, "interval": result.interval, "loss": result.loss}
        print(f"{name:10} {result}")
    mh.save_checkpoint(PACKAGE / "pretrained" / "cnn.pth", model.cpu(), history=history)
    with atomic_write(PACKAGE / "pretrained" / "cnn.json") as temporary:
        temporary.write_text(json.dumps(results, indent=2) + "\n", encoding="utf-8")


def main():
    parts = {part.__name__: part for part in (accuracy, ablation, ensemble, distillation)}
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("part", choices=[*parts, "ship"])
    parser.add_argument("--seeds", type=int, default=5)
    options = parser.parse_args()
    if options.seeds < 1:
        parser.error("--seeds must be at least 1")
    device = mh.pick_device()
    mnist = mh.load_mnist(device)
    if mnist.source.is_sample:
        sys.exit("this needs the full MNIST")
    print(describe())
    if options.part == "ship":
        ship(mnist, device)
    else:
        results = parts[options.part](mnist, device, options.seeds)
        store(options.part, " ".join(["python", "benchmarks/cnn.py", *sys.argv[1:]]), results)


if __name__ == "__main__":
    main()
