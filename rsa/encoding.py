r"""Cross-validated ridge encoding: how well channels are predicted, linearly, from a model's units.

Conditions are split into folds. On the conditions of all other folds, the training conditions T, each channel y gets weights

.. math:: \hat w = \arg\min_w \lVert y_T - \bar y_T - (X_T - \bar x_T) w \rVert^2 + \lambda \nu \lVert w \rVert^2, \qquad
          \nu = \frac{1}{|T|} \sum_{i \in T} \lVert x_i - \bar x_T \rVert^2

with a penalty λ of its own, the best of ``PENALTIES`` by leaving one *training* condition out in turn. The channel's score is the
Pearson correlation of prediction and response over the held-out conditions, averaged over folds. Correlations are taken
inside folds: pooled over folds, the training means alone would correlate negatively with what was held out, and noise would
score below zero. As it is, the score of a channel that is independent of the model has mean zero.

The penalty is in units of the training patterns' mean square length ν, so that scores change neither with the scale of the
units, nor with their rotation, nor with a shift. Units enter by their inner products alone; wide patterns are therefore rotated
into as many columns as there are conditions first, and twenty thousand units cost what a hundred do.

References: Hoerl and Kennard 1970, doi:10.1080/00401706.1970.10488634; Naselaris et al. 2011,
doi:10.1016/j.neuroimage.2010.07.073 (encoding models).
"""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Int
from sklearn.linear_model import RidgeCV

from bioplausible.foundation.errors import InputError
from rsa.alignment import Patterns, Scores, centre, narrow
from rsa.precision import CONSTANT_TOLERANCE

# From next to none to where a larger penalty changes the length of predictions alone.
PENALTIES = np.logspace(-4, 4, 17)

# Two held-out conditions correlate perfectly or perfectly not.
MINIMUM_HELD_OUT = 3

Folds = Sequence[Int[np.ndarray, "..."]]


def draw_folds(key: jax.Array, n_conditions: int, n_folds: int) -> list[Int[np.ndarray, "..."]]:
    """Shuffle conditions and cut them into folds whose sizes differ by one at most.

    >>> [len(fold) for fold in draw_folds(jax.random.key(0), 11, 3)]
    [4, 4, 3]
    """
    order = np.asarray(jax.random.permutation(key, jnp.arange(n_conditions, dtype=jnp.int32)))
    return [np.sort(fold) for fold in np.array_split(order, n_folds)]


def _of_unit_size(columns: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Centre columns and divide them by their largest values, which come second: squares of teslas are close to nothing."""
    centred = centre(columns)
    largest = np.abs(centred).max(axis=0)
    largest = np.where(largest > 0, largest, 1.0)
    return centred / largest, largest


def held_out_predictions(
    units: Float[np.ndarray, "n_conditions n_units"], channels: Float[np.ndarray, "n_conditions n_channels"], folds: Folds
) -> Float[np.ndarray, "n_conditions n_channels"]:
    """Predict each condition from the folds that it is not in.

    Parameters
    ----------
    units
        The model's patterns, shape (n_conditions, n_units).
    channels
        What is predicted, shape (n_conditions, n_channels).
    folds
        Indices of each fold's conditions.

    Returns
    -------
    Predictions less the training conditions' mean of each channel, shape (n_conditions, n_channels).
    """
    centred = centre(units)
    rotated = narrow(centred / (np.abs(centred).max() or 1.0))
    predictions = np.empty(channels.shape)
    for fold in folds:
        training = np.ones(len(units), dtype=bool)
        training[fold] = False
        mean = rotated[training].mean(axis=0)
        known, new = rotated[training] - mean, rotated[fold] - mean
        length = np.sqrt(np.square(known).sum(axis=1).mean()) or 1.0
        ridge = RidgeCV(alphas=PENALTIES, alpha_per_target=True)
        responses, size = _of_unit_size(channels[training])
        ridge.fit(known / length, responses)
        predictions[fold] = new / length @ ridge.coef_.reshape(channels.shape[1], -1).T * size
    return predictions


def _correlations(predicted: np.ndarray, observed: np.ndarray) -> Float[np.ndarray, " n_channels"]:
    """Pearson correlation of each column; a prediction that never varies explains nothing."""
    varies = np.ptp(predicted, axis=0) > CONSTANT_TOLERANCE * np.abs(predicted).max(axis=0)
    predicted, observed = _of_unit_size(predicted)[0], _of_unit_size(observed)[0]
    lengths = np.linalg.norm(predicted, axis=0) * np.linalg.norm(observed, axis=0)
    products = (predicted * observed).sum(axis=0)
    return np.divide(products, lengths, out=np.zeros(len(products)), where=varies & (lengths > 0))


def channel_scores(
    units: Float[np.ndarray, "n_conditions n_units"], channels: Float[np.ndarray, "n_conditions n_channels"], folds: Folds
) -> Float[np.ndarray, " n_channels"]:
    """Held-out correlation of each channel, the mean over folds; parameters as of :func:`held_out_predictions`."""
    predictions = held_out_predictions(units, channels, folds)
    return np.mean([_correlations(predictions[fold], channels[fold]) for fold in folds], axis=0)


def _check_channels(data: Sequence[Patterns], folds: Folds) -> None:
    for index, channels in enumerate(data):
        largest = np.abs(channels).max(axis=0)
        for fold in folds:
            flat = np.flatnonzero(np.ptp(channels[fold], axis=0) <= CONSTANT_TOLERANCE * largest)
            if len(flat):
                raise InputError(
                    f"channel {flat[0] + 1} of data patterns {index + 1} is the same for all {len(fold)} conditions of a "
                    "fold, so nothing "
                    "can correlate with it there: leave the channel out, or use a smaller n_folds"
                )


def encoding(models: Sequence[Patterns], data: Sequence[Patterns], folds: Folds) -> Scores:
    """Mean held-out correlation over channels, with the same folds for all models and subjects."""
    _check_channels(data, folds)
    # Channels do not know of each other, so that the subjects' can share one decomposition of the model's patterns.
    every, ends = np.concatenate(data, axis=1), np.cumsum([each.shape[1] for each in data])
    scores = [np.split(channel_scores(units, every, folds), ends[:-1]) for units in models]
    return np.array([[each.mean() for each in of_model] for of_model in scores])


__all__ = ["MINIMUM_HELD_OUT", "PENALTIES", "channel_scores", "draw_folds", "encoding", "held_out_predictions"]
