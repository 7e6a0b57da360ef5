"""The course's networks against known peers, each in its own standard way, on this machine in one run.

    python benchmarks/peers.py                       everything (a good hour on two quiet cores)
    python benchmarks/peers.py --seeds 1             everything once
    python benchmarks/peers.py cnn-short official    only these, merged into the stored results of this machine
    python benchmarks/peers.py --quick               a few hundred images and one epoch: does all of it work?

Each run has a process of its own, learns from the train split, and is asked about the validation split at the end of
every epoch. The time to an accuracy is the training time, without these questions, up to the first epoch that ends with
it. Recipes are fixed beforehand, chosen on validation; the test set is used once, after the last epoch. The results
go to `mnist_helpers/results/peers.json`, the figure to `docs/benchmarks.png`.
"""

import argparse
import importlib.util
import io
import json
import multiprocessing
import os
import statistics
import sys
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from contextlib import redirect_stdout
from dataclasses import dataclass
from pathlib import Path

import joblib
import numpy as np
import torch
import torch.nn.functional as F
from hardware import describe, fit, store
from torch import nn

import mnist_helpers as mh
from mnist_helpers.devices import sensible_threads

ROOT = Path(__file__).resolve().parent.parent
TARGETS = (0.98, 0.99, 0.995)  # accuracies on validation that the time is taken to
RATIOS = (("textbook", "mlp-short", 0.98), ("official", "cnn-short", 0.99))  # how many times longer the first takes
BATCH_SIZES = (64, 128, 256, 512, 1024, 2048)
INSTALL = {"keras": "Keras", "sklearn": "scikit-learn", "torchvision": "torchvision", "psutil": "psutil"}


@dataclass
class Trained:
    """What training has left: for every epoch its seconds and the accuracy on validation after it; a function of raw
    images `uint8 (N, 28, 28)` and a batch size that gives the labels `(N,)`; and what the run was like, in words."""

    seconds: list[float]
    accuracy: list[float]
    predict: Callable
    parameters: int
    setting: str


# The course


def course(network, **recipe):
    """A trainer that uses `fit`; the CNN's takes the precision that is quicker here."""

    def train(mnist, seed, epochs):
        options = recipe | ({"precision": quicker_precision(mnist.train)} if network is mh.CNN else {})
        mh.set_seed(seed)
        model = network().to(mnist.train.images.device)
        with sensible_threads() as threads:
            history = fit(model, mnist.train, mnist.validation, epochs=epochs, seed=seed, progress=False, **options)

        def predict(images, batch_size):
            with sensible_threads():
                return mh.predict_logits(model, images, batch_size).argmax(1).cpu().numpy()

        setting = f"{options.get('precision', 'float32')}, threads: {threads}"
        return Trained(history.seconds, history.validation_accuracy, predict, mh.count_parameters(model), setting)

    return train


def quicker_precision(split):
    """The precision in which an epoch of a few steps of the CNN is quicker: PyTorch computes bfloat16 on any processor,
    but slowly on one that has no units for it."""
    some = split[:512]
    seconds = {}
    for precision in ("float32", "bfloat16"):
        model = mh.CNN().to(split.images.device)
        history = fit(model, some, some[:1], epochs=4, batch_size=256, precision=precision, progress=False)
        seconds[precision] = min(history.seconds)
    return min(seconds, key=seconds.get)


# The peers


def watched(epoch, predict, mnist, epochs, until):
    """Run `epoch` up to `epochs` times, and no more once the accuracy on validation is `until`."""
    seconds, accuracy = [], []
    while len(seconds) < epochs and (not accuracy or accuracy[-1] < until):
        start = time.perf_counter()
        epoch()
        seconds.append(time.perf_counter() - start)
        accuracy.append(share_right(predict, mnist.validation))
    return seconds, accuracy


def share_right(predict, split):
    return float((predict(split.images, 1000) == split.labels.cpu().numpy()).mean())


def by_loader(model, optimizer, mnist, epochs, schedule=None, until=1.0):
    """The loop of PyTorch's tutorials: `DataLoader`, and torchvision's transforms for one picture after the other."""
    from core import Textbook  # needs torchvision, which only these peers need
    from torch.utils.data import DataLoader

    device = mnist.train.images.device
    loader = DataLoader(Textbook(mnist.train), batch_size=64, shuffle=True)

    def epoch():
        model.train()
        for images, labels in loader:
            images, labels = images.to(device), labels.to(device)
            optimizer.zero_grad()
            loss = F.cross_entropy(model(images), labels)
            loss.backward()
            optimizer.step()
        loss.item()  # a GPU is waited for
        if schedule:
            schedule.step()

    @torch.no_grad()
    def predict(images, batch_size):
        model.eval()
        pictures = Textbook(mh.Split(images, torch.zeros(len(images), dtype=torch.int64)))
        batches = DataLoader(pictures, batch_size=batch_size)
        return torch.cat([model(batch.to(device)).argmax(1) for batch, _ in batches]).cpu().numpy()

    seconds, accuracy = watched(epoch, predict, mnist, epochs, until)
    setting = f"float32, threads: {torch.get_num_threads()}"
    return Trained(seconds, accuracy, predict, mh.count_parameters(model), setting)


def textbook(mnist, seed, epochs):
    """The course's MLP as a first tutorial trains it."""
    mh.set_seed(seed)
    model = mh.MLP().to(mnist.train.images.device)
    return by_loader(model, torch.optim.Adam(model.parameters(), lr=1e-3), mnist, epochs)


def official_network():
    """The network of PyTorch's official MNIST example: 1,199,882 parameters."""
    features = nn.Conv2d(1, 32, 3), nn.ReLU(), nn.Conv2d(32, 64, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Dropout(0.25)
    return nn.Sequential(*features, nn.Flatten(), nn.Linear(9216, 128), nn.ReLU(), nn.Dropout(0.5), nn.Linear(128, 10))


def official(mnist, seed, epochs):
    """PyTorch's official MNIST example (github.com/pytorch/examples, folder mnist): its network and recipe."""
    mh.set_seed(seed)
    model = official_network().to(mnist.train.images.device)
    optimizer = torch.optim.Adadelta(model.parameters(), lr=1.0)
    schedule = torch.optim.lr_scheduler.StepLR(optimizer, step_size=1, gamma=0.7)
    return by_loader(model, optimizer, mnist, epochs, schedule, until=0.99)


def scikit_learn(mnist, seed, epochs):
    """scikit-learn's `MLPClassifier` with its defaults, of the MLP's size, on pixels from 0 to 1."""
    import sklearn
    from sklearn.neural_network import MLPClassifier

    def rows(images):
        return images.cpu().view(-1, 784).numpy().astype(np.float32) / 255

    images, labels = rows(mnist.train.images), mnist.train.labels.cpu().numpy()
    classifier = MLPClassifier(hidden_layer_sizes=(128, 64), random_state=seed)

    def epoch():
        classifier.partial_fit(images, labels, classes=np.arange(10))

    def predict(images, batch_size):
        return np.concatenate([classifier.predict(rows(batch)) for batch in images.split(batch_size)])

    seconds, accuracy = watched(epoch, predict, mnist, epochs, until=1.0)
    parameters = sum(weights.size for weights in (*classifier.coefs_, *classifier.intercepts_))
    return Trained(seconds, accuracy, predict, parameters, f"float32, scikit-learn {sklearn.__version__}")


def keras_convnet(mnist, seed, epochs):
    """The convolutional network of Keras' own MNIST example (keras.io/examples/vision/mnist_convnet), on PyTorch unless
    `KERAS_BACKEND` names another backend."""
    os.environ.setdefault("KERAS_BACKEND", "torch")
    import keras
    from keras import layers

    def maps(images):
        return images.cpu().numpy().astype(np.float32)[..., None] / 255

    keras.utils.set_random_seed(seed)
    model = keras.Sequential([keras.Input((28, 28, 1))])
    for width in (32, 64):
        model.add(layers.Conv2D(width, 3, activation="relu"))
        model.add(layers.MaxPooling2D(2))
    for layer in (layers.Flatten(), layers.Dropout(0.5), layers.Dense(10, activation="softmax")):
        model.add(layer)
    model.compile(optimizer="adam", loss="sparse_categorical_crossentropy", metrics=["accuracy"])
    images, labels = maps(mnist.train.images), mnist.train.labels.cpu().numpy()

    def epoch():
        model.fit(images, labels, batch_size=128, epochs=1, verbose=0)

    def predict(images, batch_size):
        return model.predict(maps(images), batch_size=batch_size, verbose=0).argmax(1)

    seconds, accuracy = watched(epoch, predict, mnist, epochs, until=0.99)
    return Trained(
        seconds, accuracy, predict, model.count_params(), f"Keras {keras.__version__} on {keras.backend.backend()}"
    )


@dataclass(frozen=True)
class Peer:
    """A row of the table: `train` is a function of data, seed and epochs that gives the `Trained`; `needs` are modules
    that the course itself can do without."""

    label: str
    train: Callable
    epochs: int
    recipe: str
    needs: tuple = ()


CNN = {"batch_size": 128, "learning_rate": 2e-2, "weight_decay": 0.05, "label_smoothing": 0.1}
WEAK = mh.Augmentation(rotation=5, shift=1, scale=0.05, shear=5)  # a short training cannot learn from more
LOADER = ("torchvision", "psutil")  # what core.py imports
PEERS = {
    "mlp-short": Peer(
        "course MLP, short",
        course(mh.MLP, batch_size=256, learning_rate=6e-3),
        7,
        "AdamW one-cycle 6e-3, weight decay 0.3, batch 256, for 98 %",
    ),
    "mlp": Peer(
        "course MLP",
        course(mh.MLP, augment=mh.Augmentation()),
        40,
        "AdamW one-cycle 8e-3, weight decay 0.3, batch 512, augmentation, for 99 %",
    ),
    "cnn-short": Peer(
        "course CNN, short",
        course(mh.CNN, **CNN),
        1,
        "AdamW one-cycle 2e-2, weight decay 0.05, batch 128, label smoothing 0.1, for 99 %",
    ),
    "cnn": Peer(
        "course CNN",
        course(mh.CNN, **CNN, augment=WEAK),
        6,
        "AdamW one-cycle 2e-2, weight decay 0.05, batch 128, label smoothing 0.1, weak augmentation, for 99.5 %",
    ),
    "textbook": Peer(
        "textbook loop, MLP", textbook, 10, "DataLoader, torchvision's transforms, Adam 1e-3, batch 64", LOADER
    ),
    "official": Peer(
        "PyTorch's official example",
        official,
        14,
        "DataLoader, Adadelta 1.0, times 0.7 every epoch, batch 64; ends at 99 %",
        LOADER,
    ),
    "sklearn": Peer("scikit-learn MLPClassifier", scikit_learn, 15, "(128, 64), Adam 1e-3, batch 200", ("sklearn",)),
    "keras": Peer("Keras' own example", keras_convnet, 6, "Adam, batch 128; ends at 99 %", ("keras",)),
}

# Okabe and Ito's colours, which people with any kind of colour vision can tell apart, and a marker each.
LOOKS = dict(
    zip(
        PEERS,
        [("#56B4E9", "v"), ("#0072B2", "o"), ("#E69F00", "^"), ("#D55E00", "s"), ("#009E73", "D"), ("#000000", "X"),
         ("#CC79A7", "P"), ("#7F7F7F", "*")],
        strict=True,
    )
)  # fmt: skip


# One run


def load(quick):
    """MNIST without the line that says so. With `quick`, a few hundred images of it."""
    with redirect_stdout(io.StringIO()):
        mnist = mh.load_mnist(mh.pick_device())
    if quick:
        return type(mnist)(mnist.train[-640:], mnist.validation[:200], mnist.test[:200], mnist.source)
    if mnist.source.is_sample:
        raise SystemExit("The comparison needs the full MNIST; --quick is content with the offline sample.")
    return mnist


def measure(name, seed, epochs, quick):
    """Train a peer and measure all about it, as plain values. Runs in a process of its own."""
    mnist = load(quick)
    trained = PEERS[name].train(mnist, seed, epochs)
    images = mnist.validation.images
    return {
        "seed": seed,
        "epochs": epochs,  # at most
        "recipe": PEERS[name].recipe,
        "seconds": trained.seconds,
        "validation": trained.accuracy,
        "test": share_right(trained.predict, mnist.test),
        "train_rate": len(mnist.train) * len(trained.seconds) / sum(trained.seconds),
        "batch_rate": prediction_rate(trained.predict, images, 1000),
        "single_rate": prediction_rate(trained.predict, images[:100], 1),
        "parameters": trained.parameters,
        "setting": trained.setting,
        "memory": peak_memory(),
    }


def prediction_rate(predict, images, batch_size):
    """Images per second, from raw images to labels: the median of three times."""
    seconds = []
    for _ in range(3):
        start = time.perf_counter()
        predict(images, batch_size)
        seconds.append(time.perf_counter() - start)
    return len(images) / statistics.median(seconds)


def peak_memory():
    """The most memory, in bytes, that this process has had in use."""
    if sys.platform == "win32":
        import psutil

        return psutil.Process().memory_info().peak_wset
    import resource

    used = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return used if sys.platform == "darwin" else 1024 * used


def cost(quick):
    """Seconds of an epoch of 55,000 images by threads and batch size, for our networks: measured on a fifth of it."""
    mnist = load(quick)
    some, rows = mnist.train[-11_000:], []
    counts = sorted({min(2**power, joblib.cpu_count()) for power in range(10)})
    for threads in counts[:1] if quick or some.images.device.type != "cpu" else counts:
        os.environ["OMP_NUM_THREADS"] = str(threads)  # so that fit takes it for the user's choice
        torch.set_num_threads(threads)
        for network in (mh.MLP, mh.CNN):
            precision = quicker_precision(some) if network is mh.CNN else "float32"
            for batch_size in [size for size in BATCH_SIZES if size <= len(some)]:
                model = network().to(some.images.device)
                history = fit(
                    model, some, some[:1], epochs=2, batch_size=batch_size, precision=precision, progress=False
                )
                rows.append(
                    {
                        "network": network.__name__,
                        "threads": threads,
                        "precision": precision,
                        "batch_size": batch_size,
                        "seconds": history.seconds[-1] * 55_000 / len(some),  # the first warms up
                    }
                )
    return rows


# All runs


def missing(name):
    """The line that says which library a peer lacks, or None."""
    for module in PEERS[name].needs:
        if importlib.util.find_spec(module) is None:
            return f"{INSTALL[module]} is not installed: pip install {INSTALL[module].lower()}"
    return None


def run_all(names, seeds, epochs, quick):
    """The results of `names`, `{"peers": {name: [runs]}, "cost": [rows]}`. The peers take turns, seed by seed, because
    the speed of a shared machine drifts; every run has a new process, whose peak memory is its own."""
    results = {"peers": {name: [] for name in names if name != "cost"}}
    new_process = ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn"), max_tasks_per_child=1)
    with new_process as pool:
        for seed in range(seeds):
            for name, runs in results["peers"].items():
                runs.append(pool.submit(measure, name, seed, epochs or PEERS[name].epochs, quick).result())
                print(f"  {name}, seed {seed}: {sum(runs[-1]['seconds']):.1f} s of training, "
                      f"validation {runs[-1]['validation'][-1]:.2%}", flush=True)  # fmt: skip
        if "cost" in names:
            results["cost"] = pool.submit(cost, quick).result()
    return results


def stored(path, hardware, data):
    """The commands and the results in the file at `path`, to which others of the same machine and data may be added."""
    if not path.exists():
        return [], {"peers": {}}
    content = json.loads(path.read_text(encoding="utf-8"))
    was, now = f"{content['hardware']}, {content['results']['data']}", f"{hardware}, {data}"
    if was != now:
        raise SystemExit(
            f"{path.name} was measured on: {was}. This is: {now}. The two are not mixed: name no peers, and all of "
            "them are measured here and replace it."
        )
    return content["command"].split(" && "), content["results"]


def merge(old, new):
    """`old` results with the `new` ones in place of those of the same name, in the table's order."""
    peers = old["peers"] | new["peers"]
    return old | new | {"peers": {name: peers[name] for name in PEERS if name in peers}}


# Table and figure


def spread(values, digits):
    """Mean ± deviation; a single value has none."""
    deviation = f" ± {statistics.stdev(values):,.{digits}f}" if len(values) > 1 else ""
    return f"{statistics.mean(values):,.{digits}f}{deviation}"


def time_to(run, target):
    """Training seconds of a run up to the end of the first epoch with that accuracy on validation, or None."""
    for number, accuracy in enumerate(run["validation"], start=1):
        if accuracy >= target:
            return sum(run["seconds"][:number])
    return None


def time_cell(runs, target):
    times = [seconds for run in runs if (seconds := time_to(run, target)) is not None]
    if not times:
        if all(len(run["seconds"]) < run["epochs"] for run in runs):  # content with less, it stopped
            return "not tried"
        epochs = max(len(run["seconds"]) for run in runs)
        return f"not in {epochs} epoch{'s' if epochs > 1 else ''}"
    return f"{spread(times, 1)} s" + (f" ({len(times)} of {len(runs)})" if len(times) < len(runs) else "")


def table(results):
    """A Markdown table: a line for every peer; mean ± deviation over n seeds."""
    heads = ["peer", *(f"to {100 * target:g} %" for target in TARGETS), "test, %", "epochs", "n", "training, images/s"]
    heads += ["prediction, images/s", "one by one", "memory, MB", "parameters"]
    lines = ["| " + " | ".join(heads) + " |", "|---" * len(heads) + "|"]
    for name, runs in results["peers"].items():

        def column(key, digits=0, factor=1, runs=runs):
            return spread([factor * run[key] for run in runs], digits)

        cells = [PEERS[name].label, *(time_cell(runs, target) for target in TARGETS), column("test", 2, 100)]
        cells += [str(max(len(run["seconds"]) for run in runs)), str(len(runs)), column("train_rate")]
        cells += [column("batch_rate"), column("single_rate"), column("memory", 0, 1e-6), f"{runs[0]['parameters']:,}"]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def ratios(results):
    """Lines that say how many times longer a peer takes to an accuracy than the course, seed by seed of one run. A run
    of the peer that ended without it counts with all of its time, which is less than it would have taken."""
    lines = []
    for slow, quick, target in RATIOS:
        pairs = zip(results["peers"].get(slow, []), results["peers"].get(quick, []), strict=False)
        pairs = [(one, time_to(one, target), time_to(other, target)) for one, other in pairs]
        pairs = [pair for pair in pairs if pair[2]]
        if any(reached for _, reached, _ in pairs):
            times = [(reached or sum(one["seconds"])) / other for one, reached, other in pairs]
            ended = sum(reached is None for _, reached, _ in pairs)
            lines.append(
                f"to {100 * target:g} % on validation, {PEERS[slow].label} takes {'at least ' if ended else ''}"
                f"{spread(times, 1)} times as long as {PEERS[quick].label} (n = {len(times)}"
                + (f"; {ended} ended without it and counts with all of its time)" if ended else ")")
            )
    return lines


def recipe_lines(results):
    return [
        f"{PEERS[name].label}: {runs[0]['recipe']}; epochs: {runs[0]['epochs']} at most; {runs[0]['setting']}"
        for name, runs in results["peers"].items()
    ]


def curve(row):
    return row["network"], row["threads"], row["precision"]


def cost_lines(rows):
    lines = []
    for key in dict.fromkeys(map(curve, rows)):
        cells = [f"{row['batch_size']}: {row['seconds']:.2f}" for row in rows if curve(row) == key]
        lines.append(f"{key[0]}, threads: {key[1]}, {key[2]}; seconds of an epoch by batch size: {', '.join(cells)}")
    return lines


def plot(results, path):
    """Accuracy on validation against training time, a line for every run; and the cost of the course's epochs."""
    import matplotlib.pyplot as plt

    plt.rcParams.update({"font.size": 9, "axes.grid": True, "grid.alpha": 0.3, "figure.facecolor": "white"})
    figure, (left, right) = plt.subplots(
        1, 2, figsize=(11, 4.6), layout="constrained", gridspec_kw={"width_ratios": [1.7, 1]}
    )
    for name, runs in results["peers"].items():
        color, marker = LOOKS[name]
        ours = PEERS[name].label.startswith("course")
        for run in runs:
            mistakes = [100 - 100 * accuracy for accuracy in run["validation"]]
            left.plot(np.cumsum(run["seconds"]), np.maximum(mistakes, 0.1), linestyle="-" if ours else "--",
                      color=color, marker=marker, markersize=4, linewidth=1.2,
                      label=PEERS[name].label if run is runs[0] else None)  # fmt: skip
    shown = (90, 95, 98, 99, 99.5, 99.8)
    left.set(xscale="log", yscale="log", xlabel="training time (s)", ylabel="accuracy on validation (%)")
    left.set_yticks([100 - accuracy for accuracy in shown], [f"{accuracy:g}" for accuracy in shown])
    left.minorticks_off()
    left.set_ylim(12, 0.25)
    left.xaxis.set_major_formatter("{x:g}")
    left.set_title("Every mark is the end of an epoch")
    figure.legend(*left.get_legend_handles_labels(), loc="outside lower center", ncols=4, frameon=False)

    rows = results.get("cost", [])
    for key in dict.fromkeys(map(curve, rows)):
        points = [(row["batch_size"], row["seconds"]) for row in rows if curve(row) == key]
        network, threads, precision = key
        color, marker = LOOKS[network.lower()]
        right.plot(*zip(*points, strict=True), color=color, marker=marker, markersize=5,
                   linestyle="-" if threads == 1 else "--",
                   label=f"{network}, {precision}, {threads} thread{'s' if threads > 1 else ''}")  # fmt: skip
    right.set(xscale="log", yscale="log", xlabel="batch size (images)", ylabel="seconds of an epoch")
    right.set_xticks(BATCH_SIZES, [str(size) for size in BATCH_SIZES])
    seconds = (0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100)
    low, high = right.get_ylim()
    right.set_yticks([tick for tick in seconds if low <= tick <= high])
    right.yaxis.set_major_formatter("{x:g}")
    right.minorticks_off()
    right.set_title("What the course's epochs cost")
    if rows:
        right.legend(fontsize=8)
    figure.savefig(path, dpi=150)
    plt.close(figure)


def main(arguments=None):
    everything = [*PEERS, "cost"]
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="peer", help=f"{', '.join(everything)}; all by default")
    parser.add_argument("--seeds", type=int, default=5, help="runs of each peer")
    parser.add_argument("--epochs", type=int, help="instead of each peer's own number")
    parser.add_argument("--quick", action="store_true", help="few images, one epoch and seed; stored only in --output")
    parser.add_argument(
        "--output", type=Path, help="folder for peers.json and benchmarks.png, instead of the project's"
    )
    options = parser.parse_args(arguments)
    unknown = [name for name in options.names if name not in everything]
    if unknown:
        raise SystemExit(f"There is no peer {unknown[0]!r}: choose among {', '.join(everything)}.")
    for key in ("seeds", "epochs"):
        number = getattr(options, key)
        if number is not None and number < 1:
            raise SystemExit(f"{key} is {number}, but must be at least 1.")
    if options.output and not options.output.is_dir():
        raise SystemExit(f"There is no folder {str(options.output)!r} for the results.")
    if options.quick:
        options.seeds = options.epochs = 1

    hardware = describe()
    data = "a few hundred images" if options.quick else "the full MNIST"
    path = (options.output or ROOT / "mnist_helpers" / "results") / "peers.json"
    lacking = {name: line for name in options.names or PEERS if name in PEERS and (line := missing(name))}
    if options.names and lacking:
        raise SystemExit("\n".join(lacking.values()))
    storing = options.output or not options.quick
    merging = options.names and storing
    commands, old = stored(path, hardware, data) if merging else ([], {"peers": {}})  # now, not after minutes
    print(hardware)
    print("\n".join(lacking.values()), end="\n" if lacking else "")
    names = [name for name in everything if name in (options.names or everything) and name not in lacking]

    start = time.perf_counter()
    new = run_all(names, options.seeds, options.epochs, options.quick)
    results = merge(old, new | {"data": data})
    if storing:
        command = " ".join(["python benchmarks/peers.py", *(sys.argv[1:] if arguments is None else arguments)])
        store("peers", " && ".join(dict.fromkeys([*commands, command])), results, folder=path.parent)
        plot(results, (options.output or ROOT / "docs") / "benchmarks.png")
    print(f"{time.perf_counter() - start:.0f} s\n\n{table(results)}\n")
    print("\n".join([*ratios(results), *recipe_lines(results), *cost_lines(results.get("cost", []))]))


if __name__ == "__main__":
    main()
