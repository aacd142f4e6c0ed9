import dataclasses
import datetime
import io
import json
import os
import subprocess
import sys
from pathlib import Path

import jax
import pooch
import pytest

import neurodata
from bioplausible.foundation.errors import InputError
from experiments import cli, datasets, environment, origin
from experiments.environment import describe_environment, keep_compiled_programs, spread_over_devices

OPTIONS = ("jax_compilation_cache_dir", "jax_persistent_cache_min_compile_time_secs")


@pytest.fixture
def no_cache_chosen():
    """JAX as it is where the user chose no cache; afterwards as it was."""
    before = {name: jax.config.values[name] for name in OPTIONS}
    jax.config.update(OPTIONS[0], None)
    yield
    for name, value in before.items():
        jax.config.update(name, value)


def test_the_environment_is_plain_and_names_versions_and_device():
    record = describe_environment()
    assert record == json.loads(json.dumps(record))
    assert record["jax"] == jax.__version__ and record["device"].startswith(jax.default_backend())
    assert record["n_devices"] == jax.device_count() and {"bioplausible", "python", "platform", "numpy"} <= set(record)


def test_a_cache_that_the_user_chose_is_left_alone(no_cache_chosen, tmp_path, monkeypatch):
    monkeypatch.setattr(environment.pooch, "os_cache", lambda name: pytest.fail("another cache was looked for"))
    jax.config.update(OPTIONS[0], str(tmp_path / "mine"))
    assert keep_compiled_programs() == tmp_path / "mine"
    assert jax.config.values[OPTIONS[0]] == str(tmp_path / "mine")


def test_without_a_choice_programs_are_kept_in_the_cache_folder(no_cache_chosen, tmp_path, monkeypatch):
    monkeypatch.setattr(environment.pooch, "os_cache", lambda name: tmp_path / name)
    folder = keep_compiled_programs()
    assert folder == tmp_path / "bioplausible" / "compiled" and folder.is_dir()
    assert jax.config.values[OPTIONS[0]] == str(folder)


@pytest.mark.parametrize("how", ["in the way", "read only"])
def test_a_cache_that_cannot_be_written_is_done_without(how, no_cache_chosen, tmp_path, monkeypatch):
    (tmp_path / "bioplausible").write_text("a file") if how == "in the way" else None
    monkeypatch.setattr(environment.pooch, "os_cache", lambda name: tmp_path / name)
    if how == "read only":
        monkeypatch.setattr(environment.os, "access", lambda *arguments: False)
    assert keep_compiled_programs() is None
    assert jax.config.values[OPTIONS[0]] is None


def test_the_cache_folder_is_pooch_s():
    assert Path(pooch.os_cache("bioplausible")).name == "bioplausible"


def test_one_device_gets_all_seeds():
    keys = jax.vmap(jax.random.key)(jax.numpy.arange(3))
    if jax.device_count() == 1:
        assert spread_over_devices(keys, 3) is keys


TWO_DEVICES = """
import json, sys
import jax
from experiments.environment import spread_over_devices
from experiments.training import train
assert jax.device_count() == 2
shared = dict(rule="backprop", architecture="mlp", dataset="digits", epochs=2, n_train=200, batch_size=32,
    architecture_options={"hidden": (8,)})
keys = jax.vmap(jax.random.key)(jax.numpy.arange(4))
together = train(n_seeds=2, **shared)
alone = [train(seed=seed, **shared) for seed in (0, 1)]
print(json.dumps({
    "devices": [len(spread_over_devices(keys[:n], n).sharding.device_set) for n in (2, 3, 4)],
    "state": sorted({len(leaf.sharding.device_set) for leaf in jax.tree.leaves(together.state)}),
    "together": together.accuracy.sort_values(["seed", "epoch"]).values.tolist(),
    "alone": [row for each in alone for row in each.accuracy.values.tolist()],
}))
"""


def test_seeds_on_two_devices_learn_as_on_one():
    flags = f"{os.environ.get('XLA_FLAGS', '')} --xla_force_host_platform_device_count=2"
    finished = subprocess.run(
        [sys.executable, "-c", TWO_DEVICES],
        env={**os.environ, "XLA_FLAGS": flags, "JAX_PLATFORMS": "cpu"},
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert finished.returncode == 0, finished.stderr[-3000:]
    record = json.loads(finished.stdout)
    assert record["devices"] == [2, 1, 2]
    assert len(record["together"]) == 4
    for ours, theirs in zip(record["together"], record["alone"], strict=True):
        assert ours[:3] == theirs[:3]
        assert ours[3:] == pytest.approx(theirs[3:], rel=1e-4)


def test_a_device_that_is_not_there_is_one_line(monkeypatch, capsys):
    def absent(*_, **__):
        raise AssertionError

    monkeypatch.setenv("JAX_PLATFORMS", "cuda")
    monkeypatch.setattr(jax, "devices", absent)
    expected = "JAX_PLATFORMS=cuda asks for a device that JAX does not find here"
    with pytest.raises(InputError, match=expected):
        environment.check_devices()
    monkeypatch.setattr(cli.command, "main", absent)
    with pytest.raises(SystemExit) as stopped:
        cli.main(["list", "rules"])
    assert stopped.value.code == 2 and capsys.readouterr().err.startswith(f"bioplausible: {expected}")
    monkeypatch.undo()
    monkeypatch.setenv("JAX_PLATFORMS", "cpu")
    monkeypatch.setattr(cli.command, "main", absent)
    with pytest.raises(AssertionError):  # a defect of ours is none of the device's
        cli.main(["list", "rules"])


@pytest.mark.parametrize(
    ("name", "value", "set_to"),
    [
        ("jax_disable_jit", True, "False"),
        ("jax_default_prng_impl", "rbg", "threefry2x32"),
        ("jax_numpy_rank_promotion", "raise", "allow"),
        ("jax_numpy_dtype_promotion", "strict", "standard"),
        ("jax_transfer_guard", "disallow", "allow"),
    ],
)
def test_settings_under_which_something_else_is_learned_are_refused(name, value, set_to):
    environment.check_settings()
    usual = jax.config.values[name]
    jax.config.update(name, value)
    try:
        with pytest.raises(InputError, match=f"{name.upper()}={value} is set, .*: unset it, or set {name.upper()}={set_to}"):
            environment.check_settings()
    finally:
        jax.config.update(name, usual)


@pytest.mark.parametrize(
    ("variables", "error", "expected"),
    [
        ({"JAX_DEBUG_NANS": "1"}, FloatingPointError("nan"), "a number is not finite, where JAX_DEBUG_NANS=1 stops: unset it"),
        (
            {"JAX_ENABLE_X64": "maybe"},
            ValueError("invalid truth value 'maybe' for environment 'JAX_ENABLE_X64'"),
            "JAX_ENABLE_X64=maybe is no value that JAX takes: correct or unset it",
        ),
        (
            {"JAX_DEFAULT_PRNG_IMPL": "foo"},
            ValueError('Invalid value "foo" for JAX flag jax_default_prng_impl'),
            "JAX_DEFAULT_PRNG_IMPL=foo is no value that JAX takes",
        ),
    ],
)
def test_what_the_environment_asks_of_jax_is_one_line(monkeypatch, capsys, variables, error, expected):
    def fails(*_, **__):
        raise error

    monkeypatch.setattr(cli.command, "main", fails)
    with pytest.raises(type(error)):  # a defect of ours, where nothing is asked
        cli.main(["list", "rules"])
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(SystemExit) as stopped:
        cli.main(["list", "rules"])
    assert stopped.value.code == 2 and capsys.readouterr().err.startswith(f"bioplausible: {expected}")


def test_terminals_that_hold_ascii_alone_show_what_they_can(monkeypatch):
    stream = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    monkeypatch.setattr(sys, "stdout", stream)
    monkeypatch.setattr(cli.command, "main", lambda **_: print("0.9 ± 0.1"))
    cli.main([])
    stream.flush()
    assert stream.buffer.getvalue().strip() == b"0.9 ? 0.1"


def test_a_result_says_where_it_comes_from(monkeypatch):
    monkeypatch.setattr("sys.argv", ["/somewhere/bin/bioplausible", "compare", "--rules", "a & b"])
    told = origin.describe_origin()
    assert told["command"] == "bioplausible compare --rules 'a & b'"
    written = datetime.datetime.strptime(told["date"], "%Y-%m-%d %H:%M UTC").replace(tzinfo=datetime.UTC)
    assert abs(datetime.datetime.now(datetime.UTC) - written) < datetime.timedelta(minutes=2)
    monkeypatch.setattr("sys.argv", ["notebook.py"])
    assert origin.describe_origin()["command"] == ""


def test_checksums_are_of_what_was_compared():
    recording = neurodata.load("simulated")
    of_all = origin.checksum_of_recording(recording)
    assert of_all == origin.checksum_of_recording(neurodata.load("simulated")) and len(of_all) == 64
    assert of_all != origin.checksum_of_recording(neurodata.select(recording, regions=[*recording.regions][:1]))
    images = datasets.load("digits")
    of_images = origin.checksum_of_images(images)
    labels = images.test.labels.copy()
    labels[-1] = (labels[-1] + 1) % 10
    changed = dataclasses.replace(images, test=images.test._replace(labels=labels))
    assert of_images == origin.checksum_of_images(datasets.load("digits")) != origin.checksum_of_images(changed)
