"""How far the seed's own network goes: the 109,386-parameter MLP with augmentation and a longer schedule.

    python benchmarks/best_mlp.py              five seeds: test accuracy of the last epoch, stored as results/mlp.json
    python benchmarks/best_mlp.py --ship       seed 0 alone, stored as the package's pretrained network

The recipe was chosen on the validation split.
"""

import argparse
import json
import statistics
import sys
from pathlib import Path

from hardware import describe, fit, store

import mnist_helpers as mh
from mnist_helpers.atomic import atomic_write

RECIPE = {"epochs": 120, "augment": mh.Augmentation(rotation=10, shift=2, scale=0.1, shear=10)}
FOLDER = Path(__file__).resolve().parent.parent / "mnist_helpers" / "pretrained"


def train(mnist, seed):
    mh.set_seed(seed)
    model = mh.MLP().to(mnist.train.images.device)
    history = fit(model, mnist.train, mnist.validation, seed=seed, progress=False, **RECIPE)
    return model, history, mh.evaluate(model, mnist.test)


def ship(mnist):
    """Train with seed 0 and write the weights and, beside them, how they were made and what they reach."""
    model, history, test = train(mnist, seed=0)
    validation = mh.evaluate(model, mnist.validation)
    results = {
        "command": "python benchmarks/best_mlp.py --ship",
        "recipe": {key: repr(value) for key, value in RECIPE.items()} | {"seed": 0},
        "train_data": mnist.train.fingerprint(),
        "hardware": describe(),
        "seconds": round(sum(history.seconds), 1),
    }
    for name, result in (("validation", validation), ("test", test)):
        results[name] = {"accuracy": result.accuracy, "interval": result.interval, "loss": result.loss}
    mh.save_checkpoint(FOLDER / "mlp.pth", model.cpu(), history=history)
    with atomic_write(FOLDER / "mlp.json") as temporary:
        temporary.write_text(json.dumps(results, indent=2) + "\n", encoding="utf-8")
    print(f"validation {validation}\ntest       {test}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--ship", action="store_true", help="store the network of seed 0 in the package")
    parser.add_argument("--seeds", type=int, default=5)
    arguments = parser.parse_args()
    if arguments.seeds < 1:
        parser.error("--seeds must be at least 1")
    mnist = mh.load_mnist(mh.pick_device())
    if mnist.source.is_sample:
        raise SystemExit("this needs the full MNIST")
    if arguments.ship:
        return ship(mnist)
    rows = []
    for seed in range(arguments.seeds):
        model, history, test = train(mnist, seed)
        seconds = round(sum(history.seconds), 1)
        rows.append({"validation": history.validation_accuracy[-1], "test": test.accuracy, "seconds": seconds})
        print(f"seed {seed}: test {test.accuracy:.2%}, training {seconds:.0f} s", flush=True)
    per_cent = [100 * row["test"] for row in rows]
    deviation = statistics.stdev(per_cent) if len(rows) > 1 else 0.0
    total = {"mean": round(statistics.mean(per_cent), 3), "deviation": round(deviation, 3), "n": len(rows)}
    print(f"test accuracy {total['mean']} ± {total['deviation']} % (mean ± deviation, n = {len(rows)}), {describe()}")
    recipe = {key: repr(value) for key, value in RECIPE.items()}
    results = {"recipe": recipe, "parameters": mh.count_parameters(model), "seeds": rows, "test": total}
    store("mlp", " ".join(["python benchmarks/best_mlp.py", *sys.argv[1:]]), results)


if __name__ == "__main__":
    main()
