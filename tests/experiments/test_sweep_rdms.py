"""How alike representations are: by another library's rank correlation, of the right images, and told beside its yardstick."""

import functools

import numpy as np
import pandas as pd
import pytest
from scipy.spatial.distance import pdist, squareform
from scipy.stats import spearmanr

from experiments import train
from experiments.mean_angles import angle_of_the_mean
from experiments.precise_angles import angle_in_double
from experiments.sweeping import SweepConfig, cells, summarise
from experiments.sweeping.page import to_markdown
from experiments.sweeping.rdms import _rdm, rdms_of, read_rdms, with_correlations, write_rdms

N_PAIRS = 190


def runs_of(*rows):
    """A table of runs: (rule, seed), and fields that differ from the others'."""
    shared = {
        "architecture": "mlp",
        "architecture_options": "{}",
        "rule_options": "{}",
        "dataset": "digits",
        "n_train": None,
        "validation_fraction": 0.1,
    }
    shared |= {"epochs": 3, "front_end": "none", "optimizer_of": "", "seconds": 1.0, "warnings": ""}
    accuracies = {"test_accuracy": 0.5, "validation_accuracy": 0.5}
    return pd.DataFrame([shared | accuracies | {"rule": rule, "seed": seed} | fields for rule, seed, fields in rows])


def drawn(number):
    return np.random.default_rng(number).random(N_PAIRS)


def test_rdms_are_correlated_with_backpropagations_of_the_same_seed():
    runs = runs_of(*((rule, seed, {}) for rule in ("backprop", "hebbian") for seed in (0, 1, 2)))
    rdms = [{"correlation/a": drawn(2 * i), "correlation/b": drawn(2 * i + 1)} for i in range(6)]
    # An image that one of the two does not tell apart, and a layer that tells none apart.
    gaps, nothing = np.where(np.arange(N_PAIRS) < 19, np.nan, rdms[1]["correlation/b"] ** 3), np.full(N_PAIRS, np.nan)
    rdms[4] = {"correlation/a": rdms[1]["correlation/a"] ** 2, "correlation/b": gaps}
    rdms[5] = {"correlation/a": rdms[2]["correlation/a"], "correlation/b": nothing}
    found = with_correlations(runs, rdms)["rdm_correlation"].to_numpy()

    def alike(i, j):
        return np.mean([spearmanr(rdms[i][layer], rdms[j][layer]).statistic for layer in rdms[i]])

    np.testing.assert_allclose(found[3], alike(3, 0), atol=1e-6)
    np.testing.assert_allclose(found[4], 1.0, atol=1e-6)
    assert np.isnan(found[5])
    dead = [*rdms[:3], *[{"correlation/a": nothing}] * 3]
    assert np.isnan(with_correlations(runs, dead)["rdm_correlation"].to_numpy()[3:]).all()
    np.testing.assert_allclose(found[0], (alike(0, 1) + alike(0, 2)) / 2, atol=1e-6)


def test_one_distance_may_say_what_the_other_does_not():
    runs = runs_of(("backprop", 0, {}), ("hebbian", 0, {}), ("stdp", 0, {}))
    rdms = [{"correlation/a": drawn(0), "euclidean/a": drawn(1)}, {"correlation/a": drawn(0), "euclidean/a": drawn(2)}]
    found = with_correlations(runs, [*rdms, {"correlation/a": drawn(0)}])
    np.testing.assert_allclose(found["rdm_correlation"][1:], 1.0, atol=1e-6)
    np.testing.assert_allclose(found["rdm_correlation_euclidean"][1], spearmanr(drawn(1), drawn(2)).statistic, atol=1e-6)
    assert np.isnan(found["rdm_correlation_euclidean"][2])  # it was not kept


def test_what_is_no_plain_backpropagation_is_held_against_that_which_is():
    other = ({"optimizer_of": "hebbian"}, {"front_end": "zca"}, {"rule_options": '{"learning_rate": 0.1}'}, {"epochs": 9})
    runs = runs_of(("backprop", 0, {}), *(("backprop", 0, fields) for fields in other), ("hebbian", 0, {}))
    rdms = [{"correlation/a": drawn(0)}, *({"correlation/a": drawn(0)} for _ in other), {}]
    found = with_correlations(runs, rdms)["rdm_correlation"].to_numpy()
    np.testing.assert_allclose(found[1:4], 1.0, atol=1e-6)
    # One seed has no other; twice as many epochs are another task; nothing was kept.
    assert np.isnan(found[[0, 4, 5]]).all()


def test_every_rule_is_held_against_itself_from_other_seeds():
    fields = ({}, {}, {}, {"rule_options": '{"learning_rate": 0.1}'}, {"front_end": "zca"}, {"optimizer_of": "hebbian"})
    runs = runs_of(*(("hebbian", seed, of) for seed, of in zip((0, 1, 2, 0, 1, 0), fields, strict=True)), ("stdp", 5, {}))
    rdms = [{"correlation/a": drawn(2 * i), "correlation/b": drawn(2 * i + 1)} for i in range(7)]
    rdms[2] = {"correlation/a": drawn(0) ** 3, "correlation/b": np.where(np.arange(N_PAIRS) < 19, np.nan, drawn(1))}
    found = with_correlations(runs, rdms)["rdm_between_seeds"].to_numpy()

    def alike(i, j):
        known = [np.isfinite(rdms[i][layer]) & np.isfinite(rdms[j][layer]) for layer in rdms[i]]
        pairs = zip(rdms[i], known, strict=True)
        return np.mean([spearmanr(rdms[i][layer][own], rdms[j][layer][own]).statistic for layer, own in pairs])

    np.testing.assert_allclose(found[0], (alike(0, 1) + alike(0, 2)) / 2, atol=1e-6)
    np.testing.assert_allclose(alike(0, 2), 1, atol=1e-6)
    np.testing.assert_allclose(found[1], (alike(1, 0) + alike(1, 2)) / 2, atol=1e-6)
    # Other options, another front end, another's optimiser and another rule are other trainings, of one seed each.
    assert np.isnan(found[3:]).all()


def test_rdms_are_those_of_the_first_images_of_every_class(tmp_path):
    trained = train(rule="backprop", architecture="mlp", dataset="digits", epochs=1, n_seeds=2)
    rdms = rdms_of(trained, n_images=20)
    labels = trained.images.test.labels
    chosen = np.concatenate([np.flatnonzero(labels == each)[:2] for each in range(10)])
    layers = trained.represent(trained.images.normalise(trained.images.test.images[chosen]))
    expected = 1 - np.corrcoef(layers[1][1])[np.triu_indices(20, 1)]
    assert list(rdms) == [f"{distance}/hidden_{k}" for distance in ("correlation", "euclidean") for k in (0, 1)]
    assert rdms["correlation/hidden_1"].shape == (2, N_PAIRS)
    np.testing.assert_allclose(rdms["correlation/hidden_1"][1], expected, atol=2e-3)  # in half precision
    far = pdist(layers[1][1], "sqeuclidean")
    np.testing.assert_allclose(rdms["euclidean/hidden_1"][1], far / far.max(), atol=1e-3)
    write_rdms(tmp_path / "rdms" / "one.npz", rdms)
    kept = read_rdms(tmp_path / "rdms" / "one.npz")
    assert all((kept[layer] == rdms[layer]).all() for layer in rdms)
    assert read_rdms(tmp_path / "other.npz") == {}


def test_a_silent_layer_has_no_rdm_and_a_silent_image_none_of_its_pairs():
    trained = train(rule="backprop", architecture="mlp", dataset="digits", epochs=1, n_seeds=2)
    first, *rest = trained.state.params["network"]
    silent = {"kernel": first["kernel"].at[1].set(0), "bias": first["bias"].at[1].set(-1)}
    object.__setattr__(trained, "state", trained.state._replace(params={"network": (silent, *rest)}))
    rdms = rdms_of(trained)
    for layer in ("correlation/hidden_0", "euclidean/hidden_0"):
        assert np.isnan(rdms[layer][1]).all() and np.isfinite(rdms[layer][0]).all()
    patterns = np.random.default_rng(0).random((6, 9)).astype(np.float32)
    patterns[2] = 0.5
    square = squareform(_rdm(patterns, "correlation"))
    others = [0, 1, 3, 4, 5]
    assert np.isnan(square[2, others]).all()
    np.testing.assert_allclose(square[np.ix_(others, others)], 1 - np.corrcoef(patterns[others]), atol=1e-6)


def test_double_precision_tells_rounding_from_the_rule():
    trained = train(rule="backprop", architecture="mlp", dataset="digits", epochs=1, n_seeds=2)
    exact = trained.rule.assign_credit

    def rounded(key, state, batch):
        updates, state, info = exact(key, state, batch)
        # In single precision next to nothing of a gradient is left beside a number so large.
        return {"network": [{k: (leaf + 1e7) - 1e7 for k, leaf in own.items()} for own in updates["network"]]}, state, info

    object.__setattr__(trained, "rule", trained.rule._replace(assign_credit=rounded))
    np.testing.assert_allclose(angle_in_double(trained), 0, atol=1e-3)


@pytest.mark.parametrize(("in_double", "said"), [(12.2, False), (3.0, True), (np.nan, False)])
def test_tables_say_where_rounding_has_a_say_and_what_representations_are_held_against(in_double, said):
    angles = {"angle_start": 0.0, "angle_tenth": 1.0, "angle": 12.0, "angle_in_double": in_double}
    both = {
        "rdm_correlation": 0.97,
        "rdm_correlation_euclidean": 0.9,
        "rdm_between_seeds": 0.97,
        "rdm_between_seeds_euclidean": 0.9,
    }
    rows = (("backprop", 0, both), ("hebbian", 0, {"rdm_correlation": 0.5, "rdm_between_seeds": 0.6, **angles}))
    config = SweepConfig(runs=({"rule": "hebbian"},))
    text = to_markdown(config, summarise(runs_of(*rows), config), 2, 2)
    (line,) = (line for line in text.splitlines() if line.startswith("| hebbian"))
    assert ("**3 in double precision**" in line) == said
    assert "| 0.50 | 0.60 |" in line and "|  | 0.97, 0.90 |" in text


def test_the_mean_over_draws_stands_beside_one_draw_and_decides():
    angles = {"angle_start": 90.0, "angle_tenth": 88.0, "angle": 87.0, "angle_in_double": np.nan}
    rows = [("hebbian", seed, angles | {"angle_of_mean": mean}) for seed, mean in enumerate((9.0, 11.0))]
    config = SweepConfig(runs=({"rule": "hebbian"},))
    text = to_markdown(config, summarise(runs_of(*rows), config), 2, 2)
    assert "| 90, 88, 87; **10 of the mean over draws** (backpropagation by other means) |" in text


def test_a_rule_that_draws_noise_is_asked_many_times(monkeypatch):
    few = functools.partial(angle_of_the_mean, n_draws=64)
    monkeypatch.setattr(cells, "angle_of_the_mean", few)
    options = {"architecture_options": {"hidden": [12]}, "rule_options": {}, "front_end": "none"}
    record = cells._run({"rule": "perturbation/node", "dataset": "digits", "epochs": 1, **options}, 0, "ridge", True)
    found = record["angle_to_backprop"]
    assert list(found) == ["start", "tenth", "end", "end_in_double", "end_of_mean"]
    assert found["end_in_double"] is None and found["end_of_mean"] < found["end"]


@pytest.mark.parametrize(
    ("angles", "said"),
    [((20, 21), "(backpropagation by other means)"), ((20, 29), "(undecided)"), ((29, 30), ""), ((24,), "(back")],
)
def test_an_angle_that_straddles_the_line_is_undecided(angles, said):
    rows = (("hebbian", seed, {"angle_start": 90.0, "angle_tenth": 50.0, "angle": angle}) for seed, angle in enumerate(angles))
    config = SweepConfig(runs=({"rule": "hebbian"},))
    text = to_markdown(config, summarise(runs_of(*rows), config), 2, 2)
    (line,) = (line for line in text.splitlines() if line.startswith("| hebbian"))
    assert said in line and ("(" in line.partition("90, 50")[2]) == bool(said)


def test_a_rule_that_takes_single_precision_alone_is_trained_all_the_same(monkeypatch):
    def refuse(trained):
        raise TypeError("scan carry: float32 against float64\nand a long explanation")

    monkeypatch.setattr(cells, "angle_in_double", refuse)
    record = cells._run({"rule": "backprop", "dataset": "digits", "epochs": 1}, 0, "ridge", True)
    assert record["angle_to_backprop"]["end_in_double"] is None and record["test_accuracy"] > 0.3
    (said,) = (each for each in record["warnings"] if "no angle" in each)
    assert said == "no angle in double precision: backprop: scan carry: float32 against float64"
