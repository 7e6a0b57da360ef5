"""Whether more processes, a compiler or bfloat16 train faster here, and how much memory a class needs.

    python benchmarks/scaling.py               stores results/scaling.json (four minutes on two quiet cores)
    python benchmarks/scaling.py memory        stores results/classroom.json (all notebooks run once; Linux)

What is compared runs in turn in one process, several rounds; a stored ratio is the mean over the rounds, with its
standard deviation. One process with two threads and two processes with one thread each have the same two cores. What
torch.compile takes before the first step is measured in programs started anew: with an empty cache, then once more
with what the first has left there.
"""

import argparse
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack, contextmanager
from pathlib import Path

import nbformat
import torch
import torch.distributed as dist
import torch.nn.functional as F
from hardware import describe, fit, store
from nbclient import NotebookClient

import mnist_helpers as mh

ROOT = Path(__file__).resolve().parent.parent
BATCH_SIZE = {"MLP": 512, "CNN": 256}
IMAGES = {"MLP": 55_000, "CNN": 5_120}
EPOCHS = {"MLP": 5, "CNN": 2}
WAYS = {"1 process, 1 thread": (1, 1), "1 process, 2 threads": (1, 2), "2 processes, 1 thread each": (2, 1)}


def train(name, mnist, threads):
    """A fresh network trained for a few epochs: its history."""
    torch.set_num_threads(threads)
    mh.set_seed(0)
    model = getattr(mh, name)().to(mnist.train.images.device)
    return fit(
        model,
        mnist.train[-IMAGES[name] :],
        mnist.validation,
        epochs=EPOCHS[name],
        batch_size=BATCH_SIZE[name],
        progress=False,
    )


def worker(path, rounds):
    """One of two processes under torchrun. The second waits idly while the first trains alone."""
    mnist = mh.load_mnist()
    rank, address = int(os.environ["RANK"]), (os.environ["MASTER_ADDR"], int(os.environ["MASTER_PORT"]))
    store = dist.TCPStore(*address, is_master=False)
    results = {}
    for turn in range(rounds):
        for name in BATCH_SIZE:
            for way, (processes, threads) in WAYS.items():
                if processes == 1 and rank == 0:
                    history = train(name, mnist, threads)
                elif processes == 2:
                    part = dist.PrefixStore(f"{name} {turn}", store)
                    dist.init_process_group("gloo", store=part, rank=rank, world_size=2)
                    history = train(name, mnist, threads)
                    dist.destroy_process_group()
                else:
                    continue
                entry = results.setdefault(name, {}).setdefault(way, {"seconds": [], "train_loss": history.train_loss})
                entry["seconds"].append(statistics.median(history.seconds))
    if rank == 0:
        Path(path).write_text(json.dumps(results))


def ratios(before, after):
    """How many times as fast `after` is: mean, standard deviation and number of the ratios of each round's seconds."""
    values = [a / b for a, b in zip(before, after, strict=True)]
    return {"speedup": statistics.mean(values), "deviation": statistics.stdev(values), "n": len(values)}


def processes(rounds):
    """Seconds an epoch, images a second and loss curves, by network and way."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "results.json"
        launch = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node=2"]
        subprocess.run([*launch, __file__, "worker", str(path), f"--rounds={rounds}"], check=True, timeout=1800)
        results = json.loads(path.read_text())
    for name, ways in results.items():
        alone = ways["1 process, 1 thread"]["seconds"]
        for way, entry in ways.items():
            entry |= ratios(alone, entry["seconds"]) | {"rounds": entry["seconds"]}
            entry["seconds"] = statistics.median(entry["rounds"])
            entry["images_per_second"] = IMAGES[name] / entry["seconds"]
            print(f"{name}, {way}: {entry['images_per_second']:,.0f} images a second, {in_words(entry)}", flush=True)
    return results


def in_words(entry):
    return f"{entry['speedup']:.2f} ± {entry['deviation']:.2f} times as fast (n = {entry['n']})"


def seconds_of(step, count):
    start = time.perf_counter()
    for _ in range(count):
        step()
    return (time.perf_counter() - start) / count


def make(name, images, labels, *, precision="float32", compiled=False):
    """A function that makes one training step of a fresh network."""
    model = getattr(mh, name)()
    optimizer = torch.optim.AdamW(model.parameters(), fused=True)
    run = torch.compile(model) if compiled else model

    def step():
        with torch.autocast("cpu", torch.bfloat16, enabled=precision == "bfloat16"):
            logits = run(images)
        loss = F.cross_entropy(logits.float(), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    return step


def a_batch(name):
    """Random images, scaled, and labels, as many as a batch of the network has."""
    size = BATCH_SIZE[name]
    return mh.normalize(torch.randint(0, 256, (size, 28, 28))), torch.arange(size) % 10


def speedups(rounds):
    """Training steps of one thread: eager float32 against torch.compile and against bfloat16, in turn."""
    torch.set_num_threads(1)
    results = {}
    for name in BATCH_SIZE:
        batch = a_batch(name)
        steps = {"eager": make(name, *batch), "bfloat16": make(name, *batch, precision="bfloat16")}
        try:
            steps["compiled"] = make(name, *batch, compiled=True)
            steps["compiled"]()
        except Exception as error:  # no C++ compiler: torch raises many kinds
            print(f"{name}: torch.compile does not work here ({type(error).__name__})")
            del steps["compiled"]
        for step in steps.values():
            step()  # warm up
        count = 40 if name == "MLP" else 8
        taken = {key: [] for key in steps}
        for _ in range(2 * rounds):
            for key, step in steps.items():
                taken[key].append(seconds_of(step, count))
        results[name] = {}
        for key in steps:
            entry = {"seconds": statistics.median(taken[key])} | ratios(taken["eager"], taken[key])
            results[name][key] = entry
            print(f"{name}, {key}: {1000 * entry['seconds']:.1f} ms a step, {in_words(entry)}", flush=True)
        if "compiled" in steps:
            results[name]["compiled"]["first_step"] = first_steps(name, 3)
    return results


def first_steps(name, count):
    """Seconds until torch.compile's first training step is done, in programs started anew: `count` times with an empty
    cache ("empty"), and each time once more with what the one before has left in it ("filled")."""
    seconds = {"empty": [], "filled": []}
    for _ in range(count):
        with tempfile.TemporaryDirectory() as cache:
            environment = os.environ | {"TORCHINDUCTOR_CACHE_DIR": cache}
            for values in seconds.values():
                command = [sys.executable, __file__, "compile", name]
                done = subprocess.run(command, env=environment, check=True, timeout=600, stdout=subprocess.PIPE)
                values.append(float(done.stdout.split()[-1]))
    for cache, values in seconds.items():
        print(f"{name}, compiled, {cache} cache: first step after", ", ".join(f"{s:.1f} s" for s in values), flush=True)
    return {
        cache: {"seconds": statistics.mean(values), "deviation": statistics.stdev(values), "n": len(values)}
        for cache, values in seconds.items()
    }


def compile_once(name):
    """Print the seconds that one training step takes from the call of torch.compile on."""
    torch.set_num_threads(1)
    batch = a_batch(name)
    print(seconds_of(lambda: make(name, *batch, compiled=True)(), 1))


# Memory


@contextmanager
def kernels(book, count=1):
    """Clients of `count` fresh notebook kernels, each of which has run the cells of `book`."""
    with ExitStack() as stack:
        clients = []
        for _ in range(count):
            client = NotebookClient(book, timeout=600, resources={"metadata": {"path": str(ROOT / "notebooks")}})
            stack.enter_context(client.setup_kernel())
            for index, cell in enumerate(book.cells):
                if cell.cell_type == "code":
                    client.execute_cell(cell, index)
            clients.append(client)
        yield clients


def megabytes(client):
    """Of a kernel: resident memory; its proportional share (what it has alone, and its part of what it shares); the
    most that was ever resident."""
    pid = client.km.provisioner.process.pid
    text = "".join(Path(f"/proc/{pid}/{name}").read_text() for name in ("smaps_rollup", "status"))
    sizes = re.findall(r"^(Rss|Pss|VmHWM):\s+(\d+) kB", text, re.MULTILINE)
    names = {"Rss": "resident", "Pss": "proportional", "VmHWM": "peak"}
    return {names[key]: int(size) * 1024 / 1e6 for key, size in sizes}  # the "kB" of /proc are 1024 bytes


def memory(count, names):
    """Of `count` kernels side by side, and of one kernel after each notebook."""
    results = {"kernels": count, "side by side": {}, "notebooks": {}}
    stages = {
        "import mnist_helpers": "import mnist_helpers as mh",
        "the data": "import mnist_helpers as mh\nmnist = mh.load_mnist()",
        "training": "import mnist_helpers as mh\nmnist = mh.load_mnist()\nmodel = mh.CNN()\n"
        "mh.fit(model, mnist.train[:2560], mnist.validation, epochs=1, batch_size=256, progress=False)",
    }
    for stage, source in stages.items():
        book = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source)])
        with kernels(book, count) as clients:
            sizes = [megabytes(client) for client in clients]
        results["side by side"][stage] = {key: statistics.mean(size[key] for size in sizes) for key in sizes[0]}
        print(f"{count} kernels after {stage}: {results['side by side'][stage]}", flush=True)
    for path in sorted((ROOT / "notebooks").glob("[0-9]*.ipynb")):
        if names and not path.stem.startswith(tuple(names)):
            continue
        with kernels(nbformat.read(path, as_version=4)) as (client,):
            results["notebooks"][path.stem] = megabytes(client)
        print(f"{path.stem}: {results['notebooks'][path.stem]}", flush=True)
    return results


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("part", nargs="?", default="speed", choices=["speed", "memory", "worker", "compile"])
    parser.add_argument("what", nargs="?", help=argparse.SUPPRESS)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--kernels", type=int, default=4, help="that run side by side, for memory")
    parser.add_argument("--notebooks", nargs="*", help="beginnings of their names, for memory; all by default")
    arguments = parser.parse_args()
    if arguments.part == "worker":
        return worker(arguments.what, arguments.rounds)
    if arguments.part == "compile":
        return compile_once(arguments.what)
    command = " ".join(["python", "benchmarks/scaling.py", *sys.argv[1:]])
    print(describe())
    if arguments.part == "memory":
        return store("classroom", command, memory(arguments.kernels, arguments.notebooks))
    if mh.load_mnist().source.is_sample:
        raise SystemExit("this needs the full MNIST")
    results = {"processes": processes(arguments.rounds), "speedups": speedups(arguments.rounds)}
    results |= {"batch_size": BATCH_SIZE, "images": IMAGES}
    store("scaling", command, results)


if __name__ == "__main__":
    main()
