"""Why the course's CNN is at 99 % so much sooner than PyTorch's official example: what each difference is worth.

    python benchmarks/breakdown.py       (about half an hour on two quiet cores)

On the way from the official example to the course's training one thing is changed at a time: where the batches come
from, the network with its arithmetic, the optimizer and batch size, the precision. Each is timed in turn, round by
round, in microseconds per training image. Then the epochs: how many each network needs to 99 % on validation, under its
own recipe and under the other's. The test set is not used. The results go to `mnist_helpers/results/breakdown.json`.
"""

import argparse
import itertools
import os
import statistics
import time

import torch
import torch.nn.functional as F
from core import Textbook
from hardware import describe, fit, store
from peers import CNN, official_network, share_right
from torch.utils.data import DataLoader

import mnist_helpers as mh

ENOUGH = 0.99
IMAGES = 6400  # that each way is timed with


def official_recipe(model):
    optimizer = torch.optim.Adadelta(model.parameters(), lr=1.0)
    return optimizer, torch.optim.lr_scheduler.StepLR(optimizer, step_size=1, gamma=0.7)


def loop(model, optimizer, batches):
    """The loop of the official example."""
    model.train()
    for images, labels in batches:
        optimizer.zero_grad()
        F.cross_entropy(model(images), labels).backward()
        optimizer.step()


def by_hand(network, batches_of):
    """A function that trains a network on some images as the official example does, with batches from elsewhere."""

    def run(split):
        model = network()
        loop(model, official_recipe(model)[0], batches_of(split))

    return run


def by_fit(**recipe):
    def run(split):
        fit(mh.CNN(), split, split[:1], epochs=1, progress=False, **recipe)

    return run


def loaded(split):
    return DataLoader(Textbook(split), batch_size=64, shuffle=True)


def at_once(split):
    return mh.Batches(split, 64)


WAYS = {
    "official example": by_hand(official_network, loaded),
    "its network on the course's batches": by_hand(official_network, at_once),
    "the course's network on the course's batches": by_hand(mh.CNN, at_once),
    "the course's recipe": by_fit(**CNN),
    "the course's recipe in bfloat16": by_fit(**CNN, precision="bfloat16"),
}


def cost(mnist, rounds):
    """Microseconds per image of each way, a list by round."""
    some, taken = mnist.train[-IMAGES:], {name: [] for name in WAYS}
    for number in range(rounds + 1):
        for name, run in WAYS.items():
            start = time.perf_counter()
            run(some)
            taken[name].append(1e6 * (time.perf_counter() - start) / IMAGES)
        print(f"  round {number}: {', '.join(f'{values[-1]:.0f}' for values in taken.values())} µs", flush=True)
    return {name: values[1:] for name, values in taken.items()}  # the first warms up


def epochs_under_the_official_recipe(network, mnist, seed, most=14):
    """Epochs that `network` needs to 99 % on validation, and the accuracy after each."""
    mh.set_seed(seed)
    model, accuracy = network(), []
    optimizer, schedule = official_recipe(model)
    batches = mh.Batches(mnist.train, 64, seed=seed)
    while len(accuracy) < most and (not accuracy or accuracy[-1] < ENOUGH):
        loop(model, optimizer, batches)
        schedule.step()
        accuracy.append(
            share_right(lambda images, size: mh.predict_logits(model, images).argmax(1).numpy(), mnist.validation)
        )
    return accuracy


def epochs_under_the_course_s_recipe(network, mnist, seed, most=3):
    """The same; a one-cycle schedule has its length from the start, so that each number of epochs is a training of its
    own."""
    accuracy = []
    for epochs in itertools.count(1):
        mh.set_seed(seed)
        history = fit(
            network(),
            mnist.train,
            mnist.validation,
            epochs=epochs,
            seed=seed,
            precision="bfloat16",
            progress=False,
            **CNN,
        )
        accuracy.append(history.validation_accuracy[-1])
        if accuracy[-1] >= ENOUGH or epochs == most:
            return accuracy


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seeds", type=int, default=3)
    options = parser.parse_args()
    mnist = mh.load_mnist()
    if mnist.source.is_sample:
        raise SystemExit("this needs the full MNIST")
    print(describe())
    os.environ["OMP_NUM_THREADS"] = "2"  # fit takes this for the user's choice
    torch.set_num_threads(2)
    taken = cost(mnist, options.rounds)
    names = list(taken)
    for before, after in itertools.pairwise(names):
        ratios = [a / b for a, b in zip(taken[before], taken[after], strict=True)]
        spread = f"median; {min(ratios):.2f} to {max(ratios):.2f}, n = {len(ratios)}"
        print(f"{after}: {statistics.median(ratios):.2f} times as quick as the one before ({spread})")
    epochs = {}
    for network, name in ((mh.CNN, "course"), (official_network, "official")):
        for recipe in (epochs_under_the_course_s_recipe, epochs_under_the_official_recipe):
            if (name, recipe) == ("official", epochs_under_the_official_recipe):
                continue  # stored in peers.json
            key = f"{name} network, {recipe.__name__.replace('_', ' ')}"
            epochs[key] = [recipe(network, mnist, seed) for seed in range(options.seeds)]
            print(f"{key}: {epochs[key]}", flush=True)
    results = {"threads": 2, "images": IMAGES, "microseconds": taken, "validation_by_epochs": epochs}
    store("breakdown", "python benchmarks/breakdown.py", results)


if __name__ == "__main__":
    main()
