"""What rules under test learn from, and the small networks that they are tried on."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

import architectures
from architectures import Network
from bioplausible.foundation.errors import InputError

__all__ = ["SMALL", "Images", "digits", "small_network"]

_INPUT_SHAPE, _N_CLASSES = (8, 8, 1), 10

SMALL: dict[str, dict[str, Any]] = {
    "mlp": {"hidden": (48, 40, 32)},
    "cnn": {"channels": (8, 12), "hidden": (24,)},
    "vgg": {"channels": (8, 8, 12), "halved": (0, 2), "hidden": (24,)},
    "resnet": {"channels": (8, 12), "strides": (1, 2)},
    "recurrent": {"hidden": (48, 40, 32)},
    "spiking": {"hidden": (48, 40, 32), "n_steps": 10},
    "transformer": {"n_units": 24},
}
"""Options of the small networks: hidden nodes enough that some have two nodes above them."""


class Images(NamedTuple):
    """Small images to learn from.

    Attributes
    ----------
    train
        Standardised, (n, 8, 8, 1).
    train_labels
        Classes (n,).
    test, test_labels
        Of the test.
    """

    train: np.ndarray
    train_labels: np.ndarray
    test: np.ndarray
    test_labels: np.ndarray


def digits() -> Images:
    """scikit-learn's handwritten digits, of which every fifth is kept for the test."""
    from sklearn.datasets import load_digits

    data = load_digits()
    images = ((data.images - data.images.mean()) / data.images.std()).astype(np.float32)[..., None]
    held_out = np.arange(len(images)) % 5 == 4
    order = np.random.default_rng(0).permutation(np.flatnonzero(~held_out))
    labels = data.target.astype(np.int32)
    return Images(images[order], labels[order], images[held_out], labels[held_out])


def small_network(architecture: str | Network, n_hidden: int | None = None, **published: Any) -> Network:
    """The small network of an architecture.

    Parameters
    ----------
    architecture
        One of `architectures.names()`, which is built small; `module:name` or `path.py:name` of a user's own, which is built as it
        builds itself; or a network itself.
    n_hidden
        How many of its hidden layers a rule was published with; None for all.
    **published
        Options of the architecture that a rule was published with.

    Raises
    ------
    InputError
        An unknown architecture, or a network that does not tell ten classes of 8 x 8 images apart.
    """
    if not isinstance(architecture, Network):
        options = {**SMALL.get(architecture, {}), **published}
        if "hidden" in options:
            options["hidden"] = options["hidden"][:n_hidden]
        return architectures.build(architecture, input_shape=_INPUT_SHAPE, n_classes=_N_CLASSES, **options)
    if (architecture.input_shape, architecture.n_classes) != (_INPUT_SHAPE, _N_CLASSES):
        raise InputError(
            f"'{architecture.name}' takes {architecture.input_shape} and tells {architecture.n_classes} classes apart, and the "
            f"scorecard's images are {_INPUT_SHAPE} of {_N_CLASSES} classes: build it for these"
        )
    return architecture
