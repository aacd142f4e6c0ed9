"""Many studies at once score what each of them scores alone."""

import jax
import numpy as np
import pytest
from numpy.testing import assert_allclose

import rsa
from rsa.comparators import COMPARATORS
from rsa.many_studies import best_layer_means, layer_means
from rsa.precision import in_double_precision

KEY = jax.random.key(3)
FOLDS = {"n_condition_folds": 3, "n_subject_folds": 2, "n_partitions": 2}


@pytest.mark.parametrize("comparator", sorted(COMPARATORS))
@pytest.mark.parametrize("n_subjects", [1, 5])
def test_the_best_layers_means_are_those_of_evaluate_best_layers(comparator, n_subjects):
    random = np.random.default_rng(7)
    models = random.random((5, 153))
    models[3] = np.round(models[3], 1)  # ties
    models[1] = 1.0 if COMPARATORS[comparator].centred else 0.0  # a layer that cannot be chosen
    data = random.random((3, n_subjects, 153)) + models[[0, 2, 4], None]
    groups = [[0, 1, 2], [4, 3]]
    found = in_double_precision(best_layer_means)(KEY, models, groups, data, comparator, *FOLDS.values())
    for study, means in zip(data, found, strict=True):
        alone = rsa.evaluate_best_layers(KEY, models, groups, study, comparator, n_draws=0, **FOLDS).evaluation
        assert_allclose(means, alone.mean, atol=1e-12)
    kept = models[[0, 2, 3, 4]]
    for study, means in zip(data, in_double_precision(layer_means)(kept, data, comparator), strict=True):
        assert_allclose(means, rsa.compare(kept, study, comparator).mean(axis=1), atol=1e-12)


def test_a_network_that_tells_nothing_apart_is_refused():
    models, data = np.random.default_rng(0).random((3, 153)), np.random.default_rng(1).random((1, 2, 153))
    models[1] = 2.0
    with pytest.raises(rsa.InputError, match="all layers of network 1 are constant"):
        in_double_precision(best_layer_means)(KEY, models, [[0, 2], [1]], data, "spearman", *FOLDS.values())
