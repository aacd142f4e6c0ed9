import numpy as np
import pytest
from rsatoolbox.inference.crossvalsets import sets_leave_one_out_rdm
from rsatoolbox.inference.noise_ceiling import boot_noise_ceiling, cv_noise_ceiling
from rsatoolbox.rdm import RDMs

import rsa

pytestmark = pytest.mark.filterwarnings("ignore:Noise ceiling for tau")


@pytest.mark.parametrize("n_subjects", [4, 9])
def test_bounds_equal_rsatoolbox(comparator, judge, tied_rdms, n_subjects):
    data = tied_rdms(0, n_subjects, 11)
    ceiling = rsa.noise_ceiling(data, comparator)
    expected = boot_noise_ceiling(RDMs(data), method=judge)
    np.testing.assert_allclose([ceiling.lower, ceiling.upper], expected, rtol=0, atol=1e-12)
    _, test_set, ceil_set = sets_leave_one_out_rdm(RDMs(data))
    crossvalidated = cv_noise_ceiling(RDMs(data), ceil_set, test_set, method=judge)
    np.testing.assert_allclose([ceiling.lower, ceiling.upper], crossvalidated, rtol=0, atol=1e-12)
    assert ceiling.withheld == "" and ceiling.lower < ceiling.upper


def test_bounds_of_a_resample_equal_rsatoolbox(comparator, judge, tied_rdms, resampled):
    data, counts = tied_rdms(1, 5, 9), np.array([2, 0, 1, 1, 3, 0, 1, 1, 0])
    ceiling = rsa.noise_ceiling(data, comparator, weights=rsa.pair_weights(counts))
    expected = boot_noise_ceiling(resampled(data, counts), method=judge)
    np.testing.assert_allclose([ceiling.lower, ceiling.upper], expected, rtol=0, atol=1e-12)


def test_a_ceiling_below_zero_is_not_clipped():
    rising = np.arange(15.0)
    data = np.stack([rising, -rising, rising, -rising]) + np.random.default_rng(2).random((4, 15))
    assert rsa.noise_ceiling(data, "pearson").lower < -0.5


@pytest.mark.parametrize("n_subjects", [2, 3])
def test_few_subjects_have_a_lower_bound_alone(comparator, tied_rdms, n_subjects):
    ceiling = rsa.noise_ceiling(tied_rdms(3, n_subjects, 8), comparator)
    assert np.isfinite(ceiling.lower) and np.isnan(ceiling.upper)
    assert f"mean of {n_subjects} subjects" in ceiling.withheld and "at least 4" in ceiling.withheld


def test_two_subjects_have_their_mutual_score_as_lower_bound(comparator, tied_rdms):
    data = tied_rdms(4, 2, 8)
    expected = rsa.compare(data[:1], data[1:], comparator)[0, 0]
    assert rsa.noise_ceiling(data, comparator).lower == pytest.approx(expected, abs=1e-13)


def test_one_subject_has_no_ceiling(comparator, tied_rdms):
    ceiling = rsa.noise_ceiling(tied_rdms(5, 1, 8), comparator)
    assert np.isnan([ceiling.lower, ceiling.upper]).all() and "one subject" in ceiling.withheld


def test_times_are_bounded_one_by_one(comparator, tied_rdms):
    data = np.stack([tied_rdms(seed, 4, 7) for seed in (6, 7, 8)])
    ceiling = rsa.noise_ceiling(data, comparator)
    assert ceiling.lower.shape == (3,)
    for time in range(3):
        alone = rsa.noise_ceiling(data[time], comparator)
        assert (ceiling.lower[time], ceiling.upper[time]) == (alone.lower, alone.upper)


def test_a_constant_subject_is_named(comparator, tied_rdms):
    data = tied_rdms(9, 4, 7)
    data[2] = 0
    with pytest.raises(rsa.InputError, match="data RDM 2 is"):
        rsa.noise_ceiling(data, comparator)
