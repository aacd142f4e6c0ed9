import dataclasses
import json

import numpy as np
import pandas as pd
import pytest
import yaml
from scipy.spatial.distance import pdist
from scipy.stats import false_discovery_control, rankdata, spearmanr

import experiments.comparing as comparing
import experiments.planning as planning
import experiments.store as store
import neurodata
import rsa
from bioplausible.foundation.errors import InputError
from experiments import datasets, measured, scoring, stimuli
from experiments.compare_config import CompareConfig
from experiments.comparing import compare
from experiments.config import read_yaml
from experiments.preparing import prepare
from experiments.report.views import standings
from experiments.results import SCORE_COLUMNS
from experiments.scorecards import CORE
from experiments.trained import Trained
from experiments.training import complete

LAYERS = ("conv_0", "conv_1", "hidden_0", "output")
PLANTED = "conv_1"
N_SUBJECTS, N_SEEDS = 5, 2
SHOWN = neurodata.default_stimuli()
EXCLUDED = tuple(int(index) for index in SHOWN.source_indices)
CONFIG = CompareConfig.of(
    rules=("backprop",),
    architecture="cnn",
    dataset="digits",
    epochs=8,
    batch_size=32,
    seeds=N_SEEDS,
    n_draws=99,
    n_train=400,
    scorecard="none",
    readout_images=0,
    measures="correlation",
    architecture_options={"channels": (4, 4), "hidden": (16,), "activation": "tanh"},
)


RNG = np.random.default_rng(0)
_TRAINED: dict[str, Trained] = {}


def trained_once(setup, after=None, progress=None):
    """A configuration always gives the same networks, which is shown below: each is trained once for this file."""
    if repr(setup.config) not in _TRAINED:
        _TRAINED[repr(setup.config)] = complete(setup, after, progress)
    return _TRAINED[repr(setup.config)]


@pytest.fixture(autouse=True, scope="module")
def _train_once():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(comparing, "complete", trained_once)
        yield


@pytest.fixture(scope="module")
def recording():
    """Two regions of five observers: one driven by a layer of backprop's first network, one by nothing."""
    reference = trained_once(prepare(CONFIG.training_of("backprop", EXCLUDED)))
    shown = stimuli.present(SHOWN.images, reference.network.input_shape, reference.images.normalisation)
    features = reference.represent(shown)[LAYERS.index(PLANTED)][0]
    sizes = {"n_subjects": N_SUBJECTS, "n_channels": 64, "n_runs": 4}
    driven = neurodata.simulate(SHOWN, {"planted": features}, signal_to_noise=2.0, **sizes)
    silent = neurodata.simulate(SHOWN, {"nothing": "category"}, signal_to_noise=0.0, seed=3, **sizes)
    return dataclasses.replace(driven, regions={**driven.regions, **silent.regions}, truth={**driven.truth, **silent.truth})


@pytest.fixture(scope="module")
def recording_folder(recording, tmp_path_factory):
    return str(neurodata.save(recording, tmp_path_factory.mktemp("recordings") / "observers"))


@pytest.fixture(scope="module")
def study(recording_folder, tmp_path_factory):
    """A comparison, its folder, and the networks that it trained."""
    trained: list[Trained] = []

    def spy(*arguments, **keywords):
        trained.append(trained_once(*arguments, **keywords))
        return trained[-1]

    out = tmp_path_factory.mktemp("runs") / "first"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(comparing, "complete", spy)
        comparison = compare(CONFIG, out, recording=recording_folder)
    return comparison, out, trained


@pytest.fixture
def no_training(monkeypatch):
    def refuse(*arguments, **keywords):
        raise AssertionError("a network was trained before the mistake was said")

    monkeypatch.setattr(comparing, "complete", refuse)


def score_of(comparison, **place):
    rows = comparison.aggregates()
    for column, value in place.items():
        rows = rows[rows[column] == value]
    assert len(rows) == 1
    return float(rows["score"].iloc[0])


def test_the_planted_layer_of_the_planted_network_scores_best_in_its_region(study):
    comparison, *_ = study
    table = comparison.to_frame()
    single = table[(table["region"] == "planted") & table["subject"].notna()]
    scores = single.groupby(["rule", "seed", "layer"])["score"].mean()
    assert scores.idxmax() == ("backprop", 0, PLANTED), scores
    assert scores.max() > 0.9 * comparison.ceilings[0]["lower"]
    rows = comparison.aggregates()
    best = rows[(rows["rule"] == "backprop") & (rows["layer"] == PLANTED) & (rows["region"] == "planted")].iloc[0]
    assert best["p_value"] == pytest.approx(1 / (CONFIG.scoring.n_draws + 1)) and best["lower"] > 0


def test_nothing_is_found_where_nothing_was_planted(study):
    comparison, *_ = study
    rows = comparison.aggregates()
    nothing = rows[rows["region"] == "nothing"]
    assert len(nothing) == 2 * len(LAYERS)
    assert nothing["score"].abs().max() < 0.05
    assert nothing["p_value"].median() > 0.05


def test_scores_are_tidy(study):
    comparison, *_ = study
    table = comparison.to_frame()
    assert tuple(table.columns) == SCORE_COLUMNS
    single = table[table["subject"].notna()]
    subjects = [f"simulated_{index:02d}" for index in range(1, N_SUBJECTS + 1)]
    index = pd.MultiIndex.from_product([("untrained", "backprop"), (0, 1), LAYERS, ("planted", "nothing"), subjects])
    found = pd.MultiIndex.from_frame(single[["rule", "seed", "layer", "region", "subject"]])
    assert not found.duplicated().any() and set(found) == set(index)
    assert single["seed"].notna().all() and single["p_value"].isna().all()
    aggregates = table[table["subject"].isna()]
    assert aggregates["seed"].isna().all() and aggregates[["score", "lower", "upper", "p_value"]].notna().all(axis=None)
    expected = {
        (rule, layer, region) for rule in ("untrained", "backprop") for layer in LAYERS for region in ("planted", "nothing")
    }
    assert set(aggregates[["rule", "layer", "region"]].itertuples(index=False, name=None)) == expected
    assert len(aggregates) == len(expected) and len(table) == len(single) + len(aggregates)
    assert table["time"].isna().all()


def test_aggregates_are_means_over_seeds_and_subjects(study):
    comparison, *_ = study
    table = comparison.to_frame()
    means = table[table["subject"].notna()].groupby(["rule", "layer", "region"])["score"].mean()
    for row in comparison.aggregates().itertuples():
        assert row.score == pytest.approx(means[row.rule, row.layer, row.region], abs=1e-12)
        assert row.lower < row.score < row.upper


def test_every_row_carries_its_region_s_ceiling(study):
    comparison, *_ = study
    table = comparison.to_frame()
    for ceiling in comparison.ceilings:
        rows = table[table["region"] == ceiling["region"]]
        assert (
            len(rows) > 0
            and (rows["ceiling_lower"] == ceiling["lower"]).all()
            and (rows["ceiling_upper"] == ceiling["upper"]).all()
        )
        assert ceiling["lower"] < ceiling["upper"] and ceiling["n_subjects"] == N_SUBJECTS
    assert {ceiling["region"] for ceiling in comparison.ceilings} == set(table["region"])


def test_differences_are_those_of_the_aggregates(study):
    comparison, *_ = study
    table = comparison.differences
    assert set(table["rule"]) == {"backprop"} and set(table["reference"]) == {"untrained"}
    assert len(table) == len(LAYERS) * 2
    for row in table.itertuples():
        place = {"layer": row.layer, "region": row.region}
        expected = score_of(comparison, rule="backprop", **place) - score_of(comparison, rule="untrained", **place)
        assert row.difference == pytest.approx(expected, abs=1e-12)
        assert row.lower < row.difference < row.upper and 0 < row.p_value <= row.p_adjusted <= 1


def test_intervals_generalise_over_what_there_is_enough_of(study, recording_folder):
    """Means over subjects get wider intervals than for these subjects alone; what is too few is said."""
    comparison, *_ = study
    assert comparison.factors == {"planted": ["stimuli", "subjects"], "nothing": ["stimuli", "subjects"]}
    assert (
        "intervals in region 'planted' say nothing of other seeds: there are too few to draw from (2 seeds)" in comparison.warnings
    )
    options = {"recording": recording_folder, "rules": ("untrained",), "epochs": 1, "seeds": 3}
    wide, narrow = (compare(CONFIG, **options, factors=factors) for factors in (CONFIG.scoring.factors, ("stimuli",)))
    assert wide.factors["planted"] == ["stimuli", "subjects", "seeds"] and narrow.factors["planted"] == ["stimuli"]
    lengths = [(each.aggregates()["upper"] - each.aggregates()["lower"]).to_numpy(float) for each in (wide, narrow)]
    assert np.all(lengths[0] > 0.99 * lengths[1]) and np.mean(lengths[0] > 1.05 * lengths[1]) > 0.5
    np.testing.assert_array_equal(wide.aggregates()["score"], narrow.aggregates()["score"])


def test_rules_are_held_against_backpropagation_too(recording_folder):
    comparison = compare(CONFIG, recording=recording_folder, rules=("backprop", "feedback_alignment"), seeds=1, epochs=1)
    pairs = set(comparison.differences[["rule", "reference"]].itertuples(index=False, name=None))
    assert pairs == {("backprop", "untrained"), ("feedback_alignment", "untrained"), ("feedback_alignment", "backprop")}
    adjusted = comparison.differences["p_adjusted"]
    np.testing.assert_allclose(adjusted, false_discovery_control(comparison.differences["p_value"]))


def test_models_that_are_no_networks_stand_beside(study):
    comparison, *_ = study
    table = comparison.reference_models
    # What the stimuli allow: they are grey, and of known categories.
    models = ("pixels", "luminance", "gabor", "hmax", "category")
    assert len(table) == 2 * len(models) and list(table["model"].unique()) == list(models)
    assert tuple(comparison.config["scoring"]["reference_models"]) == models
    assert table[["score", "lower", "upper", "p_value"]].notna().all(axis=None)


def test_scores_are_scipy_s_on_the_networks_that_were_trained(study, recording):
    comparison, _, trained = study
    table = comparison.to_frame()
    assert [each.name for each in trained] == ["untrained", "backprop"]
    for each in trained:
        shown = stimuli.present(SHOWN.images, each.network.input_shape, each.images.normalisation)
        layer_rdms = pdist(each.represent(shown)[2][1].astype(np.float64), "correlation")
        for subject, patterns in zip(recording.regions["planted"].subjects, recording.regions["planted"].patterns(), strict=True):
            place = {"rule": each.name, "layer": "hidden_0", "seed": 1, "region": "planted", "subject": subject}
            row = table.loc[(table[list(place)] == pd.Series(place)).all(axis=1)]
            expected = spearmanr(layer_rdms, pdist(patterns, "correlation")).statistic
            # Single and double precision order a few pairs of the layer's RDM differently.
            assert row["score"].item() == pytest.approx(expected, abs=1e-3)


def test_the_control_is_added_and_all_rules_start_alike(study):
    comparison, _, trained = study
    assert comparison.config["rules"] == ["untrained", "backprop"] and list(comparison.rules) == ["untrained", "backprop"]
    weights = [each.initial[0]["kernel"] for each in trained]
    np.testing.assert_array_equal(*weights)


def test_the_digits_that_are_shown_are_trained_on_by_no_network(study):
    comparison, _, trained = study
    assert comparison.dataset["split"]["excluded_indices"] == sorted(EXCLUDED)
    shown = {image.tobytes() for image in SHOWN.images[..., :1]}
    everything = datasets.load("digits")
    sources = [everything.train.images, everything.validation.images, everything.test.images]
    assert shown <= {image.tobytes() for images in sources for image in images}
    for each in trained:
        splits = [each.images.train.images, each.images.validation.images, each.images.test.images]
        assert not shown & {image.tobytes() for images in splits for image in images}


def test_indices_into_another_source_exclude_no_digit(recording, monkeypatch):
    elsewhere = dataclasses.replace(
        recording.stimuli, source="photographs", source_indices=recording.stimuli.source_indices + 70_000
    )
    monkeypatch.setattr(planning, "load_recording", lambda name, **_: dataclasses.replace(recording, stimuli=elsewhere))
    comparison = compare(CONFIG, rules=("untrained",), seeds=1, n_draws=0, epochs=1)
    assert comparison.dataset["split"]["excluded_indices"] == []


def test_the_same_configuration_gives_the_same_json(study, recording_folder, monkeypatch):
    monkeypatch.setattr(comparing, "complete", complete)
    comparison, *_ = study
    first, second = comparison.to_json(), compare(CONFIG, recording=recording_folder).to_json()
    for record in (first, second):
        assert set(record.pop("seconds")) == {"recording", "training", "compiling", "scoring", "controls", "scorecards", "beside"}
        record.pop("report")
        assert record["environment"].pop("date").endswith(" UTC")
    assert json.dumps(first, sort_keys=True, allow_nan=False) == json.dumps(second, sort_keys=True, allow_nan=False)


@pytest.mark.thorough
def test_the_card_of_every_rule_is_part_of_the_comparison(recording_folder, tmp_path):
    settings = {"rules": ("feedback_alignment/sign",), "seeds": 1, "epochs": 1, "n_draws": 0, "scorecard": "core"}
    comparison = compare(CONFIG, tmp_path / "out", recording=recording_folder, **settings)
    assert list(comparison.scorecards) == ["untrained", "feedback_alignment/sign"]
    card = comparison.scorecards["feedback_alignment/sign"]
    assert list(card) == list(CORE) and card["weight transport"]["verdict"] == "partly"
    assert comparison.to_json()["scorecards"] == type(comparison).load(tmp_path / "out").scorecards == comparison.scorecards
    page = (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    assert "How plausible the rules are" in page and "through the signs of" in page
    assert "plausibility" in [axes.get_title(loc="left") or axes.get_title() for axes in comparison.plot("overview").axes]


def test_json_has_the_documented_fields(study):
    comparison, out, _ = study
    record = json.loads(json.dumps(comparison.to_json(), allow_nan=False))
    assert record["report"] == str((out / "report.html").resolve())
    assert len(record["scores"]) == len(comparison.scores)
    for row in record["scores"]:
        assert tuple(row) == SCORE_COLUMNS
        assert row["time"] is None and (row["seed"] is None) == (row["subject"] is None)
        assert isinstance(row["score"], float) and isinstance(row["ceiling_lower"], float)
    assert {row["seed"] for row in record["scores"]} == {None, 0, 1}
    assert record["recording"]["simulated"] is True and record["recording"]["truth"]["planted"] == "given features"
    assert set(record["rules"]["backprop"]) >= {"family", "citation", "teaching_signal", "options"}
    assert record["rules"]["backprop"]["options"]["learning_rate"] > 0
    assert record["warnings"] == comparison.warnings


def test_the_folder_holds_what_is_documented(study, recording_folder):
    comparison, out, _ = study
    files = {str(path.relative_to(out)) for path in out.rglob("*") if path.is_file()}
    names = ("scores", "differences", "reference_models", "clusters", "accuracy", "networks", "readouts", "controls", "verdicts")
    tables = {f"tables/{name}.csv" for name in names} | {"tables/scores.parquet"}
    assert files == {"config.yaml", "results.json", "arrays.npz", "report.html"} | tables
    models = ("pixels", "luminance", "gabor", "hmax", "category")
    expected = CONFIG.replace(rules=("untrained", "backprop"), recording=recording_folder, reference_models=models)
    stored = read_yaml(out / "config.yaml", CompareConfig)
    # YAML has no tuples inside free mappings; the options take lists for them.
    assert yaml.safe_load(json.dumps(dataclasses.asdict(stored))) == yaml.safe_load(json.dumps(dataclasses.asdict(expected)))
    assert json.loads((out / "results.json").read_text()) == comparison.to_json()
    assert len(pd.read_csv(out / "tables" / "scores.csv")) == len(comparison.scores)
    by_column = pd.read_parquet(out / "tables" / "scores.parquet")
    assert list(by_column) == list(SCORE_COLUMNS) and by_column["seed"].dtype == "Int64"
    pd.testing.assert_frame_equal(by_column.isna(), comparison.scores.isna())
    np.testing.assert_array_equal(by_column["score"], comparison.scores["score"])


@pytest.mark.thorough
def test_another_size_scores_the_convolutions_and_says_what_was_left_out(recording_folder):
    comparison = compare(CONFIG, recording=recording_folder, sizes=16, seeds=1, epochs=1, n_draws=0)
    assert list(comparison.scores["layer"].unique()) == ["conv_0", "conv_1"]
    (warning,) = [each for each in comparison.warnings if "left out" in each]
    assert "hidden_0, output" in warning and "16 pixels" in warning
    assert comparison.transform["evaluation_size"] == [16, 16] and comparison.transform["training_size"] == [8, 8]
    assert set(comparison.networks["layer"]) == set(LAYERS)


@pytest.fixture(scope="module")
def views(recording_folder, tmp_path_factory):
    """Two measures, three comparators and three sizes of one network a rule."""
    out = tmp_path_factory.mktemp("views")
    more = {
        "measures": ("correlation", "euclidean"),
        "comparators": ("spearman", "whitened_pearson", "cka"),
        "sizes": (None, 16, 12),
        "partial": ("pixels", "luminance"),
        "layers": "best",
    }
    return compare(CONFIG, out, recording=recording_folder, seeds=1, epochs=1, n_draws=50, **more), out


def test_other_measures_comparators_and_sizes_stand_in_the_same_table(views):
    comparison, out = views
    table = pd.read_csv(out / "tables" / "scores.csv", dtype={"subject": str})
    views = table.fillna({"measure": ""}).groupby(["measure", "comparator", "size"])
    counts = {(measure, name, int(size)): len(rows) for (measure, name, size), rows in views}
    # Of four layers each, two of them at other sizes; the best stands beside where RDMs are compared.
    of_layers = len(comparison.main.scores.query("layer != 'best'"))
    best = len(comparison.main.scores) - of_layers
    assert best * 4 == of_layers
    assert counts == {
        ("correlation", "spearman", 8): of_layers + best,
        ("correlation", "spearman", 16): of_layers // 2 + best,
        ("correlation", "spearman", 12): of_layers // 2 + best,
        ("euclidean", "spearman", 8): of_layers + best,
        ("correlation", "whitened_pearson", 8): of_layers + best,
        ("correlation", "spearman beyond pixels, luminance", 8): of_layers + best,
        ("", "cka", 8): of_layers,
    }
    assert len(comparison.to_frame()) == len(table) == len(comparison.to_json()["scores"])
    assert set(comparison.scores.query("size == 16")["layer"]) == {"conv_0", "conv_1", "best"}
    again = type(comparison).load(out)
    for name in ("scores", "differences", "reference_models"):
        pd.testing.assert_frame_equal(getattr(again, name), getattr(comparison, name).replace({None: np.nan}), check_dtype=False)


def test_the_planted_layer_is_found_by_every_measure(views):
    comparison, _ = views
    whole = comparison.further_aggregates().query("layer != 'best'")
    for name in ("whitened_pearson", "cka"):
        own = whole[(whole["comparator"] == name) & (whole["rule"] == "backprop")].set_index(["region", "layer"])["score"]
        assert own["planted"].idxmax() == PLANTED, name
        assert own["planted"].max() > 3 * own["nothing"].abs().max(), name


def test_what_is_left_beyond_other_models_is_the_partial_correlation(views, recording):
    comparison, _ = views
    held = [
        rsa.reference_rdms(measured.large_enough(SHOWN.images), [name], "correlation")[name] for name in ("pixels", "luminance")
    ]
    place = "rule == 'backprop' and layer == 'conv_1' and region == 'planted'"
    found = comparison.scores.query(f"comparator == 'spearman beyond pixels, luminance' and {place}")
    single = found.dropna(subset=["subject"]).sort_values("subject")
    # One seed: the mean over networks is the network.
    layer, data = comparison.layer_rdms["backprop", "conv_1"], measured.region_rdms(recording, "correlation")["planted"]
    ranked = [np.apply_along_axis(rankdata, -1, np.atleast_2d(each)) for each in (layer, data, held)]
    design = np.concatenate([np.ones((1, len(layer))), ranked[2]]).T
    left = [each - (design @ np.linalg.lstsq(design, each.T, rcond=None)[0]).T for each in ranked[:2]]
    expected = [np.corrcoef(left[0][0], each)[0, 1] for each in left[1]]
    np.testing.assert_allclose(single["score"], expected, atol=1e-6)
    together = found[found["subject"].isna()].iloc[0]
    assert together["lower"] < together["score"] < together["upper"] and np.isnan(together["p_value"])
    models = comparison.reference_models.query("comparator == 'spearman beyond pixels, luminance'")["model"]
    assert set(models) == {"gabor", "hmax", "category"}


def test_the_best_layer_is_scored_where_it_was_not_chosen(views):
    """The planted one is best wherever one looks; and what stands in the first table was chosen elsewhere."""
    comparison, _ = views
    own = comparison.aggregates().query("region == 'planted' and rule == 'backprop'").set_index("layer")["score"]
    assert own["best"] == pytest.approx(own[PLANTED], abs=0.1) and own.drop("best").idxmax() == PLANTED
    assert {standing.layer for standing in standings(comparison, "planted")} == {"best"}
    assert abs(comparison.aggregates().query("region == 'nothing' and layer == 'best'")["score"]).max() < 0.1


def test_scores_of_patterns_generalise_over_subjects_and_claim_no_p_value(views):
    comparison, _ = views
    cka = comparison.further_aggregates().query("comparator == 'cka'")
    assert cka["p_value"].isna().all() and cka["ceiling_lower"].isna().all()
    assert ((cka["lower"] < cka["score"]) & (cka["score"] < cka["upper"])).all()
    single = comparison.scores.query("comparator == 'cka'").dropna(subset=["subject"])
    means = single.groupby(["rule", "layer", "region"])["score"].mean()
    np.testing.assert_allclose(cka.set_index(["rule", "layer", "region"])["score"].sort_index(), means.sort_index(), rtol=1e-12)
    differences = comparison.differences.query("comparator == 'cka'")
    assert set(differences["reference"]) == {"untrained"} and differences["p_value"].between(0, 1).all()


def test_the_report_shows_other_measures_and_sizes(views):
    comparison, out = views
    page = (out / "report.html").read_text(encoding="utf-8")
    assert "By size of the stimuli" in page and "debiased linear CKA of patterns" in page
    lines = [line for axes in comparison.plot("sizes").axes for line in axes.lines if len(line.get_xdata()) == 3]
    assert len(lines) == 3 * 2 * 2  # two layers and the best, regions, rules
    assert all(list(np.round(line.get_xdata())) == [8, 12, 16] for line in lines)


def test_measures_of_patterns_need_patterns(monkeypatch, tmp_path):
    monkeypatch.setattr(comparing, "complete", None)
    rdms = neurodata.RdmSet.from_array(np.random.default_rng(0).random((4, SHOWN.n_conditions * (SHOWN.n_conditions - 1) // 2)))
    recording = neurodata.Recording("made up", SHOWN, "fmri", {"IT": rdms})
    monkeypatch.setattr(planning, "load_recording", lambda name, **_: recording)
    with pytest.raises(InputError, match="'cka' compares patterns, and region 'IT'"):
        compare(CONFIG, comparators=("spearman", "cka"))


def test_without_draws_there_are_scores_and_no_intervals(recording_folder):
    comparison = compare(CONFIG, recording=recording_folder, rules=("untrained",), seeds=1, epochs=1, n_draws=0)
    assert comparison.scores["score"].notna().all() and comparison.scores[["lower", "upper", "p_value"]].isna().all(axis=None)
    assert comparison.differences.empty and comparison.report is None
    assert all(row["lower"] is None for row in comparison.to_json()["scores"])


def test_a_recording_in_time_has_rows_for_every_time(recording, monkeypatch):
    times = np.array([0.0, 0.1])
    moving = neurodata.simulate(
        SHOWN,
        {"driven": "pixel_energy"},
        n_subjects=4,
        n_channels=16,
        n_runs=2,
        signal_to_noise=2.0,
        times=times,
        drive_windows={"driven": (0.05, 0.2)},
    )
    monkeypatch.setattr(planning, "load_recording", lambda name, **_: moving)
    comparison = compare(CONFIG, seeds=1, epochs=1, n_draws=19)
    table = comparison.to_frame()
    per_time = 2 * len(LAYERS) * (4 + 1)
    assert table["time"].value_counts().to_dict() == {0.0: per_time, 0.1: per_time}
    assert [ceiling["time"] for ceiling in comparison.ceilings] == [0.0, 0.1]
    assert sorted(comparison.differences["time"].unique()) == [0.0, 0.1]
    assert set(comparison.clusters["start"]) <= set(times) and (comparison.clusters["p_value"] > 0).all()
    before, after = (comparison.aggregates().query(f"time == {time}")["score"].max() for time in times)
    assert after > before + 0.1
    means = table[table["subject"].notna()].groupby(["rule", "layer", "time"])["score"].mean()
    for row in comparison.aggregates().itertuples():
        assert row.score == pytest.approx(means[row.rule, row.layer, row.time], abs=1e-12)
    # At a time, the ceilings are those of that time alone.
    assert comparison.ceilings[1]["lower"] > comparison.ceilings[0]["lower"] + 0.1


@pytest.mark.parametrize("value", [0.0, pytest.param(np.nan, marks=pytest.mark.thorough)])
def test_a_layer_that_tells_no_stimuli_apart_is_named(value, recording_folder, monkeypatch):
    represent = Trained.represent

    def broken(self, images, network=None, state=None):
        layers = list(represent(self, images, network, state))
        if self.name == "backprop":
            layers[1] = np.full_like(layers[1], value)
        return tuple(layers)

    monkeypatch.setattr(Trained, "represent", broken)
    comparison = compare(CONFIG, recording=recording_folder, seeds=1, epochs=1, n_draws=9)
    (warning,) = [each for each in comparison.warnings if each.startswith("no RDM")]
    assert "backprop, seed 0" in warning and "'conv_1'" in warning
    scored = {rule: set(rows["layer"]) for rule, rows in comparison.scores.groupby("rule")}
    assert scored == {"untrained": set(LAYERS), "backprop": {"conv_0", "hidden_0", "output"}}
    assert set(comparison.differences["layer"]) == scored["backprop"]


def test_networks_that_tell_nothing_apart_are_a_mistake_with_a_reason(recording_folder, monkeypatch):
    monkeypatch.setattr(Trained, "represent", lambda self, images, network=None, state=None: (np.zeros((1, len(images), 3)),) * 4)
    with pytest.raises(InputError, match="no layer of any network tells the stimuli apart"):
        compare(CONFIG, recording=recording_folder, seeds=1, epochs=1)


def test_too_many_rows_of_single_subjects_are_left_out_and_said(recording_folder, monkeypatch):
    monkeypatch.setattr(scoring, "_MAX_SUBJECT_ROWS", 10)
    comparison = compare(CONFIG, recording=recording_folder, rules=("untrained",), seeds=1, epochs=1, n_draws=0)
    assert comparison.scores["subject"].isna().all() and len(comparison.scores) == len(LAYERS) * 2
    assert sum("left out" in each for each in comparison.warnings) == 2


@pytest.mark.parametrize(
    ("fields", "parts"),
    [
        ({"rules": ("backprob",)}, ["'backprob'", "did you mean 'backprop'"]),
        ({"architecture": "cn"}, ["architecture 'cn'", "cnn"]),
        ({"measures": "correlatoin"}, ["'correlatoin'", "did you mean 'correlation'"]),
        ({"comparators": "spearmann"}, ["'spearmann'", "did you mean 'spearman'"]),
        ({"comparators": ("spearman", "cca")}, ["'cca'", "did you mean 'cka'"]),
        ({"comparators": ("spearman", "spearman")}, ["spearman, spearman", "once"]),
        ({"sizes": (None, 8)}, ["8 pixels", "twice"]),
        ({"front_end": "zac"}, ["'zac'", "zca"]),
        ({"factors": ("stimulus",)}, ["'stimulus'", "did you mean 'stimuli'"]),
        ({"reference_models": ("pixel",)}, ["'pixel'", "did you mean 'pixels'"]),
        ({"dataset": "digist"}, ["'digist'", "digits"]),
        ({"recording": "cichy"}, ["'cichy'", "cichy92"]),
        ({"rule_options": {"backprop": {"lerning_rate": 1.0}}}, ["'lerning_rate'", "did you mean 'learning_rate'"]),
        ({"architecture_options": {"chanels": (4,)}}, ["'chanels'", "did you mean 'channels'"]),
        ({"architecture": "mlp", "architecture_options": {}, "sizes": 16}, ["mlp", "(16, 16, 1)", "convolutional"]),
        ({"sizes": 0}, ["sizes=(0,)", "at least 1"]),
        ({"epochs": 0}, ["epochs=0"]),
        ({"batch_size": 0}, ["batch_size=0"]),
        ({"seed": -1}, ["seed=-1"]),
        ({"n_train": 3}, ["n_train=3"]),
        ({"n_draw": 3}, ["'n_draw'", "did you mean 'n_draws'"]),
    ],
)
def test_mistakes_are_said_before_anything_is_trained(fields, parts, no_training, monkeypatch):
    monkeypatch.setattr("experiments.recordings.train", comparing.complete)
    with pytest.raises(InputError if "recording" not in fields else neurodata.InputError) as caught:
        compare(CONFIG, **fields)
    message = str(caught.value)
    assert all(part in message for part in parts), message
    assert "\n" not in message


@pytest.mark.parametrize("rules", [("stdp/textbook", "untrained"), ("untrained", "stdp/textbook")])
def test_rules_are_checked_on_the_networks_that_they_are_trained_on(rules):
    """What was published with one hidden layer brings it."""
    config = CompareConfig.of(rules=rules, architecture="mlp", dataset="digits")
    assert planning.check(config) == (8, 8, 1)
    with pytest.raises(InputError, match="one hidden layer|hidden"):
        planning.check(config.replace(architecture_options={"hidden": (16, 16)}))


def test_a_used_folder_is_refused_before_anything_is_trained(tmp_path, no_training):
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(InputError, match="holds files already"):
        compare(CONFIG, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


def test_another_measure_trains_nothing_and_the_store_changes_no_number(recording_folder, tmp_path, monkeypatch):
    asked = {"rules": ("untrained", "backprop"), "recording": recording_folder, "n_draws": 19}
    monkeypatch.setattr(comparing, "complete", None)  # with a store it is the store that trains
    kept = compare(CONFIG, store=tmp_path / "store", **asked)
    monkeypatch.setattr(store, "complete", None)
    again = compare(CONFIG, store=tmp_path / "store", **asked)
    assert again.seconds["training"] == 0 < kept.seconds["training"]
    for name in ("scores", "accuracy", "networks", "differences"):
        pd.testing.assert_frame_equal(getattr(kept, name), getattr(again, name))
    other = compare(CONFIG, store=tmp_path / "store", **{**asked, "n_draws": 0}, measures="euclidean", comparators="pearson")
    assert not other.scores["score"].equals(kept.scores["score"])


@pytest.mark.parametrize(("measure", "used"), [("auto", "crossnobis"), ("correlation-centred", "correlation-centred")])
def test_the_planted_layer_is_found_by_other_measures(measure, used, recording_folder):
    """Of regions in runs, cross-validated and in units of noise."""
    comparison = compare(CONFIG, recording=recording_folder, rules=("backprop",), seeds=1, measures=measure, n_draws=0)
    own = comparison.aggregates().query("rule == 'backprop' and region == 'planted'").set_index("layer")["score"]
    assert own.idxmax() == PLANTED and own.max() > 0.3
    assert comparison.config["scoring"]["measures"] == [used] and set(comparison.scores["measure"]) == {used}


def test_the_recording_chooses_the_measure():
    """Regions that were measured in runs are cross-validated; where one was not, none is."""
    patterns = RNG.standard_normal((2, 2 * SHOWN.n_conditions, 8))
    in_runs, once = ([*SHOWN.ids, *SHOWN.ids], [*"1" * SHOWN.n_conditions, *"2" * SHOWN.n_conditions]), (list(SHOWN.ids), None)
    with_runs = neurodata.PatternSet.from_arrays(list(patterns), conditions=in_runs[0], runs=in_runs[1])
    without = neurodata.PatternSet.from_arrays(list(patterns[:, : SHOWN.n_conditions]), conditions=once[0])
    distances = neurodata.RdmSet.from_array(pdist(patterns[0, : SHOWN.n_conditions])[None], n_conditions=SHOWN.n_conditions)
    regions = {"runs": with_runs, "once": without, "distances": distances}
    recordings = {name: neurodata.Recording("one", SHOWN, "fmri", {name: region}) for name, region in regions.items()}
    assert planning.measure_for(recordings["runs"]) == "crossnobis"
    assert planning.measure_for(recordings["once"]) == planning.measure_for(recordings["distances"]) == "correlation"
    # Two that are fused share one measure.
    assert planning.measure_for(recordings["runs"], recordings["once"]) == "correlation"
    assert planning.measure_for(neurodata.Recording("one", SHOWN, "fmri", regions)) == "correlation"


def test_a_measure_that_compares_runs_needs_some(no_training, monkeypatch):
    patterns = [RNG.standard_normal((SHOWN.n_conditions, 8)) for _ in range(4)]
    region = neurodata.PatternSet.from_arrays(patterns, conditions=list(SHOWN.ids))
    single = neurodata.Recording("one run", SHOWN, "fmri", {"IT": region})
    monkeypatch.setattr(planning, "load_recording", lambda name, **_: single)
    with pytest.raises(
        InputError, match="'crossnobis' compares runs with each other, and region 'IT' of recording 'one run' has one"
    ):
        compare(CONFIG, measures="crossnobis")


def test_rdms_of_another_measure_are_named(monkeypatch):
    rdms = RNG.random((4, SHOWN.n_conditions * (SHOWN.n_conditions - 1) // 2))
    region = neurodata.RdmSet.from_array(rdms, measure="correlation", n_conditions=SHOWN.n_conditions)
    recording = neurodata.Recording("made up", SHOWN, "fmri", {"IT": region})
    monkeypatch.setattr(planning, "load_recording", lambda name, **_: recording)
    said = {
        measure: [line for line in compare(CONFIG, rules=("untrained",), seeds=1, epochs=1, n_draws=0, measures=measure).warnings]
        for measure in ("correlation", "euclidean")
    }
    assert not [line for line in said["correlation"] if line.startswith("two measures")]
    assert [
        line for line in said["euclidean"] if "'IT' come as RDMs by correlation, and networks are compared by euclidean" in line
    ]


def test_the_control_is_shown_with_the_readout_that_it_was_drawn_with(study):
    """One that was trained on labels is no untrained layer."""
    comparison, _, (untrained, _) = study
    shown = stimuli.present(SHOWN.images, untrained.network.input_shape, untrained.images.normalisation)
    drawn, read = (untrained.represent(shown, state=state) for state in (untrained.start, untrained.state))
    expected = np.mean([pdist(each.astype(np.float64), "correlation") for each in drawn[-1]], axis=0)
    np.testing.assert_allclose(comparison.layer_rdms["untrained", "output"], expected, atol=1e-5)
    assert not np.allclose(drawn[-1], read[-1])
    np.testing.assert_array_equal(drawn[-2], read[-2])
