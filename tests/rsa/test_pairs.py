import jax.numpy as jnp
import numpy as np
import pytest
from scipy.spatial.distance import squareform

import rsa
from rsa.pairs import condition_count, permuted_pairs


def test_square_and_back_agree_with_scipy():
    condensed = np.random.default_rng(0).random((2, 3, 45))
    square = rsa.to_square(condensed)
    np.testing.assert_array_equal(square[1, 2], squareform(condensed[1, 2]))
    np.testing.assert_array_equal(rsa.to_condensed(square), condensed)


def test_triangles_that_differ_by_rounding_are_averaged_and_a_nan_diagonal_is_fine():
    square = rsa.to_square(np.arange(1.0, 7.0))
    square[0, 1] += 2e-6
    np.fill_diagonal(square, np.nan)
    assert rsa.to_condensed(square)[0] == pytest.approx(1 + 1e-6, abs=1e-12)


def test_single_precision_rdms_of_a_file_are_taken():
    square = rsa.to_square(np.arange(1.0, 7.0)).astype(np.float32)
    assert rsa.to_condensed(square).dtype == np.float64


@pytest.mark.parametrize("n_conditions", [2, 3, 10, 92])
def test_condition_count_inverts_the_number_of_pairs(n_conditions):
    assert condition_count(n_conditions * (n_conditions - 1) // 2) == n_conditions


def test_permuted_pairs_permutes_the_square_matrix():
    random = np.random.default_rng(1)
    condensed, permutation = random.random(28), random.permutation(8)
    moved = rsa.to_square(condensed)[np.ix_(permutation, permutation)]
    np.testing.assert_array_equal(condensed[np.asarray(permuted_pairs(jnp.asarray(permutation)))], moved[np.triu_indices(8, 1)])


def _square(**changes: float) -> np.ndarray:
    square = np.stack([rsa.to_square(np.arange(1.0, 7.0))] * 2)
    for place, value in changes.items():
        row, column = (int(digit) for digit in place[1:])
        square[1, row, column] = value
    return square


@pytest.mark.parametrize(
    ("square", "message"),
    [
        (np.zeros((3, 4)), "3 rows and 4 columns"),
        (_square(_12=9.0), r"not symmetric in RDM 2: rows 2, 3 hold 9 above and 4 below"),
        (_square(_22=1.0), "condition 3 has 1 with itself in RDM 2"),
        (_square(_03=np.nan), "conditions 1 and 4 is NaN or infinite in RDM 2"),
        (_square(_30=np.inf), "conditions 1 and 4 is NaN or infinite in RDM 2"),
    ],
)
def test_what_is_no_rdm_is_refused(square, message):
    with pytest.raises(rsa.InputError, match=message):
        rsa.to_condensed(square)


def test_a_length_that_is_no_triangle_is_refused():
    with pytest.raises(rsa.InputError, match="4187 is no such number"):
        rsa.to_square(np.zeros(4187))
