import numpy as np
import pytest
from rsatoolbox.data import Dataset
from rsatoolbox.data.noise import cov_from_residuals, prec_from_measurements, prec_from_residuals, prec_from_unbalanced

import rsa
from rsa.noise import ESTIMATORS, whitening_factor


def _residuals(seed: int, *shape: int) -> np.ndarray:
    random = np.random.default_rng(seed)
    mixing = np.eye(shape[-1]) + 0.3 * random.normal(size=(shape[-1], shape[-1]))
    return random.normal(1, random.random(shape[-1]) + 0.5, size=shape) @ mixing


@pytest.mark.parametrize("method", sorted(ESTIMATORS))
@pytest.mark.parametrize("degrees_of_freedom", [None, 31])
def test_precisions_equal_rsatoolbox(method, degrees_of_freedom):
    residuals = _residuals(0, 40, 7)
    ours = rsa.noise_precision(residuals, method, degrees_of_freedom)
    expected = prec_from_residuals(residuals.copy(), dof=degrees_of_freedom, method=method)
    np.testing.assert_allclose(ours, expected, rtol=0, atol=1e-10)
    covariance = cov_from_residuals(residuals.copy(), dof=degrees_of_freedom, method=method)
    np.testing.assert_allclose(ours @ covariance, np.eye(7), atol=1e-10)


@pytest.mark.parametrize("method", ["shrinkage_eye", "shrinkage_diag", "diag"])
def test_fewer_residuals_than_channels_equal_rsatoolbox(method):
    residuals = _residuals(1, 10, 15)
    np.testing.assert_allclose(rsa.noise_precision(residuals, method), prec_from_residuals(residuals, method=method), atol=1e-10)


@pytest.mark.parametrize("method", sorted(ESTIMATORS))
def test_repeated_measurements_equal_rsatoolbox(method):
    measurements, conditions = _residuals(2, 36, 6), np.tile(list("dacb"), 9)
    dataset = Dataset(measurements.copy(), obs_descriptors={"conds": conditions})
    ours = rsa.noise_precision(measurements, method, conditions=conditions)
    np.testing.assert_allclose(ours, prec_from_unbalanced(dataset, "conds", method=method), rtol=0, atol=1e-10)
    # For balanced designs rsatoolbox counts (conditions - 1) x repeats degrees of freedom, and not conditions x (repeats - 1).
    balanced = rsa.noise_precision(measurements, method, 3 * 9, conditions)
    np.testing.assert_allclose(balanced, prec_from_measurements(dataset, "conds", method=method), rtol=0, atol=1e-10)


def test_runs_are_estimated_one_by_one():
    residuals = _residuals(3, 2, 3, 20, 4)
    precision = rsa.noise_precision(residuals)
    assert precision.shape == (2, 3, 4, 4) and precision.dtype == np.float64
    np.testing.assert_array_equal(precision[1, 2], rsa.noise_precision(residuals[1, 2]))


def test_shrinkage_grows_as_residuals_become_few():
    many, few = rsa.noise_precision(_residuals(4, 4000, 5)), rsa.noise_precision(_residuals(4, 4000, 5)[:8])
    spread = [np.ptp(np.linalg.eigvalsh(precision)) / np.trace(precision) for precision in (many, few)]
    full = rsa.noise_precision(_residuals(4, 4000, 5), "full")
    np.testing.assert_allclose(many, full, rtol=0.1, atol=0.02)
    assert spread[1] < spread[0]


def test_a_mean_costs_no_digits():
    residuals = _residuals(5, 30, 4)
    np.testing.assert_allclose(rsa.noise_precision(residuals + 1e5), rsa.noise_precision(residuals), rtol=1e-8)


def test_a_factor_multiplies_to_the_precision():
    precision = rsa.noise_precision(_residuals(6, 3, 30, 4))
    factor = whitening_factor(precision, (2, 3), 4)
    np.testing.assert_allclose(factor[4] @ factor[4].T, precision[1], rtol=1e-12)


def _changed(column: int | None = None, value: float = 0.0) -> np.ndarray:
    residuals = _residuals(7, 2, 12, 5)
    if column is not None:
        residuals[1, :, column] = value
    return residuals


@pytest.mark.parametrize(
    ("residuals", "options", "message"),
    [
        (_changed(), {"method": "shrinkage"}, "unknown noise estimate 'shrinkage': did you mean 'shrinkage_"),
        (_changed()[:, :1], {}, r"shape \(2, 1, 5\).*at least two observations"),
        (_changed(2, np.nan), {}, "NaN or infinite"),
        (_changed(3, 1.7), {"method": "full"}, "channel 4 never varies in the residuals of set 2"),
        (_changed(3, 1.7), {"method": "shrinkage_diag"}, "channel 4 never varies"),
        (
            _changed()[:, :4],
            {"method": "full"},
            "covariance of 5 channels estimated from 4 residuals of set 1 by 'full' is singular",
        ),
        (_changed()[..., :1], {"method": "shrinkage_diag"}, "one channel has no correlations to shrink"),
        (_changed(), {"conditions": list("abc")}, "3 condition labels were given for 12 observations"),
        (_changed(), {"conditions": range(12)}, "12 means taken out leave 0 degrees of freedom"),
        (np.zeros((4, 3)), {}, "channel 1 has no noise"),
    ],
)
@pytest.mark.usefixtures("unchecked_shapes")
def test_unusable_residuals_are_refused(residuals, options, message):
    with pytest.raises(rsa.InputError, match=message):
        rsa.noise_precision(residuals, **options)


def test_one_channel_has_a_variance():
    residuals = _residuals(8, 20, 1)
    np.testing.assert_allclose(rsa.noise_precision(residuals, "diag"), [[1 / residuals.var(ddof=1)]])
