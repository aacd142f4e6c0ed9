"""A training on disk as a NIR graph, and back to the spikes that its network had."""

import jax
import nir
import numpy as np

from architectures import from_nir
from experiments import Trained
from experiments.saving import train_in


def test_a_trained_spiking_network_is_exported_and_read_to_the_same_spikes(tmp_path, run, run_json):
    options = {"hidden": (6,), "gain": 3.0, "n_steps": 8}
    given = {"epochs": 1, "n_train": 64, "batch_size": 32, "n_seeds": 2, "seed": 3}
    train_in(tmp_path / "run", rule="backprop", architecture="spiking", architecture_options=options, **given)
    told = run_json("export", tmp_path / "run", tmp_path / "network.nir", "--seed", "4")
    assert (told["network"], told["seed"], told["units"]) == ("backprop on spiking", 4, 16) and "'current'" in told["notes"][1]
    mean = Trained.load(tmp_path / "run").images.normalisation.mean[0]
    assert f"(pixel / 255 - {mean:.6g})" in told["notes"][0]
    graph = nir.read(tmp_path / "network.nir")
    assert type(graph.nodes["hidden_0"]).__name__ == "LIF" and graph.metadata["reading"] == "current"

    trained = Trained.load(tmp_path / "run")
    images = trained.images.normalise(trained.images.test.images[:20])
    spikes = trained.represent(images)[0][1]  # of the second seed, (n, time, units)
    network = from_nir(tmp_path / "network.nir", input_shape=trained.network.input_shape)
    again = np.moveaxis(np.asarray(network.forward(network.init(jax.random.key(9)), images)[0]), 0, 1)
    assert 0.02 < spikes.mean() < 0.95
    np.testing.assert_array_equal(again, spikes)
    status, _, said = run("export", tmp_path / "run", tmp_path / "none.nir", "--seed", "7")
    assert status == 2 and "seed 7 was asked for" in said and "holds seeds 3 to 4" in said and not (tmp_path / "none.nir").exists()
    # The first seed by default, and another network.
    assert run("export", tmp_path / "run", tmp_path / "first.nir")[0] == 0
    assert not np.array_equal(nir.read(tmp_path / "first.nir").nodes["output.weights"].weight, graph.nodes["output.weights"].weight)
