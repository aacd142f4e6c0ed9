import dataclasses
import json
import shutil
from pathlib import Path

import fake_comparison
import matplotlib.pyplot
import numpy as np
import pandas as pd
import pytest
import rsatoolbox
import rsatoolbox.vis

from bioplausible.foundation.errors import InputError
from experiments.results import _COLUMNS, _TEXT, Comparison, plain

SMALL = {"rules": ("untrained", "backprop"), "n_subjects": 4, "n_seeds": 2, "n_epochs": 2}
VARIANTS = {
    "plain": {},
    "in time": {"times": (0.0, 0.1)},
    "without draws": {"n_draws": 0},
    "no categories": {"categories": False},
    "names that a table could mistake": {"regions": ("NA", "V1|left/dorsal", "null")},
}


def fake(**options):
    return fake_comparison.fake_comparison(**{**SMALL, **options})


@pytest.mark.parametrize("options", VARIANTS.values(), ids=VARIANTS)
def test_save_and_load_keep_everything_to_the_last_bit(options, tmp_path):
    comparison = fake(**options)
    comparison.save(tmp_path)
    loaded = Comparison.load(tmp_path)
    assert loaded.to_json() == json.loads(json.dumps(comparison.to_json()))
    for name in ("layer_rdms", "region_rdms"):
        ours, theirs = getattr(loaded, name), getattr(comparison, name)
        assert set(ours) == set(theirs)
        assert all(np.array_equal(ours[key], theirs[key]) for key in ours)
    np.testing.assert_array_equal(loaded.stimuli, comparison.stimuli)
    assert loaded.stimulus_ids == comparison.stimulus_ids and loaded.categories == comparison.categories
    assert len(loaded.aggregates()) == len(comparison.aggregates()) > 0


def test_names_of_subjects_that_look_like_numbers_stay_names(tmp_path):
    comparison = fake()
    scores = comparison.scores.copy()
    scores["subject"] = scores["subject"].map(lambda name: name if pd.isna(name) else name[-2:])
    dataclasses.replace(comparison, scores=scores).save(tmp_path)
    subjects = Comparison.load(tmp_path).scores["subject"].dropna()
    assert sorted(subjects.unique()) == ["01", "02", "03", "04"]


def test_aggregates_are_the_rows_without_seed_and_subject():
    comparison = fake()
    rows = comparison.aggregates()
    assert rows["seed"].isna().all() and rows["subject"].isna().all()
    assert len(rows) == 2 * 4 * 2
    assert comparison.to_frame().equals(comparison.scores) and comparison.to_frame() is not comparison.scores


def test_plain_values_are_what_json_has():
    given = {
        "a": np.float32(0.5),
        3: (np.arange(2), np.nan, -np.inf),
        "path": Path("x") / "y",
        "flag": np.bool_(True),
        "none": None,
    }
    expected = {"a": 0.5, "3": [[0, 1], None, None], "path": str(Path("x") / "y"), "flag": True, "none": None}
    assert plain(given) == expected
    assert json.loads(json.dumps(plain(given), allow_nan=False)) == expected


def _not_json(folder):
    (folder / "results.json").write_text("{")


def _a_list(folder):
    (folder / "results.json").write_text("[1]")


def _no_arrays(folder):
    (folder / "arrays.npz").unlink()


def _truncated_arrays(folder):
    content = (folder / "arrays.npz").read_bytes()
    (folder / "arrays.npz").write_bytes(content[: len(content) // 2])


def _empty_arrays(folder):
    (folder / "arrays.npz").write_bytes(b"")


def _no_table(folder):
    (folder / "tables" / "scores.csv").unlink()


def _empty_table(folder):
    (folder / "tables" / "scores.csv").write_text("")


def _other_arrays(folder):
    np.savez(folder / "arrays.npz", something=np.arange(3))


def _other_record(folder):
    (folder / "results.json").write_text("{}")


@pytest.mark.parametrize(
    "spoil",
    [_not_json, _a_list, _no_arrays, _truncated_arrays, _empty_arrays, _no_table, _empty_table, _other_arrays, _other_record],
)
def test_spoiled_results_are_named_in_one_sentence(spoil, tmp_path):
    fake().save(tmp_path)
    spoil(tmp_path)
    with pytest.raises(InputError) as caught:
        Comparison.load(tmp_path)
    assert str(tmp_path) in str(caught.value) and "run compare again" in str(caught.value)


MAPPINGS = (
    "config",
    "environment",
    "dataset",
    "recording",
    "transform",
    "architecture",
    "rules",
    "scorecards",
    "factors",
    "seconds",
)


def _changed_record(folder, name, value):
    record = json.loads((folder / "results.json").read_text())
    place = record
    *way, last = name.split(".")
    for part in way:
        place = place[int(part) if isinstance(place, list) else part]
    if value is KeyError:
        del place[last]
    else:
        place[last] = value
    (folder / "results.json").write_text(json.dumps(record))


RECORDS = [(name, value) for name in MAPPINGS for value in (None, 3, "word", [], [None], True)]
RECORDS += [(name, value) for name in ("ceilings", "warnings") for value in (None, 3, "word", [None], True, {"a": 1})]
RECORDS += [(f"{name}.name", value) for name in ("dataset", "recording", "architecture") for value in (KeyError, None, 3, [])]
RECORDS += [
    (name, KeyError) for name in ("recording.modality", "recording.n_conditions", "config.training.n_seeds", "config.scoring")
]
RECORDS += [
    *(("config.rules", value) for value in (None, "backprop", [3])),
    *(("config.scoring.measures", value) for value in (KeyError, 3, [], "correlation")),
    *(("config.scoring.comparators", value) for value in (KeyError, [3], [])),
    *(("transform.evaluation_size", value) for value in (KeyError, 8, ["8", "8"], [])),
    *(("architecture.layers", value) for value in (KeyError, [3], [{}])),
    *(("ceilings.0.lower", value) for value in (KeyError, "high", True)),
    *(("factors.EVC", value) for value in (None, "stimuli", [3])),
    ("rules.backprop", 3),
    ("ceilings", []),
    ("seconds.training", "long"),
]


@pytest.mark.parametrize(("name", "value"), RECORDS)
def test_fields_of_another_kind_are_named(name, value, saved, tmp_path):
    shutil.copytree(saved, tmp_path, dirs_exist_ok=True)
    _changed_record(tmp_path, name, value)
    with pytest.raises(InputError) as caught:
        Comparison.load(tmp_path)
    assert name.split(".")[0] in str(caught.value) and "run compare again" in str(caught.value)


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    folder = tmp_path_factory.mktemp("saved")
    fake(regions=("EVC", "IT")).save(folder)
    return folder


def test_tables_without_a_column_or_with_words_for_numbers_are_named(saved, tmp_path):
    shutil.copytree(saved, tmp_path, dirs_exist_ok=True)
    tried = 0
    for path in sorted((tmp_path / "tables").glob("*.csv")):
        whole = path.read_text()
        table = pd.read_csv(path) if whole.strip() else pd.DataFrame()
        for column in _COLUMNS[path.stem] if len(table) else ():
            spoiled = [table.drop(columns=column)]
            spoiled += [table.astype({column: object}).assign(**{column: "word"})] if column not in _TEXT else []
            for each in spoiled:
                each.to_csv(path, index=False)
                with pytest.raises(InputError, match="cannot be read"):
                    Comparison.load(tmp_path)
                tried += 1
        path.write_text(whole)
    assert tried > 80
    for name, text in (("networks", "rule,seed\nbackprop,1.5\n"), ("differences", "rule\n"), ("scores", "")):
        path = tmp_path / "tables" / f"{name}.csv"
        whole = path.read_text()
        path.write_text(text)
        with pytest.raises(InputError, match="cannot be read"):
            Comparison.load(tmp_path)
        path.write_text(whole)
    assert isinstance(Comparison.load(tmp_path), Comparison)


def test_what_others_add_is_left_alone(saved, tmp_path):
    shutil.copytree(saved, tmp_path, dirs_exist_ok=True)
    with np.load(tmp_path / "arrays.npz") as stored:
        np.savez(tmp_path / "arrays.npz", **stored, mine=np.arange(3))
    _changed_record(tmp_path, "config.mine", [3])
    assert Comparison.load(tmp_path).config["mine"] == [3]


@pytest.mark.parametrize("value", [np.array(["a"]), np.zeros(3), np.zeros((2, 2)), np.array([None], object)])
def test_arrays_that_do_not_go_with_the_stimuli_are_named(value, saved, tmp_path):
    shutil.copytree(saved, tmp_path, dirs_exist_ok=True)
    with np.load(tmp_path / "arrays.npz") as stored:
        arrays = {name: stored[name] for name in stored.files}
    for name in ("stimuli", "stimulus_ids", "categories", "region|EVC", "layer|backprop|conv_0"):
        np.savez(tmp_path / "arrays.npz", allow_pickle=True, **{**arrays, name: value})
        with pytest.raises(InputError, match="cannot be read"):
            Comparison.load(tmp_path)


def test_a_folder_without_results_is_named(tmp_path):
    with pytest.raises(InputError, match=r"holds no results\.json: give the folder that compare wrote"):
        Comparison.load(tmp_path)


@pytest.mark.parametrize("categories", [True, False])
def test_rsatoolbox_draws_what_was_compared(categories):
    comparison = fake(categories=categories)
    rdms = comparison.to_rsatoolbox()
    assert rdms.rdm_descriptors["name"][:2] == list(comparison.region_rdms)
    np.testing.assert_array_equal(rdms.dissimilarities[0], next(iter(comparison.region_rdms.values())))
    assert ("category" in rdms.pattern_descriptors) == categories and rdms.n_cond == len(comparison.stimuli)
    figure, *_ = rsatoolbox.vis.show_rdm(rdms, rdm_descriptor="name")
    assert len(figure.axes) >= rdms.n_rdm
    matplotlib.pyplot.close(figure)
