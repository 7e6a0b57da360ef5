"""The interactive parts: thin ipywidgets around the rooms before this one. Each shows a picture and a sentence, live in
a running notebook and as a still image where nothing runs, as on GitHub."""

import base64
import html
import io
import textwrap
from contextlib import redirect_stdout

import anywidget
import ipywidgets as widgets
import matplotlib
import numpy as np
from matplotlib import font_manager
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image, ImageDraw, ImageFont, ImageOps

from .colours import GREY
from .images import affine
from .models import predict_logits
from .pictures import ImageError, read_grey
from .plotting import LINE, STYLE, plot_prediction
from .prediction import predict

WIDE = {"width": "45em", "max_width": "100%"}  # of a slider
FINE = 2  # pixels of a picture for one of the page's, as in all figures of a notebook
CENTRED, SHRUNK = "centred like MNIST", "only shrunk"


class Names(anywidget.AnyWidget):
    """Nothing to see. It gives its neighbours in a box what ipywidgets leaves out and a screen reader needs: a slider's
    name, which of some buttons is pressed, the sentence as the picture's description, and that the sentence is read
    out when it changes."""

    _esm = """
    function name(box) {
      const sentence = box.querySelector(":scope > .widget-html .widget-html-content");
      const picture = box.querySelector(":scope > img");
      sentence?.setAttribute("aria-live", "polite");
      if (sentence && picture) picture.alt = sentence.textContent;
      for (const handle of box.querySelectorAll("[role=slider]"))
        handle.setAttribute("aria-label", handle.closest(".widget-slider").querySelector("label").textContent);
      for (const button of box.querySelectorAll(".widget-toggle-button"))
        button.setAttribute("aria-pressed", button.classList.contains("mod-active"));
    }
    function render({ el }) {
      const changes = new MutationObserver(() => name(el.closest(".widget-vbox")));
      const placed = new ResizeObserver(() => {  // not yet in its box when it is made
        const box = el.closest(".widget-vbox");
        if (!box) return;
        placed.disconnect();
        name(box);
        changes.observe(box, { childList: true, subtree: true, attributeFilter: ["class"] });
      });
      placed.observe(el);
      return () => { placed.disconnect(); changes.disconnect(); };
    }
    export default { render };
    """


class Interactive(widgets.VBox):
    """Controls above a picture and a sentence that follow them. Where nothing runs, a still picture tells in words what
    the controls are set to.

    Args:
        controls: list of ipywidgets; `draw` is called whenever the `value` of one changes.
        draw: function without arguments that returns the picture (PNG bytes, `FINE` pixels for one of the page's) and
            the sentence.
    """

    def __init__(self, controls, draw):
        self.controls, self.draw, self.drawn = controls, draw, None
        self.picture = widgets.Image(format="png", layout={"align_self": "flex-start", "max_width": "100%"})
        self.sentence = widgets.HTML()
        super().__init__([*controls, self.picture, self.sentence, Names()])
        for control in controls:
            control.observe(self.refresh, "value")
        self.refresh()

    def refresh(self, change=None):
        """Draw anew, unless the controls stand as they stood. A picture that cannot be read leaves the last one and
        says why."""
        values = [control.value for control in self.controls]
        if values == self.drawn:
            return
        self.drawn = values
        try:
            picture, sentence = self.draw()
            self.picture.width = str(Image.open(io.BytesIO(picture)).width // FINE)
            self.picture.value, self.sentence.value = picture, sentence
        except ImageError as error:
            self.sentence.value = html.escape(f"This picture cannot be used: {error}.")  # it may hold a file's name

    def settings(self):
        """What the controls are set to, in words."""
        words = []
        for control in self.controls:
            if not isinstance(control, widgets.FileUpload):
                value = getattr(control, "label", None) or f"{control.value:g}"  # the label of what was chosen
                words.append(f"{control.description} {value}".strip())
        return "Controls: " + " · ".join(words)

    def _repr_mimebundle_(self, **kwargs):
        still = Image.open(io.BytesIO(self.picture.value))
        size = 9 * 100 * FINE // 72  # 9 points, as small as any text in a figure
        page = Image.new("RGBA", (still.width, still.height + 2 * size))
        page.paste(still, (0, 2 * size))
        font = ImageFont.truetype(font_manager.findfont("DejaVu Sans"), size)
        ImageDraw.Draw(page).text((size, size // 2), self.settings(), GREY, font)
        buffer = io.BytesIO()
        page.save(buffer, format="png")
        sentence = html.unescape(self.sentence.value)
        data = super()._repr_mimebundle_(**kwargs) | {
            "image/png": base64.b64encode(buffer.getvalue()).decode(),
            "text/plain": textwrap.fill(f"{self.settings()}. {sentence}", LINE),
        }
        return data, {"image/png": {"width": page.width // FINE, "height": page.height // FINE, "alt": sentence}}


def browse(model, split):
    """Step through a `Split` with a slider, beginning with the image that `model` is least sure of: each image, its
    label and the ten probabilities."""
    order = predict_logits(model, split.images).softmax(1).max(1).values.argsort().tolist()
    place = widgets.IntSlider(1, min=1, max=len(split), description="image", layout=WIDE)

    def draw():
        position = order[place.value - 1]
        prediction = predict(model, split.images[position].cpu())
        picture, sentence = picture_and_sentence(prediction, truth=int(split.labels[position]))
        return picture, f"Image {place.value} of {len(split)}, the least sure first. {sentence}"

    return Interactive([place], draw)


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
        return picture_and_sentence(predict(model, moved), truth=truth, original=image.numpy())

    return Interactive(sliders, draw)


def read_picture(model, examples):
    """Choose one of `examples`, a dict of name to PIL image, or upload a file, and see what `model` makes of it; a
    switch turns the MNIST-style fit off."""
    own = "your own file"
    chosen = widgets.Dropdown(options=[*examples, own], description="picture")
    upload = widgets.FileUpload(accept="image/*", multiple=False, description=own)
    style = widgets.ToggleButtons(options=[CENTRED, SHRUNK], style={"button_width": "12em"})

    def grey():
        if chosen.value in examples:
            return read_grey(examples[chosen.value])
        if not upload.value:
            raise ImageError(f"there is none yet: the button “{own}” asks for it")
        file = upload.value[0]
        try:
            return read_grey(io.BytesIO(file["content"]))
        except ImageError as error:
            raise ImageError(f"{file['name']}: {error}") from error

    def draw():
        original = grey()
        prediction = predict(model, original, fit=style.value == CENTRED)
        small = np.asarray(ImageOps.contain(Image.fromarray(original), (300, 300)))
        return picture_and_sentence(prediction, original=small, white=1)

    def choose_upload(change):
        chosen.value = own

    upload.observe(choose_upload, "value")
    return Interactive([chosen, upload, style], draw)


def picture_and_sentence(prediction, truth=None, original=None, white=255, title="the picture"):
    """PNG bytes of a prediction, with the `original` on the left if given (from 0 to `white`), and the sentence about
    it."""
    said = io.StringIO()  # the sentence belongs under the picture, not in the cell's output
    with matplotlib.rc_context(STYLE), redirect_stdout(said):
        figure = Figure(figsize=(7 if original is None else 9, 2.6), dpi=100)
        FigureCanvasAgg(figure)
        axes = figure.subplots(1, 2 if original is None else 3, width_ratios=(1, 2) if original is None else (1, 1, 2))
        if original is not None:
            axes[0].imshow(original, cmap="gray", vmin=0, vmax=white)
            axes[0].set(xticks=[], yticks=[], title=title)
            axes = axes[1:]
        plot_prediction(prediction, truth=truth, axes=axes)
        buffer = io.BytesIO()
        figure.savefig(buffer, format="png", dpi=100 * FINE)
    return buffer.getvalue(), " ".join(said.getvalue().split())
