r"""Searchlights: an RDM of the voxels around every voxel, scored against models before the next ones are made.

Neighbourhoods of one size are computed together: with X the patterns of one, centred and of unit length, all its
correlations are :math:`X X^T`, and all scores of a tile of RDMs are one product with the models' normalised RDMs. Only
one tile of RDMs exists at a time, small enough to stay in the processor's cache.

The numbers are those of :func:`rsa.rdm` and :func:`rsa.compare`, computed by NumPy: the shapes vary too much to compile.

Reference: Kriegeskorte, Goebel and Bandettini 2006, PNAS 103:3863, doi:10.1073/pnas.0600244103.
"""

from collections.abc import Callable, Iterator
from functools import cache

import numpy as np
from jaxtyping import Float, Int, Real
from scipy import stats
from threadpoolctl import ThreadpoolController

from bioplausible.foundation.errors import InputError, unknown_name
from bioplausible.foundation.progress import Progress
from rsa import kendall
from rsa.checks import check_rdms, check_varies
from rsa.comparators import VARIANCE_TOLERANCE
from rsa.distances import MINIMUM_CONDITIONS
from rsa.neighbourhoods import NeighbourLists, check_members
from rsa.pairs import Array, condition_count
from rsa.precision import CONSTANT_TOLERANCE

# Numbers in the largest array of a tile: two megabytes stay in a core's cache.
TILE_NUMBERS = 2**17
TILE_CENTRES = 256

SEARCHLIGHT_DISTANCES = ("correlation", "euclidean")


Tile = tuple[Int[np.ndarray, " n_tile"], Float[np.ndarray, "n_tile n_pairs"]]


def searchlight_rdms(
    patterns: Real[Array, "*batch n_conditions n_voxels"],
    neighbourhoods: NeighbourLists,
    distance: str = "correlation",
    progress: Progress | None = None,
) -> Float[np.ndarray, "*batch n_centres n_pairs"]:
    """Compute the RDM of every neighbourhood, and keep them all: 50,000 of 92 conditions take 1.7 GB.

    Parameters
    ----------
    patterns, neighbourhoods, distance, progress
        As in :func:`searchlight`.

    Returns
    -------
    Condensed RDMs, shape (..., n_centres, n_pairs). A condition whose pattern is constant within a neighbourhood has no
    correlation there: its distances are NaN.

    Raises
    ------
    InputError
        As :func:`searchlight` does.
    """
    values, members = _check_patterns(patterns, distance), check_members(neighbourhoods, np.shape(patterns)[-1])
    n_conditions = values.shape[-2]
    rdms = np.empty((*values.shape[:-2], len(members), n_conditions * (n_conditions - 1) // 2))
    # Threads that share a product of some microseconds mostly wait for each other: five times as long in all.
    with _thread_pools().limit(limits=1, user_api="blas"):
        for index, positions, tile in _all_tiles(values, members, distance, progress):
            rdms[index][positions] = tile
    return rdms


def searchlight(
    patterns: Real[Array, "*batch n_conditions n_voxels"],
    neighbourhoods: NeighbourLists,
    model_rdms: Real[Array, "n_models n_pairs"],
    comparator: str = "spearman",
    distance: str = "correlation",
    progress: Progress | None = None,
) -> Float[np.ndarray, "*batch n_centres n_models"]:
    """Score models at every neighbourhood, holding a few RDMs at a time.

    Parameters
    ----------
    patterns
        Response of each voxel to each condition, shape (..., n_conditions, n_voxels); leading axes are subjects.
    neighbourhoods
        From :func:`rsa.volume_neighbourhoods`; or columns of the patterns, a list for each centre; or a sparse matrix
        (n_centres, n_voxels) each of whose stored entries, zero or not, is a neighbour, as scikit-learn's
        ``radius_neighbors_graph`` of a surface's coordinates.
    model_rdms
        Condensed RDMs, shape (n_models, n_pairs).
    comparator
        ``"pearson"``, ``"spearman"`` (rho-a), ``"cosine"``, or ``"kendall"`` (tau-a, many times slower).
    distance
        ``"correlation"`` or ``"euclidean"``, as in :func:`rsa.rdm`.
    progress
        Called with how many centres are done, of how many, and a line to show.

    Returns
    -------
    Scores, shape (..., n_centres, n_models); NaN where a neighbourhood has none, because a condition's pattern is
    constant there (correlation) or all dissimilarities are equal. :func:`rsa.score_map` puts them back into the volume.

    Raises
    ------
    InputError
        For NaN or infinite values in a voxel of any neighbourhood (leave those out of the mask), neighbours that are
        no columns of the patterns, and as :func:`rsa.rdm` and :func:`rsa.compare` do.

    >>> import rsa
    >>> patterns = np.random.default_rng(0).normal(size=(5, 27))
    >>> spheres = rsa.volume_neighbourhoods(np.ones((3, 3, 3), bool), radius=2)
    >>> searchlight(patterns, spheres, np.arange(10.0)[None]).shape
    (27, 1)
    """
    if comparator not in _SCORERS:
        raise unknown_name("comparator of searchlights", comparator, _SCORERS)
    values, members = _check_patterns(patterns, distance), check_members(neighbourhoods, np.shape(patterns)[-1])
    models = check_rdms(model_rdms, "model")
    check_varies(models, "model", comparator)
    if models.ndim != 2 or condition_count(models.shape[-1]) != values.shape[-2]:
        raise InputError(
            f"the models' RDMs have shape {models.shape} and the patterns {values.shape[-2]} conditions: (n_models, n_pairs) "
            f"is expected, with {values.shape[-2] * (values.shape[-2] - 1) // 2} pairs in the same order of conditions"
        )
    score = _SCORERS[comparator](models)
    scores = np.empty((*values.shape[:-2], len(members), len(models)))
    # Threads that share a product of some microseconds mostly wait for each other: five times as long in all.
    with _thread_pools().limit(limits=1, user_api="blas"):
        for index, positions, tile in _all_tiles(values, members, distance, progress):
            scores[index][positions] = score(tile)
    return scores


@cache
def _thread_pools() -> ThreadpoolController:
    """Looking for the process's libraries takes milliseconds, so it is done once."""
    return ThreadpoolController()


def _all_tiles(
    patterns: np.ndarray, members: list[np.ndarray], distance: str, progress: Progress | None
) -> Iterator[tuple[tuple[int, ...], np.ndarray, np.ndarray]]:
    """Tiles of every subject, with the subject's index."""
    done, total = 0, len(members) * int(np.prod(patterns.shape[:-2]))
    used = np.zeros(patterns.shape[-1], dtype=bool)
    used[np.concatenate(members)] = True
    for index in np.ndindex(*patterns.shape[:-2]):
        missing = np.argwhere(~np.isfinite(patterns[index]) & used)
        if len(missing):
            raise InputError(
                f"voxel {missing[0][1] + 1} holds NaN or infinite values in condition {missing[0][0] + 1}: leave voxels that were "
                "not measured out of the mask, or of the neighbourhoods"
            )
        for positions, tile in _tiles(patterns[index], members, distance):
            yield index, positions, tile
            done += len(positions)
            if progress is not None:
                progress(done, total, "neighbourhoods")


def _tiles(patterns: np.ndarray, members: list[np.ndarray], distance: str) -> Iterator[Tile]:
    """RDMs of a few neighbourhoods of one size at a time, and which they are; the next tile overwrites them."""
    n_conditions = len(patterns)
    # A voxel's responses side by side are copied as one piece.
    by_voxel = np.ascontiguousarray(patterns.T, dtype=np.float64)
    if distance == "euclidean":
        # The mean over conditions cancels in every difference; without it the products keep their digits.
        by_voxel = by_voxel - by_voxel.mean(axis=1, keepdims=True)
    first, second = np.triu_indices(n_conditions, 1)
    upper = first * n_conditions + second
    sizes = np.array([len(columns) for columns in members])
    for size in np.unique(sizes):
        same = np.flatnonzero(sizes == size)
        at_once = min(int(np.clip(TILE_NUMBERS // (n_conditions * max(n_conditions, size)), 1, TILE_CENTRES)), len(same))
        # Fresh arrays of this size would come from the system page by page, which takes longer than filling them.
        channels = np.empty((at_once, size, n_conditions))
        products = np.empty((at_once, n_conditions, n_conditions))
        rdms = np.empty((at_once, len(upper)))
        for positions in (same[start : start + at_once] for start in range(0, len(same), at_once)):
            if len(positions) < at_once:
                channels, products, rdms = (array[: len(positions)] for array in (channels, products, rdms))
            columns = np.stack([members[position] for position in positions])
            np.take(by_voxel, columns, axis=0, out=channels, mode="clip")
            if distance == "correlation":
                _centre_to_unit_length(channels)
            np.matmul(channels.swapaxes(1, 2), channels, out=products)
            np.take(products.reshape(len(positions), -1), upper, axis=1, out=rdms, mode="clip")
            if distance == "correlation":
                np.subtract(1, rdms, out=rdms)
            else:
                squares = np.diagonal(products, axis1=1, axis2=2)
                rdms *= -2
                rdms += squares[:, first]
                rdms += squares[:, second]
                np.maximum(rdms, 0, out=rdms)
                rdms /= size
            yield positions, rdms


def _centre_to_unit_length(channels: Float[np.ndarray, "n_tile n_channels n_conditions"]) -> None:
    """Centre each pattern over its channels and scale it to unit length, in place; NaN where it is constant."""
    mean = channels.mean(axis=1, keepdims=True)
    channels -= mean
    square = np.einsum("tcn,tcn->tn", channels, channels)[:, None]
    rounding = CONSTANT_TOLERANCE**2 * channels.shape[1] * np.square(mean)
    channels *= 1 / np.sqrt(np.where(square > rounding, square, np.nan))


def _inner_product_scorer(models: np.ndarray, centred: bool) -> Callable[[np.ndarray], np.ndarray]:
    """Pearson or cosine: the lengths of the data's RDMs divide at last. Pearson's centres the tile in place."""
    unit = models - models.mean(axis=1, keepdims=True) if centred else models
    unit = (unit / np.linalg.norm(unit, axis=1, keepdims=True)).T

    def score(rdms: np.ndarray) -> np.ndarray:
        rounding = np.zeros((len(rdms), 1))
        if centred:
            mean = rdms.mean(axis=1, keepdims=True)
            rdms -= mean
            rounding = VARIANCE_TOLERANCE * rdms.shape[1] * np.square(mean)
        square = np.einsum("tp,tp->t", rdms, rdms)[:, None]
        return rdms @ unit / np.sqrt(np.where(square > rounding, square, np.nan))

    return score


def _ranks(rdms: Float[np.ndarray, "n_tile n_pairs"]) -> Float[np.ndarray, "n_tile n_pairs"]:
    """Mid-ranks; measured distances seldom tie, and without ties a sort is all there is to do."""
    order = np.argsort(rdms, axis=1)
    ordered = np.take_along_axis(rdms, order, axis=1)
    ranks = np.empty_like(rdms)
    np.put_along_axis(ranks, order, np.arange(1.0, rdms.shape[1] + 1)[None], axis=1)
    tied = (ordered[:, 1:] == ordered[:, :-1]).any(axis=1)
    if tied.any():
        ranks[tied] = stats.rankdata(rdms[tied], axis=1)
    return ranks


def _without_a_score(rdms: np.ndarray) -> np.ndarray:
    """Constant RDMs, and those that lack an entry."""
    highest, lowest = rdms.max(axis=1), rdms.min(axis=1)
    return ~(highest - lowest > CONSTANT_TOLERANCE * np.maximum(np.abs(highest), np.abs(lowest)))


def _rho_a_scorer(models: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
    n_pairs = models.shape[1]
    ours = (_ranks(models) - (n_pairs + 1) / 2).T

    def score(rdms: np.ndarray) -> np.ndarray:
        # The models' ranks are centred, so that the data's need not be; products of half integers are exact.
        scores = _ranks(rdms) @ ours / ((n_pairs**3 - n_pairs) / 12)
        scores[_without_a_score(rdms)] = np.nan
        return scores

    return score


def _tau_a_scorer(models: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
    ours, ones = kendall.prepare(models), np.ones(models.shape[1])

    def score(rdms: np.ndarray) -> np.ndarray:
        scores = kendall.score(ours, kendall.prepare(rdms), ones).T
        scores[_without_a_score(rdms)] = np.nan
        return scores

    return score


def _unit_vectors(rdms: np.ndarray, centred: bool) -> np.ndarray:
    values, rounding = rdms, np.zeros((len(rdms), 1))
    if centred:
        mean = rdms.mean(axis=1, keepdims=True)
        values, rounding = rdms - mean, VARIANCE_TOLERANCE * rdms.shape[1] * np.square(mean)
    square = np.einsum("tp,tp->t", values, values)[:, None]
    return values / np.sqrt(np.where(square > rounding, square, np.nan))


def _rank_vectors(rdms: np.ndarray) -> np.ndarray:
    n_pairs = rdms.shape[1]
    vectors = (_ranks(rdms) - (n_pairs + 1) / 2) / np.sqrt((n_pairs**3 - n_pairs) / 12)
    vectors[_without_a_score(rdms)] = np.nan
    return vectors


_VECTORS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "pearson": lambda rdms: _unit_vectors(rdms, centred=True),
    "cosine": lambda rdms: _unit_vectors(rdms, centred=False),
    "spearman": _rank_vectors,
}


def inner_product_vectors(comparator: str) -> Callable[[Float[np.ndarray, "n_rdms n_pairs"]], Float[np.ndarray, "n_rdms n_pairs"]]:
    """What makes the vectors of RDMs whose inner products are their scores; NaN where an RDM has none.

    Raises
    ------
    InputError
        For a comparator that is no inner product.
    """
    if comparator not in _VECTORS:
        raise unknown_name("comparator with an inner product", comparator, _VECTORS)
    return _VECTORS[comparator]


_SCORERS: dict[str, Callable[[np.ndarray], Callable[[np.ndarray], np.ndarray]]] = {
    "pearson": lambda models: _inner_product_scorer(models, centred=True),
    "cosine": lambda models: _inner_product_scorer(models, centred=False),
    "spearman": _rho_a_scorer,
    "kendall": _tau_a_scorer,
}
SEARCHLIGHT_COMPARATORS = tuple(_SCORERS)


def _check_patterns(patterns: object, distance: str) -> np.ndarray:
    values = np.asarray(patterns)
    if distance not in SEARCHLIGHT_DISTANCES:
        raise unknown_name("distance of searchlights", distance, SEARCHLIGHT_DISTANCES)
    if values.ndim < 2 or values.shape[-2] < MINIMUM_CONDITIONS:
        raise InputError(
            f"the patterns have shape {values.shape}: (..., n_conditions, n_voxels) with at least {MINIMUM_CONDITIONS} "
            "conditions is expected"
        )
    return values


__all__ = ["SEARCHLIGHT_COMPARATORS", "SEARCHLIGHT_DISTANCES", "inner_product_vectors", "searchlight", "searchlight_rdms"]
