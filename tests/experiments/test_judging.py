"""What a comparison says of controls and of backpropagation is what scipy makes of the same networks."""

import numpy as np
import pytest
from scipy import stats

from experiments.compare_config import CompareConfig
from experiments.judging import READOUT_COLUMNS, VERDICT_COLUMNS, judge, rdm_correlations
from experiments.scoring import Model
from experiments.training import train

RULES, N_SEEDS = ("untrained", "backprop", "feedback_alignment/sign"), 3
CONFIG = CompareConfig.of(
    rules=RULES,
    architecture="mlp",
    architecture_options={"hidden": (16,)},
    epochs=3,
    batch_size=32,
    seeds=N_SEEDS,
    n_train=400,
    readout_images=300,
)
HIDDEN, OUTPUT = "hidden_0", "output"


@pytest.fixture(scope="module")
def trained():
    return [train(CONFIG.training_of(rule)) for rule in RULES]


@pytest.fixture(scope="module")
def rdms():
    random = np.random.default_rng(0)
    return {
        Model(rule, seed, layer): random.random(45).astype(np.float32)
        for rule in RULES
        for seed in range(N_SEEDS)
        for layer in (HIDDEN, OUTPUT)
    }


@pytest.fixture(scope="module")
def judged(trained, rdms):
    return judge(trained, rdm_correlations(rdms, CONFIG.scoring.comparators[0]), CONFIG)


def test_layers_are_held_against_backpropagations_of_the_same_seed_and_its_own_against_other_seeds(rdms):
    found = rdm_correlations(rdms, "spearman")
    for layer in (HIDDEN, OUTPUT):
        by_seed = [rdms[Model("backprop", seed, layer)] for seed in range(N_SEEDS)]
        own = stats.spearmanr(rdms[Model("untrained", 1, layer)], by_seed[1]).statistic
        assert found[Model("untrained", 1, layer)] == pytest.approx(own, abs=1e-5)
        others = [stats.spearmanr(by_seed[0], by_seed[other]).statistic for other in (1, 2)]
        assert found[Model("backprop", 0, layer)] == pytest.approx(np.mean(others), abs=1e-5)
    alone = rdm_correlations({model: rdm for model, rdm in rdms.items() if model.seed == 0}, "spearman")
    assert np.isnan(alone[Model("backprop", 0, HIDDEN)]) and np.isfinite(alone[Model("untrained", 0, HIDDEN)])
    nothing = rdm_correlations({model: rdm for model, rdm in rdms.items() if model.rule != "backprop"}, "spearman")
    assert np.isnan(list(nothing.values())).all()


def test_a_verdict_is_against_the_hardest_control_and_corrected(judged):
    readouts, controls, verdicts = judged
    assert tuple(readouts.columns) == READOUT_COLUMNS and tuple(verdicts.columns) == VERDICT_COLUMNS
    assert set(controls["control"]) == {"logistic regression", "random features", "random maps"}
    by_rule = {rule: rows.sort_values("seed")["test_accuracy"].to_numpy() for rule, rows in readouts.groupby("rule")}
    p_values = {}
    for rule in RULES[1:]:
        # A dense network is not told that images have places: random maps are no control of it.
        matched = [by_rule["untrained"], readouts[readouts["rule"] == rule].sort_values("seed")["frozen_accuracy"].to_numpy()]
        apart = [rows["test_accuracy"].to_numpy() for name, rows in controls.groupby("control") if name != "random maps"]
        held = matched + apart
        tests = [stats.ttest_rel(by_rule[rule], each, alternative="greater") for each in matched]
        tests += [stats.ttest_ind(by_rule[rule], each, equal_var=False, alternative="greater") for each in apart]
        p_values[rule] = max(each.pvalue for each in tests)
        row = verdicts.set_index("rule").loc[rule]
        assert row["p_value"] == pytest.approx(p_values[rule], rel=1e-9)
        assert row["control_mean"] == pytest.approx(max(each.mean() for each in held))
        assert row["readout_mean"] == pytest.approx(by_rule[rule].mean())
    low, high = sorted(p_values, key=p_values.get)
    adjusted = verdicts.set_index("rule")["p_adjusted"]
    assert adjusted[low] == pytest.approx(min(1, 2 * p_values[low]))
    assert adjusted[high] == pytest.approx(min(1, max(p_values[high], 2 * p_values[low])))
    assert verdicts.set_index("rule")["beats_control"]["untrained"] is None


def test_distance_from_backpropagation_stands_beside_every_rule(judged, rdms):
    verdicts = judged[2].set_index("rule")
    np.testing.assert_allclose(verdicts.loc["backprop", ["angle_start", "angle_tenth", "angle_end"]].to_numpy(float), 0, atol=0.1)
    assert 5 < verdicts.loc["feedback_alignment/sign", "angle_end"] < 90
    assert np.isnan(verdicts.loc["untrained", "angle_end"])
    pairs = [(0, 1), (0, 2), (1, 2)]
    own = [stats.spearmanr(*(rdms[Model("backprop", seed, HIDDEN)] for seed in pair)).statistic for pair in pairs]
    np.testing.assert_allclose(verdicts["rdm_correlation_between_seeds"], np.mean(own), atol=1e-5)
    assert verdicts.loc["backprop", "rdm_correlation"] == 1


def test_without_readouts_the_distance_alone_is_told(trained, rdms):
    readouts, controls, verdicts = judge(
        trained, rdm_correlations(rdms, CONFIG.scoring.comparators[0]), CompareConfig.of(rules=RULES, readout_images=0)
    )
    assert readouts.empty and controls.empty
    assert verdicts["beats_control"].tolist() == [None] * 3 and verdicts["rdm_correlation"].notna().all()
