"""Searchlights equal rsatoolbox's on a mask with a ragged border, and find a planted sphere."""

import tracemalloc
import warnings

import numpy as np
import pytest
from rsatoolbox.inference import eval_fixed
from rsatoolbox.model import ModelFixed
from rsatoolbox.rdm import RDMs
from rsatoolbox.rdm import compare as rsatoolbox_compare
from rsatoolbox.util import searchlight as judge_of_searchlights
from scipy import sparse
from sklearn.neighbors import radius_neighbors_graph

import rsa
from rsa import searchlights as module
from rsa.neighbourhoods import Neighbourhoods, score_map, volume_neighbourhoods
from rsa.searchlights import searchlight, searchlight_rdms

N_CONDITIONS, N_PAIRS = 10, 45


@pytest.fixture(scope="module")
def mask() -> np.ndarray:
    """Three quarters of a small volume's voxels, up to its border."""
    return np.random.default_rng(0).random((7, 6, 8)) < 0.75


@pytest.fixture(scope="module")
def volume() -> np.ndarray:
    return np.random.default_rng(1).normal(5, 2, size=(N_CONDITIONS, 7, 6, 8))


@pytest.fixture(scope="module")
def models() -> np.ndarray:
    return np.random.default_rng(2).random((3, N_PAIRS)).round(1)


@pytest.mark.parametrize("distance", ["correlation", "euclidean"])
def test_rdms_and_scores_equal_rsatoolbox(mask, volume, models, distance):
    centres, spheres = judge_of_searchlights.get_volume_searchlight(mask, 3, threshold=0.7, truncate_at_boundary=True)
    theirs = judge_of_searchlights.get_searchlight_RDMs(
        volume.reshape(N_CONDITIONS, -1), centres, spheres, np.arange(N_CONDITIONS), method=distance
    )
    ours = volume_neighbourhoods(mask, 3, 0.0)
    patterns = volume[:, mask]
    rdms = searchlight_rdms(patterns, ours, distance)
    np.testing.assert_allclose(rdms, theirs.dissimilarities, rtol=0, atol=1e-10)

    fixed = [ModelFixed(str(i), model) for i, model in enumerate(models)]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for comparator, method in [("pearson", "corr"), ("cosine", "cosine"), ("spearman", "rho-a")]:
            results = judge_of_searchlights.evaluate_models_searchlight(theirs[np.arange(60)], fixed, eval_fixed, method=method)
            expected = np.array([result.evaluations.ravel() for result in results])
            scores = searchlight(patterns, ours, models, comparator, distance)[:60]
            np.testing.assert_allclose(scores, expected, rtol=0, atol=1e-9)


@pytest.mark.parametrize("distance", ["correlation", "euclidean"])
def test_scores_equal_the_rest_of_the_package(mask, volume, models, comparator, judge, distance):
    spheres = volume_neighbourhoods(mask, 2, 0.8)
    patterns = volume[:, mask].astype(np.float32)
    scores = searchlight(np.stack([patterns, -2 * patterns[::-1]]), spheres, models, comparator, distance)
    assert scores.shape == (2, len(spheres.centres), 3)
    for position in (0, 17, len(spheres.centres) - 1):
        one = rsa.rdm(patterns[:, spheres.members[position]], distance)
        np.testing.assert_allclose(scores[0, position], rsa.compare(models, one[None], comparator)[:, 0], rtol=0, atol=1e-12)
    every = searchlight_rdms(patterns, spheres, distance)
    np.testing.assert_allclose(scores[0], rsatoolbox_compare(RDMs(every), RDMs(models), judge), rtol=0, atol=1e-10)


def test_ties_are_mid_ranks(models):
    """Patterns of zeros and ones have few distances, so most of them tie."""
    patterns = np.random.default_rng(3).integers(0, 2, size=(N_CONDITIONS, 12))
    patches = [[0, 1, 2, 3], [4, 5, 6], list(range(12))]
    rdms = searchlight_rdms(patterns, patches, "euclidean")
    for comparator in ("spearman", "kendall"):
        scores = searchlight(patterns, patches, models, comparator, "euclidean")
        np.testing.assert_allclose(scores, rsa.compare(models, rdms, comparator).T, rtol=0, atol=1e-13)


def test_a_planted_sphere_is_found_at_its_place():
    random = np.random.default_rng(4)
    mask = np.zeros((12, 12, 12), bool)
    mask[1:, :-1] = True
    spheres = volume_neighbourhoods(mask, 2, 0.5)
    code = random.normal(size=(12, 1))
    volume = random.normal(size=(12, *mask.shape))
    near = np.sqrt(np.square(np.indices(mask.shape) - np.array([7, 4, 8])[:, None, None, None]).sum(axis=0)) < 2
    volume[:, near] += 2 * code * random.choice([-1, 1], size=near.sum())
    model = rsa.rdm(np.hstack([code, np.zeros_like(code)]), "euclidean")
    for comparator in ("pearson", "spearman"):
        scores = score_map(searchlight(volume[:, mask], spheres, model[None], comparator, "euclidean"), spheres, mask)[..., 0]
        assert scores.shape == mask.shape and np.isnan(scores[~mask]).all()
        assert np.unravel_index(np.nanargmax(scores), mask.shape) == (7, 4, 8)
        far = np.sqrt(np.square(np.indices(mask.shape) - np.array([7, 4, 8])[:, None, None, None]).sum(axis=0)) >= 4
        assert scores[7, 4, 8] > 0.6 > np.nanmax(scores[far]) and abs(np.nanmean(scores[far])) < 0.05


def test_a_surface_comes_as_a_sparse_matrix_or_as_lists(models):
    coordinates = np.random.default_rng(5).normal(size=(60, 3))
    patterns = np.random.default_rng(6).normal(size=(N_CONDITIONS, 60))
    # Distances are stored, so that each vertex is its own neighbour with an explicit zero.
    graph = radius_neighbors_graph(coordinates, 1.2, mode="distance", include_self=True)
    graph.setdiag(0)
    lists = [np.flatnonzero(row) for row in np.linalg.norm(coordinates[:, None] - coordinates, axis=2) <= 1.2]
    expected = searchlight(patterns, lists, models, "pearson")
    np.testing.assert_allclose(searchlight(patterns, graph, models, "pearson"), expected, atol=1e-13)
    as_lil = sparse.lil_matrix(graph.astype(bool) + sparse.eye(60, dtype=bool))
    np.testing.assert_allclose(searchlight(patterns, as_lil, models, "pearson"), expected, atol=1e-13)
    pairs = np.stack([np.arange(59), np.arange(1, 60)], axis=1)
    assert searchlight(patterns, pairs, models, "pearson", "euclidean").shape == (59, 3)


def test_neighbourhoods_without_a_score_are_holes_and_the_others_are_not_touched(models, comparator):
    patterns = np.random.default_rng(7).normal(size=(N_CONDITIONS, 30))
    patterns[4, :6] = 0.1  # one condition constant, off by rounding from its mean
    patterns[:, 24:] = 3.0  # nothing measured at all
    patches = [np.arange(i, i + 6) for i in range(0, 30, 6)]
    by_correlation = searchlight(patterns, patches, models, comparator)
    assert np.isnan(by_correlation[[0, 4]]).all() and np.isfinite(by_correlation[1:4]).all()
    by_distance = searchlight(patterns, patches, models, comparator, "euclidean")
    assert np.isnan(by_distance[4]).all() and np.isfinite(by_distance[:4]).all()
    holes = np.isnan(rsa.to_square(searchlight_rdms(patterns, patches)[0]))
    assert holes[4].sum() == N_CONDITIONS - 1 == holes.sum() / 2
    # How many neighbourhoods are multiplied at once decides on the last bit of a product, on some processors.
    without = searchlight(patterns, patches[1:4], models, comparator)
    np.testing.assert_allclose(without, by_correlation[1:4], rtol=0, atol=1e-13)


def test_a_voxel_that_no_neighbourhood_holds_may_lack_values(models):
    patterns = np.random.default_rng(8).normal(size=(2, N_CONDITIONS, 9))
    patterns[1, 3, 8] = np.nan
    assert np.isfinite(searchlight(patterns, [[0, 1, 2, 3], [4, 5, 6, 7]], models)).all()
    with pytest.raises(rsa.InputError, match="voxel 9 holds NaN or infinite values in condition 4.*out of the mask"):
        searchlight(patterns, [[0, 1, 2, 3], [4, 5, 6, 8]], models)


def test_tiles_stay_small_and_progress_is_told(monkeypatch, mask, volume, models):
    spheres = volume_neighbourhoods(mask, 2, 0.5)
    whole = searchlight(volume[:, mask], spheres, models)
    monkeypatch.setattr(module, "TILE_CENTRES", 5)
    told = []
    np.testing.assert_allclose(
        searchlight(volume[:, mask], spheres, models, progress=lambda done, total, line: told.append((done, total))),
        whole,
        atol=1e-13,
    )
    n_centres = len(spheres.centres)
    assert told[-1] == (n_centres, n_centres) and max(np.diff([done for done, _ in told])) <= 5
    sizes = [len(tile) for _, tile in module._tiles(volume[:, mask], spheres.members, "correlation")]
    assert sum(sizes) == n_centres and max(sizes) == 5


def test_all_rdms_never_exist_at_once():
    n_conditions, spheres = 40, volume_neighbourhoods(np.ones((12, 12, 12), bool), 2, 0.5)
    patterns = np.random.default_rng(10).normal(size=(n_conditions, 12**3))
    models = rsa.rdm(np.random.default_rng(11).normal(size=(2, n_conditions, 5)))
    tracemalloc.start()
    searchlight(patterns, spheres, models, "pearson")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < len(spheres.centres) * models.shape[1] * 8 / 2, peak


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"neighbourhoods": [[0, 1], []]}, "neighbourhood 1 is empty"),
        ({"neighbourhoods": [[0, 9]]}, "names a voxel that is not there: give columns of the patterns, 0 to 8"),
        ({"neighbourhoods": [[-1, 2]]}, "names a voxel that is not there"),
        ({"neighbourhoods": Neighbourhoods(np.arange(0), [])}, "there is no neighbourhood: lower minimum_fraction"),
        ({"comparator": "spearmann"}, "unknown comparator of searchlights 'spearmann': did you mean 'spearman'"),
        ({"distance": "mahalanobis"}, "unknown distance of searchlights 'mahalanobis'"),
        ({"model_rdms": np.arange(6.0)[None]}, r"models' RDMs have shape \(1, 6\) and the patterns 5 conditions.*10 pairs"),
        ({"model_rdms": np.ones((1, 10))}, "model RDM 0 is constant"),
        ({"patterns": np.ones((2, 9))}, r"shape \(2, 9\).*at least 3"),
    ],
)
def test_mistakes_end_in_a_sentence(change, message):
    given = {
        "patterns": np.random.default_rng(9).normal(size=(5, 9)),
        "neighbourhoods": [[0, 1, 2], [3, 4, 5]],
        "model_rdms": np.arange(10.0)[None],
    }
    with pytest.raises(rsa.InputError, match=message):
        searchlight(**(given | change))
