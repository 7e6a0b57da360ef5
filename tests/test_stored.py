"""What comes with the package: networks that are as good as their records say, and results."""

import json
from importlib.resources import files

import pytest

import mnist_helpers as mh


def test_the_pretrained_network_is_as_good_as_recorded(mnist):
    record = json.loads((files("mnist_helpers") / "pretrained" / "mlp.json").read_text())
    result = mh.evaluate(mh.load_pretrained(), mnist.test)
    assert mh.count_parameters(mh.load_pretrained()) == 109_386
    if mnist.source.is_sample:
        assert result.accuracy > 0.96
    else:
        assert result.accuracy == pytest.approx(record["test"]["accuracy"], abs=3e-4)
        assert record["train_data"] == mnist.train.fingerprint()
