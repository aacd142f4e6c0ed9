import json
import os
import statistics
import subprocess
import sys
from pathlib import Path

import click
import pytest

import architectures
import learning_rules
import neurodata
from experiments import datasets
from experiments.cli import main
from experiments.commands import compare as compare_command
from experiments.compare_config import CompareConfig
from experiments.config import TrainConfig, read_yaml, write_yaml
from experiments.results import plain
from experiments.sweeping.config import SearchConfig, SweepConfig
from experiments.terminal import settings
from learning_rules import plausibility

TINY = ("--epochs", "1", "--batch-size", "32", "--set", "network.hidden=8")  # one value: a list of one


@pytest.mark.parametrize(
    ("what", "key", "names"),
    [
        ("rules", "rule", learning_rules.names(variants=True)),
        ("architectures", "architecture", architectures.names()),
        ("datasets", "name", datasets.names()),
        ("recordings", "name", neurodata.names()),
        ("criteria", "criterion", list(plausibility.CRITERIA)),
    ],
)
def test_list_names_everything_there_is(what, key, names, run, run_json):
    assert [row[key] for row in run_json("list", what)] == list(names)
    status, out, err = run("list", what)
    assert status == 0 and err == ""
    unbroken = "".join(out.split())
    assert all("".join(name.split()) in unbroken for name in names)


def test_list_rules_tells_what_a_rule_was_published_with(run_json):
    told = {row["rule"]: row["published_with"] for row in run_json("list", "rules")}
    published = "batch_size=20, network.activation=hard_sigmoid, network.hidden=(500,)"
    assert told["energy_based/textbook"] == published and told["backprop"] == ""


@pytest.mark.parametrize(
    ("what", "name", "options"),
    [
        pytest.param("rules", rule, learning_rules.options_of(rule), marks=[pytest.mark.thorough] if "/" in rule else [])
        for rule in learning_rules.names(variants=True)
    ]
    + [("architectures", name, entry.options()) for name, entry in architectures.ARCHITECTURES.items()]
    + [("configurations", "train", TrainConfig())]
    + [("configurations", "sweep", SweepConfig(runs=({},))), ("configurations", "search", SearchConfig())],
)
def test_what_can_be_set_is_told_with_its_default(what, name, options, run_json):
    told = {row["option"]: row for row in run_json("list", what, name)["options"]}
    assert {*told, "variant"} >= set(vars(options)) and all(row["what"] for row in told.values())
    for option, row in told.items():
        default = plain(getattr(options, option)) if option != "runs" else []  # which a sweep must have, and so has no default
        assert row["default"] == default


def test_fields_of_a_comparison_s_parts_are_told_as_they_are_given(run_json):
    told = {row["option"]: row for row in run_json("list", "configurations", "compare")["options"]}
    config = CompareConfig()
    own = {name: value for name, value in vars(config).items() if name not in ("training", "stimuli", "scoring")}
    of_training = {name: value for name, value in vars(config.training).items() if name not in config.decided}
    expected = {**of_training, **vars(config.stimuli), **vars(config.scoring), **own}
    assert {name: row["default"] for name, row in told.items()} == {name: plain(value) for name, value in expected.items()}
    assert told["architecture"]["default"] == "cnn" and told["epochs"]["what"].endswith("(of training)")
    assert all(row["what"] for row in told.values())


def test_what_can_be_set_is_a_table_and_other_names_are_refused(run):
    status, out, err = run("list", "rules", "burst")
    assert status == 0 and err == "" and "burst/single_phase" in out and "--set OPTION=VALUE" in out and "cross_entropy, " in out
    assert "network.OPTION" in run("list", "architectures", "cnn")[1]
    for arguments in (("list", "rules", "brst"), ("list", "datasets", "digits"), ("list", "architectures", "cm")):
        status, out, err = run(*arguments)
        assert status == 2 and out == "" and arguments[2] in err and err.count("\n") == 1


def test_list_support_says_which_rules_train_which_networks_and_why_not(run, run_json):
    rows = {row["rule"]: row["networks"] for row in run_json("list", "support")}
    matrix = learning_rules.support_matrix()
    assert rows == {rule: {kind: said._asdict() for kind, said in row.items()} for rule, row in matrix.items()}
    status, out, err = run("list", "support")
    assert status == 0 and err == ""
    table, _, why_not = out.partition("Why not:")
    lines = {line.split()[0]: line.split()[1:] for line in table.splitlines() if line.strip()}
    for rule, row in matrix.items():
        assert [cell == "yes" for cell in lines[rule]] == [said.supported for said in row.values()]
    unbroken = " ".join(why_not.split())
    assert all(said.reason in unbroken for row in matrix.values() for said in row.values())


def test_list_support_says_which_rules_credit_what_happened_earlier_in_which_way(run, run_json):
    rows = {(row["rule"], row["temporal"]): row["networks"] for row in run_json("list", "support", "--temporal")}
    said = rows["feedback_alignment/sign", "eligibility"]
    assert said["spiking"]["supported"] and "no synapse has a trace" in said["recurrent gated"]["reason"]
    assert rows["eprop/random", "eligibility"]["spiking"]["supported"]
    assert "in no other way" in rows["eprop/random", "online"]["spiking"]["reason"]
    assert "leave the option out" in rows["perturbation/node", "online"]["spiking"]["reason"]
    assert {len(networks) for networks in rows.values()} == {4} and len(rows) == 3 * len(learning_rules.names(variants=True))
    status, out, err = run("list", "support", "--temporal")
    assert status == 0 and err == ""
    lines = {tuple(line.split()[:2]): line.split()[2:] for line in out.partition("Why not:")[0].splitlines() if line.strip()}
    shown = {key: networks for key, networks in rows.items() if any(each["supported"] for each in networks.values())}
    for key, networks in shown.items():
        assert [cell == "yes" for cell in lines[key]] == [each["supported"] for each in networks.values()]
    status, out, err = run("list", "rules", "--temporal")
    assert status == 2 and out == "" and "list support" in err


def test_list_support_takes_a_network_of_ones_own(run, run_json, tmp_path):
    (tmp_path / "mine.py").write_text(OWN_NETWORK)
    own = f"{tmp_path / 'mine.py'}:two_layers"
    rows = {row["rule"]: row["networks"] for row in run_json("list", "support", "--architecture", own)}
    assert set(rows) == set(learning_rules.names(variants=True))
    assert rows["backprop"] == {own: {"supported": True, "reason": ""}}
    status, out, err = run("list", "rules", "--architecture", own)
    assert status == 2 and out == "" and "list support" in err


def test_data_lists_image_sets_and_recordings_and_their_place(run, run_json, tmp_path, monkeypatch):
    monkeypatch.setenv("BIOPLAUSIBLE_DATA", str(tmp_path / "cache"))
    rows = {row["name"]: row for row in run_json("data", "list")}
    assert set(rows) == {*datasets.names(), *neurodata.names()}
    assert rows["digits"]["here"] is True and rows["cichy92"]["here"] is False and rows["cichy92"]["megabytes"] > 0
    assert run_json("data", "path") == {"path": str(tmp_path / "cache")}
    assert run("data", "path") == (0, f"{tmp_path / 'cache'}\n", "")
    assert run_json("data", "fetch", "digits") == {"name": "digits", "files": []}
    assert run("data", "fetch", "digits") == (0, "digits needs no download\n", "")
    assert run("data", "list")[0] == 0


@pytest.mark.parametrize("arguments", [(), ("data",)])
def test_without_a_command_the_commands_are_shown_as_laid_out(arguments, run):
    status, out, err = run(*arguments)
    assert status == 2 and "Commands:\n" in out + err and "Traceback" not in err


@pytest.mark.parametrize("arguments", [(), ("list",), ("train",), ("compare",), ("report",), ("data",), ("data", "fetch")])
@pytest.mark.parametrize("flag", ["-h", "--help"])
def test_help_works_everywhere(arguments, flag, run):
    status, out, err = run(*arguments, flag)
    assert status == 0 and out.startswith("Usage: bioplausible") and err == ""


def test_version(run):
    status, out, _ = run("--version")
    assert status == 0 and "bioplausible" in out


@pytest.mark.parametrize(
    ("given", "rule", "network"),
    [
        (["learning_rate=1e-2"], {"learning_rate": 0.01}, {}),
        (["network.hidden=16,16"], {}, {"hidden": (16, 16)}),
        (["network.hidden=(16,16)", "loss=squared_error"], {"loss": "squared_error"}, {"hidden": (16, 16)}),
        (["network.hidden=[16]", "flag=true", "other=False"], {"flag": True, "other": False}, {"hidden": [16]}),
        (["text=a=b"], {"text": "a=b"}, {}),
        (["set={{}}", "key={[]: 1}"], {"set": "{{}}", "key": "{[]: 1}"}, {}),
        ([f"deep={'-' * 3000}1"], {"deep": f"{'-' * 3000}1"}, {}),
    ],
)
def test_settings_are_values_as_typed(given, rule, network):
    assert settings(tuple(given)) == (rule, network)


@pytest.mark.parametrize("given", ["nonsense", "=3", ""])
def test_settings_without_a_name_or_value_are_refused(given):
    with pytest.raises(click.UsageError, match="expected option=value"):
        settings((given,))


def test_train_prints_the_json_and_leaves_the_run_behind(run, run_json, tmp_path):
    out = tmp_path / "run"
    arguments = ("train", "backprop", *TINY, "--set", "learning_rate=1e-2", "--seed", "3")
    record = run_json(*arguments, "--out", out)
    assert record["rule"] == "backprop" and record["seed"] == 3 and record["out"] == str(out.resolve())
    assert record["options"]["learning_rate"] == 0.01 and record["network"][0]["output"] == [8]
    files = {str(path.relative_to(out)) for path in out.rglob("*") if path.is_file() and "checkpoints" not in path.parts}
    assert files == {"config.yaml", "results.json", "training.json", "tables/accuracy.csv", "tables/networks.csv"}
    assert {path.name for path in (out / "checkpoints").iterdir()} == {"last", "best"}
    assert json.loads((out / "results.json").read_text()) == {name: value for name, value in record.items() if name != "out"}

    config = read_yaml(out / "config.yaml", TrainConfig)
    assert config.seed == 3 and config.rule_options == {"learning_rate": 0.01}
    again = run_json("train", "backprop", "--config", out / "config.yaml")
    timed = {"seconds", "compile_seconds", "out"}
    assert {k: v for k, v in again.items() if k not in timed} == {k: v for k, v in record.items() if k not in timed}

    status, printed, err = run(*arguments)
    assert status == 0 and f"test accuracy {record['test_accuracy']:.4f}" in printed and "hidden_0" in printed
    assert all(line.startswith("warning: ") for line in err.splitlines())
    assert len(err.splitlines()) == len(record["warnings"])


OWN_NETWORK = """
from flax import nnx


def two_layers(input_shape, n_classes, hidden=20):
    n_pixels = input_shape[0] * input_shape[1] * input_shape[2]
    return [
        lambda images: images.reshape(len(images), -1),
        lambda rngs: nnx.Linear(n_pixels, hidden, rngs=rngs),
        nnx.relu,
        lambda rngs: nnx.Linear(hidden, n_classes, rngs=rngs),
    ]
"""

OWN_RULE = """
import learning_rules


def secretly_backprop(network):
    rule = learning_rules.build("backprop", network)
    return rule._replace(spec=learning_rules.spec("local_losses"))
"""


@pytest.mark.thorough
def test_a_rule_in_a_file_outside_is_scored_like_any_other(run, run_json, tmp_path):
    (tmp_path / "my_rules.py").write_text(OWN_RULE)
    own = f"{tmp_path / 'my_rules.py'}:secretly_backprop"
    arguments = ("scorecard", own, "local_losses", "--criteria", "weight transport,update unlocking", "--workers", "1")
    cards = run_json(*arguments, "--out", tmp_path / "cards")
    assert list(cards) == [own, "local_losses"]
    assert {name: entry["verdict"] for name, entry in cards[own].items()} == {
        "weight transport": "fails",
        "update unlocking": "fails",
    }
    assert {entry["verdict"] for entry in cards["local_losses"].values()} == {"meets"}
    assert set(cards[own]["weight transport"]) >= {"verdict", "value", "evidence", "claimed"}
    assert json.loads((tmp_path / "cards" / "scorecard.json").read_text()) == cards
    page = (tmp_path / "cards" / "scorecard.html").read_text(encoding="utf-8")
    assert page.startswith("<!doctype html>") and "carried down through forward weights" in page and "http" not in page

    status, printed, _ = run("scorecard", "local_losses", "--criteria", "update unlocking", "--workers", "1")
    assert status == 0 and "●" in printed and "published marks agree" in printed


@pytest.mark.parametrize(
    ("arguments", "parts"),
    [
        (("backprob",), ["'backprob'", "did you mean 'backprop'"]),
        (("backprop", "--criteria", "weight transprot"), ["'weight transprot'", "did you mean 'weight transport'"]),
        (("backprop", "--architecture", "cn"), ["'cn'", "cnn"]),
        (("absent.py:rule",), ["no file absent.py", "module:name"]),
        (("no_such_module:rule",), ["no_such_module", "cannot be imported"]),
        (("learning_rules:bild",), ["'bild'", "did you mean 'build'"]),
        (("learning_rules:FAMILIES",), ["dict", "expected a function"]),
    ],
)
def test_a_rule_that_is_not_there_is_said_in_a_line(arguments, parts, run):
    status, out, err = run("scorecard", *arguments)
    assert status == 2 and out == "" and err.count("\n") == 1
    assert all(part in err for part in parts), err


def test_compare_and_report(study, run, run_json, tmp_path):
    out = tmp_path / "run"
    record = run_json("compare", "--config", study, "--readout-images", 100, "--out", out)
    assert {row["control"] for row in record["controls"]} == {"logistic regression", "random features", "random maps"}
    assert record["config"]["rules"] == ["untrained", "backprop"] and record["report"] == str((out / "report.html").resolve())
    assert {row["layer"] for row in record["scores"]} == {"hidden_0", "output"}
    page = (out / "report.html").read_text()
    (out / "report.html").unlink()
    assert run_json("report", out) == record
    assert (out / "report.html").read_text() == page
    status, printed, err = run("report", out)
    assert status == 0 and err == "" and "report:" in printed and "early" in printed and "backprop" in printed


def test_compare_without_out_takes_the_first_free_folder(study, run, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "runs" / "compare_001").mkdir(parents=True)
    status, printed, _ = run("compare", "--config", study, "--rules", "untrained", "--draws", "0")
    assert status == 0 and "compare_002" in "".join(printed.split())
    assert (tmp_path / "runs" / "compare_002" / "report.html").is_file()
    status, _, err = run("compare", "--config", study, "--rules", "untrained,backprob")
    assert status == 2 and "did you mean 'backprop'" in err
    assert sorted(path.name for path in (tmp_path / "runs").iterdir()) == ["compare_001", "compare_002"]


def test_two_comparisons_at_once_take_a_folder_each(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with compare_command._free_folder() as one, compare_command._free_folder() as other:
        assert one != other
        (one / "report.html").write_text("")
    assert one.is_dir() and other.is_dir()  # both ended well


def test_a_full_disk_is_one_line(study, run, tmp_path, monkeypatch):
    def full(*arguments):
        raise OSError(28, os.strerror(28))

    monkeypatch.setattr("bioplausible.foundation.files.os.replace", full)
    status, printed, err = run("compare", "--config", study, "--rules", "untrained", "--draws", "0", "--out", tmp_path / "run")
    assert status == 2 and printed == "" and err.count("\n") == 1 and "no disk space" in err
    assert not [path for path in (tmp_path / "run").rglob("*") if path.is_file()]


def test_a_defect_of_ours_keeps_its_traceback(monkeypatch):
    def broken(*arguments, **keywords):
        raise ValueError("a defect")

    monkeypatch.setattr("experiments.training.train", broken)
    with pytest.raises(ValueError, match="a defect"):
        main(["train", "backprop"])


def test_interruption_is_status_130(run, monkeypatch, tmp_path):
    def interrupt(*arguments, **keywords):
        raise KeyboardInterrupt

    monkeypatch.setattr("experiments.training.train", interrupt)
    monkeypatch.setattr("experiments.sweeping.sweep", interrupt)
    status, printed, err = run("train", "backprop")
    assert status == 130 and printed == "" and err.strip() == "bioplausible: stopped"
    (tmp_path / "sweep.yaml").write_text("runs: [{rule: backprop}]")
    status, printed, err = run("sweep", tmp_path / "sweep.yaml", "--out", tmp_path / "out")
    assert status == 130 and printed == "" and err.endswith("stopped; what is done is kept, and the same command goes on\n")


def test_several_seeds_are_told_together(run, run_json, tmp_path):
    config = TrainConfig(epochs=1, batch_size=32, n_seeds=3, n_train=200, architecture_options={"hidden": [8]})
    (tmp_path / "config.yaml").write_text(write_yaml(config))
    accuracies = [each["test_accuracy"] for each in run_json("train", "--config", tmp_path / "config.yaml")["seeds"]]
    _, printed, _ = run("train", "--config", tmp_path / "config.yaml")
    mean, spread = statistics.fmean(accuracies), statistics.stdev(accuracies)
    assert f"{mean:.4f} ± {spread:.4f} over 3 seeds; of seed 0 alone {accuracies[0]:.4f};" in " ".join(printed.split())


def test_a_reader_that_has_seen_enough_is_no_error():
    reader, writer = os.pipe()
    os.close(reader)
    finished = subprocess.run(
        [sys.executable, "-m", "experiments.cli", "list", "rules", "--json"],
        stdout=writer,
        stderr=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[2],
        timeout=120,
    )
    os.close(writer)
    assert "Traceback" not in finished.stderr and "BrokenPipe" not in finished.stderr
    assert finished.returncode in (0, 1)


def test_the_installed_command_says_a_mistake_in_one_line(tmp_path):
    finished = subprocess.run(
        [sys.executable, "-m", "experiments.cli", "train", "backprob", "--out", str(tmp_path / "run")],
        capture_output=True,
        text=True,
        cwd=Path(__file__).parents[2],
        timeout=120,
    )
    assert finished.returncode == 2 and finished.stdout == ""
    assert finished.stderr.startswith("bioplausible: unknown learning rule 'backprob'") and finished.stderr.count("\n") == 1
    assert not (tmp_path / "run").exists()


def test_gigabytes_do_not_move_unasked(run, monkeypatch, tmp_path):
    monkeypatch.setenv("BIOPLAUSIBLE_DATA", str(tmp_path))
    asked = []
    monkeypatch.setattr("neurodata.download", lambda name, progress: asked.append(name) or (tmp_path / "file",))
    status, _, err = run("data", "fetch", "visual92_meg")
    assert status == 2 and asked == [] and "6.0 GB" in err and "--yes" in err
    status, out, err = run("data", "fetch", "visual92_meg", "--yes")
    assert status == 0 and asked == ["visual92_meg"] and "6.0 GB" in err and "Cichy" in err
    status, _, _ = run("data", "fetch", "cichy92")
    assert status == 0 and asked == ["visual92_meg", "cichy92"]
