"""benchmarks/peers.py: what it measures, what it refuses, and one small run from end to end; parts of the others."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

import mnist_helpers as mh

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture
def peers(monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    import peers

    return peers


@pytest.fixture
def cnn(monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    import cnn

    return cnn


def run_peers(*options, **environment):
    command = [sys.executable, str(ROOT / "benchmarks" / "peers.py"), *map(str, options)]
    environment = os.environ | {"OMP_NUM_THREADS": "1"} | environment
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300)


# What is refused


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["mlp-short", "abacus"], "no peer 'abacus': choose among mlp-short, mlp, cnn-short"),
        (["--seeds", "0"], "seeds is 0"),
        (["--epochs", "-1"], "epochs is -1"),
        (["--output", "missing"], "no folder 'missing'"),
        (["mlp-short", "sklearn", "--quick"], "scikit-learn is not installed: pip install scikit-learn"),
    ],
)
def test_what_cannot_be_is_said_in_one_line(peers, monkeypatch, options, message):
    monkeypatch.setattr(peers, "run_all", lambda *arguments: pytest.fail("something was run"))
    monkeypatch.setitem(sys.modules, "sklearn", None)
    with pytest.raises(SystemExit) as error:
        peers.main(options)
    assert message in str(error.value)
    assert "\n" not in str(error.value)


def test_a_peer_asked_for_by_name_whose_library_is_missing(tmp_path):
    (tmp_path / "sitecustomize.py").write_text("import sys\nsys.modules['keras'] = None\n")
    done = run_peers("mlp-short", "keras", "--quick", PYTHONPATH=str(tmp_path))
    assert done.returncode == 1
    assert done.stderr == "Keras is not installed: pip install keras\n"
    assert not done.stdout  # nothing was run


def test_without_a_library_the_other_peers_run(peers, monkeypatch, capsys):
    asked = []
    monkeypatch.setitem(sys.modules, "keras", None)
    monkeypatch.setattr(peers, "run_all", lambda names, *rest: asked.extend(names) or {"peers": {}, "cost": []})
    peers.main(["--quick"])
    assert asked == [name for name in (*peers.PEERS, "cost") if name != "keras"]
    assert capsys.readouterr().out.count("Keras is not installed: pip install keras\n") == 1


def test_the_full_comparison_refuses_the_sample(peers, mnist, monkeypatch):
    sample = type(mnist)(mnist.train, mnist.validation, mnist.test, type(mnist.source)("sample", is_sample=True))
    monkeypatch.setattr(peers.mh, "load_mnist", lambda device: sample)
    with pytest.raises(SystemExit, match="needs the full MNIST"):
        peers.load(quick=False)
    assert len(peers.load(quick=True).train) == 640


# What is measured


def test_the_official_network_has_the_official_size(peers):
    network = peers.official_network()
    assert mh.count_parameters(network) == 1_199_882
    assert network(torch.zeros(2, 1, 28, 28)).shape == (2, 10)


def test_training_stops_at_the_accuracy_that_is_enough(peers, mnist):
    """The predictor knows the first `right` of ten labels, and each epoch teaches it three more."""
    data = type(mnist)(mnist.train, mnist.validation[:10], mnist.test, mnist.source)
    labels, state = data.validation.labels.numpy(), {"right": 0}

    def epoch():
        state["right"] += 3

    def predict(images, batch_size):
        guesses = labels.copy()
        guesses[state["right"] :] += 1
        return guesses

    seconds, accuracy = peers.watched(epoch, predict, data, epochs=9, until=0.6)
    assert accuracy == [0.3, 0.6]
    assert len(seconds) == 2
    state["right"] = 0
    assert peers.watched(epoch, predict, data, epochs=1, until=0.6)[1] == [0.3]


def a_run(validation, epochs=None, seconds=2.0, **values):
    run = {"seed": 0, "epochs": epochs or len(validation), "seconds": [seconds] * len(validation), "test": 0.98}
    run |= {"validation": validation, "train_rate": 100.0, "batch_rate": 1000.0, "single_rate": 10.0}
    return run | {"parameters": 1234, "setting": "float32", "recipe": "Adam", "memory": 5e8} | values


def test_time_to_an_accuracy_is_that_of_the_first_epoch_with_it(peers):
    run = a_run([0.97, 0.98, 0.979, 0.99])
    assert peers.time_to(run, 0.98) == 4
    assert peers.time_to(run, 0.99) == 8
    assert peers.time_to(run, 0.995) is None


def test_the_table_says_what_was_not_reached_and_what_not_tried(peers):
    runs = [a_run([0.985, 0.985]), a_run([0.97, 0.99], seconds=4.0)]
    assert peers.time_cell(runs, 0.98) == "5.0 ± 4.2 s"
    assert peers.time_cell(runs, 0.99) == "8.0 s (1 of 2)"
    assert peers.time_cell(runs, 0.995) == "not in 2 epochs"
    assert peers.time_cell([a_run([0.99], epochs=5)], 0.995) == "not tried"
    line = peers.table({"peers": {"official": runs}}).splitlines()[-1]
    for cell in ("| PyTorch's official example |", "| 98.00 ± 0.00 |", "| 500 ± 0 |", "| 1,234 |"):
        assert cell in line


def test_ratios_compare_run_with_run(peers):
    slow = [a_run([0.98, 0.99], seconds=30.0), a_run([0.99], seconds=40.0)]
    quick = [a_run([0.99]), a_run([0.99]), a_run([0.99], seconds=100.0)]  # the last has no partner
    [line] = peers.ratios({"peers": {"official": slow, "cnn-short": quick}})
    assert "takes 25.0 ± 7.1 times as long" in line
    assert line.endswith("(n = 2)")
    assert not peers.ratios({"peers": {"official": slow, "cnn-short": [a_run([0.98])]}})


def test_a_run_that_ends_too_early_gives_a_lower_bound(peers):
    slow = [a_run([0.99], seconds=40.0), a_run([0.98, 0.98], seconds=40.0)]
    [line] = peers.ratios({"peers": {"official": slow, "cnn-short": [a_run([0.99]), a_run([0.99])]}})
    assert "takes at least 30.0 ± 14.1 times as long" in line
    assert line.endswith("(n = 2; 1 ended without it and counts with all of its time)")
    assert not peers.ratios({"peers": {"official": slow[1:], "cnn-short": [a_run([0.99])]}})


# What is stored


def test_results_of_two_machines_or_data_sets_are_not_mixed(peers, tmp_path):
    path = tmp_path / "peers.json"
    assert peers.stored(path, "an abacus", "all") == ([], {"peers": {}})
    results = {"peers": {"mlp": [a_run([0.9])]}, "data": "all"}
    path.write_text(json.dumps({"command": "one && two", "hardware": "an abacus", "results": results}))
    assert peers.stored(path, "an abacus", "all") == (["one", "two"], results)
    for other in (("a slide rule", "all"), ("an abacus", "few")):
        with pytest.raises(SystemExit, match="measured on: an abacus, all") as error:
            peers.stored(path, *other)
        assert "\n" not in str(error.value)
    before = path.read_bytes()
    with pytest.raises(SystemExit, match="not mixed"):
        peers.main(["mlp-short", "--quick", "--output", str(tmp_path)])
    assert path.read_bytes() == before


def test_merging_replaces_by_name_and_keeps_the_order(peers):
    old = {"peers": {"mlp-short": [1], "official": [2]}, "cost": [3], "data": "all"}
    merged = peers.merge(old, {"peers": {"cnn": [4], "official": [5]}, "data": "all"})
    assert merged == {"peers": {"mlp-short": [1], "cnn": [4], "official": [5]}, "cost": [3], "data": "all"}
    assert list(merged["peers"]) == ["mlp-short", "cnn", "official"]
    assert peers.merge(old, {"peers": {}, "cost": [6], "data": "all"})["cost"] == [6]
    assert old["peers"] == {"mlp-short": [1], "official": [2]}


def test_the_rate_of_prediction_is_that_of_the_batch_size(peers, monkeypatch):
    clock = [0.0]
    monkeypatch.setattr(peers.time, "perf_counter", lambda: clock[0])

    def predict(images, batch_size):  # two seconds for every batch, whatever its size
        clock[0] += 2.0 * len(images.split(batch_size))

    images = torch.zeros(100, 28, 28, dtype=torch.uint8)
    assert peers.prediction_rate(predict, images, 50) == 25
    assert peers.prediction_rate(predict, images, 1) == 0.5


def test_a_small_run_from_end_to_end(tmp_path):
    done = run_peers("cnn-short", "textbook", "sklearn", "--quick", "--output", tmp_path)
    assert done.returncode == 0, done.stderr
    content = json.loads((tmp_path / "peers.json").read_text())
    first = f"python benchmarks/peers.py cnn-short textbook sklearn --quick --output {tmp_path}"
    assert content["command"] == first
    runs = content["results"]["peers"]
    assert {name: run["parameters"] for name, [run] in runs.items()} == {
        "cnn-short": 28_794, "textbook": 109_386, "sklearn": 109_386
    }  # fmt: skip
    for name, [run] in runs.items():
        assert len(run["seconds"]) == len(run["validation"]) == 1, name
        assert run["test"] > 0.15, name  # better than guessing, after a few steps
        assert run["train_rate"] == pytest.approx(640 / run["seconds"][0])
        assert 1 < run["single_rate"] < 1e6, name
        assert 1 < run["batch_rate"] < 1e8, name
        assert 1e8 < run["memory"] < 4e9, name
    assert done.stdout.count("\n| ") == 4  # head and three peers
    assert (tmp_path / "benchmarks.png").read_bytes().startswith(b"\x89PNG")

    again = run_peers("cost", "--quick", "--output", tmp_path)  # merged
    assert again.returncode == 0, again.stderr
    content = json.loads((tmp_path / "peers.json").read_text())
    assert content["command"] == f"{first} && python benchmarks/peers.py cost --quick --output {tmp_path}"
    merged = content["results"]
    assert merged["peers"] == runs
    assert {(row["network"], row["batch_size"]) for row in merged["cost"]} == {
        (network, size) for network in ("MLP", "CNN") for size in (64, 128, 256, 512)
    }
    assert all(row["seconds"] > 0 for row in merged["cost"])
    assert "CNN, threads: 1, " in again.stdout


# The ensembles


def test_three_networks_and_shifted_views_are_measured_apart(cnn, mnist):
    small = type(mnist)(mnist.train[:10], mnist.validation[:200], mnist.test[:200], mnist.source)
    shipped = mh.load_pretrained()
    found = cnn.remedies([shipped, mh.MLP(), mh.MLP()], small)
    for split in ("validation", "test"):
        expected = mh.evaluate(shipped, getattr(small, split)).accuracy
        assert {kind: len(values) for kind, values in found[split].items()} == {
            "one": 3,
            "one, shifted views": 3,
            "three": 1,
            "three, shifted views": 1,
        }
        assert found[split]["one"][0] == expected
        assert found[split]["one"][1] < 0.5 < found[split]["one, shifted views"][0]
