"""The course's numbers, measured on this machine in one run.

    python benchmarks/core.py                      everything (about ten minutes on two cores)
    python benchmarks/core.py accuracy speed       only these parts: accuracy, program, speed, memory

Times are compared within the run: absolute ones depend on the machine and on what else it does.
"""

import argparse
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

ROOT = Path(__file__).resolve().parent.parent
BATCH_SIZE = 512  # fit's default


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


def textbook_epoch(split):
    """Seconds for one epoch of the loop that PyTorch's tutorials write."""
    device = split.images.device
    model = mh.MLP().to(device)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    loader = DataLoader(Textbook(split), batch_size=BATCH_SIZE, shuffle=True)
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
    """fit's epoch against the textbook loop and against this machine's matrix products, in turn in one process."""
    mnist = mh.load_mnist(mh.pick_device())
    device = mnist.train.images.device
    ratios, shares = [], []
    for _ in range(rounds):
        rate = matmul_rate(device)
        mh.set_seed(0)
        model = mh.MLP().to(device)
        history = fit(model, mnist.train, mnist.validation, progress=False)
        rate = (rate + matmul_rate(device)) / 2  # before and after, since the machine's speed drifts
        epoch = statistics.median(history.seconds)
        shares.append(100 * operations_per_image(model) * len(mnist.train) / epoch / rate)
        ratios.append(textbook_epoch(mnist.train) / epoch)
        with sensible_threads() as threads:
            print(f"  epoch {epoch:.3f} s, {threads} threads, matrix products {rate / 1e9:.0f} GFLOP/s", flush=True)
    print(f"training epoch, times faster than the textbook loop (batch size {BATCH_SIZE}): {spread(ratios, 1)}")
    print(f"training epoch, share of this machine's float32 matrix-product rate: {spread(shares, 1)} %")


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
    parts = {"accuracy": accuracy, "program": program, "speed": speed, "memory": memory}
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", choices=[*parts, []], metavar="part", help=", ".join(parts))
    names = parser.parse_args().parts or list(parts)
    load = f", load {os.getloadavg()[0]:.1f}" if hasattr(os, "getloadavg") else ""
    print(f"{describe()}{load}")
    for name in names:
        parts[name]()


if __name__ == "__main__":
    main()
