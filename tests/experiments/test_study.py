"""A study in one table: what goes in comes out to the last digit, nothing is lost, and the kept tables follow from it."""

import csv
import io
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from filelock import FileLock

from bioplausible.foundation.errors import InputError
from experiments.config import TrainConfig, to_record
from experiments.sweeping import running, tables
from experiments.sweeping.plan import Cell
from experiments.sweeping.study import STUDY, Study

RESULTS = Path(__file__).parents[2] / "docs" / "results"
STUDIES = sorted(path.parent.name for path in RESULTS.glob(f"*/{STUDY}"))
# Its tables are older than the code, which would write other columns; so are those of a study of whose trainings none could be made
# yet. Their figures are found in the kept trainings all the same.
OF_BEFORE = {"search"}
CORRELATIONS = ("rdm_correlation", "rdm_correlation_euclidean", "rdm_between_seeds", "rdm_between_seeds_euclidean")


def training(rate=0.1):
    """What a training leaves: a number that no decimal of 17 digits has shorter, and one that is none."""
    seeds = [{"seed": seed, "test_accuracy": 0.1 + 0.2 + seed, "validation_accuracy_by_epoch": [None, 1 / 3]} for seed in (0, 1)]
    config = to_record(TrainConfig(rule="backprop", rule_options={"learning_rate": rate}))
    shared = {"rule": "backprop", "architecture": "mlp", "dataset": "digits", "epochs": 2, "seconds": 1e-9, "warnings": ["é"]}
    return {**shared, "config": config, **seeds[0], "seeds": seeds}


def put(folder, name, record, rdms=None):
    """A cell in files, as a sweep at work writes it."""
    path = folder / ("controls" if isinstance(record, list) else "runs") / f"{name}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(record, indent=1))
    if rdms is not None:
        (folder / "rdms").mkdir(exist_ok=True)
        np.savez_compressed(folder / "rdms" / f"{name}.npz", **rdms)
    return path


def drawn(seed, dtype=np.float16):
    values = np.random.default_rng(seed).random((2, 190)).astype(dtype)
    values[0, :3] = np.nan
    return values


def test_all_of_a_study_comes_out_of_its_table_as_it_went_in(tmp_path):
    rdms = {"correlation/hidden_0": drawn(0), "euclidean/hidden_0": drawn(1)}
    controls = [{"control": "pixels", "seed": seed, "test_accuracy": 0.7, "n_units": 12} for seed in (0, 1)]
    first, second = put(tmp_path, "b__1", training(0.1), rdms), put(tmp_path, "a__2", training(0.2))
    images = put(tmp_path, "digits__3", controls)
    cells = [Cell(TrainConfig(), images, 12), Cell(TrainConfig(rule="hebbian"), second)]
    assert Study(tmp_path).pack(cells) == [] and {path.name for path in tmp_path.iterdir()} == {STUDY}
    study = Study(tmp_path)
    assert [study.record(path) for path in (first, second, images)] == [training(0.1), training(0.2), controls]
    assert study.rdms(second) == {} and list(study.paths()) == [images, second, first]  # in the plan's order
    for name, values in rdms.items():
        np.testing.assert_array_equal(study.rdms(first)[name], values.astype(np.float64))

    # Another program reads it.
    table = pq.read_table(tmp_path / STUDY).to_pylist()
    assert [(row["kind"], row["in_tables"], row["n_units"]) for row in table] == [
        *(("controls", True, 12), ("training", True, None), ("training", False, None)),
    ]
    assert json.loads(table[1]["config"])["rule"] == "hebbian" and json.loads(table[2]["record"]) == training(0.1)
    (row,) = pd.read_parquet(tmp_path / STUDY).query("name == 'b__1'").to_dict("records")
    assert row["test_accuracy"] == np.mean([0.1 + 0.2, 1.1 + 0.2]) and row["rdms"][1]["distance"] == "euclidean"
    np.testing.assert_array_equal(row["rdms"][1]["dissimilarities"], rdms["euclidean/hidden_0"].astype(np.float32).ravel())


def test_what_is_trained_later_joins_what_is_there_and_takes_its_place(tmp_path):
    rdms = {"correlation/hidden_0": drawn(0)}
    one, two = put(tmp_path, "one", training(0.1), rdms), put(tmp_path, "two", training(0.2), rdms)
    Study(tmp_path).pack([Cell(TrainConfig(), one), Cell(TrainConfig(), two)])
    content = (tmp_path / STUDY).read_bytes()
    # The same again, as a folder of files that is copied over it, or after a kill between writing and deleting.
    put(tmp_path, "one", training(0.1), rdms)
    put(tmp_path, "two", training(0.2))
    assert Study(tmp_path).pack([Cell(TrainConfig(), one), Cell(TrainConfig(), two)]) == []
    assert (tmp_path / STUDY).read_bytes() == content and not one.exists()
    study = Study(tmp_path)
    put(tmp_path, "one", training(0.3))
    put(tmp_path, "three", training(0.4))
    assert study.record(one) == training(0.3)  # the file is the newer one
    assert study.pack(None) == [] and [row["name"] for row in study.rows()] == ["two", "one", "three"]
    assert [row["in_tables"] for row in study.rows()] == [True, False, False]
    assert study.record(one) == training(0.3) and study.record(two) == training(0.2)


def test_what_the_table_would_not_give_back_stays_in_its_file(tmp_path):
    """RDMs in double precision, say, which another program has put there; and what nobody can read."""
    fine = put(tmp_path, "fine", training())
    rich = put(tmp_path, "rich", training(), {"correlation/hidden_0": drawn(0, np.float64)})
    torn = put(tmp_path, "torn", training())
    torn.write_text(torn.read_text()[:40])
    said = Study(tmp_path).pack(None)
    assert len(said) == 2 and "torn.json is damaged" in said[0] and "rich.json" in said[1]
    assert not fine.exists() and rich.exists() and torn.exists() and (tmp_path / "rdms" / "rich.npz").exists()


def test_a_table_that_is_damaged_is_named_and_nothing_is_lost(tmp_path):
    put(tmp_path, "one", training())
    Study(tmp_path).pack(None)
    whole = (tmp_path / STUDY).read_bytes()
    place = whole.index(b"backprop")  # in a page, whose checksum then is another
    path = put(tmp_path, "two", training())
    for damaged in (whole[:-20], whole[:place] + b"B" + whole[place + 1 :], b"", b"{}"):
        (tmp_path / STUDY).write_bytes(damaged)
        with pytest.raises(InputError, match=f"{STUDY} is damaged"):
            Study(tmp_path).pack(None)
        assert path.exists() and (tmp_path / STUDY).read_bytes() == damaged
    pq.write_table(pq.read_table(io.BytesIO(whole)).drop_columns(["record"]), tmp_path / STUDY)
    with pytest.raises(InputError, match="no table of a sweep"):
        Study(tmp_path).rows()


def test_nobody_packs_while_another_does(tmp_path, monkeypatch):
    monkeypatch.setattr(running, "_PATIENCE", 0.0)
    path = put(tmp_path, "one", training())
    plan = running.Plan(running.SweepConfig(runs=({"rule": "backprop"},)), tmp_path, [], [])
    with FileLock(tmp_path / running.LOCKS / running._TABLES):
        running._closed(plan, Study(tmp_path))
        assert path.exists()
    running._closed(plan, Study(tmp_path))
    assert not path.exists()


@pytest.mark.parametrize("name", STUDIES)
def test_the_kept_tables_follow_from_the_kept_study(name, tmp_path, monkeypatch):
    """All but the picture and how alike RDMs are, which take longer and are below."""
    folder = RESULTS / name
    study = Study(folder)
    kept = list(csv.DictReader(io.StringIO((folder / "runs.csv").read_text(encoding="utf-8"))))
    if name in OF_BEFORE or not any(row["in_tables"] for row in study.rows()):
        columns = ("rule", "architecture", "seed", "test_accuracy", "validation_accuracy", "seconds")
        trainings = [row for row in study.rows() if row["kind"] == "training"]
        found = [
            row
            for each in trainings
            for row in tables.rows_of(tables.from_record(json.loads(each["config"]), TrainConfig, ""), json.loads(each["record"]))
        ]
        there = {tuple(str(row[column]) for column in columns) for row in found}
        assert kept and {tuple(row[column] for column in columns) for row in kept} <= there
        return

    def from_the_table(runs, rdms):
        assert any(rdms)
        return runs.assign(**{each: [float(row[each] or "nan") for row in kept] for each in CORRELATIONS if each in kept[0]})

    monkeypatch.setattr(tables, "with_correlations", from_the_table)
    monkeypatch.setattr("experiments.sweeping.picture.picture", lambda *given: "")
    plan = tables.plan_kept(folder)._replace(folder=tmp_path)
    tables.write_tables(plan, study)
    page = "README.md" if plan.config.compare is None else "accuracy.md"
    for table in ("runs.csv", "summary.csv", "controls.csv", page):
        assert (tmp_path / table).read_bytes() == (folder / table).read_bytes(), table


@pytest.mark.thorough
@pytest.mark.parametrize("name", [name for name in STUDIES if name not in OF_BEFORE])
def test_so_do_their_rdm_correlations_and_pictures(name, tmp_path):
    if not any(row["in_tables"] for row in Study(RESULTS / name).rows()):
        pytest.skip("its tables are of before")
    plan = tables.plan_kept(RESULTS / name)._replace(folder=tmp_path)
    tables.write_tables(plan, Study(RESULTS / name))
    assert (tmp_path / "accuracy.svg").read_bytes() == (RESULTS / name / "accuracy.svg").read_bytes()
    made, kept = (pd.read_csv(folder / "runs.csv") for folder in (tmp_path, RESULTS / name))
    pd.testing.assert_frame_equal(made, kept, rtol=1e-9)


def test_what_the_killed_leave_of_cells_that_are_there_is_cleared(tmp_path):
    """A claim that was not given up, a part of a file, and word of a failure that was none: nobody asks for the cell again."""
    path, to_come = put(tmp_path, "one", training()), tmp_path / "runs" / "two.json"
    plan = running.Plan(
        running.SweepConfig(runs=({"rule": "backprop"},)), tmp_path, [Cell(TrainConfig(), each) for each in (path, to_come)], []
    )
    (tmp_path / "rdms").mkdir(exist_ok=True)
    (tmp_path / running.LOCKS).mkdir()
    left = [tmp_path / running.LOCKS / "one.lock", tmp_path / "runs" / ".part-1-0123abcd.one.json"]
    left.append(tmp_path / "rdms" / ".part-1-0123abcd.one.npz")
    others = [
        tmp_path / running.LOCKS / "two.lock",
        tmp_path / "runs" / ".part-1-0123abcd.two.json",
        tmp_path / "failed" / "two.txt",
    ]
    (tmp_path / "failed").mkdir()
    note = tmp_path / "failed" / "one.txt"  # its process was killed when the record was just there
    note.write_text("a process ended")
    for each in (*left, *others):
        each.touch()
    with FileLock(left[0]):  # somebody is at it
        running._clear_after_the_killed(plan, Study(tmp_path), ())
        assert all(each.exists() for each in (*left, *others)) and not note.exists()
    left[0].touch()
    running._clear_after_the_killed(plan, Study(tmp_path), ())
    assert not any(each.exists() for each in left) and all(each.exists() for each in others)
