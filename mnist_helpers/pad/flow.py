"""How a drawing flows through a fully connected network: which activation × weight products are the largest."""

import torch
from torch import nn

from ..images import STD, normalize

LINES = 150  # between each two layers: more cover each other
NO_LINES = (
    "No lines here: they are for networks in which every neuron has a weight for every neuron before it, and nothing "
    "but nn.ReLU comes between."
)
CONVOLUTIONS = (
    "No lines here: a neuron of a convolution sees only a small window, and shares its weights with all the others of "
    "its picture. The pictures below show more."
)


def flow(model, image, layers, count=LINES):
    """The strongest connections of a fully connected network, as the browser draws them.

    Pixels count by how far they are from blank paper, as the network sees them, so that blank ones have no lines. What
    leads to a hidden neuron that stays at 0 ends there, and is left out.

    Args:
        image: `uint8 (28, 28)`, which the network read.
        layers: what its hidden layers and its last one answered, each `float32 (neurons,)`; see `activations`.
        count: lines between each two layers; fewer where there are not so many that differ from 0.

    Returns:
        A dict with a "sentence", and if the network's layers are nothing but sums and `nn.ReLU`:
        "columns": how many numbers each layer has, the 784 pixels first;
        "lines": for each two layers the lists "from" and "to", of neurons, and "weights", each product in per cent of
        the largest there, weakest first.
    """
    linears = [module for module in model.modules() if isinstance(module, nn.Linear)]
    if not _adds_up(linears, normalize(image.unsqueeze(0)).flatten(), layers):
        convolutions = any(isinstance(module, nn.Conv2d) for module in model.modules())
        return {"sentence": CONVOLUTIONS if convolutions else NO_LINES}
    columns = [image.flatten() / (255 * STD), *layers]
    products = [_weight(linear) * values for linear, values in zip(linears, columns, strict=False)]
    for product, outputs in zip(products[:-1], layers, strict=False):
        product[outputs == 0] = 0
    answer = int(layers[-1].argmax())
    return {
        "sentence": f"Each line is activation × weight: blue adds to the neuron that it leads to, orange takes away. "
        f"Between two layers you see the {count} strongest that reach a neuron which answers. The {answer} gets most "
        f"from neuron {int(products[-1][answer].argmax())} of the layer before it.",
        "columns": [len(column) for column in columns],
        "lines": [_strongest(product, count) for product in products],
    }


def _weight(linear):
    return linear.weight.detach().cpu()


def _adds_up(linears, pixels, layers):
    """Whether each of the `layers` is what the `nn.Linear` at its place makes of the one before it. A network may do
    something else besides, and lines would tell lies about it."""
    if len(linears) != len(layers):
        return False
    for linear, inputs, outputs in zip(linears, [pixels, *layers], layers, strict=False):
        if inputs.shape != (linear.in_features,) or outputs.shape != (linear.out_features,):
            return False
        sums = _weight(linear) @ inputs.cpu() + (0 if linear.bias is None else linear.bias.detach().cpu())
        if not torch.allclose(sums if outputs is layers[-1] else sums.relu(), outputs, rtol=1e-3, atol=1e-3):
            return False
    return True


def _strongest(products, count):
    """Of `products (outputs, inputs)` the largest in size."""
    sizes, places = products.abs().flatten().topk(min(count, products.numel()))
    places = places[sizes > 0].flip(0)
    shares = 100 * products.flatten()[places] / sizes[0].clamp(min=1e-9)
    inputs = products.shape[1]
    return {
        "from": (places % inputs).tolist(),
        "to": (places // inputs).tolist(),
        "weights": shares.round().int().tolist(),
    }
