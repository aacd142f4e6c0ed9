"""Ranks within subsets of entries from one sort, against SciPy's."""

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from scipy.stats import rankdata

from rsa.subset_ranks import midranks, sorted_rdms, subset_midranks


@pytest.mark.parametrize("n_values", [3, 40, None])
def test_ranks_within_parts_are_those_of_each_part_alone(n_values):
    random = np.random.default_rng(0)
    rdms = random.random((4, 300)) if n_values is None else random.integers(n_values, size=(4, 300)).astype(float)
    rdms[1] = random.random(300)  # beside RDMs with ties one without
    part = random.integers(3, size=300)
    subsets = [np.flatnonzero(part == own) for own in (2, 0)]
    for entries, found in zip(subsets, subset_midranks(sorted_rdms(rdms), subsets), strict=True):
        assert_array_equal(found, rankdata(rdms[:, entries], axis=1))
    assert_array_equal(midranks(rdms), rankdata(rdms, axis=1))


def test_ranks_are_summed_over_groups():
    rdms = np.random.default_rng(1).integers(9, size=(5, 60)).astype(float)
    group = np.array([1, 0, 1, 2, 0])
    (found,) = subset_midranks(sorted_rdms(rdms), [np.arange(60)], group)
    alone = rankdata(rdms, axis=1)
    assert_array_equal(found, np.stack([alone[group == each].sum(axis=0) for each in range(3)]))
