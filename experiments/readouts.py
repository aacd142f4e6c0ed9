"""One readout for all: ridge regression of the classes on standardised features, the same for rules and for their controls.

What a network's own output layer reaches depends on its rate and on the scale of the features that it sees. Here every feature has
mean nought and variance one over the training images, the regression has a closed form and so no rate and no end to wait for, and
validation images choose how strongly it is held back and which hidden layer it reads. Test images have no say.

Multinomial logistic regression of the same features is the readout that a critic would ask for next; it takes some fifty times as
long, and is there to try whether a verdict hangs on the choice. It is stopped after so many iterations, which favours features that
are well conditioned.
"""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Bool, Float, Int
from scipy import linalg
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression

__all__ = [
    "ALL",
    "LOGISTIC",
    "MAX_ITERATIONS",
    "PENALTIES",
    "READOUTS",
    "RIDGE",
    "Features",
    "Labels",
    "Readout",
    "as_text",
    "best_readout",
    "fit_readout",
    "from_text",
    "logistic_readout",
    "over_places",
    "ridge_weights",
]

RIDGE, LOGISTIC = "ridge", "logistic"
READOUTS = (RIDGE, LOGISTIC)
# From hardly to heavily held back: on squared weights beside the mean squared error, on half of them beside the mean logistic loss.
PENALTIES = (1e-3, 1e-2, 1e-1)
MAX_ITERATIONS = 300
# Maps are averaged over as many places a side before they are read: more would be more features than images to fit them by.
_MAX_SIDE = 7
# All layers are read together from so many features at most: the work grows with their square, and with their cube.
_MOST_TOGETHER = 2500
_LEAST_SPREAD = 1e-6
_AT_A_TIME = 4096
ALL = "all"


class Features(NamedTuple):
    """Features of the images that a readout is fitted on, chosen by and tested on.

    Attributes
    ----------
    train, validation, test
        ``(n_images, ...)``: what follows the images are units, or maps of ``(height, width, channels)``.
    """

    train: np.ndarray
    validation: np.ndarray
    test: np.ndarray


class Labels(NamedTuple):
    """Labels of the same images, ``(n_images,)`` each."""

    train: Int[np.ndarray, " n_train"]
    validation: Int[np.ndarray, " n_validation"]
    test: Int[np.ndarray, " n_test"]


class Readout(NamedTuple):
    """What a readout reaches.

    Attributes
    ----------
    read_from
        The layer, or "all".
    validation_accuracy, test_accuracy
        Fractions of the images.
    right
        Which test images were told right, as `as_text` writes it; "" where nobody looked.
    """

    read_from: str
    validation_accuracy: float
    test_accuracy: float
    right: str = ""


def as_text(right: Bool[np.ndarray, " n_images"]) -> str:
    """Yes or no for each image, short enough to be kept: their number, and bits as hexadecimal digits.

    Parameters
    ----------
    right
        One an image.

    >>> as_text(np.array([True, False, True]))
    '3:a0'
    """
    return f"{len(right)}:{np.packbits(right).tobytes().hex()}"


def from_text(text: str) -> Bool[np.ndarray, " n_images"]:
    """What `as_text` wrote.

    Parameters
    ----------
    text
        So written.

    >>> from_text("3:a0").tolist()
    [True, False, True]
    """
    number, _, digits = text.partition(":")
    return np.unpackbits(np.frombuffer(bytes.fromhex(digits), np.uint8), count=int(number)).astype(bool)


def over_places(maps: Any, max_side: int = _MAX_SIDE) -> Any:
    """Maps averaged over as many places a side at most, anything else as it is.

    Parameters
    ----------
    maps
        ``(n_images, height, width, channels)``, of NumPy or of JAX.
    max_side
        Places a side.
    """
    if maps.ndim != 4 or max(maps.shape[1:3]) <= max_side:
        return maps
    stack = np.stack if isinstance(maps, np.ndarray) else jnp.stack
    _, *sides, _ = maps.shape
    rows, columns = ([slice(piece[0], piece[-1] + 1) for piece in np.array_split(np.arange(n), min(n, max_side))] for n in sides)
    return stack([stack([maps[:, row, column].mean((1, 2)) for column in columns], axis=1) for row in rows], axis=1)


def _pooled(maps: np.ndarray, max_side: int = _MAX_SIDE) -> Float[np.ndarray, "n_images n_features"]:
    """Maps averaged over places; one row an image."""
    return np.asarray(over_places(maps, max_side), np.float32).reshape(len(maps), -1)


class _Scale(NamedTuple):
    """What takes features to mean nought and variance one over the training images; a feature that does not vary becomes nought.

    Images are taken some at a time: in double precision, those of a large set are larger than the features themselves.
    """

    mean: Float[np.ndarray, " n_features"]
    scale: Float[np.ndarray, " n_features"]

    @classmethod
    def of(cls, train: Float[np.ndarray, "n_images n_features"]) -> _Scale:
        mean = train.mean(0, np.float64)
        squares = np.zeros_like(mean)
        for part in _parts(len(train)):
            squares += np.square(train[part] - mean).sum(0)
        spread = np.sqrt(squares / len(train)).astype(np.float32)
        mean = mean.astype(np.float32)
        varies = spread > np.maximum(_LEAST_SPREAD * np.abs(mean), np.finfo(np.float32).tiny)
        return cls(mean, np.where(varies, 1 / np.where(varies, spread, 1), 0).astype(np.float32))

    def standardised(self, features: Float[np.ndarray, "n_images n_features"]) -> Float[np.ndarray, "n_images n_features"]:
        return (features - self.mean) * self.scale


def _parts(n_images: int) -> Iterator[slice]:
    return (slice(start, start + _AT_A_TIME) for start in range(0, n_images, _AT_A_TIME))


def _side_together(layers: Mapping[str, Features]) -> int:
    """Over how many places a side maps are averaged where all layers are read together."""

    def n_features(shape: tuple[int, ...], side: int) -> int:
        n_places = np.prod([min(length, side) for length in shape[1:3]]) if len(shape) == 4 else 1
        return int(n_places * (shape[3] if len(shape) == 4 else np.prod(shape[1:])))

    shapes = [features.train.shape for features in layers.values()]
    sides = range(_MAX_SIDE, 1, -1)
    return next((side for side in sides if sum(n_features(shape, side) for shape in shapes) <= _MOST_TOGETHER), 1)


def ridge_weights(
    features: Float[np.ndarray, "n_images n_features"],
    targets: Float[np.ndarray, "n_images n_targets"],
    penalties: Sequence[float] = PENALTIES,
    seen: Callable[[Any], Any] = np.asarray,
) -> Iterator[Float[np.ndarray, "n_features n_targets"]]:
    r"""Weights of ridge regressions through the origin, from the smaller of the two systems of equations that have them for answer.

    .. math:: W = (X^\top X + \lambda n I)^{-1} X^\top Y = X^\top (X X^\top + \lambda n I)^{-1} Y

    Parameters
    ----------
    features, targets
        X and Y; products are in double precision, since features of one network are nearly dependent.
    penalties
        Strengths, on squared weights beside the mean squared error.
    seen
        What features become before they are read; it is given some images at a time.

    Yields
    ------
    numpy.ndarray
        W of each strength.
    """
    n_images, n_features = features.shape
    if n_features > n_images:
        whole = np.asarray(seen(features), np.float64)
        yield from (whole.T @ solved for solved in _solved(whole @ whole.T, targets, n_images, penalties))
        return
    products, right = np.zeros((n_features, n_features)), np.zeros((n_features, targets.shape[1]))
    for part in _parts(n_images):
        some = np.asarray(seen(features[part]), np.float64)
        products += some.T @ some
        right += some.T @ targets[part]
    yield from _solved(products, right, n_images, penalties)


def _solved(products: np.ndarray, right: np.ndarray, n_images: int, penalties: Sequence[float]) -> Iterator[np.ndarray]:
    """What the penalised products of features, or of images, take to the right-hand side; one a penalty."""
    for penalty in penalties:
        penalised = products.copy()
        penalised.flat[:: len(products) + 1] += penalty * n_images
        yield linalg.solve(penalised, right, assume_a="pos", overwrite_a=True)


def _of_images(read_from: str, validation: np.ndarray, test: np.ndarray) -> Readout:
    return Readout(read_from, float(np.mean(validation)), float(np.mean(test)), as_text(test))


def logistic_readout(features: Features, labels: Labels, read_from: str = "") -> Readout:
    """Fit multinomial logistic regressions of several strengths, and keep the best on the validation images.

    Parameters
    ----------
    features
        ``(n_images, n_features)``, as they are.
    labels
        Of the same images.
    read_from
        What they are features of, for the record.
    """
    best = Readout(read_from, -1.0, 0.0)
    for penalty in PENALTIES:
        fit = LogisticRegression(C=1 / (penalty * len(features.train)), max_iter=MAX_ITERATIONS)
        with warnings.catch_warnings():
            # One that has not converged by then is judged as it stands, by images that it has not seen.
            warnings.simplefilter("ignore", ConvergenceWarning)
            fit.fit(features.train, labels.train)
        told = [fit.predict(split) == truth for split, truth in zip(features[1:], labels[1:], strict=True)]
        best = max(best, _of_images(read_from, *told), key=lambda each: each.validation_accuracy)
    return best


def fit_readout(features: Features, labels: Labels, read_from: str = "", kind: str = RIDGE) -> Readout:
    """Standardise features, fit readouts of several strengths, and keep the best on the validation images.

    Parameters
    ----------
    features
        Of the images, on any scale.
    labels
        Of the same images.
    read_from
        What they are features of, for the record.
    kind
        One of `READOUTS`.

    Returns
    -------
    Readout
        With the accuracy of chance for features that are not finite: there is nothing to read.
    """
    pooled = Features(*(_pooled(split) for split in features))
    if not all(np.isfinite(split).all() for split in pooled):
        chance = 1 / len(np.unique(labels.train))
        return Readout(read_from, chance, chance)
    read = _digest(pooled, labels, kind)
    if read not in _FITTED:
        _FITTED[read] = _fit(pooled, labels, kind)
    return _FITTED[read]._replace(read_from=read_from)


# What has been read in this process, by a digest of all that decides it: before the first image every rule on a network has the
# same features, and a frozen one has them ever after.
_FITTED: dict[bytes, Readout] = {}


def _digest(features: Features, labels: Labels, kind: str) -> bytes:
    digest = hashlib.blake2b(repr((kind, PENALTIES, MAX_ITERATIONS, [each.shape for each in features])).encode())
    for each in (*features, *labels):
        digest.update(np.ascontiguousarray(each).data)
    return digest.digest()


def _fit(features: Features, labels: Labels, kind: str) -> Readout:
    """The best readout of features, whatever their scale."""
    scale = _Scale.of(features.train)
    if kind == LOGISTIC:
        return logistic_readout(Features(*(scale.standardised(split) for split in features)), labels)
    classes = np.unique(labels.train)
    targets = (labels.train[:, None] == classes).astype(np.float64)
    judged = [(scale.standardised(split), truth) for split, truth in zip(features[1:], labels[1:], strict=True)]
    best = Readout("", -1.0, 0.0)
    for weights in ridge_weights(features.train, targets - targets.mean(0), seen=scale.standardised):
        told = [classes[np.argmax(split @ weights + targets.mean(0), axis=1)] == truth for split, truth in judged]
        best = max(best, _of_images("", *told), key=lambda each: each.validation_accuracy)
    return best


def best_readout(layers: Mapping[str, Features], labels: Labels, kind: str = RIDGE) -> Readout:
    """Read each layer, and all together, and keep the best on the validation images.

    Maps are averaged over places; all together over fewer where the network keeps large ones.

    Parameters
    ----------
    layers
        Name -> features.
    labels
        Of the same images.
    kind
        One of `READOUTS`.
    """
    read = [fit_readout(features, labels, name, kind) for name, features in layers.items()]
    if len(layers) > 1:
        side = _side_together(layers)
        joined = (
            np.concatenate([_pooled(split, side) for split in splits], axis=1) for splits in zip(*layers.values(), strict=True)
        )
        read.append(fit_readout(Features(*joined), labels, ALL, kind))
    return max(read, key=lambda each: each.validation_accuracy)
