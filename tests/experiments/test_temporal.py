"""Networks that run in time, and networks with layers that have no weights, are trained and compared like any other."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.spatial.distance import pdist

import neurodata
from experiments import comparing, datasets, stimuli
from experiments.compare_config import CompareConfig
from experiments.comparing import compare
from experiments.config import TrainConfig
from experiments.preparing import build_network
from experiments.trained import Trained
from experiments.training import complete, train

OPTIONS = {
    "recurrent": {"hidden": (12,)},
    "spiking": {"hidden": (24,), "n_steps": 6},
    "transformer": {"n_units": 8},
}
LAYERS = {
    "recurrent": ("hidden_0", "output"),
    "spiking": ("hidden_0", "output"),
    "transformer": ("embedding", "attention_0", "hidden_0", "normalised", "output"),
}
N_STEPS = {"recurrent": (8,), "spiking": (6,), "transformer": ()}


def tiny(architecture, **fields):
    options = {"architecture": architecture, "architecture_options": OPTIONS[architecture], "n_train": 300, "batch_size": 16}
    return TrainConfig(rule="backprop", dataset="digits", rule_options={"learning_rate": 0.01}, **{**options, **fields})


@pytest.fixture(scope="module", params=OPTIONS)
def trained(request):
    return train(tiny(request.param, epochs=4, n_seeds=2))


@pytest.mark.costly
def test_they_learn(trained):
    assert trained.test_accuracy.min() > 0.5 and trained.warnings == []
    losses = trained.accuracy.groupby("epoch")["train_loss"].mean()
    assert losses.iloc[-1] < 0.85 * losses.iloc[0]
    table = trained.networks.set_index(["seed", "layer"])
    for node in trained.network.nodes:
        # Backpropagation through time is the gradient itself; where there are no weights there is nothing to align.
        assert table.loc[(0, node.name), "cosine"] == pytest.approx(float(node.weighted), abs=1e-5)
        assert (table.loc[(0, node.name), "relative_weight_change"] > 0) == node.weighted


@pytest.mark.costly
def test_represent_gives_every_layer_with_examples_first_and_time_next(trained):
    name = trained.config.architecture
    images = trained.images.normalise(trained.images.test.images[:5])
    layers = trained.represent(images)
    assert trained.network.node_names == LAYERS[name] and len(layers) == len(LAYERS[name])
    for node, layer in zip(trained.network.nodes, layers, strict=True):
        assert layer.shape == (2, 5, *N_STEPS[name], *node.output_shape)
    params = jax.tree.map(lambda leaf: leaf[1], trained.state.params["network"])
    direct = trained.network.forward(params, jnp.asarray(images))
    for ours, theirs in zip(layers, direct, strict=True):
        expected = np.moveaxis(np.asarray(theirs), 0, 1) if trained.network.temporal else theirs
        np.testing.assert_allclose(ours[1], expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("architecture", OPTIONS)
def test_they_are_built_for_larger_images(architecture):
    images = datasets.load("digits", n_train=100)
    whole = np.zeros((10, 28, 28, 1), np.uint8)
    larger = dataclasses.replace(images, train=images.train._replace(images=whole))
    network = build_network(tiny(architecture), larger)
    assert network.step_shape == {"recurrent": (28,), "spiking": (28, 28, 1), "transformer": (28, 28, 1)}[architecture]


@pytest.mark.parametrize(
    "architecture", [pytest.param(name, marks=[] if name == "recurrent" else pytest.mark.thorough) for name in OPTIONS]
)
def test_a_layer_is_compared_by_all_its_units_at_all_its_steps(architecture, recording, monkeypatch):
    runs: list[Trained] = []
    monkeypatch.setattr(comparing, "complete", lambda *given: runs.append(complete(*given)) or runs[-1])
    comparison = compare(
        CompareConfig.of(
            rules=("backprop",),
            architecture=architecture,
            architecture_options=OPTIONS[architecture],
            recording=str(recording),
            seeds=1,
            epochs=1,
            n_train=300,
            n_draws=9,
            scorecard="none",
            readout_images=0,
        )
    )
    shown = neurodata.load(str(recording)).stimuli.images
    trained = runs[-1]
    layers = trained.represent(stimuli.present(shown, trained.network.input_shape, trained.images.normalisation))
    unusable = {layer for layer in LAYERS[architecture] if any(f"seed 0: layer '{layer}'" in each for each in comparison.warnings)}
    assert set(comparison.scores["layer"]) >= set(LAYERS[architecture]) - unusable and len(unusable) <= 1
    for layer, activations in zip(LAYERS[architecture], layers, strict=True):
        if layer in unusable:
            continue
        features = activations[0].reshape(len(shown), -1).astype(np.float64)
        np.testing.assert_allclose(comparison.layer_rdms["backprop", layer], pdist(features, "correlation"), atol=1e-5)
    rows = {row["layer"]: row["parameters"] for row in comparison.architecture["layers"]}
    weightless = {layer for layer, count in rows.items() if count == 0}
    assert weightless == ({"normalised"} if architecture == "transformer" else set())
    assert not any("do not move" in each and "normalised" in each for each in comparison.warnings)
