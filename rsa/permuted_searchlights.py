r"""Searchlights: does a model resemble the geometry anywhere, more than one that is unrelated to the stimuli? Conditions permute.

Subjects who saw the same stimuli share much of their geometry, and a model resembles it by chance with one sign in all of them:
what :func:`rsa.sign_flips` finds holds for other subjects, and for these stimuli alone. Here the conditions of the models are
permuted, for all subjects and places alike. With $r_{vm}^{(d)}$ the mean over subjects of the score of model m at place v in
permutation d, draw 0 the data as they are, and z the same in standard deviations of its own D + 1 values, around their mean,

.. math::
    p_{vm} = \frac{1}{1 + D} \sum_{d=0}^{D} \Big[\max_{v', m'} z_{v'm'}^{(d)} \ge z_{vm}\Big].

The family-wise error is controlled over all places and models, for these subjects. Without the division, places at which subjects
agree, whose permutations are wider, would set the bar for all.

A score is the inner product of a model's vector and a subject's, and their mean that with the mean vector of all subjects:
permutations cost as much for many subjects as for one.

References: Mantel 1967, Cancer Research 27:209; Nichols and Holmes 2002, doi:10.1002/hbm.1058.
"""

from collections.abc import Sequence
from typing import NamedTuple

import jax
import numpy as np
from jaxtyping import Float, Real

from bioplausible.foundation.errors import InputError
from bioplausible.foundation.progress import Progress
from rsa.bootstrap import condition_permutations
from rsa.checks import check_rdms, check_varies
from rsa.inference import check_enough_conditions
from rsa.neighbourhoods import NeighbourLists, check_members
from rsa.pairs import Array, condition_count
from rsa.permuted import permuted_products
from rsa.precision import in_double_precision
from rsa.searchlights import inner_product_vectors, searchlight_rdms

# Numbers in a block of places: of their mean RDMs, and of their scores in all permutations.
NUMBERS_AT_ONCE = 2**23

# Scores that differ by less than this share were summed in another order.
ROUNDING = 1e-10


class SearchlightTest(NamedTuple):
    """Of every place and model the mean score over subjects and the one-sided p-value, corrected over all.

    mean, p_value: (n_centres, n_models). largest: (n_draws + 1,), the largest z of each draw, the data's own first.
    """

    mean: np.ndarray
    p_value: np.ndarray
    largest: np.ndarray


@in_double_precision
def searchlight_permutations(
    key: jax.Array,
    patterns: Sequence[Real[Array, "n_conditions ..."]],
    neighbourhoods: Sequence[NeighbourLists],
    model_rdms: Real[Array, "n_rdms n_pairs"],
    comparator: str = "spearman",
    distance: str = "correlation",
    n_draws: int = 1000,
    groups: Sequence[Sequence[int]] | None = None,
    progress: Progress | None = None,
) -> SearchlightTest:
    """Test models at every place against permutations of the conditions, and correct for all places and models.

    Parameters
    ----------
    key
        JAX random key; the same key gives the same permutations.
    patterns
        Of each subject, (n_conditions, n_voxels); subjects may have other voxels.
    neighbourhoods
        Of each subject, as in :func:`rsa.searchlight`: as many, for the same places in the same order.
    model_rdms
        Condensed RDMs, shape (n_rdms, n_pairs).
    comparator
        ``"pearson"``, ``"spearman"`` (rho-a) or ``"cosine"``.
    distance
        As in :func:`rsa.searchlight`.
    n_draws
        Permutations.
    groups
        Indices of the RDMs whose mean score is one model's, such as its seeds; by default each is a model.
    progress
        Called with how many places are done, of how many, and a line to show.

    Returns
    -------
    SearchlightTest

    Raises
    ------
    InputError
        As :func:`rsa.searchlight` does; for fewer than six conditions, no draws, a comparator that is no inner product, unequal
        numbers of places, and places without a score.

    >>> import rsa
    >>> patterns = np.random.default_rng(0).normal(size=(3, 8, 27))
    >>> spheres = rsa.volume_neighbourhoods(np.ones((3, 3, 3), bool), radius=2)
    >>> searchlight_permutations(jax.random.key(0), list(patterns), [spheres] * 3, np.arange(28.0)[None], n_draws=99).p_value.shape
    (27, 1)
    """
    models = check_rdms(model_rdms, "model")
    check_varies(models, "model", comparator)
    vectors_of = inner_product_vectors(comparator)
    members = [check_members(each, np.shape(one)[-1]) for each, one in zip(neighbourhoods, patterns, strict=True)]
    n_conditions = condition_count(models.shape[-1])
    if models.ndim != 2 or not members or any(len(np.asarray(one)) != n_conditions for one in patterns):
        raise InputError(
            f"the models' RDMs have shape {models.shape} and the subjects' patterns {[np.shape(one) for one in patterns]}: "
            "(n_rdms, n_pairs) and (n_conditions, n_voxels) of the same conditions are expected"
        )
    if len({len(each) for each in members}) != 1:
        raise InputError(
            f"the subjects have {', '.join(str(len(each)) for each in members)} places: the same places are expected, in one order"
        )
    if n_draws < 1:
        raise InputError(f"{n_draws} draws were asked for: give one or more, such as 1000")
    check_enough_conditions(n_conditions)
    in_groups = [[index] for index in range(len(models))] if groups is None else groups
    vectors = vectors_of(models)
    ours = np.stack([vectors[list(group)].mean(axis=0) for group in in_groups])
    drawn = condition_permutations(key, n_draws, n_conditions)
    permutations = np.concatenate([np.arange(n_conditions)[None], drawn])
    n_places = len(members[0])
    at_once = max(1, NUMBERS_AT_ONCE // max(models.shape[1], len(permutations)))
    means, observed = np.empty((n_places, len(ours))), np.empty((n_places, len(ours)))
    largest = np.full(len(permutations), -np.inf)
    for start in range(0, n_places, at_once):
        block = slice(start, start + at_once)
        theirs = np.mean(
            [vectors_of(_rdms(np.asarray(one), each[block], distance)) for one, each in zip(patterns, members, strict=True)], axis=0
        )
        if not np.isfinite(theirs).all():
            raise InputError("a place has no score in one of the subjects: leave such places out of the neighbourhoods")
        for index, vector in enumerate(ours):
            scores = permuted_products(theirs, vector, permutations)
            spread = scores.std(axis=0)
            z = (scores - scores.mean(axis=0)) / np.where(spread > 0, spread, 1)
            means[block, index], observed[block, index] = scores[0], z[0]
            largest = np.maximum(largest, z.max(axis=1))
        if progress is not None:
            progress(min(start + at_once, n_places), n_places, "permutations of neighbourhoods")
    below = np.searchsorted(np.sort(largest), observed - ROUNDING * np.abs(observed), side="left")
    return SearchlightTest(means, (len(largest) - below) / len(largest), largest)


def _rdms(patterns: np.ndarray, members: list[np.ndarray], distance: str) -> Float[np.ndarray, "n_centres n_pairs"]:
    """RDMs of some places, from the voxels that these need alone: whole volumes would be copied for every block."""
    used = np.zeros(patterns.shape[1], dtype=bool)
    used[np.concatenate(members)] = True
    position = np.cumsum(used) - 1
    return searchlight_rdms(patterns[:, used], [position[columns] for columns in members], distance)


__all__ = ["SearchlightTest", "searchlight_permutations"]
