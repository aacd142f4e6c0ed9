"""Controls that learn no hidden layer: what a rule must beat before it can be said to have learned anything.

Beside the matched control (`untrained`: the rule's own network, frozen) stand two that a critic would pick, because the matched one
can be weaker than what random weights allow: a narrow random layer behind random convolutions throws away what those hold.

- *Logistic regression* on pixels: no hidden layer at all.
- *Random features*: a wide random layer, read directly.
- *Wider random features*: four times as many, where they are asked for. Verdicts do not go by them, since with enough random
  features anything can be read (they become a kernel machine); tables say which verdicts would not have held.
- *As many random features* as a network has hidden units (`equal_features`): whoever defends a rule asks for these. Verdicts do not
  go by them either: what is above them alone has learned something that more units would have given for nothing.
- *Random maps*: the best of several random convolutional networks, read directly from their last hidden layer. Which network stands
  for them is chosen on the validation images of the first seed. They know that images have places, which a dense network does not:
  a verdict on a network without maps leaves them out, and the table still names what they reach.

Random networks are read as rules are, by `experiments.reading`. Pixels get the logistic regression that anyone would fit to them,
which is better there by some points than what reads features.
References: Coates and Ng 2011, Analysis of single-layer networks in unsupervised feature learning, AISTATS; Jarrett et al. 2009,
doi:10.1109/ICCV.2009.5459469 (random convolutions); Rahimi and Recht 2008, Random kitchen sinks, NIPS.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import numpy as np
import pandas as pd

import architectures
from experiments.config import TrainConfig
from experiments.epochs import in_chunks
from experiments.preparing import load_images
from experiments.reading import joined, readout_images
from experiments.readouts import (
    MAX_ITERATIONS,
    PENALTIES,
    RIDGE,
    Features,
    Labels,
    Readout,
    fit_readout,
    logistic_readout,
    over_places,
)

__all__ = [
    "COLUMNS",
    "EQUAL_FEATURES",
    "LOGISTIC_REGRESSION",
    "RANDOM_FEATURES",
    "RANDOM_MAPS",
    "RECIPE",
    "WIDER_FEATURES",
    "control_accuracies",
    "equal_features",
]

LOGISTIC_REGRESSION, RANDOM_FEATURES, RANDOM_MAPS = "logistic regression", "random features", "random maps"
WIDER_FEATURES, EQUAL_FEATURES = "wider random features", "as many random features"
COLUMNS = ("control", "seed", "network", "read_from", "validation_accuracy", "test_accuracy")
# Random networks that are known to do well without learning.
_RANDOM_NETWORKS: dict[str, tuple[tuple[str, dict[str, Any]], ...]] = {
    RANDOM_FEATURES: (("mlp", {"hidden": (2048,)}),),
    WIDER_FEATURES: (("mlp", {"hidden": (8192,)}),),
    RANDOM_MAPS: (
        ("cnn", {"channels": (64,), "strides": 1, "kernel_size": 5, "pooling": "mean", "hidden": ()}),
        ("cnn", {"channels": (32, 64), "strides": 1, "kernel_size": 3, "pooling": "mean", "hidden": ()}),
    ),
}

# What is done, for whoever keeps results: other networks or strengths are other controls.
RECIPE = repr((_RANDOM_NETWORKS, PENALTIES, MAX_ITERATIONS))


def _reader(network: architectures.Network, images: Features, labels: Labels, kind: str) -> Callable[[int], Readout]:
    """What reads the last hidden layer of a network that has learned nothing, by the seed that it is drawn by; compiled once."""
    together, apart = joined(images)
    run = jax.jit(lambda params, x: in_chunks(lambda chunk: over_places(network.forward(params, chunk)[-2]), x))

    def read(seed: int) -> Readout:
        params = network.init(jax.random.fold_in(jax.random.key(seed), 0))
        return fit_readout(apart(np.asarray(run(params, together))), labels, network.node_names[-2], kind)

    return read


def _name(architecture: str, options: dict[str, Any]) -> str:
    values = (f"{name}={','.join(map(str, v)) if isinstance(v, tuple) else v}" for name, v in options.items() if v != ())
    return " ".join([architecture, *values])


def control_accuracies(config: TrainConfig, n_images: int = 10_000, readout: str = RIDGE, wider: bool = False) -> pd.DataFrame:
    """Accuracies of the controls that depend on the images alone.

    Parameters
    ----------
    config
        Its image set, split and seeds; its rule and architecture take no part.
    n_images
        Training images that readouts are fitted on, as `read_out` takes it.
    readout
        "ridge" or "logistic", as `read_out` takes it.
    wider
        Whether wider random features are among them.

    Returns
    -------
    pandas.DataFrame
        Columns `COLUMNS` and `right` (`Readout`), one row a control and seed. Logistic regression draws nothing, and has the same
        row for every seed.
    """
    shown, labels, n_classes = _shown(config, n_images)
    seeds = config.seeds

    # Pixels as they are: maps that readouts average over places are those of networks.
    pixels = Features(*(split.reshape(len(split), -1) for split in shown))
    plain = logistic_readout(pixels, labels, "pixels")
    rows = [_row(LOGISTIC_REGRESSION, seed, "", plain) for seed in seeds]

    for control, kinds in _RANDOM_NETWORKS.items():
        if control == WIDER_FEATURES and not wider:
            continue
        read = {
            _name(architecture, options): _reader(
                architectures.build(architecture, input_shape=shown.train.shape[1:], n_classes=n_classes, **options),
                shown,
                labels,
                readout,
            )
            for architecture, options in kinds
        }
        first = {name: of_seed(config.seed) for name, of_seed in read.items()}
        chosen = max(first, key=lambda name: first[name].validation_accuracy)
        rows += [_row(control, seed, chosen, first[chosen] if seed == config.seed else read[chosen](seed)) for seed in seeds]
    return pd.DataFrame(rows)


def equal_features(config: TrainConfig, n_units: int, n_images: int = 10_000, readout: str = RIDGE) -> pd.DataFrame:
    """Accuracies of as many random features as a dense network has hidden units, in one layer, read directly.

    Parameters
    ----------
    config, n_images, readout
        As `control_accuracies` takes them.
    n_units
        Hidden units of the network that is judged.

    Returns
    -------
    pandas.DataFrame
        As of `control_accuracies`, with `n_units`.
    """
    shown, labels, n_classes = _shown(config, n_images)
    network = architectures.build("mlp", input_shape=shown.train.shape[1:], n_classes=n_classes, hidden=(n_units,))
    read, name = _reader(network, shown, labels, readout), _name("mlp", {"hidden": (n_units,)})
    return pd.DataFrame([_row(EQUAL_FEATURES, seed, name, read(seed)) for seed in config.seeds]).assign(n_units=n_units)


def _shown(config: TrainConfig, n_images: int) -> tuple[Features, Labels, int]:
    """What readouts are fitted on, chosen by and tested on, and how many classes there are."""
    images = load_images(config)
    splits, labels = readout_images(images, n_images)
    return Features(*(images.normalise(split) for split in splits)), labels, images.n_classes


def _row(control: str, seed: int, network: str, read: Readout) -> dict[str, Any]:
    return {"control": control, "seed": seed, "network": network, **read._asdict()}
