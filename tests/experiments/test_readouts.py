"""One readout for all reaches what closed forms say can be reached, whatever the features' scale; no test image has a say."""

import numpy as np
import pytest
from scipy import stats
from sklearn.linear_model import LogisticRegression, Ridge, RidgeClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from experiments import controls as controls_module
from experiments import reading, readouts
from experiments.config import TrainConfig
from experiments.controls import (
    EQUAL_FEATURES,
    LOGISTIC_REGRESSION,
    RANDOM_FEATURES,
    RANDOM_MAPS,
    WIDER_FEATURES,
    control_accuracies,
    equal_features,
)
from experiments.reading import read_out
from experiments.readouts import ALL, Features, Labels, best_readout, fit_readout, from_text, ridge_weights
from experiments.training import train

DISTANCE = 2.5


def two_clouds(seed, n=3000, n_features=8):
    """Two normal clouds, `DISTANCE` standard deviations apart along a random direction."""
    random = np.random.default_rng(seed)
    direction = random.normal(size=n_features)
    labels = random.integers(0, 2, n).astype(np.int32)
    place = (labels - 0.5)[:, None] * DISTANCE * direction / np.linalg.norm(direction)
    x = (place + random.normal(size=(n, n_features))).astype(np.float32)
    cuts = [n // 3, 2 * n // 3]
    return Features(*np.split(x, cuts)), Labels(*np.split(labels, cuts))


def test_two_normal_clouds_are_told_apart_as_well_as_they_can_be():
    best_possible = stats.norm.cdf(DISTANCE / 2)
    found = np.mean([fit_readout(*two_clouds(seed)).test_accuracy for seed in range(5)])
    assert found == pytest.approx(best_possible, abs=3 * np.sqrt(best_possible * (1 - best_possible) / 5000) + 0.003)


@pytest.mark.parametrize("n_features", [8, 700])
def test_it_is_scikit_learns_ridge_regression_of_the_best_strength(n_features):
    """With more features than images as well."""
    features, labels = two_clouds(6, n=1500, n_features=n_features)
    labels = Labels(*(np.int32(label + (x[:, 0] > 1)) for label, x in zip(labels, features, strict=True)))
    theirs = []
    for penalty in (1e-3, 1e-2, 1e-1):
        fit = make_pipeline(StandardScaler(), RidgeClassifier(alpha=penalty * len(features.train)))
        fit.fit(features.train.astype(np.float64), labels.train)
        theirs.append((fit.score(features.validation, labels.validation), fit.score(features.test, labels.test)))
    ours = fit_readout(features, labels)
    assert (ours.validation_accuracy, ours.test_accuracy) == pytest.approx(max(theirs, key=lambda pair: pair[0]), abs=0.003)


def test_images_are_taken_some_at_a_time_and_what_was_read_is_known_again(monkeypatch):
    features, labels = two_clouds(8)
    monkeypatch.setattr(readouts, "_FITTED", {})
    whole = fit_readout(features, labels, "layer")
    monkeypatch.setattr(readouts, "_AT_A_TIME", 7)
    assert fit_readout(features, labels, "other") == whole._replace(read_from="other") and len(readouts._FITTED) == 1
    readouts._FITTED.clear()
    assert fit_readout(features, labels, "layer") == whole
    # Whatever decides it: a feature, a label, how it is read.
    others = features._replace(test=features.test + 1), labels._replace(test=1 - labels.test)
    for given in ((others[0], labels), (features, others[1]), (features, labels, "layer", "logistic")):
        assert fit_readout(*given).test_accuracy != whole.test_accuracy
    assert len(readouts._FITTED) == 4


def test_the_other_readout_is_scikit_learns_logistic_regression_of_standardised_features():
    """Two classes: half the sum of squares of the one weight vector that scikit-learn then fits."""
    features, labels = two_clouds(7, n=900)
    features = Features(*(split * 100 + 5 for split in features))
    theirs = []
    for penalty in (1e-3, 1e-2, 1e-1):
        fit = make_pipeline(StandardScaler(), LogisticRegression(C=1 / (penalty * 300), tol=1e-6, max_iter=1000))
        fit.fit(features.train.astype(np.float64), labels.train)
        theirs.append((fit.score(features.validation, labels.validation), fit.score(features.test, labels.test)))
    ours = best_readout({"layer": features}, labels, "logistic")
    assert (ours.validation_accuracy, ours.test_accuracy) == pytest.approx(max(theirs, key=lambda pair: pair[0]), abs=0.004)
    assert ours != best_readout({"layer": features}, labels)


@pytest.mark.parametrize("n_features", [30, 200])
def test_both_systems_of_equations_have_scikit_learns_weights_for_answer(n_features):
    """That of features, and that of images where those are fewer."""
    random = np.random.default_rng(0)
    x, y = random.normal(size=(90, n_features)), random.normal(size=(90, 3))
    x[:, 1] = x[:, 0] + 1e-4 * x[:, 1]  # nearly dependent, as features of a network are
    for penalty, weights in zip((1e-3, 10.0), ridge_weights(x, y, (1e-3, 10.0)), strict=True):
        theirs = Ridge(alpha=penalty * 90, fit_intercept=False, solver="svd").fit(x, y)
        np.testing.assert_allclose(weights, theirs.coef_.T, rtol=1e-8, atol=1e-11)


def test_all_layers_are_read_together_at_the_finest_places_that_are_affordable(monkeypatch):
    random = np.random.default_rng(0)
    labels = Labels(*(np.int32(random.integers(0, 2, 40)) for _ in range(3)))
    maps = Features(*(random.normal(size=(40, 14, 14, 32)).astype(np.float32) for _ in range(3)))
    units = Features(*(random.normal(size=(40, 128)).astype(np.float32) for _ in range(3)))
    seen = []
    fit = readouts.fit_readout
    monkeypatch.setattr(readouts, "fit_readout", lambda *given: seen.append(given[0].train.shape) or fit(*given))
    best_readout({"first": maps, "second": maps, "third": units}, labels)
    # Each by itself as it is; together 2 * 32 * 36 and 128 are the most below the limit of 2500.
    assert seen == [(40, 14, 14, 32), (40, 14, 14, 32), (40, 128), (40, 2 * 32 * 36 + 128)]


def test_the_scale_and_place_of_features_change_nothing():
    features, labels = two_clouds(1)
    scale, place = np.float32([1e-3, 1, 10, 1e3, 1, 1, 1, 1]), np.float32([0, 5, -5, 100, 0, 0, 0, 0])
    moved = Features(*(split * scale + place for split in features))
    plain, other = fit_readout(features, labels), fit_readout(moved, labels)
    assert other.test_accuracy == pytest.approx(plain.test_accuracy, abs=0.003)
    still = Features(*(np.concatenate([split, np.full((len(split), 3), 7, np.float32)], 1) for split in features))
    assert fit_readout(still, labels) == plain  # features that do not vary tell nothing


def test_maps_are_averaged_over_places_and_small_ones_are_read_as_they_are():
    features, labels = two_clouds(2)
    spread = Features(*(np.repeat(np.repeat(split.reshape(-1, 1, 1, 8), 14, 1), 14, 2) for split in features))
    assert fit_readout(spread, labels).test_accuracy == pytest.approx(fit_readout(features, labels).test_accuracy, abs=0.015)
    # Where a feature is on the map is not lost: the class is a place here.
    small = np.zeros((300, 14, 14, 1), np.float32)
    places = np.arange(300) % 4
    small[np.arange(300), 2 + 9 * (places // 2), 2 + 9 * (places % 2)] = 1
    each = Labels(*(places[part : part + 100].astype(np.int32) for part in (0, 100, 200)))
    assert fit_readout(Features(small[:100], small[100:200], small[200:]), each).test_accuracy == 1


def test_layers_are_chosen_by_validation_images_and_never_by_test_images():
    features, labels = two_clouds(3)
    random = np.random.default_rng(0)
    noise = Features(*(random.normal(size=split.shape).astype(np.float32) for split in features))
    # A layer that tells the test images apart perfectly, and nothing else.
    leak = Features(noise.train, noise.validation, np.repeat(labels.test[:, None].astype(np.float32), 8, 1))
    layers = {"noise": noise, "signal": features, "leak": leak}
    chosen = best_readout(layers, labels)
    assert chosen.read_from == "signal" or chosen.read_from == ALL
    flipped = labels._replace(test=1 - labels.test)
    again = best_readout(layers, flipped)
    assert (again.read_from, again.validation_accuracy) == (chosen.read_from, chosen.validation_accuracy)
    assert again.test_accuracy == pytest.approx(1 - chosen.test_accuracy)


def test_two_layers_that_hold_a_half_each_are_read_together():
    features, labels = two_clouds(4, n_features=2)
    quadrants = Labels(*(np.int32(2 * (x[:, 0] > 0) + (x[:, 1] > 0)) for x in features))
    halves = {name: Features(*(split[:, [k]] for split in features)) for k, name in enumerate(("first", "second"))}
    chosen = best_readout(halves, quadrants)
    assert chosen.read_from == ALL and chosen.test_accuracy > 0.75  # of a half nobody can tell more than two from two


def test_features_that_are_not_finite_hold_nothing():
    features, labels = two_clouds(5)
    broken = features._replace(test=np.where(features.test > 2, np.nan, features.test))
    assert fit_readout(broken, labels).test_accuracy == 0.5


@pytest.fixture(scope="module")
def untrained():
    return train(rule="untrained", dataset="digits", epochs=1, n_seeds=2, n_train=500, architecture_options={"hidden": (64, 32)})


def test_a_trained_network_is_read_seed_by_seed(untrained):
    table = read_out(untrained, n_images=300)
    assert table["seed"].tolist() == [0, 1] and set(table["read_from"]) <= {"hidden_0", "hidden_1", ALL}
    # After one epoch the network's own output has hardly begun; what its random layers hold is there all the same.
    assert (table["test_accuracy"] > untrained.test_accuracy + 0.1).all() and (table["test_accuracy"] > 0.8).all()
    assert read_out(untrained, n_images=300).equals(table)
    for texts, accuracies in ((table["right"], table["test_accuracy"]), (table["frozen_right"], table["frozen_accuracy"])):
        assert [from_text(text).mean() for text in texts] == list(accuracies)
    assert (table["frozen_accuracy"] == table["test_accuracy"]).all()  # its hidden layers are what they were
    assert (read_out(untrained, n_images=40)["test_accuracy"] < table["test_accuracy"]).all()


def test_maps_that_are_represented_one_seed_at_a_time_are_those_of_all():
    options = {"channels": (3,), "hidden": (8,)}
    trained = train(rule="untrained", architecture="cnn", epochs=1, n_seeds=2, n_train=300, architecture_options=options)
    shown, labels = reading.readout_images(trained.images, 200)
    by_split = [trained.represent(trained.images.normalise(split)) for split in shown]
    layers = {name: Features(*(each[k][1] for each in by_split)) for k, name in enumerate(trained.network.node_names[:-1])}
    found = read_out(trained, n_images=200).iloc[1]
    assert tuple(found[list(readouts.Readout._fields)]) == best_readout(layers, labels)


@pytest.fixture(scope="module")
def controls():
    return control_accuracies(TrainConfig(dataset="digits", n_seeds=2, n_train=400), n_images=400)


def test_controls_learn_no_hidden_layer_and_still_know_the_digits(controls):
    assert controls["control"].tolist() == [LOGISTIC_REGRESSION] * 2 + [RANDOM_FEATURES] * 2 + [RANDOM_MAPS] * 2
    assert controls["seed"].tolist() == [0, 1] * 3
    by_control = controls.groupby("control")["test_accuracy"]
    assert by_control.mean()[RANDOM_FEATURES] > by_control.mean()[LOGISTIC_REGRESSION] > 0.88
    assert by_control.nunique()[LOGISTIC_REGRESSION] == 1  # it draws nothing
    assert controls["network"].nunique() == 3 and (controls["network"][:2] == "").all()


def test_wider_random_features_are_there_where_they_are_asked_for(monkeypatch):
    networks = {WIDER_FEATURES: (("mlp", {"hidden": (96,)}),), RANDOM_FEATURES: (("mlp", {"hidden": (24,)}),)}
    monkeypatch.setattr(controls_module, "_RANDOM_NETWORKS", networks)
    config = TrainConfig(dataset="digits", n_seeds=1, n_train=400)
    plain, more = (control_accuracies(config, 400, wider=wider).set_index("control")["test_accuracy"] for wider in (False, True))
    assert WIDER_FEATURES not in plain and more.drop(WIDER_FEATURES).equals(plain) and more[WIDER_FEATURES] > plain[RANDOM_FEATURES]
    assert control_accuracies(config, 400, "logistic")["test_accuracy"].iloc[1] != plain[RANDOM_FEATURES]


def test_as_many_random_features_are_one_layer_of_so_many_units():
    config = TrainConfig(dataset="digits", n_seeds=2, n_train=400)
    few, many = (equal_features(config, n_units, 400) for n_units in (10, 300))
    assert few["test_accuracy"].mean() < many["test_accuracy"].mean() - 0.1 and set(many["n_units"]) == {300}
    assert many["seed"].tolist() == [0, 1] and set(many["control"]) == {EQUAL_FEATURES}
    as_control = control_accuracies(config, 400).set_index(["control", "seed"])["test_accuracy"][RANDOM_FEATURES]
    (same,) = (equal_features(config, n_units, 400) for n_units in (2048,))
    np.testing.assert_array_equal(same["test_accuracy"], as_control)


@pytest.mark.thorough
def test_controls_are_those_of_their_seeds(controls):
    """What stands for random features is chosen on the first seed; of a seed alone the row is the same."""
    alone = control_accuracies(TrainConfig(dataset="digits", n_seeds=1, n_train=400), n_images=400)
    expected = controls[controls["seed"] == 0].reset_index(drop=True)
    assert alone.equals(expected)
