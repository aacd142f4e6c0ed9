"""A study: who is ranked against whom, what decides, and that its tables say what was measured."""

import dataclasses
from dataclasses import dataclass, field

import jax
import numpy as np
import pandas as pd
import pytest
import scipy.stats
from test_saving import TINY

import neurodata
import rsa
from bioplausible.foundation.errors import InputError
from experiments.config import TrainConfig
from experiments.engine import Engine
from experiments.epoch_states import are_kept, state_after
from experiments.measured import region_rdms
from experiments.preparing import prepare, with_own_settings
from experiments.store import Store
from experiments.studying import study as study_module
from experiments.studying.conclusions import conclusions, corrected, stimuli_needed
from experiments.studying.conditions import LAST, MAIN, READOUT, WITH_READOUT, conditions_of, looks_of
from experiments.studying.config import StudyConfig
from experiments.studying.contest import Contest, contest
from experiments.studying.groups import groups_of
from experiments.studying.matched import matched
from experiments.studying.page import answers, doubt, null_lines, recovery_lines
from experiments.studying.ranking import rank
from experiments.studying.recovered import AS_MEASURED, AT_CEILING, recovered
from experiments.studying.running import hold_against
from experiments.studying.scoring import compared, held_against
from experiments.studying.shown import END, START, Look, show
from experiments.studying.study import compare_with_brains
from experiments.studying.tables import read_tables
from experiments.training import fit

SMALL = dataclasses.replace(TINY, architecture="mlp", n_seeds=2, epochs=3, n_train=150)
N_STIMULI, N_PEOPLE = 24, 4


# Networks after each of their epochs.


@pytest.fixture(scope="module")
def by_epoch(tmp_path_factory):
    """A store with a training, its place, and its state after each epoch, taken on its way by a callback of the test's own."""
    setup = prepare(dataclasses.replace(SMALL, rule="backprop"))
    states = [jax.tree.map(np.asarray, each.learner.state) for each in fit(setup)]
    store = Store(tmp_path_factory.mktemp("epochs"), every_epoch=True)
    trained, _ = store.fit(setup)
    return store, setup, trained, states


def test_a_store_keeps_networks_after_every_epoch_to_the_bit(by_epoch):
    store, setup, trained, states = by_epoch
    place = store.place_of(setup)
    assert are_kept(place, 3)
    found = state_after(trained, place, [1, 3])
    for leaf, first, last in zip(*map(jax.tree.leaves, (found, states[0], states[2])), strict=True):
        np.testing.assert_array_equal(np.asarray(leaf), np.stack([first[0], last[1]]))
    begun = state_after(trained, place, [0, 0])
    for leaf, start in zip(jax.tree.leaves(begun), jax.tree.leaves(trained.start), strict=True):
        np.testing.assert_array_equal(np.asarray(leaf), np.asarray(start))


def test_what_was_kept_without_epochs_is_trained_anew_and_an_epoch_that_was_not_is_refused(by_epoch, tmp_path):
    _, setup, trained, _ = by_epoch
    plain = Store(tmp_path)
    plain.fit(setup)
    wanting = Store(tmp_path, every_epoch=True)
    assert plain.find(setup) is not None and wanting.find(setup) is None
    assert wanting.fit(setup)[1] is False and wanting.find(setup) is not None
    assert not list((tmp_path / "trainings").glob("*.damaged-*"))
    with pytest.raises(InputError, match=r"epochs \[4, 1\] were given, expected one from 0 to 3 for each of 2 seeds"):
        state_after(trained, wanting.place_of(setup), [4, 1])


# At one accuracy.


def history(*by_seed):
    rows = [
        {"seed": seed, "epoch": epoch, "validation_accuracy": value, "test_accuracy": value - 0.01}
        for seed, values in enumerate(by_seed)
        for epoch, value in enumerate(values, 1)
    ]
    return pd.DataFrame(rows)


def test_rules_meet_at_the_lowest_accuracy_of_those_that_learned():
    rules = {
        "fails": history([0.2, 0.42]),
        # Each seed by itself is nearest to .61 after another epoch than their mean is.
        "slow": history([0.5, 0.55], [0.62, 0.67]),
        "fast": history([0.4, 0.6, 0.8], [0.62, 0.7, 0.8]),
        "sudden": history([0.1, 0.9], [0.1, 0.9]),
    }
    found = matched(rules, dict.fromkeys(rules, 0.4))
    assert found.accuracy == pytest.approx(0.61)  # what `slow` ends in: `fails` is within NEAR of the untrained network
    assert found.epochs == {"slow": {0: 2, 1: 2}, "fast": {0: 2, 1: 1}}
    assert found.reached["slow"] == pytest.approx(0.61) and found.on_test["slow"] == pytest.approx(0.60)
    assert found.reached["sudden"] == pytest.approx(0.9) and "sudden" not in found.epochs
    # Behind another front end an untrained network may read better.
    assert matched(rules, dict.fromkeys(rules, 0.4) | {"slow": 0.6}).accuracy == pytest.approx(0.8)
    assert np.isnan(matched({"fails": history([0.3])}, {"fails": 0.4}).accuracy)


# Who is ranked.


@dataclass
class FakeShown:
    """What a training's networks made of stimuli, from plain arrays."""

    rule: str
    looks: dict
    readout: str = "output"
    last: str = "hidden"
    files: dict = field(default_factory=dict)

    def rdms(self, look):
        return self.looks.get(look, {})


MAIN_LOOK = Look(END, None, "correlation")
START_LOOK = MAIN_LOOK._replace(when=START)


def random_layers(seed, names=("conv", "hidden", "output"), n_seeds=2):
    rng = np.random.default_rng(seed)
    return {(s, name): rng.random(66) for s in range(n_seeds) for name in names}


def test_rules_that_start_from_one_network_share_their_control_and_others_have_their_own():
    start, other = random_layers(0), random_layers(1)
    shown = [
        FakeShown("untrained", {MAIN_LOOK: start, START_LOOK: start}),
        FakeShown("backprop", {MAIN_LOOK: random_layers(2), START_LOOK: {key: rdm.copy() for key, rdm in start.items()}}),
        FakeShown("hebbian", {MAIN_LOOK: random_layers(3), START_LOOK: other}),
        FakeShown("silent", {MAIN_LOOK: {}, START_LOOK: start}),
    ]
    main, *others = conditions_of(StudyConfig(halves=False, matched=False), [0, 1])
    found = contest(shown, main, {"pixels": np.arange(66.0)})
    assert list(found.networks) == ["untrained", "backprop", "hebbian before learning", "hebbian", "pixels"]
    assert found.controls == {"untrained": "untrained", "backprop": "untrained", "hebbian": "hebbian before learning"}
    assert list(found.networks["hebbian"][0]) == ["conv", "hidden"]  # a readout is no hidden layer
    by_layers = {each.layers: contest(shown, each, {}) for each in others if each.choice in ("layers", READOUT)}
    assert list(by_layers[LAST].networks["hebbian"][1]) == ["hidden"]
    assert list(by_layers[WITH_READOUT].networks["hebbian"][1]) == ["conv", "hidden", "output"]
    alone = next(each for each in others if each.seed == 1)
    assert list(contest(shown, alone, {}).networks["hebbian"]) == [1]


def test_more_seeds_of_a_rule_may_be_trainings_of_their_own():
    one, two = random_layers(0, n_seeds=1), {(5, layer): rdm for (_, layer), rdm in random_layers(1, n_seeds=1).items()}
    shown = [FakeShown("untrained", {MAIN_LOOK: each, START_LOOK: each}) for each in (one, two)]
    (main,) = conditions_of(StudyConfig(halves=False, matched=False, measures=("correlation",)), [0])[:1]
    assert list(contest(shown, main, {}).networks["untrained"]) == [0, 5]


def test_every_condition_changes_one_choice():
    config = StudyConfig(comparators=("pearson", "spearman"), sizes=(None, 64), partial=("pixels",))
    main, *others = conditions_of(config, [0, 1, 2])
    for each in others:
        different = {
            name for name in main._fields if name not in ("name", "choice", "like") and getattr(each, name) != getattr(main, name)
        }
        assert len(different) == 1, each
        if different == {"look"}:
            assert sum(one != other for one, other in zip(each.look, main.look, strict=True)) == 1
    assert len({each.name for each in (main, *others)}) == len(others) + 1
    looks = looks_of([main, *others])
    assert {look._replace(when=START) for look in looks} <= set(looks)


def test_groups_are_of_one_network_and_one_name_is_one_rule():
    def of(rule, **changed):
        return with_own_settings(TrainConfig(rule=rule, architecture="cnn", epochs=2, **changed))

    first, second = groups_of(
        [of("backprop"), of("untrained"), of("untrained", front_end="zca"), of("hebbian/competitive"), of("backprop", seed=1),
         of("untrained", architecture_options={"channels": (8,)}), of("backprop", architecture_options={"channels": (8,)}),
         of("untrained", n_train=100), of("backprop", optimizer_of="hebbian/competitive")]
    )  # fmt: skip
    assert first.name == "cnn on digits" and first.rules == ["untrained", "backprop", "hebbian/competitive"]
    assert [each.front_end for each in first.trainings if each.rule == "untrained"] == ["none"]
    assert [each.front_end for each in first.controls] == ["none", "zca"]
    assert second.name == "cnn channels=[8] on digits" and len(second.trainings) == 2
    pair = of("untrained"), of("backprop")
    longer = [dataclasses.replace(each, epochs=5) for each in pair]
    assert [each.name for each in groups_of([*pair, *longer])] == ["cnn on digits (epochs=2)", "cnn on digits (epochs=5)"]
    with pytest.raises(InputError, match=r"a study of backprop without the untrained network \(cnn on digits\)"):
        groups_of([of("backprop")])
    with pytest.raises(InputError, match=r"a study with backprop twice with seed 1 \(cnn on digits\)"):
        groups_of([of("untrained"), of("backprop", n_seeds=2), of("backprop", seed=1, rule_options={"learning_rate": 0.1})])


# Ranks.


@pytest.fixture(scope="module")
def planted():
    """Regions of four people that share what the network of one rule does, and that rule among others."""
    rng = np.random.default_rng(3)
    n_pairs = N_STIMULI * (N_STIMULI - 1) // 2
    truth = rng.random(n_pairs)
    data = truth + 0.3 * rng.random((N_PEOPLE, n_pairs))
    networks = {
        name: {seed: {"a": rng.random(n_pairs), "b": rng.random(n_pairs)} for seed in range(3)}
        for name in ("untrained", "backprop", "other")
    }
    networks["right"] = {seed: {"a": rng.random(n_pairs), "b": truth + 0.2 * rng.random(n_pairs)} for seed in range(3)}
    networks["pixels"] = {0: {"pixels": rng.random(n_pairs)}}
    return Contest(networks, dict.fromkeys(("untrained", "backprop", "other", "right"), "untrained")), data


def test_the_planted_rule_is_first_by_its_planted_layer_and_alone_above_its_control(planted):
    given, data = planted
    table = rank(jax.random.key(0), "IT", given, data, "pearson", 100).set_index("name")
    assert table.index[0] == "right" and table.loc["right", "layer"] == "b"
    assert table.loc["right", "p_value_from_control"] < 0.001 and table.loc["right", "lower_from_control"] > 0
    assert table.loc["right", "difference_from_control"] == pytest.approx(
        table.loc["right", "score"] - table.loc["untrained", "score"]
    )
    assert (table.loc[["backprop", "other"], "p_value_from_control"] > 0.01).all()
    assert table["kind"].to_dict() == {
        "right": "rule", "backprop": "rule", "other": "rule", "untrained": "control", "pixels": "model",
    }  # fmt: skip
    assert np.isnan(table.loc["backprop", "difference_from_backprop"]) and np.isnan(table.loc["pixels", "difference_from_control"])
    # By scipy alone, over all pairs at once: folds score a third of them each.
    over_all = np.mean([scipy.stats.pearsonr(of_seed["b"], one)[0] for of_seed in given.networks["right"].values() for one in data])
    assert table.loc["right", "score"] == pytest.approx(over_all, abs=0.06)


def test_a_network_that_few_stimuli_drive_costs_the_others_nothing(planted):
    given, data = planted
    square = np.zeros((N_STIMULI, N_STIMULI))
    square[:2, 2:] = square[2:, :2] = 1.0
    sparse = square[np.triu_indices(N_STIMULI, 1)]
    networks = given.networks | {"sparse": {seed: {"a": sparse} for seed in range(3)}}
    controls = given.controls | {"sparse": "untrained"}
    table = rank(jax.random.key(0), "IT", Contest(networks, controls), data, "pearson", 20).set_index("name")
    assert np.isnan(table.loc["sparse", "score"]) and np.isfinite(table["score"].drop("sparse")).all()
    assert np.isfinite(table.loc["right", "p_value_from_control"])


def test_who_else_is_ranked_changes_nothing(planted):
    given, data = planted
    whole = rank(jax.random.key(0), "IT", given, data, "pearson", 50).set_index("name")
    fewer = Contest(
        {name: given.networks[name] for name in ("right", "untrained")}, {"untrained": "untrained", "right": "untrained"}
    )
    part = rank(jax.random.key(0), "IT", fewer, data, "pearson", 50).set_index("name")
    columns = ["score", "lower", "upper", "difference_from_control", "lower_from_control", "p_value_from_control"]
    np.testing.assert_allclose(part.loc["right", columns].astype(float), whole.loc["right", columns].astype(float), atol=1e-12)


# Conclusions.


CHOICES = {MAIN: "", "euclidean": "measure", "64 pixels": "size", "readout among layers": READOUT}


def table_of(*rows):
    """Ranks with (rule, condition, difference, p)."""
    frame = pd.DataFrame(rows, columns=["name", "condition", "difference_from_control", "p_value_from_control"])
    return frame.assign(
        group="g", recording="r", region="IT", kind="rule", failure="", score=0.1, lower=0.0, upper=0.2, control="untrained",
        lower_from_control=-0.01, upper_from_control=0.03, layer="a", n_stimuli=92, n_subjects=15, ceiling=0.4,
        control_score=0.05, factors="stimuli, subjects", choice=frame["condition"].map(CHOICES),
        difference_from_backprop=np.where(frame["name"] == "backprop", np.nan, 0.01), p_value_from_backprop=0.6,
        lower_from_backprop=-0.01, upper_from_backprop=0.03,
    )  # fmt: skip


def test_a_conclusion_holds_turns_or_is_undecided():
    ranks = corrected(
        table_of(
            ("holds", MAIN, 0.1, 1e-6), ("holds", "euclidean", 0.2, 1e-6), ("holds", "readout among layers", -0.2, 1e-6),
            ("turns", MAIN, 0.1, 1e-6), ("turns", "euclidean", -0.2, 1e-6),
            ("wavers", MAIN, 0.1, 1e-6), ("wavers", "euclidean", 0.01, 0.9),
            ("below", MAIN, -0.1, 1e-6), ("below", "euclidean", -0.1, 1e-6), ("below", "64 pixels", -0.1, 1e-6),
            ("once", MAIN, 0.1, 1e-6), ("once", "euclidean", np.nan, np.nan),
        )
    )  # fmt: skip
    found = conclusions(ranks).set_index("rule")
    assert found["conclusion"].to_dict() == {
        "holds": "holds above", "turns": "turns", "wavers": "undecided", "below": "holds below", "once": "undecided",
    }  # fmt: skip
    assert found["n_same_sign"].to_dict() == {"holds": 2, "turns": 1, "wavers": 2, "below": 3, "once": 1}
    assert found.loc["once", "n_conditions"] == 1 and found.loc["once", "euclidean"] == ""
    assert found["not_scored"].to_dict() == {
        "holds": "64 pixels", "turns": "64 pixels", "wavers": "64 pixels", "below": "", "once": "euclidean, 64 pixels",
    }  # fmt: skip


def test_p_values_are_corrected_over_the_whole_table_and_failed_rules_make_no_claims():
    p_values = [0.001, 0.02, 0.03, 0.04, 0.9]
    table = table_of(*[(f"rule {i}", MAIN, 0.1, p) for i, p in enumerate(p_values)], ("failed", MAIN, 0.1, 1e-9))
    table.loc[table["name"] == "failed", "failure"] = "predicts one class"
    found = corrected(table)
    np.testing.assert_allclose(found["p_adjusted"][:5], scipy.stats.false_discovery_control(p_values))
    assert found["verdict"].tolist() == ["above", "undecided", "undecided", "undecided", "undecided", ""]
    assert "failed" not in set(conclusions(found)["rule"])


def test_answers_say_what_the_tables_say():
    table = table_of(("backprop", MAIN, 0.1, 1e-6), ("sign", MAIN, 0.02, 0.5), ("untrained", MAIN, np.nan, np.nan))
    table.loc[table["name"] == "untrained", ["kind", "score"]] = ["control", 0.3]
    ranks = corrected(table.sort_values("score", ascending=False, ignore_index=True))
    (said,) = answers(ranks, conclusions(ranks))
    assert "92 stimuli, 15 subjects; intervals are for other stimuli, subjects. Of rules backprop scores highest, .100" in said
    assert "a network that learned nothing scores higher (untrained, .300)" in said and "the noise ceiling is .400" in said
    assert "1 of 2 rules are above their own network before learning; under every condition backprop (1)." in said
    # .01 +- .02 at 1.96 standard errors; four studies of five ask for 2.80 of them: (2 x 2.80 / 1.96)^2 = 8.2 times as many.
    assert "tell none of 1 rules from backpropagation; the first to be told apart, sign, would take at least 752 stimuli" in said
    assert stimuli_needed(92, 0.01, -0.01, 0.03) == pytest.approx(92 * (2 * 2.8016 / 1.95996) ** 2, rel=1e-3)
    assert stimuli_needed(92, 0.01, -0.01, 0.03, 10) > stimuli_needed(92, 0.01, -0.01, 0.03)


def test_the_page_that_tries_to_break_it_has_every_condition_of_the_rule_that_adds_most():
    ranks = corrected(table_of(("small", MAIN, 0.1, 1e-6), ("large", MAIN, 0.3, 1e-6), ("large", "euclidean", -0.2, 1e-6)))
    page = doubt(ranks, conclusions(ranks))
    assert "## IT (r), g: large" in page and "**Turns**; 1 of 2" in page
    assert "| euclidean | .100 | -.200 [-.010, .030] | below | large (.100) |" in page and "small |" not in page


def test_null_and_recovery_are_counted():
    null = pd.DataFrame(
        {
            "name": ["a", "b"] * 4, "group": "g", "recording": "r", "region": "IT", "shuffle": np.repeat(range(4), 2),
            "p_value_from_control": [0.01, 0.5, 0.5, 0.5, 0.02, 0.5, 0.5, 0.5],
            "difference_from_control": [1, 1, 1, 1, -1, 1, 1, 1],
        }
    )  # fmt: skip
    line = next(line for line in null_lines(null) if line.startswith("| g"))
    assert line == "| g | r | IT | 4 | 8 | 25.0 % ± 14.4 | 12.5 % |"
    assert null_lines(pd.DataFrame()) == recovery_lines(pd.DataFrame()) == []


# All of it, on a recording in a folder.


@pytest.fixture(scope="module")
def observed(tmp_path_factory):
    """Four people who see digits: their one region is what pixels are."""
    whole = neurodata.default_stimuli()
    shown = dataclasses.replace(
        whole, images=whole.images[:N_STIMULI], ids=whole.ids[:N_STIMULI],
        source_indices=whole.source_indices[:N_STIMULI], categories=whole.categories[:N_STIMULI],
    )  # fmt: skip
    simulated = neurodata.simulate(shown, {"early": "pixel_energy"}, n_subjects=N_PEOPLE, n_channels=16, n_runs=1)
    return neurodata.save(simulated, tmp_path_factory.mktemp("observed") / "people")


@pytest.fixture(scope="module")
def trained(tmp_path_factory, observed):
    store = tmp_path_factory.mktemp("studied")
    excluded = tuple(int(index) for index in neurodata.default_stimuli().source_indices)
    configs = [
        with_own_settings(dataclasses.replace(SMALL, rule=rule, exclude_indices=excluded))
        for rule in ("untrained", "backprop", "feedback_alignment/sign")
    ]
    records = [(config, Store(store, every_epoch=True).fit(prepare(config))[0].to_json()) for config in configs]
    return store, records


ASKED = StudyConfig(
    measures=("correlation", "euclidean"), comparators=("pearson",), partial=("pixels",), halves=False, n_draws=20, n_simulations=0,
    n_shuffles=1,
)  # fmt: skip


@pytest.fixture(scope="module")
def studied(trained, observed, tmp_path_factory):
    store, records = trained
    folder = tmp_path_factory.mktemp("study")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(study_module, "scorecards", lambda rules, *_, **__: {rule: {"one": {"verdict": "meets"}} for rule in rules})
        config = dataclasses.replace(ASKED, recordings=(str(observed),))
        found, failed = compare_with_brains(folder, "Tiny", config, records, store, Engine())
    assert failed == {}
    return folder, config, found


def test_a_study_writes_what_it_found_and_pages_can_be_made_again_from_it_alone(studied, trained):
    folder, config, found = studied
    assert set(found["rule"]) == {"backprop", "feedback_alignment/sign"} and (found["region"] == "early").all()
    kept = {path.name: path.read_bytes() for path in folder.iterdir()}
    assert set(kept) == {"brain.parquet", "conclusions.csv", "README.md", "doubt.md", "brain.svg", "conclusions.svg"}
    again, _ = compare_with_brains(folder, "Tiny", config, trained[1], None, Engine())
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == kept
    pd.testing.assert_frame_equal(found, again)
    ranks = read_tables(folder)["ranks"]
    main = ranks[ranks["condition"] == MAIN].set_index("name")
    # The network as it was drawn is the same for the three, and is told once.
    assert set(main.index[main["kind"] == "control"]) == {"untrained"}
    assert "pixels" in main.index and main.loc["backprop", "n_stimuli"] == N_STIMULI


def test_what_was_compared_is_not_compared_again(studied, trained, monkeypatch):
    folder, config, _ = studied
    monkeypatch.setattr("experiments.studying.scoring.rank", lambda *_: pytest.fail("it ranked"))
    monkeypatch.setattr("experiments.studying.shown.stimuli.present", lambda *_: pytest.fail("it looked"))
    groups = groups_of(each for each, _ in trained[1])
    held = hold_against(groups, config, trained[0], pd.DataFrame(), Engine())
    kept = read_tables(folder)["ranks"]
    assert held.failed == {} and len(held.ranks) == len(kept)


def test_networks_that_were_trained_on_the_stimuli_are_refused(trained, observed):
    store, records = trained
    config = dataclasses.replace(records[0][0], exclude_indices=())
    (group,) = groups_of([config, dataclasses.replace(config, rule="backprop")])
    with pytest.raises(InputError, match="digits of recording .* are among the images"):
        compared(group, str(observed), ASKED, Store(store), pd.DataFrame())


def test_a_shuffled_order_leaves_the_networks_nothing_to_find(trained, observed):
    store, records = trained
    (group,) = groups_of(config for config, _ in records)
    config = dataclasses.replace(ASKED, measures=("correlation",), partial=(), matched=False, n_shuffles=4)
    these = compared(group, str(observed), config, Store(store), pd.DataFrame())
    # In the place of the networks, what all people share: nothing is more like it.
    shared = region_rdms(these.recording, "correlation")["early"].mean(axis=0)
    start = {(seed, "a"): np.random.default_rng(seed).random(len(shared)) for seed in range(2)}
    looks = {MAIN_LOOK: {(seed, "a"): shared for seed in range(2)}, START_LOOK: start}
    shown = (FakeShown("untrained", {MAIN_LOOK: start, START_LOOK: start}), FakeShown("backprop", looks))
    these = dataclasses.replace(these, shown=shown, digest="planted")
    ranks, null = held_against(these)
    main = ranks[(ranks["condition"] == MAIN)].set_index("name")
    assert main.loc["backprop", "difference_from_control"] > 0.3 and main.loc["backprop", "p_value_from_control"] < 1e-3
    assert len(null) == 4 and null["difference_from_control"].abs().max() < 0.3 and null["p_value_from_control"].min() > 0.001


def test_recovery_is_made_at_the_noise_and_at_the_scores_that_were_measured(trained, observed):
    store, records = trained
    (group,) = groups_of(config for config, _ in records)
    config = dataclasses.replace(ASKED, measures=("correlation",), partial=(), matched=False, n_simulations=12)
    these = compared(group, str(observed), config, Store(store), pd.DataFrame())
    rng = np.random.default_rng(4)

    def layers():
        means = {name: rng.normal(size=(N_STIMULI, 30)) for name in "abc"}
        return {
            (seed, name): rsa.network_rdm(mean + 0.3 * rng.normal(size=mean.shape), "correlation")
            for seed in range(2)
            for name, mean in means.items()
        }

    shown = tuple(
        FakeShown(rule, {MAIN_LOOK: layers(), START_LOOK: layers()}, last="c") for rule in ("untrained", "backprop", "sign")
    )
    these = dataclasses.replace(these, shown=shown, digest="planted for recovery")
    ranks = pd.DataFrame(
        {"condition": [MAIN], "region": ["early"], "failure": [""], "kind": ["rule"], "score": [0.1], "ceiling": [0.3]}
    )
    found = recovered(these, ranks).set_index("study")
    assert (found.groupby("study").size() == 3).all() and set(found["name"]) == {"untrained", "backprop", "sign"}
    # Three candidates that share nothing: the best case is won, and the ceiling is that which was asked for.
    assert found.loc[AT_CEILING, "overall"].iloc[0] > 0.9 and (found["achieved_ceiling"] - 0.3).abs().max() < 0.1
    assert 0 < found.loc[AS_MEASURED, "explained"].iloc[0] < 1
    assert found.loc[AS_MEASURED, "own_score"].mean() == pytest.approx(0.1, abs=0.05)
    assert found.loc[AT_CEILING, "own_score"].mean() > 0.15
    line = next(line for line in recovery_lines(found.reset_index()) if AT_CEILING in line)
    assert "| 3 x 12 |" in line and "| 33 % |" in line


def test_a_damaged_look_is_made_again_and_another_measure_costs_itself(trained, observed, tmp_path):
    store, records = trained
    setup = prepare(records[1][0])
    networks = Store(store).find(setup)
    images = neurodata.default_stimuli().images[:6]
    first = show(tmp_path, networks, images, [MAIN_LOOK])
    kept = first.rdms(MAIN_LOOK)
    (path,) = first.files.values()
    path.write_bytes(path.read_bytes()[:40])
    assert first.rdms(MAIN_LOOK) == {}
    second = show(tmp_path, networks, images, [MAIN_LOOK, MAIN_LOOK._replace(measure="euclidean")])
    for key, rdm in second.rdms(MAIN_LOOK).items():
        np.testing.assert_array_equal(rdm, kept[key])
    assert list(kept)[0] == (0, networks.network.node_names[0]) and len(second.files) == 2


def test_what_a_study_cannot_do_is_said(trained):
    with pytest.raises(InputError, match=r"a study with recordings: \[\] was given"):
        StudyConfig(recordings=())
    (group,) = groups_of(config for config, _ in trained[1])
    held = hold_against([group], dataclasses.replace(ASKED, recordings=("zhang_desimone_",)), trained[0], pd.DataFrame(), Engine())
    assert held.ranks.empty and "zhang_desimone_" in next(iter(held.failed.values()))
