"""Stratified, seeded choices of images: every class gives its share.

Shares are apportioned by largest remainders (Hamilton's method), so that the chosen numbers sum to what was asked for
and no class is off its exact share by one image or more, unless a bound of at least one image says so. Within a class
the order is a permutation by ``(seed, class)``, of which a prefix is taken: a smaller subset is part of a larger one of
the same seed.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Int, Int32

from bioplausible.foundation.errors import InputError


def apportion(
    counts: Int[np.ndarray, " classes"], total: int, lower: Int[np.ndarray, " classes"], upper: Int[np.ndarray, " classes"]
) -> Int[np.ndarray, " classes"]:
    """Share ``total`` among classes in proportion to their counts, within bounds.

    Parameters
    ----------
    counts
        ``(classes,)``, how many images each class has.
    total
        How many to choose; between the sums of the bounds.
    lower
        ``(classes,)``, the fewest to choose of each.
    upper
        ``(classes,)``, the most to choose of each.

    Returns
    -------
    numpy.ndarray
        ``(classes,)``, summing to ``total``; of equal remainders the first class is served first.

    >>> ones = np.ones(3, int)
    >>> apportion(np.array([10, 10, 4]), 5, 0 * ones, np.array([10, 10, 4])).tolist()
    [2, 2, 1]
    """
    exact = counts * (total / counts.sum())
    chosen = np.clip(np.floor(exact).astype(int), lower, upper)
    while chosen.sum() < total:
        shortfall = np.where(chosen < upper, exact - chosen, -np.inf)
        chosen[np.argmax(shortfall)] += 1
    while chosen.sum() > total:
        excess = np.where(chosen > lower, chosen - exact, -np.inf)
        chosen[np.argmax(excess)] -= 1
    return chosen


def stratified_choice(
    labels: Int32[np.ndarray, " n"], chosen: Int[np.ndarray, " classes"], seed: int
) -> tuple[Int[np.ndarray, " n_chosen"], Int[np.ndarray, " n_rest"]]:
    """Choose a number of images of each class.

    Parameters
    ----------
    labels
        ``(n,)``.
    chosen
        ``(classes,)``, how many of each class.
    seed
        Which ones.

    Returns
    -------
    tuple[numpy.ndarray, numpy.ndarray]
        Indices of the chosen images and of the rest, each in rising order.
    """
    is_chosen = np.zeros(len(labels), bool)
    for label, n_chosen in enumerate(chosen):
        members = np.flatnonzero(labels == label)
        order = np.random.default_rng([seed, label]).permutation(len(members))
        is_chosen[members[order[:n_chosen]]] = True
    return np.flatnonzero(is_chosen), np.flatnonzero(~is_chosen)


def take_fraction(
    labels: Int32[np.ndarray, " n"], n_classes: int, fraction: float, seed: int, every_class: bool, what: str
) -> tuple[Int[np.ndarray, " n_taken"], Int[np.ndarray, " n_rest"]]:
    """Take a stratified fraction away and leave at least one image of every class.

    Parameters
    ----------
    labels
        ``(n,)``.
    n_classes
        How many classes there are.
    fraction
        Above 0 and below 1.
    seed
        Which images.
    every_class
        Whether every class must give at least one image.
    what
        What is split, for the error's sentence.

    Returns
    -------
    tuple[numpy.ndarray, numpy.ndarray]
        Indices taken and indices left, each in rising order.

    Raises
    ------
    InputError
        There are too few images.
    """
    counts = np.bincount(labels, minlength=n_classes)
    total = round(fraction * len(labels))
    lower = np.full(n_classes, int(every_class))
    upper = counts - 1
    if np.any(upper < lower) or not 1 <= max(total, lower.sum()) <= upper.sum():
        raise InputError(
            f"{what}: a fraction of {fraction:.4g} cannot be taken from {len(labels)} images, {counts.min()} in the "
            f"smallest of {n_classes} classes: give more images of each class or another fraction"
        )
    return stratified_choice(labels, apportion(counts, max(total, int(lower.sum())), lower, upper), seed)


def take_subset(
    labels: Int32[np.ndarray, " n"], n_classes: int, n_images: int, seed: int, what: str
) -> Int[np.ndarray, " n_images"]:
    """Choose a stratified subset with at least one image of every class.

    Parameters
    ----------
    labels
        ``(n,)``.
    n_classes
        How many classes there are.
    n_images
        How many to choose.
    seed
        Which images.
    what
        What the subset is taken from, for the error's sentence.

    Returns
    -------
    numpy.ndarray
        ``(n_images,)``, indices in rising order.

    Raises
    ------
    InputError
        The number is below the number of classes or above the number of images.
    """
    if not n_classes <= n_images <= len(labels):
        raise InputError(
            f"{what}: n_train={n_images} was given, where {n_classes} (one image a class) to {len(labels)} (all that "
            "the validation split leaves) were expected: choose a number between them"
        )
    counts = np.bincount(labels, minlength=n_classes)
    chosen = apportion(counts, n_images, np.ones(n_classes, int), counts)
    return stratified_choice(labels, chosen, seed)[0]


__all__ = ["apportion", "stratified_choice", "take_fraction", "take_subset"]
