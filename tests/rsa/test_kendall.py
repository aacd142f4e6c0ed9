"""Tau-a by sorting: equal to rsatoolbox, draw by draw, with ties on either side and entries that no draw holds."""

import jax
import numpy as np
import pytest
from rsatoolbox.rdm import RDMs
from rsatoolbox.rdm import compare as rsatoolbox_compare

import rsa
from rsa import kendall

N_CONDITIONS = 36


@pytest.fixture
def rdms(tied_rdms):
    return tied_rdms(0, 3, N_CONDITIONS, steps=20), tied_rdms(1, 4, N_CONDITIONS, steps=20)


def test_equals_rsatoolbox(rdms):
    expected = rsatoolbox_compare(RDMs(rdms[0]), RDMs(rdms[1]), "tau-a")
    np.testing.assert_allclose(rsa.compare(*rdms, "kendall"), expected, rtol=0, atol=1e-14)


def test_draws_equal_scores_of_weighted_pairs(rdms):
    counts = rsa.bootstrap_counts(jax.random.key(0), 5, N_CONDITIONS)
    prepared = [kendall.prepare(x) for x in rdms]
    draws = np.asarray(kendall.draw_scores(*prepared, counts))
    for draw, weights in zip(draws, rsa.pair_weights(counts), strict=True):
        np.testing.assert_array_equal(draw, rsa.compare(*rdms, "kendall", weights=weights))


def test_permuted_scores_are_scores_of_permuted_rdms(rdms):
    random = np.random.default_rng(2)
    permutations = np.stack([random.permutation(N_CONDITIONS) for _ in range(3)])
    prepared = [kendall.prepare(x) for x in rdms]
    null = np.asarray(kendall.null_scores(*prepared, permutations))
    for row, permutation in zip(null, permutations, strict=True):
        moved = rsa.to_condensed(rsa.to_square(rdms[1])[:, permutation][:, :, permutation])
        np.testing.assert_allclose(row, rsa.compare(rdms[0], moved, "kendall").mean(axis=1), rtol=0, atol=1e-14)
