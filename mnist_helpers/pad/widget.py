"""The drawing pad as a widget: what the browser records comes in, what is to be shown goes out."""

import base64
import random
import textwrap
from pathlib import Path

import anywidget
import traitlets

from ..devices import sensible_threads
from ..pictures import ImageError
from ..prediction import predict
from . import panels
from .drawings import as_lists, change_drawings, format_drawings, load_drawings, parse_drawings, without_last
from .ink import why
from .judge import Judge
from .neighbours import SPACES, Neighbours
from .networks import checksum, named
from .still import still
from .strokes import PEN, Drawing
from .trophies import Trophies

HERE = Path(__file__).parent
FRONT_END = ("paint.js", "pen.js", "flow.js", "ink.js", "panels.js", "pad.js")  # one program, in this order
EMPTY = "The pad is empty. Draw a digit with mouse, finger, pen or keys."


def draw(model, mnist, *, keep=None, level=3):
    """A pad to draw digits on, and everything that `model` makes of them, live; see `Pad`.

    Args:
        model: a network from normalised images `(N, 1, 28, 28)` to logits `(N, 10)`; or several, a dict of name to
            network, among which the pad lets one choose. The first is shown first. The others are made ready when they
            are first chosen, which takes seconds.
        mnist: its training digits serve as neighbours, its validation digits set the limits of `Judge`, and its test
            digits make the map.
        keep: a file that drawings kept with their label are added to, and read from first if it exists; without it
            they last as long as the pad.
        level: of the pad's headings, 1 to 6: one below that of the heading which the pad stands under.

    Raises:
        ImageError: the file `keep` does not hold drawings, or it is a folder.
        ValueError: there is no network, one is none, has no `nn.ReLU`, so that its layers cannot be seen, or does not
            give ten finite logits, or a name is no text; or there is no such `level`.
    """
    if level not in range(1, 7):
        raise ValueError(f"headings have a level from 1 to 6, not {level!r}")
    return Pad(named(model), mnist, keep, level)


class Pad(anywidget.AnyWidget):
    """The drawing pad. The browser records strokes and shows what is computed here, at every stroke.

    Attributes:
        networks: the names of the networks; `network`: the chosen one, set it to choose.
        strokes: lists of points `[x, y]` from 0 to 1; set them to draw from Python.
        as_mnist: whether the strokes are made an image centred like MNIST, or as drawn; see `render`.
        opened: the open panels among "layers", "map", "mine" and "fool". What is hidden is not computed.
        space: of the map, one of `SPACES`.
        unit: the chosen neuron of the first layer, or -1.
        asked: the digit of which is shown why it is the answer, or why it is not, or -1; see `ink.why`.
        model, judge: the chosen network and its `Judge`.
        drawing: the present `Drawing`; the last one, should `strokes` not be readable.
        prediction: the `Prediction` for it, None if the pad is empty.
        drawings: the `Drawing`s that were kept.
        trophies: the `Drawing`s that are no digits and fooled the network; see `fool`.
    """

    _esm = "\n".join((HERE / name).read_text(encoding="utf-8") for name in FRONT_END)
    _css = HERE / "pad.css"
    networks = traitlets.List().tag(sync=True)
    network = traitlets.Unicode().tag(sync=True)
    strokes = traitlets.List().tag(sync=True)
    as_mnist = traitlets.Bool(True).tag(sync=True)
    opened = traitlets.List(["layers"]).tag(sync=True)
    space = traitlets.Enum(SPACES, SPACES[0]).tag(sync=True)
    unit = traitlets.Int(-1).tag(sync=True)
    asked = traitlets.Int(-1).tag(sync=True)
    pen = traitlets.Float(PEN, read_only=True).tag(sync=True)
    level = traitlets.Int(3).tag(sync=True)
    # What the browser shows: the answer, its reason, the chosen neuron, the map, the place on it, what was kept, the
    # trophies, a complaint. `panels`, `flow`, `ink` and `trophies` say what each holds: texts, lists of numbers, bytes.
    seen = traitlets.Dict().tag(sync=True)
    reason = traitlets.Dict().tag(sync=True)
    detail = traitlets.Dict().tag(sync=True)
    map = traitlets.Dict().tag(sync=True)
    place = traitlets.Dict().tag(sync=True)
    mine = traitlets.Dict().tag(sync=True)
    wall = traitlets.Dict().tag(sync=True)
    notice = traitlets.Unicode().tag(sync=True)

    def __init__(self, models, mnist, keep=None, level=3):
        self.models, self.mnist = models, mnist
        self.keep_file = None if keep is None else Path(keep).absolute()  # even if the program changes its folder
        self.drawings = load_drawings(keep) if keep is not None and self.keep_file.is_file() else []
        if keep is not None and self.keep_file.is_dir():
            raise ImageError(f"{keep} is a folder: name a file to keep drawings in")
        name, self.model = next(iter(models.items()))
        # What is known of each network, by its name: judge, units, kept drawings that it reads right, and the checksum
        # of the weights that all this belongs to.
        self._judges, self._units, self._right, self._checksums = {}, {}, {}, {}
        self._shown = name  # of the network that all this is about; `network` may already name the next
        self.judge = self._make_judge(name)
        self._by_pixels = self._mapped = self._near = None
        self.drawing, self.prediction, self._tricks = Drawing([]), None, Trophies()
        super().__init__(networks=list(models), network=name, level=level)
        self.on_msg(lambda widget, content, buffers: self._receive(content))
        self.observe(lambda change: self._switch(), ["network"])
        # A switch that was interrupted is made up for.
        self.observe(lambda change: self._look() if self.judge else self._switch(), ["strokes", "as_mnist", "opened"])
        self.observe(lambda change: self._locate(), ["space"])
        self.observe(lambda change: self._describe_unit(), ["unit", "opened"])
        self.observe(lambda change: self._explain(), ["asked"])
        self.observe(lambda change: (self._tally(), self._hang()), ["opened"])
        self._look()

    @traitlets.validate("network")
    def _known(self, proposal):
        if proposal["value"] not in self.models:
            raise traitlets.TraitError(f"the network is one of {list(self.models)}, not {proposal['value']!r}")
        return proposal["value"]

    def __repr__(self):
        return textwrap.fill(f"Drawing pad: {self.seen['sentence']}", 88)

    def _repr_mimebundle_(self, **kwargs):
        """Beside the live pad what it shows as a still, for where nothing runs, as on GitHub."""
        data, metadata = super()._repr_mimebundle_(**kwargs)
        picture = still(self.drawing, self.prediction, self.seen["verdict"], self.seen["sentence"])
        data["image/png"] = base64.b64encode(picture).decode()
        return data, metadata

    # The network

    def _switch(self):
        """Show what the chosen network makes of everything. It answers at once; its judge takes seconds to make."""
        self._shown, self.model, self.judge = self.network, self.models[self.network], self._judges.get(self.network)
        if self.judge is None:
            self._look()
            self.detail, self.place = {}, {}  # they were the other network's
            self.judge = self._make_judge(self._shown)
        self._look()
        self._describe_unit()
        self._tally()

    def _make_judge(self, name):
        model = self.models[name]
        self._checksums[name] = checksum(model)
        self._units[name], self._right[name] = panels.Units(model, self.mnist.train), {}
        self._judges[name] = Judge(model, self.mnist)
        return self._judges[name]

    # At every stroke

    def _look(self):
        """Read the drawing anew: the image, the answer, the layers."""
        if self.judge is not None and self._checksums[self._shown] != checksum(self.models[self._shown]):
            del self._judges[self._shown]  # the network was trained on: what was known of it is no longer so
            self._switch()
            return
        try:
            self.drawing = Drawing(self.strokes)
        except ImageError as error:
            self.notice = f"This drawing cannot be used: {error}."
            self._locate()
            return
        self.notice = ""
        self.prediction, self._near, seen, verdict, sentence = None, None, {}, "", EMPTY
        if self.drawing.strokes:
            with sensible_threads(1):  # for a single image, a second one would only be waited for
                self.prediction = predict(self.model, self.drawing, fit=self.as_mnist)
                seen = panels.answer(self.prediction)
                seen |= panels.layers(self.model, self.prediction.image) if "layers" in self.opened else {"layers": []}
            if self.judge is not None:
                self._near = panels.nearby(self.judge.neighbours, self.prediction.image)
                verdict = self.judge.verdict(self.prediction, self._near[2][0, -1])
                verdict, sentence = panels.judged(self.prediction, verdict)
        if self.judge is None:
            digits = f"{len(self.mnist.train):,} training digits"
            verdict, sentence = "…", f"Preparing {self._shown}: it reads {digits}, to know when to be sure."
        self.seen = seen | {"verdict": verdict, "sentence": sentence}
        self._explain()
        self._locate()

    def _explain(self):
        """Which ink speaks for the answer, and which for the digit that is asked about."""
        self.reason = why(self.model, self.prediction, self.asked) if self.prediction and 0 <= self.asked <= 9 else {}

    # The panels

    def _describe_unit(self):
        units = self._units[self._shown]
        if "layers" not in self.opened or not units.has(self.unit):
            self.detail = {}
            return
        if units.exciting is None:
            self.detail = {"sentence": f"Preparing: which training digits excite neuron {self.unit} most …"}
            units.prepare()
        self.detail = units.describe(self.unit)

    def _locate(self):
        """Where the drawing lies on the map, and its nearest training digits."""
        if "map" not in self.opened or self.judge is None:
            return
        neighbours, near = self.judge.neighbours, self._near
        if self.space != SPACES[0]:  # the pixels are the same for every network
            self._by_pixels = neighbours = self._by_pixels or Neighbours(self.model, self.mnist, self.space)
            near = panels.nearby(neighbours, self.prediction.image) if self.prediction else None
        if self._mapped is not neighbours:
            self._mapped = neighbours
            self.map = panels.map_of(neighbours, self.mnist.test)
        self.place = panels.place(neighbours, near, self.mnist.train, self.judge.distance) if near else {}

    def _tally(self):
        if "mine" not in self.opened:
            return
        right = self._right[self._shown]
        readable = [drawing for drawing in self.drawings if drawing.label is not None and drawing.strokes]
        right |= panels.read(self.model, [drawing for drawing in readable if drawing not in right])
        self.mine = panels.kept(self.drawings, right)

    # Your digits

    def keep(self, label):
        """Keep the present drawing as a `label`, from 0 to 9. Raises `ImageError` if the pad is empty."""
        kept = Drawing(self.strokes, label)
        if not kept.strokes or label is None:
            raise ImageError("Draw a digit first, then say which it was meant to be")
        self._change(lambda drawings: [*drawings, kept])

    def forget(self):
        """Forget the drawing that was kept last, of those that this pad shows."""
        last = self.drawings[-1:]
        self._change(lambda drawings: without_last(drawings, last))  # others may have added theirs to the file

    def reload(self, text):
        """Add the drawings in `text`, the contents of a file of drawings, to those that were kept."""
        more = parse_drawings(text)
        self._change(lambda drawings: [*drawings, *more])

    def show(self, position):
        """Put the kept drawing at `position` on the pad, inked with the pad's pen."""
        self.strokes = as_lists(self.drawings[position])

    def _change(self, change):
        file = self.keep_file
        self.drawings = change(self.drawings) if file is None else change_drawings(file, change, self.drawings)
        self._tally()

    # Tricks

    @property
    def trophies(self):
        return self._tricks.won

    def fool(self):
        """Say that the present drawing is no digit: if the network is sure of it, it joins the `trophies`. Raises
        `ImageError` if the pad is empty."""
        drawing = Drawing(self.strokes)
        if not drawing.strokes:
            raise ImageError("Draw something first, then say that it is no digit")
        how = self._shown + ("" if self.as_mnist else ", as drawn")
        self._tricks.claim(drawing, self.prediction, self.judge(self.prediction), how)
        self._hang()

    def _hang(self):
        if "fool" in self.opened:
            self.wall = self._tricks.shown()

    # Messages

    def _receive(self, content):
        """What the browser asks for: one of the methods above, or something to be sent. Anything else is ignored."""
        try:
            match content:
                case {"keep": int(label), "strokes": list(strokes)}:
                    self.strokes = strokes
                    self.keep(label)
                case {"forget": _}:
                    self.forget()
                # The browser puts strokes on the pad by itself: set here, older ones of its own could overtake them.
                case {"show": int(position), "view": view} if 0 <= position < len(self.drawings):
                    self.send({"strokes": as_lists(self.drawings[position]), "view": view})
                case {"example": _, "view": view}:
                    digits = [drawing for drawing in load_drawings() if drawing.label is not None]
                    self.send({"play": as_lists(random.choice(digits)), "view": view})
                case {"reload": str(text)}:
                    self.reload(text)
                case {"fool": _, "strokes": list(strokes)}:
                    self.strokes = strokes
                    self.fool()
                case {"trophies": _, "view": view}:
                    self.send({"file": format_drawings(self.trophies), "name": "my_trophies.json", "view": view})
                case {"download": _, "view": view}:
                    self.send({"file": format_drawings(self.drawings), "view": view})
            self.notice = ""
        except (ImageError, OSError) as error:
            self.notice = f"{error}."
