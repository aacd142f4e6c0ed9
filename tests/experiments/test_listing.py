"""What `bioplausible list` says, and how it is laid out."""

import re
import shlex

import click
import pytest

import architectures
import learning_rules
import rsa
from experiments.catalogue import rule_card
from experiments.cli import command
from experiments.recording_keys import recording_key_rows
from experiments.terminal import folded
from learning_rules import plausibility
from neurodata.fmri.folder import KEYS as FMRI_KEYS
from neurodata.meg.options import OPTION_NAMES
from neurodata.settings import KEYS

IDENTIFIER = re.compile(r"doi:\S+|arXiv \d{4}\.\d{4,5}")


@pytest.mark.parametrize(
    ("what", "key", "names"),
    [
        ("measures", "measure", ["auto", *rsa.MEASURES, *rsa.PATTERN_COMPARATORS]),
        ("comparators", "comparator", [*rsa.COMPARATORS, *rsa.PATTERN_COMPARATORS]),
        ("front-ends", "front_end", list(architectures.FRONT_ENDS)),
    ],
)
def test_ways_to_compare_are_named_and_told(what, key, names, run, run_json):
    rows = run_json("list", what)
    assert [row[key] for row in rows] == names and all(len(row["what"]) > 10 for row in rows)
    status, out, err = run("list", what)
    assert status == 0 and err == "" and [line for line in out.splitlines() if not line.startswith(" ")] == names


@pytest.mark.parametrize("what", ["rules", "criteria"])
def test_lists_fit_eighty_columns_and_break_no_identifier(what, run):
    out = run("list", what)[1]
    assert all(len(line) <= 80 for line in out.splitlines())
    sources = (
        [each.citation for each in plausibility.CRITERIA.values()]
        if what == "criteria"
        else [learning_rules.spec(name).citation for name in learning_rules.names(variants=True)]
    )
    found = [each for source in sources for each in IDENTIFIER.findall(source)]
    assert len(found) > 5 and all(any(each in line for line in out.splitlines()) for each in found)


def test_a_link_that_is_longer_than_a_line_runs_over():
    link = f"doi:10.1000/{'1' * 90}"
    assert link in folded(f"Somebody 2020, {link}", 4).splitlines()[-1]


def test_a_rule_is_told_with_ranges_networks_and_variants(run, run_json):
    told = run_json("list", "rules", "stdp")
    options = {row["option"]: row for row in told["options"]}
    assert told["rule"] == "stdp/pair" and told["variants"] == [f"stdp/{each}" for each in learning_rules.FAMILIES["stdp"].variants]
    assert options["n_steps"]["range"] == "at least 1" and options["leak"]["range"] == "a number from 0 to below 1"
    assert options["coding"]["range"] == "rate, latency" and options["loss"]["range"] == ""
    assert list(told["networks"]) == list(learning_rules.typical_networks())
    assert told["networks"]["mlp"] == {"supported": True, "reason": ""}
    assert not told["networks"]["transformer"]["supported"] and "leave out skips" in told["networks"]["transformer"]["reason"]
    out = run("list", "rules", "stdp")[1]
    assert "n_steps = 25 (at least 1)" in out and "networks: mlp, cnn, vgg; not resnet" in out
    assert all(len(line) <= 80 for line in out.splitlines())


def test_a_range_that_is_told_is_one_that_is_checked():
    network = architectures.build("mlp", input_shape=(8, 8, 1), n_classes=10, hidden=(4,))
    below = [row for row in rule_card("stdp")["options"] if row["range"] == "a number above 0"]
    assert len(below) > 3
    for row in below:
        with pytest.raises(learning_rules.InputError, match=f"{row['option']}=-1.* was given, expected a number above 0"):
            learning_rules.build("stdp", network, **{row["option"]: -1.0})


OWN = """
from learning_rules import Family, registry

of_ours = registry.FAMILIES["backprop"]
mine = of_ours._replace(variants=dict(of_ours.variants))
"""


def test_a_rule_of_ones_own_is_told_likewise(run_json, tmp_path):
    (tmp_path / "own.py").write_text(OWN)
    name = f"{tmp_path / 'own.py'}:mine"
    told = run_json("list", "rules", name)
    assert told["rule"] == name and told["variants"] == []
    assert {row["option"] for row in told["options"]} == {"loss", "learning_rate", "weight_decay", "temporal"}
    assert all(said["supported"] for said in told["networks"].values())


def test_every_key_of_a_recording_is_told_with_what_it_means(run, run_json):
    rows = recording_key_rows()
    by_section = {section: [row["key"] for row in rows if row["section"] == section] for section in ("", "fmri", "meg")}
    assert by_section[""] == list(KEYS) and set(by_section["fmri"]) == set(FMRI_KEYS) and by_section["meg"] == list(OPTION_NAMES)
    assert all(row["what"] for row in rows)
    told = {(row["section"], row["key"]): row for row in run_json("list", "recording-keys")}
    assert told["fmri", "high_pass"]["default"] == 0.01 and told["fmri", "noise_model"]["range"] == "ar1, ols"
    assert told["meg", "tmin"]["default"] == -0.2 and told["meg", "decimate"]["range"] == "at least 1"
    status, out, err = run("list", "recording-keys")
    assert status == 0 and err == "" and "high_pass: 0.01 (a number above 0)" in out and "smoothing_mm: null" in out
    assert all(len(line) <= 80 for line in out.splitlines())


def commands(group=command, words=()):
    """Every command with the words that call it."""
    yield words, group
    for name, each in getattr(group, "commands", {}).items():
        yield from commands(each, (*words, name))


def examples_of(each):
    return [line.strip() for line in (each.epilog or "").splitlines() if line.startswith("  ")]


@pytest.mark.parametrize(("words", "each"), list(commands()), ids=lambda value: " ".join(value) if isinstance(value, tuple) else "")
def test_every_help_ends_in_examples_that_parse(words, each, run):
    lines = examples_of(each)
    assert lines, "a command without an example"
    status, out, err = run(*words, "-h")
    assert status == 0 and err == "", err
    for line in lines:
        assert line in out
        name, *arguments = shlex.split(line)
        assert name == "bioplausible" and tuple(arguments[: len(words)]) == words
        found, context = command, command.make_context("bioplausible", list(arguments))
        while isinstance(found, click.Group):
            found = found.commands[arguments.pop(0)]
            context = found.make_context(found.name, list(arguments), parent=context)
        asked = context.params
        for rule in (asked.get("rules") or "").split(",") if isinstance(asked.get("rules"), str) else asked.get("rules") or ():
            assert rule == "all" or ":" in rule or learning_rules.spec(rule)
        if asked.get("rule") is not None:
            assert learning_rules.spec(asked["rule"])


def test_examples_of_list_work(run):
    for line in examples_of(command.commands["list"]):
        status, out, err = run(*shlex.split(line)[1:])
        assert status == 0 and out and err == ""
