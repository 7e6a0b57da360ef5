"""The interactive parts: thin ipywidgets around the rooms before this one. Each shows a picture and a sentence, live in
a running notebook and as a still image where nothing runs, as on GitHub."""

import base64
import html
import io
from contextlib import redirect_stdout

import ipywidgets as widgets
import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image, ImageOps

from .images import affine
from .pictures import ImageError, read_grey
from .plotting import plot_prediction
from .prediction import predict

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
        return picture_and_sentence(prediction, truth=int(split.labels[position.value]))

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
        return picture_and_sentence(predict(model, moved), truth=truth, original=image.numpy())

    return Interactive(sliders, draw)


def read_picture(model, examples):
    """Choose one of `examples`, a dict of name to PIL image, or upload a file, and see what `model` makes of it; a
    switch turns the MNIST-style fit off."""
    own = "your own file"  # joins the examples with the first upload
    chosen = widgets.Dropdown(options=list(examples), description="picture")
    upload = widgets.FileUpload(accept="image/*", multiple=False, description=own)
    style = widgets.ToggleButtons(options=["as MNIST was made", "only shrunk"], style={"button_width": "12em"})

    def grey():
        if chosen.value in examples:
            return read_grey(examples[chosen.value])
        file = upload.value[0]
        try:
            return read_grey(io.BytesIO(file["content"]))
        except ImageError as error:
            raise ImageError(f"{file['name']}: {error}") from error

    def draw():
        original = grey()
        prediction = predict(model, original, fit=style.value == "as MNIST was made")
        small = np.asarray(ImageOps.contain(Image.fromarray(original), (300, 300)))
        return picture_and_sentence(prediction, original=small, white=1)

    def choose_upload(change):
        if own not in chosen.options:
            chosen.options = [*examples, own]
        chosen.value = own

    upload.observe(choose_upload, "value")
    return Interactive([chosen, upload, style], draw)


def picture_and_sentence(prediction, truth=None, original=None, white=255, title="the picture"):
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
