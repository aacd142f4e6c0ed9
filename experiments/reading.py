"""What the layers of a network hold: read on the same images, by the same readout, after learning and before the first image."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import numpy as np
import pandas as pd

from experiments.datasets import ImageSet
from experiments.readouts import RIDGE, Features, Labels, best_readout, over_places
from experiments.trained import Trained
from learning_rules import RuleState

__all__ = ["joined", "read_out", "readout_images"]


def readout_images(images: ImageSet, n_images: int) -> tuple[Features, Labels]:
    """Images to fit a readout on, and those that choose and test it, the same for everyone who asks.

    Parameters
    ----------
    images
        An image set.
    n_images
        Training images to fit on, drawn from the training split; fewer where there are no more.
    """
    train, validation, test = images.train, images.validation, images.test
    drawn = np.sort(np.random.default_rng(0).permutation(len(train.labels))[:n_images])
    return (
        Features(train.images[drawn], np.asarray(validation.images), np.asarray(test.images)),
        Labels(train.labels[drawn], validation.labels, test.labels),
    )


def joined(splits: Features) -> tuple[np.ndarray, Callable[[np.ndarray], Features]]:
    """All images as one array, for which one program is compiled, and what takes apart whatever became of them.

    Parameters
    ----------
    splits
        Images, as `readout_images` gives them.
    """
    ends = np.cumsum([len(split) for split in splits])[:-1]
    return np.concatenate(splits), lambda found: Features(*np.split(found, ends))


def read_out(trained: Trained, n_images: int = 10_000, kind: str = RIDGE) -> pd.DataFrame:
    """Read what the hidden layers of trained networks hold.

    Parameters
    ----------
    trained
        Networks of any rule, as they were after the last epoch.
    n_images
        Training images that the readout is fitted on, the same for all rules; fewer where there are no more.
    kind
        One of `READOUTS`.

    Returns
    -------
    pandas.DataFrame
        One row a seed: `seed`, `read_from`, `validation_accuracy`, `test_accuracy`, and `frozen_accuracy`, the test accuracy of the
        same reading before the first image was seen. That is the matched control: the same units with the same front end, frozen.
        `right` and `frozen_right` say which test images either told right.
    """
    splits, labels = readout_images(trained.images, n_images)
    shown = Features(*(trained.images.normalise(split) for split in splits))
    after, before = (_read_state(trained, state, shown, labels, kind) for state in (trained.state, trained.start))
    return pd.DataFrame(after).assign(
        frozen_accuracy=[row["test_accuracy"] for row in before], frozen_right=[row["right"] for row in before]
    )


def _read_state(trained: Trained, state: RuleState, shown: Features, labels: Labels, kind: str) -> list[dict[str, Any]]:
    """One row a seed."""
    everything, apart = joined(shown)
    # Maps of all images and seeds would fill the memory.
    seeds = range(trained.config.n_seeds)
    has_maps = any(len(node.output_shape) == 3 for node in trained.network.nodes)
    together = [[index] for index in seeds] if has_maps else [seeds]
    rows = []
    for group in together:
        of_group = jax.tree.map(lambda leaf, group=group: leaf[np.array(group)], state)
        layers = trained.represent(everything, state=of_group, kept=over_places)
        for place, index in enumerate(group):
            named = zip(trained.network.node_names[:-1], layers[:-1], strict=True)
            split = {name: apart(layer[place]) for name, layer in named}
            rows.append({"seed": trained.config.seeds[index], **best_readout(split, labels, kind)._asdict()})
    return rows
