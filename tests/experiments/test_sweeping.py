"""A sweep trains what it says, once; its table holds every rule against its control and its floor."""

import dataclasses
import errno
import functools
import json
import os
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from filelock import FileLock

import architectures
import experiments
import learning_rules
from bioplausible.foundation.errors import InputError
from experiments.config import TrainConfig, read_yaml, write_yaml
from experiments.engine import Engine
from experiments.preparing import network_options, prepare
from experiments.readouts import as_text
from experiments.store import Store
from experiments.sweeping import SearchConfig, SweepConfig, best_trials, cells, expand, plan, summarise, sweep
from experiments.sweeping.config import with_controls
from experiments.sweeping.finals import adopted, as_runs, finalists
from experiments.sweeping.page import to_markdown
from experiments.sweeping.picture import picture
from experiments.sweeping.study import STUDY, Study
from experiments.sweeping.summary import best_variants, networks_of

TRAIN = {"dataset": "digits", "epochs": 1}


def names_in(folder, kind="runs"):
    """Names of the cells that a sweep's folder holds."""
    return {path.name for path in Study(folder).paths() if path.parent.name == kind}


def lose(folder, prefix):
    """Take cells out of a study's table by the beginning of their names, by pyarrow alone; the name of the last."""
    table = pq.read_table(folder / STUDY)
    lost = [name for name in table["name"].to_pylist() if name.startswith(prefix)]
    pq.write_table(table.filter(pc.invert(pc.starts_with(table["name"], prefix))), folder / STUDY)
    return lost[-1]


def fake_run(record):
    """What a training returns, without the training: the accuracy follows from the learning rate."""
    rate = record["rule_options"].get("learning_rate", 1e-3)
    seeds = [
        {"seed": record["seed"] + i, "test_accuracy": 0.5 + rate + i / 100, "validation_accuracy_by_epoch": [0.1, 0.6 + rate]}
        for i in range(record["n_seeds"])
    ]
    shared = {"rule": record["rule"], "architecture": record["architecture"], "epochs": 1, "seconds": 1.0, "compile_seconds": 2.0}
    return {**shared, **seeds[0], "warnings": [], **({"seeds": seeds} if len(seeds) > 1 else {})}


def fake_controls(record, readout_images, readout="ridge"):
    """What controls return, without fitting any."""
    seeds = range(record["seed"], record["seed"] + record["n_seeds"])
    return [
        {"control": "logistic regression", "seed": seed, "network": "", "read_from": "pixels", "test_accuracy": 0.4}
        for seed in seeds
    ]


def fake_equal(record, n_units, readout_images, readout="ridge"):
    """The same of as many random features as there are hidden units."""
    shared = {"control": "as many random features", "network": f"mlp hidden={n_units}", "read_from": "hidden_0"}
    return [{**shared, "seed": record["seed"] + i, "test_accuracy": 0.45, "n_units": n_units} for i in range(record["n_seeds"])]


@pytest.fixture
def trainings(monkeypatch):
    """The trainings that were asked for, one by one."""
    asked = []

    def run(record, *rest):
        asked.append(record)
        return fake_run(record)

    monkeypatch.setattr(cells, "_run", run)
    monkeypatch.setattr(cells, "_control_run", fake_controls)
    monkeypatch.setattr(cells, "_equal_run", fake_equal)
    return asked


def test_runs_are_the_product_of_their_lists():
    config = SweepConfig(
        train=TRAIN, runs=({"rule": ["backprop", "feedback_alignment"], "front_end": ["none", "zca"]}, {"rule": "untrained"})
    )
    runs = [(run.rule, run.front_end, run.epochs) for run in expand(config)]
    assert runs == [
        ("backprop", "none", 1),
        ("backprop", "zca", 1),
        ("feedback_alignment/random", "none", 1),
        ("feedback_alignment/random", "zca", 1),
        ("untrained", "none", 1),
    ]


def test_backpropagation_with_a_rules_optimiser_stands_beside_the_rule(tmp_path, trainings):
    """A task is trained so once, is no row of its own, and is called what it was where no optimiser is borrowed."""
    runs = ({"rule": ["untrained", "backprop", "feedback_alignment"]},)
    config = SweepConfig(train=TRAIN | {"n_seeds": 2}, runs=runs, backprop_beside=True)
    assert [(run.rule, run.optimizer_of) for run in expand(config)] == [
        ("untrained", ""),
        ("backprop", ""),
        ("feedback_alignment/random", ""),
        ("backprop", "feedback_alignment/random"),
    ]
    done = sweep(config, tmp_path / "out")
    beside = done.summary.set_index("rule")["backprop_with_its_optimizer"]
    assert len(beside) == 3 and beside[["untrained", "backprop"]].isna().all()
    assert beside["feedback_alignment/random"] == pytest.approx(0.506)
    assert "backprop with its optimiser" in (tmp_path / "out" / "README.md").read_text()
    plain = sweep(dataclasses.replace(config, backprop_beside=False), tmp_path / "plain")
    names = names_in(tmp_path / "plain")
    assert len(names) == 3 and names < names_in(tmp_path / "out")
    assert "backprop_with_its_optimizer" not in plain.summary


def test_all_means_every_variant_and_no_run_comes_twice():
    runs = expand(SweepConfig(runs=({"rule": "all"}, {"rule": "backprop"})))
    assert tuple(run.rule for run in runs) == learning_rules.names(variants=True)


def test_a_search_gives_every_rule_the_same_budget_and_starts_at_its_defaults():
    space = {
        "all": {"learning_rate": {"low": 1e-4, "high": 1e-2}},
        "feedback_alignment": {"weight_decay": [0.1, 0.3], "network.hidden": [[32], [64]]},
    }
    search = SearchConfig(trials=6, space=space)
    both = expand(SweepConfig(train=TRAIN, runs=({"rule": ["backprop", "feedback_alignment"]},), search=search))
    alone = expand(SweepConfig(train=TRAIN, runs=({"rule": ["feedback_alignment"]},), search=search))
    assert [run.rule for run in both] == ["backprop"] * 6 + ["feedback_alignment/random"] * 6
    assert both[0].rule_options == {} and both[6].rule_options == {}
    assert both[6:] == alone  # what one rule draws does not depend on the others
    drawn = both[7:]
    assert all(1e-4 <= run.rule_options["learning_rate"] <= 1e-2 for run in drawn)
    assert {run.rule_options["weight_decay"] for run in drawn} == {0.1, 0.3}
    assert all(run.architecture_options["hidden"] in ([32], [64]) for run in drawn)
    assert all("weight_decay" not in run.rule_options for run in both[:6])


def test_what_is_drawn_twice_costs_no_trial():
    """A borrowed optimiser leaves nothing else to draw: without another draw backpropagation would get fewer trials than others."""
    space = {
        "backprop": {"optimizer_of": ["", "feedback_alignment", "feedback_alignment"], "learning_rate": {"low": 1e-4, "high": 1}}
    }
    drawn = expand(SweepConfig(train=TRAIN, runs=({"rule": "backprop"},), search=SearchConfig(12, space)))
    assert len(drawn) == 12 and sum(run.optimizer_of != "" for run in drawn) == 1
    few = {"backprop": {"weight_decay": [0.1, 0.2]}}
    assert len(expand(SweepConfig(train=TRAIN, runs=({"rule": "backprop"},), search=SearchConfig(12, few)))) == 3


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({}, "without runs"),
        ({"runs": ({"rule": "backprob"},)}, "did you mean 'backprop'"),
        ({"runs": ({"rule": []},)}, r"rule: \[\] was given in run 1 of the sweep, expected at least one value"),
        ({"runs": ({"rule": "backprop", "epoch": 3},)}, "field in run 1 of the sweep.*did you mean 'epochs'"),
        ({"runs": ({"rule": "backprop"},), "search": SearchConfig(2, {"backprob": {}})}, "did you mean 'backprop'"),
        ({"runs": ({"rule": "backprop"},), "search": SearchConfig(2, {"all": {"learning_rate": 3}})}, "low, high"),
    ],
)
def test_mistakes_are_named(fields, message):
    with pytest.raises(InputError, match=message):
        expand(SweepConfig(**fields))


def test_a_table_says_what_must_be_known_of_its_images(tmp_path, trainings, monkeypatch):
    """Whatever the file is called: that pixels went through lossy compression stands over the figures."""
    noted = {"notes": "decoded from lossy JPEG"}
    monkeypatch.setattr(cells, "_run", lambda record, *read: {**fake_run(record), "images": noted})
    config = SweepConfig(train=TRAIN, runs=({"rule": "backprop"},))
    found = sweep(config, tmp_path / "noted")
    assert set(found.summary["image_notes"]) == {"decoded from lossy JPEG"}
    text = (tmp_path / "noted" / "README.md").read_text()
    assert text.index("**Images: decoded from lossy JPEG.**") < text.index("| backprop |")


def test_mistakes_of_any_run_are_said_before_the_first_is_trained(tmp_path, trainings):
    config = SweepConfig(train=TRAIN, runs=({"rule": "backprop"}, {"rule": "backprop", "rule_options": {"learning_rat": 1.0}}))
    with pytest.raises(InputError, match="did you mean 'learning_rate'"):
        sweep(config, tmp_path / "out")
    assert not trainings and not (tmp_path / "out").exists()


def test_an_interrupted_sweep_goes_on_where_it_stopped(tmp_path, trainings, monkeypatch):
    config = SweepConfig(train={**TRAIN, "n_seeds": 2}, runs=({"rule": ["untrained", "backprop", "feedback_alignment"]},))
    complete = cells._run

    def stops_at_the_second(record, *rest):
        if len(trainings) == 1:
            raise KeyboardInterrupt
        return complete(record)

    monkeypatch.setattr(cells, "_run", stops_at_the_second)
    with pytest.raises(KeyboardInterrupt):
        sweep(config, tmp_path / "out")
    assert len(list((tmp_path / "out" / "runs").iterdir())) == 1
    assert "**1 of 3 trainings are done**" in (tmp_path / "out" / "README.md").read_text()
    monkeypatch.setattr(cells, "_run", complete)
    done = sweep(config, tmp_path / "out")
    assert [record["rule"] for record in trainings] == ["untrained", "backprop", "feedback_alignment/random"]
    assert len(done.to_frame()) == 6 and set(done.runs["seed"]) == {0, 1}
    again = sweep(config, tmp_path / "out")
    assert len(trainings) == 3
    pd.testing.assert_frame_equal(again.runs, done.runs)
    text = (tmp_path / "out" / "README.md").read_text()
    assert text.count("| backprop |") == 1 and "trainings are done" not in text
    drawn = (tmp_path / "out" / "accuracy.svg").read_text()
    assert all(name in drawn for name in ("untrained", "backprop", "feedback_alignment/random", "50.6"))
    assert read_yaml(tmp_path / "out" / "sweep.yaml", SweepConfig) == config


def test_what_fails_is_named_stops_no_other_and_is_tried_again(tmp_path, trainings, monkeypatch):
    config = SweepConfig(train=TRAIN, runs=({"rule": ["untrained", "backprop", "feedback_alignment", "local_losses"]},))
    complete = cells._run

    def broken(record, *rest):
        if record["rule"] == "backprop":
            raise ZeroDivisionError("by nothing")
        if record["rule"].startswith("feedback"):
            raise InputError("diverges: lower the rate")
        return complete(record)

    monkeypatch.setattr(cells, "_run", broken)
    done = sweep(config, out := tmp_path / "out")
    assert sorted(done.failed.values()) == ["ZeroDivisionError: by nothing", "diverges: lower the rate"] and done.to_come == 2
    assert list(done.runs["rule"]) == ["untrained", "local_losses/both"]
    assert "**2 of 4 trainings are done**" in (out / "README.md").read_text()
    log, mistake = sorted((out / "failed").iterdir())
    assert log.name.startswith("backprop__") and "in broken" in log.read_text()
    assert mistake.read_text() == "diverges: lower the rate\n"  # of a mistake there is no traceback
    # Whoever comes later is told of both, and not that somebody is at them.
    assert sweep(config, out, tables_only=True).failed == done.failed
    monkeypatch.setattr(cells, "_run", complete)
    again = sweep(config, out)
    assert (again.failed, again.to_come, len(trainings)) == ({}, 0, 4) and not (out / "failed").exists()


def test_a_cell_that_fails_stops_no_other_shard(tmp_path, trainings, monkeypatch):
    """What every row waits for, the controls, is another shard's: nothing that is needed has failed."""
    config = SweepConfig(train=TRAIN, runs=({"rule": ["untrained", "backprop", "feedback_alignment"]},))
    complete = cells._run

    def broken(record, *rest):
        if record["rule"] == "backprop":
            raise ZeroDivisionError("by nothing")
        return complete(record)

    monkeypatch.setattr(cells, "_run", broken)
    parts = [sweep(config, tmp_path / "out", shard=(part, 4)) for part in (4, 3, 2, 1)]
    assert [list(each.failed.values()) for each in parts][1:] == [["ZeroDivisionError: by nothing"]] * 3
    assert list(parts[-1].runs["rule"]) == ["untrained", "feedback_alignment/random"]


def test_tables_alone_need_a_sweep(tmp_path):
    config = SweepConfig(train=TRAIN, runs=({"rule": ["untrained"]},))
    with pytest.raises(InputError, match="holds no sweep: give the folder of one"):
        sweep(config, tmp_path / "typo", tables_only=True)
    assert not (tmp_path / "typo").exists()


def test_shards_share_a_plan_and_the_last_one_has_the_tables_of_all(tmp_path, trainings):
    config = SweepConfig(train=TRAIN, runs=({"rule": ["untrained", "backprop", "feedback_alignment"]},))
    whole = sweep(config, tmp_path / "whole")
    trainings.clear()
    first = sweep(config, tmp_path / "parts", shard=(2, 3))
    assert first.runs.empty and first.to_come > 0  # controls are another's
    assert sweep(config, tmp_path / "parts", shard=(1, 3)).to_come > 0
    last = sweep(config, tmp_path / "parts", shard=(3, 3))
    assert last.to_come == 0 and len(trainings) == 3
    pd.testing.assert_frame_equal(last.runs, whole.runs)
    for name in ("runs.csv", "summary.csv", "controls.csv", "README.md"):
        assert (tmp_path / "parts" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()
    with pytest.raises(InputError, match="shard 4/3 was given"):
        sweep(config, tmp_path / "parts", shard=(4, 3))


def without_times(folder):
    """The tables, but for how long trainings took."""
    runs = pd.read_csv(folder / "runs.csv").drop(columns=["seconds", "compile_seconds"]).to_csv()
    return [runs, *((folder / name).read_bytes() for name in ("summary.csv", "README.md"))]


def test_a_cluster_is_given_the_same_plan_and_leaves_the_same_tables(tmp_path, trainings, cluster_in_threads):
    config = SweepConfig(train=TRAIN | {"n_seeds": 2}, runs=({"rule": ["untrained", "backprop", "feedback_alignment"]},))
    sweep(config, tmp_path / "local")
    asked = sorted(map(str, trainings))
    trainings.clear()
    done = sweep(config, tmp_path / "cluster", engine=Engine("dask", address=cluster_in_threads))
    assert (done.failed, done.to_come) == ({}, 0) and sorted(map(str, trainings)) == asked
    for name in ("runs.csv", "summary.csv", "controls.csv", "README.md", STUDY):
        assert (tmp_path / "local" / name).read_bytes() == (tmp_path / "cluster" / name).read_bytes(), name


@pytest.mark.thorough
def test_all_engines_give_the_same_bits(tmp_path):
    small = {"n_train": 200, "batch_size": 32, "architecture_options": {"hidden": [8]}, "n_seeds": 2}
    search = SearchConfig(trials=2, space={"all": {"learning_rate": [0.01]}})
    config = SweepConfig(train=TRAIN | small, runs=({"rule": ["backprop", "feedback_alignment"]},), search=search)
    engines = {"one": Engine(), "two": Engine(workers=2), "dask": Engine("dask", workers=2)}
    found = {}
    for name, engine in engines.items():
        sweep(config, tmp_path / name, engine=engine)
        found[name] = without_times(tmp_path / name)
    assert found["one"] == found["two"] == found["dask"]


def test_a_sweep_keeps_its_networks_where_a_comparison_finds_them(tmp_path):
    small = {"n_train": 200, "batch_size": 32, "architecture_options": {"hidden": [8]}}
    config = SweepConfig(train=TRAIN | small, runs=({"rule": "backprop"},), search=SearchConfig(trials=1))
    done = sweep(config, tmp_path / "out", store=tmp_path / "store")
    setup = prepare(expand(config)[0])
    trained, was_there = Store(tmp_path / "store").fit(setup)
    assert was_there and trained.to_json()["test_accuracy"] == done.runs["test_accuracy"][0]
    assert {path.name for path in (tmp_path / "store").iterdir()} == {"trainings", "locks"}


def test_what_another_process_is_at_is_left_to_it(tmp_path, trainings):
    config = SweepConfig(train=TRAIN, runs=({"rule": ["untrained", "backprop"]},))
    whole = sweep(config, out := tmp_path / "out")
    lost = lose(out, "backprop")
    trainings.clear()
    (out / cells.LOCKS).mkdir()
    with FileLock(out / cells.LOCKS / f"{lost}.lock"):
        beside = sweep(config, out)
    assert not trainings and beside.to_come == 1 and not beside.failed
    pd.testing.assert_frame_equal(sweep(config, out).runs, whole.runs)
    assert len(trainings) == 1 and not (out / cells.LOCKS).exists()


def test_controls_are_counted_and_no_verdict_is_written_before_they_are_there(tmp_path, trainings, monkeypatch):
    config = SweepConfig(train={**TRAIN, "n_seeds": 2}, runs=({"rule": ["untrained", "backprop"]},))
    told = []
    sweep(config, tmp_path / "out", progress=lambda *now: told.append(now))
    assert [(done, in_all) for done, in_all, _ in told] == [(n, 4) for n in range(5)]
    said = ["", "controls of digits", "768 random features of digits", "untrained on mlp", "backprop on mlp"]
    assert [line.partition(":")[0] for _, _, line in told] == said

    # Controls that were lost, beside trainings that were not.
    lose(tmp_path / "out", "digits")
    (tmp_path / "out" / "README.md").unlink()

    def stops(*given):
        assert not (tmp_path / "out" / "README.md").exists()
        raise KeyboardInterrupt

    monkeypatch.setattr(cells, "_control_run", stops)
    with pytest.raises(KeyboardInterrupt):
        sweep(config, tmp_path / "out")
    assert not (tmp_path / "out" / "README.md").exists()
    monkeypatch.setattr(cells, "_control_run", fake_controls)
    sweep(config, tmp_path / "out")
    assert "logistic regression" in (tmp_path / "out" / "README.md").read_text() and len(trainings) == 2


def test_a_default_that_changed_is_trained_anew(tmp_path, trainings, monkeypatch):
    config = SweepConfig(train=TRAIN, runs=({"rule": "backprop"},))
    sweep(config, tmp_path / "out")
    before = plan.checked_options
    monkeypatch.setattr(plan, "checked_options", lambda configs: [{**each, "learning_rate": 1.0} for each in before(configs)])
    sweep(config, tmp_path / "out")
    assert [record["rule"] for record in trainings] == ["untrained", "backprop"] * 2


def test_the_untrained_control_is_trained_where_nobody_asked_for_it(tmp_path, trainings):
    """A plan that leaves the control out would be one in which any learning counts."""
    done = sweep(SweepConfig(train=TRAIN | {"n_seeds": 2}, runs=({"rule": ["backprop", "hebbian"]},)), tmp_path)
    assert [(record["rule"], record["front_end"]) for record in trainings] == [
        *(("untrained", "none"), ("untrained", "zca")),
        *(("backprop", "none"), ("hebbian/competitive", "zca")),
    ]
    assert set(done.summary.set_index("rule").loc[["backprop", "hebbian/competitive"], "best_control"]) <= {
        *("untrained", "untrained behind zca", "logistic regression")
    }
    # What is there is not asked for twice, whatever its batches.
    block = {"rule": ["untrained", "backprop"], "batch_size": 64}
    runs = expand(SweepConfig(train=TRAIN, runs=(block,)))
    assert with_controls(runs) == runs


def test_a_folder_with_something_else_is_left_alone(tmp_path, trainings):
    sweep(SweepConfig(train=TRAIN, runs=({"rule": "backprop"},)), tmp_path)
    with pytest.raises(InputError, match="none of its trainings: their train differ"):
        sweep(SweepConfig(train=TRAIN | {"epochs": 2}, runs=({"rule": "backprop"},)), tmp_path)
    assert len(trainings) == 2 and read_yaml(tmp_path / "sweep.yaml", SweepConfig).train == TRAIN
    (tmp_path / "else").mkdir()
    (tmp_path / "else" / "notes.txt").write_text("mine")
    with pytest.raises(InputError, match="holds something other than a part of this sweep"):
        sweep(SweepConfig(train=TRAIN, runs=({"rule": "backprop"},)), tmp_path / "else")


def test_a_plan_may_change_between_one_command_and_the_next(tmp_path, trainings):
    sweep(SweepConfig(title="one", train=TRAIN, runs=({"rule": ["backprop", "pepita"]},)), tmp_path)
    n_cells = len(names_in(tmp_path))
    wider = SweepConfig(title="two", train=TRAIN, runs=({"rule": ["backprop", "feedback_alignment"]},))
    done = sweep(wider, tmp_path)
    assert trainings[-1]["rule"] == "feedback_alignment/random" and len(names_in(tmp_path)) == n_cells + 1
    assert "pepita" not in "".join(done.summary["rule"]) and read_yaml(tmp_path / "sweep.yaml", SweepConfig) == wider
    # A plan that came to nothing stands in no one's way.
    sweep(SweepConfig(train=TRAIN, runs=({"rule": "backprop"},)), tmp_path / "new")
    (tmp_path / "new" / STUDY).unlink()
    sweep(SweepConfig(train=TRAIN | {"epochs": 2}, runs=({"rule": "backprop"},)), tmp_path / "new")


def torn(text):
    return text[: len(text) // 2]


def without_accuracy(text):
    return text.replace('"test_accuracy"', '"accuracy"')


def with_a_word(text):
    return text.replace('"seconds": 1.0', '"seconds": "fast"')


def with_one_seed_less(text):
    record = json.loads(text)
    return json.dumps({**record, "seeds": record["seeds"][1:]})


@pytest.mark.parametrize("tamper", [torn, without_accuracy, with_a_word, with_one_seed_less, lambda text: "[]"])
def test_a_file_that_is_torn_or_tampered_with_is_named_and_made_again(tmp_path, trainings, tamper):
    config = SweepConfig(train=TRAIN | {"n_seeds": 2}, runs=({"rule": ["untrained", "backprop"]},), search=SearchConfig(trials=1))
    whole = sweep(config, tmp_path)
    text = json.dumps(fake_run(trainings[-1]))
    path = tmp_path / "runs" / f"{lose(tmp_path, 'backprop')}.json"
    path.parent.mkdir()
    path.write_text(tamper(text))
    trainings.clear()
    again = sweep(config, tmp_path)
    (said,) = again.damaged
    assert said.startswith(f"{path.name} is damaged") and [record["rule"] for record in trainings] == ["backprop"]
    assert (tmp_path / "damaged" / path.name).read_text() == tamper(text)
    pd.testing.assert_frame_equal(again.runs, whole.runs)
    assert sweep(config, tmp_path).damaged == [] and len(trainings) == 1


@pytest.mark.parametrize(("number", "said"), [(errno.ENOSPC, "no disk space left"), (errno.EROFS, "cannot be written")])
def test_what_cannot_be_written_is_said_and_nothing_that_is_there_is_lost(tmp_path, trainings, monkeypatch, number, said):
    """A full disk, or a folder that may not be written, at every second write of a study in turn."""
    config = SweepConfig(train=TRAIN, runs=({"rule": ["untrained", "backprop"]},), search=SearchConfig(trials=1))
    writes = []

    def failing(which, write=Path.write_bytes):
        def write_bytes(path, content):
            writes.append(path)
            if len(writes) == which:
                write(path, content[: len(content) // 2])
                raise OSError(number, os.strerror(number))
            return write(path, content)

        return write_bytes

    monkeypatch.setattr(Path, "write_bytes", failing(0))
    whole = sweep(config, tmp_path / "whole")
    n_writes = len(writes)
    assert n_writes > 8
    for which in range(1 + (number == errno.EROFS), n_writes + 1, 2):
        out = tmp_path / str(which)
        writes.clear()
        monkeypatch.setattr(Path, "write_bytes", failing(which))
        try:
            told = " ".join(sweep(config, out).failed.values())
        except InputError as error:
            told = str(error)
        assert said in told and told.count("\n") == 0, (which, told)
        trained = len(trainings)
        done = sweep(config, out)
        # What is there was trained before: at the most the one that could not be written is trained again.
        assert len(trainings) - trained <= 2 and done.runs.equals(whole.runs)
        assert {path.name for path in out.rglob("*")} == {path.name for path in (tmp_path / "whole").rglob("*")}


def runs_of(**accuracies):
    """A table of runs: rule, or rule__front_end, -> test accuracy of each seed."""
    rows = []
    for name, values in accuracies.items():
        rule, _, front_end = name.partition("__")
        for seed, value in enumerate(values):
            rows.append(
                {"rule": rule, "architecture": "mlp", "dataset": "digits", "front_end": front_end or "none"}
                | {"architecture_options": "{}", "rule_options": "{}", "epochs": 3, "seconds": 1.0, "warnings": "", "seed": seed}
                | {"test_accuracy": value, "validation_accuracy": value}
            )
    return pd.DataFrame(rows)


STEPS = np.array([0.0, 0.01, 0.02, 0.03, 0.04])  # what seeds differ by
JITTER = np.array([0.0, 0.001, 0.0, 0.001, 0.0])  # what networks of a seed differ by


def test_a_rule_is_held_against_the_best_control_and_its_floor():
    runs = runs_of(
        untrained=0.80 + STEPS,
        untrained__zca=0.90 + STEPS,
        backprop=0.85 + STEPS + [0, 0.001, 0, 0.001, 0],
        backprop__zca=0.905 + STEPS[::-1],
        hebbian__zca=0.98 + STEPS / 4,
    )
    config = SweepConfig(
        runs=({"rule": "backprop"},),
        floors={"mlp": {"backprop": 0.9}},
        published={"mlp": {"backprop": {"accuracy": 0.5, "source": "X"}}},
    )
    table = summarise(runs, config).set_index(["rule", "front_end"])
    plain = table.loc[("backprop", "none")]
    assert np.isclose(plain["mean"], 0.8704) and np.isclose(plain["difference"], 0.0504)
    assert np.isclose(plain["control"], 0.82) and plain["best_control"] == "untrained" and plain["beats_control"] is True
    assert plain["reaches_floor"] is False and plain["published"] == 0.5 and plain["published_source"] == "X"
    # Behind a front end the better of two controls counts, and a difference within the noise is none.
    behind = table.loc[("backprop", "zca")]
    assert (
        np.isclose(behind["control"], 0.92)
        and behind["best_control"] == "untrained behind zca"
        and behind["beats_control"] is False
    )
    assert behind["reaches_floor"] is True
    assert table.loc[("hebbian", "zca")]["beats_control"] is True
    assert table.loc[("untrained", "zca")]["beats_control"] is None and np.isnan(table.loc[("untrained", "zca")]["control"])


def test_what_beats_its_own_frozen_network_alone_beats_no_control():
    """The choice that overturned the table: random features that are read directly stand above the matched control."""
    runs = runs_of(untrained=0.80 + STEPS, hebbian=0.86 + STEPS + JITTER).assign(n_train=None, validation_fraction=0.1)
    shared = {"dataset": "digits", "n_train": None, "validation_fraction": 0.1, "read_from": "x", "validation_accuracy": 0.9}
    accuracies = {("logistic regression", ""): 0.85 + 0 * STEPS, ("random features", "cnn"): 0.88 + STEPS}
    controls = pd.DataFrame(
        {**shared, "control": control, "network": network, "seed": seed, "test_accuracy": accuracy}
        for (control, network), values in accuracies.items()
        for seed, accuracy in enumerate(values)
    )
    config = SweepConfig(runs=({"rule": "hebbian"},))
    row = summarise(runs, config, controls).set_index("rule").loc["hebbian"]
    assert row["best_control"] == "random features (cnn)" and row["beats_control"] is False
    assert np.isclose(row["difference"], -0.0196)
    assert summarise(runs, config).set_index("rule").loc["hebbian", "beats_control"] is True
    # Random convolutions know that images have places: that says nothing of a network without maps, and all of one with them.
    maps = controls.replace({"control": {"random features": "random maps"}})
    for keeps, beats in ((False, True), (True, False)):
        of_kind = summarise(runs.assign(keeps_maps=keeps), config, maps).set_index("rule").loc["hebbian"]
        assert of_kind["beats_control"] is beats
    elsewhere = controls.assign(n_train=100)  # controls of other images have no say
    assert summarise(runs, config, elsewhere).set_index("rule").loc["hebbian", "beats_control"] is True
    text = to_markdown(config, summarise(runs, config, controls), 2, 2)
    assert "**no**, p = .9" in text and "random features (cnn)" in text


def test_a_wider_control_overturns_a_verdict_in_words_and_not_by_itself():
    """The choice that a critic makes next: with more random features. The table says which verdicts would not have held."""
    rules = {"backprop": 0.99 + STEPS + JITTER, "hebbian": 0.90 + STEPS + JITTER, "hebbian/oja__zca": 0.98 + STEPS + JITTER}
    runs = runs_of(untrained=0.80 + STEPS, **rules).assign(n_train=None, validation_fraction=0.1)
    shared = {"dataset": "digits", "n_train": None, "validation_fraction": 0.1, "read_from": "x", "network": "mlp hidden=8192"}
    controls = pd.DataFrame(
        {**shared, "control": "wider random features", "seed": seed, "test_accuracy": accuracy}
        for seed, accuracy in enumerate(0.91 + STEPS)
    )
    config = SweepConfig(runs=({"rule": "hebbian"},))
    summary = summarise(runs, config, controls)
    table = summary.set_index("rule")
    assert table["best_control"].tolist() == ["", "untrained", "untrained", "untrained"]
    assert table["beats_control"].tolist() == [None, True, True, True]
    assert table["beats_wider"].tolist() == [None, True, False, True]
    text = " ".join(to_markdown(config, summary, 4, 4, controls).split())
    assert "**Above all controls: 3 of 3**: backprop, hebbian, hebbian/oja (behind zca). Of 3, 2 are also above" in text
    assert "front end: backprop, hebbian/oja (behind zca)." in text and text.count("not above wider") == 1
    assert "wider random features | mlp hidden=8192 |" in text
    # A network with maps is held against random maps: dense features, however many, say nothing of it.
    maps = summarise(runs.assign(keeps_maps=runs["rule"] == "backprop"), config, controls).set_index("rule")
    assert maps["beats_wider"].tolist() == [None, None, False, True]
    without = summarise(runs, config, controls.iloc[:1])
    assert "beats_wider" not in without and "four times" not in to_markdown(config, without, 4, 4)


def test_as_many_random_features_as_units_are_the_control_of_whoever_defends_a_rule():
    """Of the network's own number alone, and of no network that keeps maps."""
    rules = {"backprop": 0.99 + STEPS + JITTER, "hebbian": 0.94 + STEPS + JITTER, "stdp": 0.85 + STEPS + JITTER}
    runs = runs_of(untrained=0.80 + STEPS, **rules).assign(n_train=None, validation_fraction=0.1, n_units=768)
    shared = {"dataset": "digits", "n_train": None, "validation_fraction": 0.1, "read_from": "x"}
    kinds = (("random features", 2048, np.nan, 0.95), ("as many random features", 768, 768, 0.88))
    kinds += (("as many random features", 100, 100, 0.5),)
    controls = pd.DataFrame(
        {**shared, "control": control, "network": f"mlp hidden={width}", "n_units": n, "seed": seed, "test_accuracy": accuracy}
        for control, width, n, mean in kinds
        for seed, accuracy in enumerate(mean + STEPS)
    )
    config = SweepConfig(runs=({"rule": "hebbian"},))
    summary = summarise(runs, config, controls)
    table = summary.set_index("rule")
    assert table["beats_control"].tolist() == [None, True, False, False]
    assert table["beats_equal"].tolist() == [None, True, True, False]
    assert table["best_control"].tolist()[1:] == ["random features (mlp hidden=2048)"] * 3
    text = " ".join(to_markdown(config, summary, 4, 4, controls).split())
    assert "2 of 3 of the dense networks would be above all" in text and text.count(", above with as many |") == 1
    assert "| as many random features | mlp hidden=768 | x | 90.00" in text and "mlp hidden=100 | x | 52.00" in text
    maps = summarise(runs.assign(keeps_maps=runs["rule"] == "hebbian"), config, controls).set_index("rule")
    assert maps["beats_equal"].tolist() == [None, True, None, False]
    # All other controls are to be beaten all the same.
    pixels = controls[:5].assign(control="logistic regression", network="", n_units=np.nan, test_accuracy=0.97)
    beside = summarise(runs, config, pd.concat([controls, pixels])).set_index("rule")
    assert beside["beats_equal"].tolist() == [None, True, False, False]
    assert "beats_equal" not in summarise(runs.assign(n_units=99), config, controls)


def test_the_number_of_hidden_units_is_that_of_each_dense_network(tmp_path, trainings):
    small = {"rule": "backprop", "architecture": "mlp", "architecture_options": {"hidden": [30, 12]}}
    block = ({"rule": "backprop", "architecture": ["mlp", "cnn"]}, small)
    done = sweep(SweepConfig(train=TRAIN | {"n_seeds": 2}, runs=block), tmp_path)
    as_many = done.controls[done.controls["control"] == "as many random features"]
    assert sorted(as_many["n_units"].unique()) == [42, 768]
    assert {name.split("__")[1] for name in names_in(tmp_path, "controls")} > {"42_units", "768_units"}
    assert set(done.runs[done.runs["architecture"] == "mlp"]["n_units"]) == {0}  # which stand-ins for trainings do not tell


def test_how_features_are_read_is_a_part_of_what_was_run(tmp_path, trainings, monkeypatch):
    """Another readout is another training's file."""
    asked = []
    monkeypatch.setattr(cells, "_run", lambda record, *read: asked.append(read) or fake_run(record))
    names = {}
    for readout in ("ridge", "logistic"):
        config = SweepConfig(train=TRAIN, runs=({"rule": ["untrained"]},), readout_images=100, readout=readout)
        sweep(config, tmp_path / readout)
        names[readout] = names_in(tmp_path / readout)
        said = {"ridge": "alike, ridge regression", "logistic": "alike, multinomial logistic regression"}[readout]
        assert said in (tmp_path / readout / "README.md").read_text()
    assert asked == [(100, "ridge", True, None), (100, "logistic", True, None)] and names["ridge"] != names["logistic"]
    with pytest.raises(InputError, match="did you mean 'logistic'"):
        SweepConfig(runs=({"rule": "backprop"},), readout="logistics")
    with pytest.raises(InputError, match="readout='logistic' was given without readout_images"):
        SweepConfig(runs=({"rule": "backprop"},), readout="logistic")


def test_a_sweep_goes_on_in_its_folder_though_a_field_is_new_since(tmp_path, trainings):
    config = SweepConfig(train=TRAIN, runs=({"rule": "backprop"},))
    sweep(config, tmp_path)
    path = tmp_path / "sweep.yaml"
    path.write_text(path.read_text().replace("readout: ridge\n", ""))
    sweep(config, tmp_path)
    assert len(trainings) == 2


def test_a_verdict_goes_by_the_readout_that_is_one_for_all():
    runs = runs_of(untrained=0.80 + STEPS, hebbian=0.60 + STEPS + JITTER).assign(
        read_from="hidden_0", readout_validation_accuracy=0.9
    )
    runs["readout_accuracy"] = runs["test_accuracy"] + np.where(runs["rule"] == "hebbian", 0.25, 0.0)
    table = summarise(runs, SweepConfig(runs=({"rule": "hebbian"},), readout_images=500)).set_index("rule")
    row = table.loc["hebbian"]
    assert row["beats_control"] is True and np.isclose(row["readout_mean"], 0.8704) and np.isclose(row["mean"], 0.6204)
    assert row["read_from"] == "hidden_0"
    # The same units before the first image are a control of their own.
    runs["frozen_accuracy"] = runs["readout_accuracy"] + 0.01
    row = summarise(runs, SweepConfig(runs=({"rule": "hebbian"},), readout_images=500)).set_index("rule").loc["hebbian"]
    assert row["best_control"] == "itself frozen" and row["beats_control"] is False


def test_who_stands_for_a_family_is_chosen_by_the_readout_that_verdicts_go_by():
    runs = runs_of(**{"hebbian/oja": 0.60 + STEPS, "hebbian/bcm": 0.70 + STEPS}).assign(read_from="hidden_0")
    by_output = best_variants(summarise(runs, SweepConfig(runs=({"rule": "hebbian"},))))
    assert by_output["rule"].tolist() == ["hebbian/bcm"]
    validation = np.where(runs["rule"] == "hebbian/oja", 0.9, 0.8)
    runs = runs.assign(readout_accuracy=runs["test_accuracy"], readout_validation_accuracy=validation)
    by_readout = best_variants(summarise(runs, SweepConfig(runs=({"rule": "hebbian"},), readout_images=500)))
    assert by_readout["rule"].tolist() == ["hebbian/oja"]


def test_what_another_test_set_would_say_stands_beside_a_difference():
    """With one network each it is McNemar's: b images that the rule alone tells right and c that its control alone does."""
    n, b, c = 1000, 60, 25
    rule, control = np.ones(n, bool), np.ones(n, bool)
    control[:b], rule[b : b + c] = False, False
    runs = runs_of(untrained=[control.mean()] * 2, hebbian=[rule.mean()] * 2)
    runs = runs.assign(right=[as_text(control)] * 2 + [as_text(rule)] * 2, n_train=None, validation_fraction=0.1)
    config = SweepConfig(runs=({"rule": "hebbian"},))
    row = summarise(runs, config).set_index("rule").loc["hebbian"]
    error = np.sqrt((b + c - (b - c) ** 2 / n) / n**2)
    assert row["difference"] == pytest.approx((b - c) / n) and row["image_error"] == pytest.approx(error, rel=1e-3)
    # Two networks that err on other images share an error that is smaller.
    other = np.roll(rule, 400)
    runs["right"] = [as_text(control)] * 2 + [as_text(rule), as_text(other)]
    means = (rule.astype(float) + other) / 2 - control
    row = summarise(runs, config).set_index("rule").loc["hebbian"]
    assert row["image_error"] == pytest.approx(means.std(ddof=1) / np.sqrt(n)) and row["image_error"] < error
    # The best control is one of the images alone here, and the unit's own start there.
    shared = {"dataset": "digits", "n_train": None, "validation_fraction": 0.1, "read_from": "x", "control": "random features"}
    perfect = [{**shared, "network": "", "seed": seed, "test_accuracy": 1.0, "right": as_text(np.ones(n, bool))} for seed in (0, 1)]
    row = summarise(runs, config, pd.DataFrame(perfect)).set_index("rule").loc["hebbian"]
    assert row["best_control"] == "random features"
    assert row["image_error"] == pytest.approx(((rule.astype(float) + other) / 2).std(ddof=1) / np.sqrt(n))
    frozen = runs.assign(frozen_accuracy=1.0, frozen_right=as_text(np.ones(n, bool)))
    row = summarise(frozen, config).set_index("rule").loc["hebbian"]
    assert row["best_control"] == "itself frozen"
    assert row["image_error"] == pytest.approx(((rule.astype(float) + other) / 2).std(ddof=1) / np.sqrt(n))
    assert np.isnan(summarise(runs.assign(right=np.nan), config).set_index("rule").loc["hebbian", "image_error"])


def test_trainings_that_are_still_to_come_count_in_the_correction():
    start = 0.80 + STEPS
    runs = runs_of(untrained=start, hebbian=start + [0.004, 0.001, 0.003, 0.0, 0.002])
    config = SweepConfig(runs=({"rule": "hebbian"},))
    alone = summarise(runs, config).set_index("rule").loc["hebbian"]
    early = summarise(runs, config, to_come=9).set_index("rule").loc["hebbian"]
    assert alone["beats_control"] is True and early["beats_control"] is False
    assert early["p_adjusted"] == pytest.approx(10 * early["p_value"])
    text = to_markdown(config, summarise(runs, config, to_come=9), 2, 11, to_come=9)
    assert "all of 10 rows, 9 of them still to come, corrected" in text


def test_a_floor_counts_for_the_network_that_it_is_stated_for():
    runs = runs_of(stdp=[0.8]).assign(architecture_options='{"hidden": [100]}')
    floors = {"mlp": {"stdp": 0.9}, "mlp hidden=100": {"stdp": 0.7}}
    assert summarise(runs, SweepConfig(runs=({"rule": "backprop"},), floors=floors))["floor"].iloc[0] == 0.7
    del floors["mlp hidden=100"]
    assert summarise(runs, SweepConfig(runs=({"rule": "backprop"},), floors=floors))["floor"].iloc[0] == 0.9


def test_trainings_of_other_lengths_stand_apart():
    """Each has the control of its own length, and a table of its own."""
    runs = pd.concat([runs_of(untrained=[0.5, 0.52], backprop=[0.6, 0.621]).assign(epochs=epochs) for epochs in (10, 20)])
    runs.loc[(runs["rule"] == "untrained") & (runs["epochs"] == 20), "test_accuracy"] = 0.7
    config = SweepConfig(runs=({"rule": "backprop"},))
    table = summarise(runs, config)
    assert list(table[table["rule"] == "backprop"]["beats_control"]) == [True, False]
    assert networks_of(table) == ["mlp, 10 epochs"] * 2 + ["mlp, 20 epochs"] * 2
    assert networks_of(table[table["epochs"] == 10]) == ["mlp"] * 2
    page = to_markdown(config, table, 4, 4)
    assert page.count("## digits: mlp, 10 epochs") == page.count("## digits: mlp, 20 epochs") == 1


def test_the_variant_that_stands_for_its_family_is_chosen_by_validation_images():
    runs = runs_of(**{"hebbian/oja": [0.9], "hebbian/bcm": [0.8], "backprop": [0.7]})
    runs["validation_accuracy"] = [0.1, 0.2, 0.3]
    table = summarise(runs, SweepConfig(runs=({"rule": "backprop"},)))
    assert list(best_variants(table)["rule"]) == ["hebbian/bcm", "backprop"]


@pytest.mark.parametrize(
    ("column", "values", "said"),
    [
        ("n_train", (1000, 10000), ("1000 training images", "10000 training images")),
        ("n_train", (1000, None), ("1000 training images", "all training images")),
        ("split_seed", (0, 1), ("split 0", "split 1")),
        ("validation_fraction", (0.1, 0.5), ("0.1 of them for validation", "0.5 of them for validation")),
        ("dataset", ("digits", "mnist"), ("digits", "mnist")),
    ],
)
def test_tasks_that_differ_in_their_images_stand_apart(column, values, said):
    """A rule that is below its control on one of them is not above it because of the other."""
    accuracies = ({"untrained": [0.7, 0.71], "backprop": [0.6, 0.612]}, {"untrained": [0.8, 0.81], "backprop": [0.95, 0.962]})
    parts = [runs_of(**of).assign(**{column: value}) for of, value in zip(accuracies, values, strict=True)]
    table = summarise(pd.concat(parts, ignore_index=True), SweepConfig(runs=({"rule": "backprop"},)))
    rows = table[table["rule"] == "backprop"]
    assert list(rows["n_seeds"]) == [2, 2] and list(rows["beats_control"]) == [False, True]
    np.testing.assert_allclose(rows["difference"], [-0.099, 0.151])
    page = to_markdown(SweepConfig(runs=({"rule": "backprop"},)), table, 4, 4)
    titles = [line for line in page.splitlines() if line.startswith("## ")][:2]
    assert all(name in title for name, title in zip(said, titles, strict=True)) and titles[0] != titles[1]


def test_batches_are_a_rules_own_choice_and_said_where_it_has_several():
    parts = [runs_of(untrained=[0.7, 0.71]).assign(batch_size=128)]
    parts += [runs_of(backprop=[mean, mean + 0.012]).assign(batch_size=size) for size, mean in ((128, 0.8), (64, 0.9))]
    parts += [runs_of(hebbian=[0.75, 0.76]).assign(batch_size=10)]
    config = SweepConfig(runs=({"rule": "backprop"},))
    table = summarise(pd.concat(parts, ignore_index=True), config)
    assert list(table["n_seeds"]) == [2] * 4 and list(table["batches"]) == ["", "batches of 128", "batches of 64", ""]
    assert set(networks_of(table)) == {"mlp"}
    np.testing.assert_allclose(table["difference"][1:], [0.101, 0.201, 0.05])
    page = to_markdown(config, table, 4, 4)
    assert "| backprop (batches of 64) |" in page and "| hebbian |" in page
    assert "backprop, batches of 64" in picture(table, "") and "hebbian," not in picture(table, "")
    other = table.assign(rule_options='{"learning_rate": 0.002}')
    assert "learning rate 0.002" in picture(other, "") and "learning rate" not in picture(table.assign(rule_options="{}"), "")


def test_a_rule_runs_behind_the_front_end_that_it_is_tuned_behind(monkeypatch):
    tuned = dataclasses.replace(learning_rules.spec("backprop"), front_end="zca")
    monkeypatch.setattr(learning_rules, "spec", lambda name: tuned)
    runs = expand(SweepConfig(runs=({"rule": "backprop"}, {"rule": "backprop", "front_end": "none"})))
    assert [run.front_end for run in runs] == ["zca", "none"]


def test_a_rule_with_an_activation_of_its_own_says_so_in_the_table(tmp_path, trainings):
    done = sweep(SweepConfig(train=TRAIN, runs=({"rule": ["backprop", "energy_based"]},)), tmp_path)
    assert list(done.summary["activation"]) == ["", "", "hard_tanh"]
    assert (tmp_path / "README.md").read_text().count("own activation: hard_tanh") == 1


def test_one_seed_is_not_said_to_beat_its_control():
    table = summarise(runs_of(untrained=[0.5], backprop=[0.9]), SweepConfig(runs=({"rule": "backprop"},))).set_index("rule")
    assert table.loc["backprop", "beats_control"] is None and np.isnan(table.loc["backprop", "standard_deviation"])


def test_a_search_chooses_by_validation_images(tmp_path, trainings):
    search = SearchConfig(trials=4, space={"all": {"learning_rate": {"low": 1e-4, "high": 1e-1}}})
    done = sweep(SweepConfig(train=TRAIN, runs=({"rule": "backprop"},), search=search), tmp_path)
    rates = [record["rule_options"].get("learning_rate", 1e-3) for record in trainings]
    (row,) = done.summary.to_dict("records")
    assert json.loads(row["rule_options"])["learning_rate"] == max(rates) and row["trials"] == 4
    assert np.isclose(row["validation_accuracy_of_defaults"], 0.601)
    worse = done.runs.assign(validation_accuracy=np.where(np.arange(4) == 1, 0.99, 0.1), test_accuracy=[1.0, 0.0, 1.0, 1.0])
    assert best_trials(worse)["rule_options"].iloc[0] == done.runs["rule_options"].iloc[1]


def _accuracy_in(rates):
    """A training whose validation accuracy says nothing about the full budget: the higher the rate, the better the short run."""

    def run(record, *rest):
        rate = record["rule_options"].get("learning_rate", 1e-3)
        rates.append((rate, record["epochs"], record["n_seeds"]))
        found = fake_run(record)
        for each in found.get("seeds", [found]):
            of_seed = 0.02 * (each.get("seed", 0) - 0.5) if "seeds" in found else 0.0
            each["validation_accuracy_by_epoch"] = [0.6 + rate if record["epochs"] == 1 else 0.9 - rate + of_seed]
            each["test_accuracy"] = rate  # and the test images would have chosen the other way
        return found

    return run


def test_the_final_of_a_search_adopts_by_the_full_budget_and_the_defaults_are_always_in_it(tmp_path, monkeypatch):
    rates = []
    monkeypatch.setattr(cells, "_run", _accuracy_in(rates))
    space = {"all": {"learning_rate": {"low": 2e-3, "high": 1e-1}}}
    search = SearchConfig(trials=5, space=space, finalists=2, final={"epochs": 3, "n_seeds": 2})
    config = SweepConfig(train=TRAIN, runs=({"rule": ["backprop", "feedback_alignment"]},), search=search)
    done = sweep(config, tmp_path / "out")
    short, full = rates[:10], rates[10:]
    assert {budget[1:] for budget in short} == {(1, 1)} and {budget[1:] for budget in full} == {(3, 2)}
    for first in (0, 5):  # of either rule the defaults and the two best of its own short runs
        tried = [rate for rate, *_ in short[first : first + 5]]
        assert sorted(rate for rate, *_ in full[3 * (first // 5) :][:3]) == sorted([tried[0], *sorted(tried)[-2:]])
    # The full budget turns the order around: the defaults, the worst of the short runs, are adopted, by the mean over both seeds.
    assert not done.adopted["changed"].any() and set(done.adopted["finalists"]) == {3}
    np.testing.assert_allclose(done.adopted["validation_accuracy"], 0.9 - 1e-3)
    assert "Other than its defaults: 0 of 2." in (tmp_path / "out" / "README.md").read_text()

    # What is there is not run again, and what is adopted can be run.
    again = sweep(config, tmp_path / "out")
    assert len(rates) == 16 and again.adopted.equals(done.adopted)
    runs = expand(read_yaml(tmp_path / "out" / "adopted.yaml", SweepConfig))
    assert [(run.rule, run.epochs, run.n_seeds, run.rule_options) for run in runs] == [
        (rule, 3, 2, {}) for rule in ("backprop", "feedback_alignment/random")
    ]


def test_where_a_trial_holds_up_it_is_adopted_with_its_options(tmp_path, trainings):
    search = SearchConfig(trials=3, space={"all": {"learning_rate": [0.2, 0.3]}}, finalists=1, final={"epochs": 2})
    done = sweep(SweepConfig(train=TRAIN, runs=({"rule": "backprop"},), search=search), tmp_path)
    (row,) = done.adopted.to_dict("records")
    highest = max(asked["rule_options"].get("learning_rate", 0) for asked in trainings)
    assert row["changed"] and json.loads(row["rule_options"]) == {"learning_rate": highest}
    assert expand(read_yaml(tmp_path / "adopted.yaml", SweepConfig))[0].rule_options == json.loads(row["rule_options"])


def test_a_field_of_the_final_that_no_training_has_is_named():
    with pytest.raises(InputError, match="field in the final of the search.*did you mean 'epochs'"):
        SearchConfig(2, {}, finalists=1, final={"epoch": 3})


def test_a_borrowed_optimiser_is_a_trial_of_its_own_and_named_after_nothing_that_it_ignores():
    space = {"backprop": {"learning_rate": [0.2], "optimizer_of": ["predictive_coding/standard"]}}
    (_, drawn) = expand(SweepConfig(train=TRAIN, runs=({"rule": "backprop"},), search=SearchConfig(2, space)))
    assert (drawn.optimizer_of, drawn.rule_options) == ("predictive_coding/standard", {})


def test_a_search_on_two_image_sets_is_two_searches():
    options = ({}, {"learning_rate": 0.1})
    trials = [TrainConfig(dataset=of, rule_options=given) for of in ("mnist", "fashion_mnist") for given in options]
    chosen = finalists(trials, [0.98, 0.981, 0.88, 0.90], SearchConfig(trials=2, finalists=1))
    assert chosen == trials
    found = adopted(chosen, [0.98, 0.981, 0.90, 0.88])
    assert list(found["dataset"]) == ["mnist", "fashion_mnist"] and list(found["changed"]) == [True, False]
    runs = expand(as_runs(found, SweepConfig(train={"epochs": 2}, runs=({"rule": "backprop"},))))
    assert [(run.dataset, run.rule_options) for run in runs] == [("mnist", options[1]), ("fashion_mnist", {})]
    frame = {"rule_options": ["{}", "a"] * 2, "architecture_options": "{}", "validation_accuracy": [0.98, 0.981, 0.88, 0.90]}
    shared = {"rule": "backprop", "architecture": "mlp", "front_end": "none", "n_train": None}
    best = best_trials(pd.DataFrame({**frame, "dataset": ["mnist"] * 2 + ["fashion_mnist"] * 2}).assign(**shared))
    assert list(best["validation_accuracy_of_defaults"]) == [0.98, 0.88]


def test_a_training_that_diverged_is_not_chosen(tmp_path, trainings):
    search = SearchConfig(trials=3, space={"all": {"learning_rate": {"low": 1e-4, "high": 1e-1}}})
    runs = sweep(SweepConfig(train=TRAIN, runs=({"rule": "backprop"},), search=search), tmp_path).runs
    runs = runs.assign(validation_accuracy=[np.nan, 0.3, 0.2])
    assert best_trials(runs)["validation_accuracy"].iloc[0] == 0.3


def test_really_trains(tmp_path):
    done = sweep(SweepConfig(train={**TRAIN, "n_train": 256}, runs=({"rule": ["untrained", "backprop"]},)), tmp_path, workers=1)
    assert list(done.summary["rule"]) == ["untrained", "backprop"]
    kept = pd.read_parquet(tmp_path / STUDY).set_index("rule")
    record = json.loads(kept.loc["backprop", "record"])
    assert record["test_accuracy"] == done.runs.set_index("rule").loc["backprop", "test_accuracy"]
    assert record["angle_to_backprop"]["end_in_double"] < 1e-3
    kept = done.summary.set_index("rule")["rdm_correlation"]
    assert 0 < kept["untrained"] < 1 and np.isnan(kept["backprop"])  # one seed of it has no other to be held against
    assert "| untrained | none |" in (tmp_path / "README.md").read_text()


@functools.cache
def buildable(rule, n_hidden, options):
    """Whether a rule takes its options on a dense network; what many sweeps run is built once."""
    network = architectures.build("mlp", input_shape=(8, 8, 1), n_classes=10, hidden=(512, 256, 128, 128, 128)[:n_hidden])
    learning_rules.build(rule, network, **json.loads(options))


@pytest.mark.parametrize("path", sorted((Path(experiments.__file__).parent / "configs").glob("*.yaml")), ids=lambda path: path.stem)
def test_the_sweeps_that_come_with_the_project_name_rules_and_options_that_exist(path):
    config = read_yaml(path, SweepConfig)
    tried = set()
    for run in expand(config):
        # Rules are built on a dense network, with as many hidden layers as theirs has; of a search one draw of the same options.
        n_hidden = len(network_options(run).get("hidden", (512, 256))) if run.architecture == "mlp" else 2
        given = (run.rule, n_hidden, *(sorted(run.rule_options) if config.search else [json.dumps(run.rule_options)]))
        if given not in tried and run.architecture == "recurrent":
            options = {**network_options(run), "hidden": (3,)}
            network = architectures.build("recurrent", input_shape=(4, 3, 1), n_classes=2, **options)
            learning_rules.build(run.rule, network, **run.rule_options)
        elif given not in tried:
            buildable(run.rule, n_hidden, json.dumps(run.rule_options))
        tried.add(given)
    for table in (*config.floors.values(), *config.published.values()):
        assert set(table) <= {*learning_rules.names(), *learning_rules.names(variants=True)}


@pytest.mark.parametrize("name", ["controls", "deep"])
def test_the_tables_that_are_kept_go_on_by_the_command_that_made_them(name):
    """A plan that differs from its configuration's would be refused."""
    configs, results = Path(experiments.__file__).parent / "configs", Path(__file__).parents[2] / "docs" / "results"
    kept = (results / name / "sweep.yaml").read_text(encoding="utf-8")
    assert kept == write_yaml(read_yaml(configs / f"{name}.yaml", SweepConfig))


def test_all_rules_but_some_are_left_out_by_whole_names():
    def rules(given):
        block = {"rule": "all", "except": given, "architecture": "mlp"}
        return [run.rule for run in expand(SweepConfig(train={"dataset": "digits"}, runs=(block,)))]

    whole = list(learning_rules.names(variants=True))
    assert rules([]) == whole
    assert set(whole) - set(rules("hebbian/textbook_softhebb")) == {"hebbian/textbook_softhebb"}
    assert set(whole) - set(rules(["stdp", "clapp/asynchronous"])) == {learning_rules.spec("stdp").name, "clapp/asynchronous"}
    with pytest.raises(InputError, match="whose rule is not 'all'"):
        expand(SweepConfig(train={"dataset": "digits"}, runs=({"rule": "backprop", "except": "stdp"},)))
    with pytest.raises(InputError, match="did you mean"):
        rules("stdp/textbok")
