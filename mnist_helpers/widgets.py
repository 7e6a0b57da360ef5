"""The interactive parts: thin ipywidgets around the rooms before this one. Each shows a picture and a sentence, live in
a running notebook and as a still image where nothing runs, as on GitHub."""

import base64
import html
import io
import zlib
from contextlib import redirect_stdout
from pathlib import Path

import anywidget
import ipywidgets as widgets
import numpy as np
import torch
import traitlets
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image, ImageOps
from torch import nn

from .data import affine
from .drawing import (
    PEN,
    Drawing,
    ImageError,
    as_split,
    change_drawings,
    format_drawings,
    load_drawings,
    parse_drawings,
    render,
)
from .evaluation import evaluate
from .models import activations, predict_logits
from .neighbours import SPACES, Judge, Neighbours, first_weights, most_exciting
from .plotting import plot_prediction
from .prediction import predict, read_grey
from .robustness import attack
from .training import sensible_threads

WIDE = {"width": "30em"}


class Interactive(widgets.VBox):
    """Controls above a picture and a sentence that follow them.

    Args:
        controls: list of ipywidgets; `draw` is called whenever the `value` of one changes.
        draw: function without arguments that returns the picture (PNG bytes) and the sentence.
    """

    def __init__(self, controls, draw):
        self.draw = draw
        self.picture = widgets.Image(format="png", layout={"align_self": "flex-start", "max_width": "100%"})
        self.sentence = widgets.HTML()
        super().__init__([*controls, self.picture, self.sentence])
        for control in controls:
            control.observe(self.refresh, "value")
        self.refresh()

    def refresh(self, change=None):
        """Draw anew. A picture that cannot be read leaves the last one and says why."""
        try:
            self.picture.value, self.sentence.value = self.draw()
        except ImageError as error:
            self.sentence.value = html.escape(f"This picture cannot be used: {error}.")  # it may hold a file's name

    def _repr_mimebundle_(self, **kwargs):
        still = {"image/png": base64.b64encode(self.picture.value).decode(), "text/plain": self.sentence.value}
        return super()._repr_mimebundle_(**kwargs) | still


def browse(model, split):
    """Step through a `Split` with a slider: each image, its label and the ten probabilities of `model`."""
    position = widgets.IntSlider(max=len(split) - 1, description="image", layout=WIDE)

    def draw():
        prediction = predict(model, split.images[position.value].cpu())
        return _picture(prediction, truth=int(split.labels[position.value]))

    return Interactive([position], draw)


def transform(model, image, truth=None):
    """Rotate, shift and scale a digit `uint8 (28, 28)` with sliders: the original, what the network sees, and its ten
    probabilities."""
    sliders = [
        widgets.IntSlider(0, min=-180, max=180, step=5, description="rotate (°)", layout=WIDE),
        widgets.IntSlider(0, min=-10, max=10, description="right (px)", layout=WIDE),
        widgets.IntSlider(0, min=-10, max=10, description="down (px)", layout=WIDE),
        widgets.FloatSlider(1, min=0.4, max=1.6, step=0.05, description="scale (×)", layout=WIDE),
    ]
    image = image.cpu()

    def draw():
        rotation, right, down, scale = (slider.value for slider in sliders)
        moved = affine(image.unsqueeze(0), rotation=rotation, shift=(right, down), scale=scale)[0]
        return _picture(predict(model, moved), truth=truth, original=image.numpy())

    return Interactive(sliders, draw)


def mislead(model, image, truth):
    """Attack `model` on a digit `uint8 (28, 28)` whose true digit is `truth`: a slider for epsilon and a switch between
    one step (FGSM) and twenty (PGD). Shown are the noise, ink added white and ink taken black, what the network sees,
    and its ten probabilities."""
    size = widgets.FloatSlider(0.1, min=0, max=0.5, step=0.01, description="epsilon", layout=WIDE)
    steps = widgets.ToggleButtons(options={"one step": 1, "twenty steps": 20}, style={"button_width": "12em"})

    def draw():
        images, labels = image.unsqueeze(0), torch.tensor([truth])
        attacked = attack(model, images, labels, size.value, steps=steps.value)[0].round().byte().cpu()
        noise = attacked.float() - image.cpu()
        return _picture(predict(model, attacked), truth=truth, original=noise.numpy() + 128, title="the noise")

    return Interactive([size, steps], draw)


def read_picture(model, examples):
    """Choose one of `examples`, a dict of name to PIL image, or upload a file, and see what `model` makes of it; a
    switch turns the MNIST-style fit off."""
    own = "your own file"  # joins the examples with the first upload
    chosen = widgets.Dropdown(options=list(examples), description="picture")
    upload = widgets.FileUpload(accept="image/*", multiple=False, description=own)
    style = widgets.ToggleButtons(options=["as MNIST was made", "only shrunk"], style={"button_width": "12em"})

    def draw():
        if chosen.value in examples:
            picture = examples[chosen.value]
        else:
            try:
                picture = Image.open(io.BytesIO(upload.value[0]["content"]))
            except (OSError, Image.DecompressionBombError) as error:
                raise ImageError(f"{upload.value[0]['name']} is not a picture that can be read") from error
        grey = read_grey(picture)
        prediction = predict(model, grey, fit=style.value == "as MNIST was made")
        return _picture(prediction, original=np.asarray(ImageOps.contain(Image.fromarray(grey), (300, 300))), white=1)

    def choose_upload(change):
        if own not in chosen.options:
            chosen.options = [*examples, own]
        chosen.value = own

    upload.observe(choose_upload, "value")
    return Interactive([chosen, upload, style], draw)


def draw(model, mnist, *, keep=None):
    """A pad to draw digits on, and everything that `model` makes of them, live; see `Pad`.

    Args:
        model: a network from normalised images `(N, 1, 28, 28)` to logits `(N, 10)`; or several, a dict of name to
            network, among which the pad lets one choose. The first is shown first. The others are made ready when they
            are first chosen, which takes seconds.
        mnist: its training digits serve as neighbours, its validation digits set the limits of `Judge`, and its test
            digits make the map.
        keep: a file that drawings kept with their label are added to, and read from first if it exists; without it
            they last as long as the pad.

    Raises:
        ImageError: the file `keep` does not hold drawings, or it is a folder.
        ValueError: there is no network, one is none, has no `nn.ReLU`, so that its layers cannot be seen, or does not
            give ten finite logits, or a name is no text.
    """
    return Pad(_named(model), mnist, keep)


class Pad(anywidget.AnyWidget):
    """The drawing pad. The browser records strokes and shows what is computed here, at every stroke.

    Attributes:
        networks: the names of the networks; `network`: the chosen one, set it to choose.
        strokes: lists of points `[x, y]` from 0 to 1; set them to draw from Python.
        as_mnist: whether the strokes are made an image as MNIST was made, or as drawn; see `render`.
        opened: the open panels among "layers", "map" and "mine". What is hidden is not computed.
        space: of the map, one of `SPACES`.
        unit: the chosen unit of the first layer, or -1.
        model, judge: the chosen network and its `Judge`.
        drawing: the present `Drawing`; the last one, should `strokes` not be readable.
        prediction: the `Prediction` for it, None if the pad is empty.
        drawings: the `Drawing`s that were kept.
    """

    _esm = Path(__file__).parent / "pad.js"
    _css = Path(__file__).parent / "pad.css"
    networks = traitlets.List().tag(sync=True)
    network = traitlets.Unicode().tag(sync=True)
    strokes = traitlets.List().tag(sync=True)
    as_mnist = traitlets.Bool(True).tag(sync=True)
    opened = traitlets.List(["layers"]).tag(sync=True)
    space = traitlets.Enum(SPACES, SPACES[0]).tag(sync=True)
    unit = traitlets.Int(-1).tag(sync=True)
    pen = traitlets.Float(PEN, read_only=True).tag(sync=True)
    # What the browser shows: the answer, the chosen unit, the map, the place on it, the kept drawings, a complaint.
    seen = traitlets.Dict().tag(sync=True)
    detail = traitlets.Dict().tag(sync=True)
    map = traitlets.Dict().tag(sync=True)
    place = traitlets.Dict().tag(sync=True)
    mine = traitlets.Dict().tag(sync=True)
    notice = traitlets.Unicode().tag(sync=True)

    def __init__(self, models, mnist, keep=None):
        self.models, self.mnist = models, mnist
        self.keep_file = None if keep is None else Path(keep).absolute()  # even if the program changes its folder
        self.drawings = load_drawings(keep) if keep is not None and self.keep_file.is_file() else []
        if keep is not None and self.keep_file.is_dir():
            raise ImageError(f"{keep} is a folder: name a file to keep drawings in")
        name, self.model = next(iter(models.items()))
        self._judges, self._exciting, self._checksums = {}, {}, {}  # by the network's name
        self.judge = self._make_judge(name)
        self._by_pixels = self._mapped = None
        self.drawing, self.prediction = Drawing([]), None
        super().__init__(networks=list(models), network=name)
        self.on_msg(lambda widget, content, buffers: self._receive(content))
        self.observe(lambda change: self._switch(), ["network"])
        self.observe(lambda change: self._look(), ["strokes", "as_mnist", "opened"])
        self.observe(lambda change: self._locate(), ["space"])
        self.observe(lambda change: self._describe_unit(), ["unit", "opened"])
        self.observe(lambda change: self._tally(), ["opened"])
        self._look()

    @traitlets.validate("network")
    def _known(self, proposal):
        if proposal["value"] not in self.models:
            raise traitlets.TraitError(f"the network is one of {list(self.models)}, not {proposal['value']!r}")
        return proposal["value"]

    def __repr__(self):
        return f"Drawing pad: {self.seen['sentence']}"

    def _repr_mimebundle_(self, **kwargs):
        data, metadata = super()._repr_mimebundle_(**kwargs)
        if self.prediction is not None:
            picture, _ = _picture(self.prediction, original=render(self.drawing, fit=False).numpy())
            data["image/png"] = base64.b64encode(picture).decode()
        return data, metadata

    def _switch(self):
        """Show what the chosen network makes of everything. It answers at once; its judge takes seconds to make."""
        self.model, self.judge = self.models[self.network], self._judges.get(self.network)
        if self.judge is None:
            self._look()
            self.detail, self.place = {}, {}  # they were the other network's
            self.judge = self._make_judge(self.network)
        self._look()
        self._describe_unit()
        self._tally()

    def _make_judge(self, name):
        self._checksums[name] = _checksum(self.models[name])
        self._judges[name] = Judge(self.models[name], self.mnist)
        return self._judges[name]

    # At every stroke

    def _look(self):
        """Read the drawing anew: the image, the answer, the layers."""
        if self.judge is not None and self._checksums[self.network] != _checksum(self.models[self.network]):
            del self._judges[self.network]  # the network was trained on: what was known of it is no longer so
            self._exciting.pop(self.network, None)
            self._switch()
            return
        try:
            self.drawing = Drawing(self.strokes)
        except ImageError as error:
            self.notice = f"This drawing cannot be used: {error}."
            self._locate()
            return
        self.notice = ""
        self.prediction, seen = None, {}
        verdict, sentence = "", "The pad is empty. Draw a digit with mouse, finger, pen or keys."
        if self.drawing.strokes:
            with sensible_threads(1):  # for a single image, a second one would only be waited for
                self.prediction = predict(self.model, self.drawing, fit=self.as_mnist)
                if self.judge is not None:
                    verdict, sentence = _judged(self.prediction, self.judge(self.prediction))
                layers = self._layers() if "layers" in self.opened else []
            seen = {
                "image": self.prediction.image.numpy().tobytes(),
                "probabilities": [round(share, 4) for share in self.prediction.probabilities.tolist()],
                "digit": self.prediction.digit,
                "layers": layers,
            }
        if self.judge is None:
            digits = f"{len(self.mnist.train):,} training digits"
            verdict, sentence = "…", f"Preparing {self.network}: it reads {digits}, to know when to be sure."
        self.seen = seen | {"verdict": verdict, "sentence": sentence}
        self._locate()

    def _layers(self):
        answers = [layer[0] for layer in activations(self.model, self.prediction.image.unsqueeze(0))]
        answers[-1] = answers[-1].softmax(0)
        return [
            {
                "name": f"{_size(layer)} {'probabilities' if layer is answers[-1] else 'units'}",
                "shape": list(layer.shape),
                "values": (255 * layer / layer.max().clamp(min=1e-9)).clamp(0, 255).byte().numpy().tobytes(),
            }
            for layer in answers
        ]

    # The panels

    def _describe_unit(self):
        weights = first_weights(self.model)
        if "layers" not in self.opened or weights is None or not 0 <= self.unit < len(weights):
            self.detail = {}
            return
        if self.network not in self._exciting:
            self.detail = {"sentence": f"Preparing: which training digits excite unit {self.unit} most …"}
            self._exciting[self.network] = most_exciting(self.model, self.mnist.train.images)
        exciting = self._exciting[self.network]
        if len(exciting) != len(weights):  # the first ReLU does not follow the first weights
            self.detail = {}
            return
        best = exciting[self.unit]
        limit = weights.abs().quantile(0.995)  # as in plot_weights
        picture = (128 + 127 * weights[self.unit] / limit).clamp(0, 255).byte()
        labels = self.mnist.train.labels[best].tolist()
        self.detail = {
            "sentence": f"Unit {self.unit} of the first layer: what it looks for (purple: ink wanted, orange: ink "
            f"unwanted), and the training digits that excite it most.",
            "weights": picture.numpy().tobytes(),
            "shape": list(picture.shape),
            "images": self.mnist.train.images[best].cpu().numpy().tobytes(),
            "labels": labels,
        }

    def _locate(self):
        """Where the drawing lies on the map, and its nearest training digits."""
        if "map" not in self.opened or self.judge is None:
            return
        neighbours = self.judge.neighbours
        if self.space != SPACES[0]:  # the pixels are the same for every network
            self._by_pixels = neighbours = self._by_pixels or Neighbours(self.model, self.mnist, self.space)
        low, high = neighbours.corners
        if self._mapped is not neighbours:
            self._mapped = neighbours
            self.map = {
                "points": (255 * (neighbours.map - low) / (high - low)).byte().numpy().tobytes(),
                "labels": self.mnist.test.labels.byte().cpu().numpy().tobytes(),
            }
        if self.prediction is None:
            self.place = {}
            return
        with sensible_threads(1):
            points, positions, distances = neighbours(self.prediction.image.unsqueeze(0))
            nearest = self.mnist.train[positions[0].to(self.mnist.train.labels.device)]
        x, y = ((points[0] - low) / (high - low)).clamp(0, 1).tolist()
        sentence = (
            f"The nearest training digits, by the {self.space}. The fifth lies at a distance of {distances[0, -1]:.2f}"
        )
        known = f"; of the validation digits 98 % stay within {self.judge.distance:.2f}."
        self.place = {
            "x": x,
            "y": y,
            "sentence": sentence + (known if self.space == SPACES[0] else "."),
            "images": nearest.images.cpu().numpy().tobytes(),
            "labels": nearest.labels.tolist(),
        }

    # Your digits

    def keep(self, label):
        """Keep the present drawing as a `label`, from 0 to 9. Raises `ImageError` if the pad is empty."""
        kept = Drawing(self.strokes, label)
        if not kept.strokes or label is None:
            raise ImageError("Draw a digit first, then say which it was meant to be")
        self._change(lambda drawings: [*drawings, kept])

    def forget(self):
        """Forget the drawing that was kept last, of those that this pad shows."""
        last = format_drawings(self.drawings[-1:])

        def without(drawings):  # others may have added theirs to the file
            places = [place for place, each in enumerate(drawings) if format_drawings([each]) == last]
            return [each for place, each in enumerate(drawings) if place not in places[-1:]]

        self._change(without)

    def reload(self, text):
        """Add the drawings in `text`, the contents of a file of drawings, to those that were kept."""
        more = parse_drawings(text)
        self._change(lambda drawings: [*drawings, *more])

    def show(self, position):
        """Put the kept drawing at `position` on the pad, inked with the pad's pen."""
        self.strokes = [stroke.tolist() for stroke in self.drawings[position].strokes]

    def _change(self, change):
        if self.keep_file is None:
            self.drawings = change(self.drawings)
        else:
            self.drawings = change_drawings(self.keep_file, change, self.drawings)
        self._tally()

    def _tally(self):
        if "mine" not in self.opened:
            return
        digits = [drawing for drawing in self.drawings if drawing.label is not None and drawing.strokes]
        if digits:
            splits = [as_split(digits, fit=fit) for fit in (False, True)]
            as_drawn, as_made = (len(split) - len(evaluate(self.model, split).mistakes) for split in splits)
            sentence = f"{len(digits)} kept. Read right as drawn: {as_drawn}; as MNIST was made: {as_made}."
        else:
            sentence = "None kept yet. Draw a digit, then say which it was meant to be."
        images = [render(drawing, fit=False).numpy().tobytes() for drawing in self.drawings]
        captions = ["?" if drawing.label is None else str(drawing.label) for drawing in self.drawings]
        self.mine = {"sentence": sentence, "images": b"".join(images), "captions": captions}

    def _receive(self, content):
        """What the browser asks for: one of the methods above, or the file to download. Anything else is ignored."""
        try:
            match content:
                case {"keep": int(label), "strokes": list(strokes)}:
                    self.strokes = strokes
                    self.keep(label)
                case {"forget": _}:
                    self.forget()
                case {"show": int(position)} if 0 <= position < len(self.drawings):
                    self.show(position)
                case {"reload": str(text)}:
                    self.reload(text)
                case {"download": view}:
                    self.send({"file": format_drawings(self.drawings), "download": view})
            self.notice = ""
        except (ImageError, OSError) as error:
            self.notice = f"{error}."


def _named(model):
    """A dict of name to network, of one network or such a dict."""
    models = dict(model) if isinstance(model, dict) else {type(model).__name__: model}
    if not models:
        raise ValueError("there is no network in the dict: give at least one, as in {'MLP': model}")
    for name, network in models.items():
        if not isinstance(name, str) or not name.strip():
            raise ValueError(f"the name of a network is a text that can be read, not {name!r}")
        if not isinstance(network, nn.Module):
            raise ValueError(f"{name} is no network: give an nn.Module, not {network!r}")
        if not any(isinstance(module, nn.ReLU) for module in network.modules()):
            raise ValueError(f"{name} has no nn.ReLU, after which its layers could be read")
        try:
            logits = predict_logits(network, torch.zeros(1, 28, 28, dtype=torch.uint8))
        except RuntimeError as error:
            raise ValueError(f"{name} cannot read an image of 28×28 pixels: {error}") from error
        if logits.shape != (1, 10) or not logits.isfinite().all():
            raise ValueError(f"{name} answers {logits.tolist()[0]} to a blank image, not ten finite logits")
    return models


def _checksum(network):
    """Of all weights, by which it is seen that a network was trained on."""
    checksum = 0
    for tensor in network.state_dict().values():
        checksum = zlib.crc32(tensor.detach().flatten().view(torch.uint8).cpu().numpy(), checksum)
    return checksum


def _judged(prediction, verdict):
    """The verdict as one character, and the sentence that explains it."""
    first, second = prediction.probabilities.topk(2).indices.tolist()
    answer, other = (f"{digit} with {100 * prediction.probabilities[digit]:.1f} %" for digit in (first, second))
    if verdict == "sure":
        return str(first), f"The network says {answer}."
    if verdict == "unfamiliar":
        return "?", f"Not sure: this is unlike the digits that it learnt from. If it must be one: {answer}."
    return "?", f"Not sure: {answer}, or {other}."


def _size(layer):
    return "×".join(map(str, layer.shape))


def _picture(prediction, truth=None, original=None, white=255, title="the picture"):
    """PNG bytes of a prediction, with the `original` on the left if given (from 0 to `white`), and the sentence about
    it."""
    figure = Figure(figsize=(9 if original is not None else 7, 2.6), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(1, 2 if original is None else 3, width_ratios=(1, 2) if original is None else (1, 1, 2))
    if original is not None:
        axes[0].imshow(original, cmap="gray", vmin=0, vmax=white)
        axes[0].set(xticks=[], yticks=[], title=title)
        axes = axes[1:]
    with redirect_stdout(io.StringIO()) as said:  # the sentence belongs under the picture, not in the cell's output
        plot_prediction(prediction, truth=truth, axes=axes)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png")
    return buffer.getvalue(), said.getvalue().strip()
