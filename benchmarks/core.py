"""The course's numbers, measured on this machine in one run.

    python benchmarks/core.py                      everything (about ten minutes on two cores)
    python benchmarks/core.py accuracy speed       only these parts: accuracy, program, speed, parts, memory

Times are compared within the run: absolute ones depend on the machine and on what else it does.
"""

import argparse
import itertools
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil
import torch
import torch.nn.functional as F
from hardware import describe, fit
from PIL import Image
from torch.utils.data import DataLoader, Dataset
from torchvision import transforms

import mnist_helpers as mh
from mnist_helpers.devices import sensible_threads
from mnist_helpers.optimizer import make_optimizer, make_schedule

ROOT = Path(__file__).resolve().parent.parent
BATCH_SIZES = (64, 128, 256, 512, 1024)


def spread(values, digits=2):
    """Mean ± deviation (n)."""
    deviation = statistics.stdev(values) if len(values) > 1 else 0.0
    return f"{statistics.mean(values):.{digits}f} ± {deviation:.{digits}f} (n = {len(values)})"


def accuracy(seeds=5):
    """Test accuracy of train.py's defaults: the last epoch's weights, several seeds."""
    mnist = mh.load_mnist(mh.pick_device())
    results = []
    for seed in range(seeds):
        mh.set_seed(seed)
        model = mh.MLP().to(mnist.train.images.device)
        fit(model, mnist.train, mnist.validation, seed=seed, progress=False)
        results.append(100 * mh.evaluate(model, mnist.test).accuracy)
    print(f"train.py's defaults, test accuracy of the last epoch: {spread(results)} %")


def program(runs=5):
    """The whole of train.py as a user starts it."""
    seconds, peaks = [], []
    for _ in range(runs):
        with tempfile.TemporaryDirectory() as folder:
            # Without a window, which would wait for somebody to close it.
            taken, peak = watch([sys.executable, str(ROOT / "train.py")], folder, MPLBACKEND="agg")
        seconds.append(taken)
        peaks.append(peak)
    print(f"python train.py, imports and evaluation included: {spread(seconds, 1)} s, fastest {min(seconds):.1f} s")
    print(f"its peak memory: {max(peaks):.0f} MB")


class Textbook(Dataset):
    """One image at a time, as torchvision's MNIST gives it: a PIL picture through `ToTensor` and `Normalize`."""

    def __init__(self, split):
        self.images, self.labels = split.images.cpu().numpy(), split.labels.tolist()
        self.transform = transforms.Compose([transforms.ToTensor(), transforms.Normalize((mh.MEAN,), (mh.STD,))])

    def __len__(self):
        return len(self.labels)

    def __getitem__(self, index):
        return self.transform(Image.fromarray(self.images[index], mode="L")), self.labels[index]


def textbook_epoch(split, batch_size):
    """Seconds for one epoch of the loop that PyTorch's tutorials write."""
    device = split.images.device
    model = mh.MLP().to(device)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    loader = DataLoader(Textbook(split), batch_size=batch_size, shuffle=True)
    start = time.perf_counter()
    for images, labels in loader:
        images, labels = images.to(device), labels.to(device)
        loss = F.cross_entropy(model(images), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    loss.item()
    return time.perf_counter() - start


def matmul_rate(device, size=2048, repeats=10):
    """Floating-point operations per second of a square float32 product with all the threads that PyTorch takes."""
    a, b = torch.randn(size, size, device=device), torch.randn(size, size, device=device)
    seconds = []
    for _ in range(repeats):
        start = time.perf_counter()
        (a @ b)[0, 0].item()
        seconds.append(time.perf_counter() - start)
    return 2 * size**3 / statistics.median(seconds)


def operations_per_image(model):
    """Floating-point operations of one training step per image: forward, weight gradients, and the gradients passed
    back to every layer but the first; 2 per weight each. Biases, activations and the optimizer are not counted."""
    layers = [module.weight.numel() for module in model.modules() if isinstance(module, torch.nn.Linear)]
    return 2 * (2 * sum(layers) + sum(layers[1:]))


def speed(rounds=3):
    """fit's epoch against the textbook loop, for each batch size, and at fit's default against this machine's matrix
    products; all in turn in one process."""
    mnist = mh.load_mnist(mh.pick_device())
    device = mnist.train.images.device
    ratios, shares = {size: [] for size in BATCH_SIZES}, []
    for _ in range(rounds):
        for size in BATCH_SIZES:
            rate = matmul_rate(device)
            mh.set_seed(0)
            model = mh.MLP().to(device)
            history = fit(model, mnist.train, mnist.validation, epochs=4, batch_size=size, progress=False)
            rate = (rate + matmul_rate(device)) / 2  # before and after, since the machine's speed drifts
            epoch = statistics.median(history.seconds)
            ratios[size].append(textbook_epoch(mnist.train, size) / epoch)
            with sensible_threads(model=model, batch_size=size) as threads:
                print(f"  batch {size}: epoch {epoch:.3f} s, {threads} threads", flush=True)
            if size == 512:
                shares.append(100 * operations_per_image(model) * len(mnist.train) / epoch / rate)
    for size, values in ratios.items():
        print(f"training epoch, times faster than the textbook loop, batch size {size}: {spread(values, 1)}")
    print(f"training epoch, share of this machine's float32 matrix-product rate, batch size 512: {spread(shares, 1)} %")


class Clock:
    """Adds up the time between calls, by the name of what was done before the call."""

    def __init__(self):
        self.seconds, self.last = {}, time.perf_counter()

    def __call__(self, name):
        now = time.perf_counter()
        self.seconds[name] = self.seconds.get(name, 0.0) + now - self.last
        self.last = now


def parts():
    """Where the time of a step goes: the loop of `fit` with a clock between its lines, on a CPU and in one thread."""
    mnist = mh.load_mnist()
    with sensible_threads(1):
        for network, size in ((mh.MLP, 64), (mh.MLP, 512), (mh.CNN, 256)):
            model, steps = network().train(), 100 if network is mh.CNN else 400
            optimizer = make_optimizer(model, 1e-3, 0.1)
            schedule = make_schedule(optimizer, 1e-3, steps + 1, one_cycle=True)
            batches = itertools.chain.from_iterable(mh.Batches(mnist.train, size, seed=seed) for seed in range(9))
            loss_sum, correct, clock = torch.zeros(()), torch.zeros((), dtype=torch.int64), Clock()
            for step, (images, labels) in enumerate(itertools.islice(batches, steps)):
                clock = Clock() if step == 10 else clock  # the first warm up
                clock("batch")
                logits = model(images)
                clock("forward")
                loss = F.cross_entropy(logits, labels)
                clock("loss")
                optimizer.zero_grad()
                loss.backward()
                clock("backward")
                optimizer.step()
                clock("optimizer")
                schedule.step()
                clock("schedule")
                loss_sum += loss.detach() * len(labels)
                correct += (logits.argmax(1) == labels).sum()
                clock("bookkeeping")
            total = sum(clock.seconds.values())
            shares = ", ".join(f"{name} {100 * seconds / total:.0f} %" for name, seconds in clock.seconds.items())
            print(f"a step of the {network.__name__}, batch {size}: {1e6 * total / (steps - 10):,.0f} µs: {shares}")


def watch(command, folder, **variables):
    """Seconds that `command` takes in `folder`, with these environment `variables` besides the usual, and the peak
    memory (resident, MB) of the largest of its processes."""
    peak, start = 0, time.perf_counter()
    with tempfile.TemporaryFile() as output:
        environment = os.environ | variables
        process = psutil.Popen(command, cwd=folder, env=environment, stdout=output, stderr=subprocess.STDOUT)
        while process.poll() is None:
            for one in [process, *children(process)]:
                try:
                    peak = max(peak, one.memory_info().rss)
                except psutil.Error:  # it has just ended
                    continue
            time.sleep(0.02)
        if process.returncode:
            output.seek(0)
            raise SystemExit(f"{' '.join(command)} failed:\n{output.read().decode()}")
    return time.perf_counter() - start, peak / 1e6


def children(process):
    try:
        return process.children(recursive=True)
    except psutil.Error:
        return []


def memory():
    """Time and peak memory of every notebook, validated cell by cell."""
    total = 0.0
    for path in sorted((ROOT / "notebooks").glob("*.ipynb")):
        taken, peak = watch([sys.executable, "-m", "pytest", "-q", str(path)], ROOT)
        total += taken
        print(f"  {path.stem}: {taken:.0f} s, {peak:.0f} MB", flush=True)
    print(f"all notebooks through nbval: {total:.0f} s")


def main():
    all_parts = {"accuracy": accuracy, "program": program, "speed": speed, "parts": parts, "memory": memory}
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", choices=[*all_parts, []], metavar="part", help=", ".join(all_parts))
    names = parser.parse_args().parts or list(all_parts)
    load = f", load {os.getloadavg()[0]:.1f}" if hasattr(os, "getloadavg") else ""
    print(f"{describe()}{load}")
    for name in names:
        all_parts[name]()


if __name__ == "__main__":
    main()
