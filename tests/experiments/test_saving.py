import dataclasses
import json

import jax
import numpy as np
import pytest
from filelock import FileLock

from bioplausible.foundation.errors import InputError
from experiments import saving
from experiments.config import TrainConfig, write_yaml
from experiments.preparing import prepare
from experiments.saving import load_trained, resume, save_trained, saved_in, train_in
from experiments.trained import Trained
from experiments.training import complete, fit, train

# It owns feedback weights beside the network's, and its optimiser has moments: all of it is needed to go on.
TINY = TrainConfig(
    rule="feedback_alignment/kolen_pollack",
    dataset="digits",
    epochs=4,
    batch_size=32,
    n_seeds=2,
    n_train=200,
    architecture_options={"hidden": (8,)},
)


@pytest.fixture(scope="module")
def setup():
    return prepare(TINY)


@pytest.fixture(scope="module")
def undisturbed(setup):
    return complete(setup)


class Killed(Exception):
    pass


def killed_after(epoch):
    def stop(setup, fitting):
        if fitting.epoch == epoch:
            raise Killed

    return stop


def assert_same(ours, theirs):
    """To the bit, but for what a clock says."""
    assert ours.accuracy.equals(theirs.accuracy) and ours.networks.equals(theirs.networks)
    np.testing.assert_array_equal(ours.best_epoch, theirs.best_epoch)
    assert ours.warnings == theirs.warnings
    for a, b in zip(*(jax.tree.leaves((t.start, t.state, t.best, t.angles, t.info)) for t in (ours, theirs)), strict=True):
        np.testing.assert_array_equal(np.asarray(a), np.asarray(b))


def test_an_interrupted_training_goes_on_after_its_last_epoch_and_ends_in_the_same_bits(setup, undisturbed, tmp_path):
    with pytest.raises(Killed):
        complete(setup, None, None, [saved_in(tmp_path, every=0.0), killed_after(2)])
    seen = []
    after = resume(tmp_path, prepare(TINY))
    assert after.epoch == 2
    assert_same(complete(setup, after, None, [lambda _, fitting: seen.append(fitting.epoch)]), undisturbed)
    assert seen == [3, 4]


def test_whatever_write_fails_what_was_saved_before_goes_on(setup, undisturbed, tmp_path, monkeypatch):
    writes = []

    def failing(name, at):
        real = getattr(saving if name == "write_text" else saving.checkpoints, name)

        def write(*arguments):
            writes.append(name)
            if len(writes) == at:
                raise Killed
            return real(*arguments)

        return write

    # Each epoch but the last is a checkpoint and its record.
    for at in range(1, 7):
        writes.clear()
        folder = tmp_path / str(at)
        with monkeypatch.context() as patched:
            patched.setattr(saving, "write_text", failing("write_text", at))
            patched.setattr(saving.checkpoints, "save", failing("save", at))
            with pytest.raises(Killed):
                complete(setup, None, None, [saved_in(folder, every=0.0)])
        after = resume(folder, setup)
        assert (0 if after is None else after.epoch) == (at - 1) // 2
        if at in (2, 5):
            assert_same(complete(setup, after), undisturbed)


def test_a_training_goes_on_where_nothing_can_be_saved(setup, undisturbed, tmp_path, monkeypatch):
    def full(*arguments):
        raise InputError("no disk space left")

    monkeypatch.setattr(saving.checkpoints, "save", full)
    with pytest.warns(UserWarning, match="goes on, and could not go on from here") as told:
        assert_same(complete(setup, None, None, [saved_in(tmp_path, every=0.0)]), undisturbed)
    assert len(told) == 1


def test_networks_of_another_day_are_told(tmp_path):
    own = tmp_path / "mine.py"
    text = "import learning_rules\n\n\ndef rule(network):\n    return learning_rules.build('backprop', network, learning_rate={})\n"
    own.write_text(text.format(0.001))
    mine = dataclasses.replace(TINY, rule=f"{own}:rule", epochs=1, n_seeds=1)
    trained = train_in(tmp_path / "out", mine)
    assert Trained.load(tmp_path / "out").warnings == trained.warnings
    own.write_text(text.format(0.5))
    *before, said = Trained.load(tmp_path / "out").warnings
    assert before == trained.warnings and "a file of your own" in said


def test_layers_keep_their_names(undisturbed, tmp_path):
    other = dataclasses.replace(undisturbed, networks=undisturbed.networks.assign(layer=["0", "NA"] * 2))
    save_trained(other, tmp_path)
    assert Trained.load(tmp_path).networks.equals(other.networks)


def test_trained_networks_come_back_as_they_were(undisturbed, tmp_path):
    save_trained(undisturbed, tmp_path)
    loaded = Trained.load(tmp_path)
    assert_same(loaded, undisturbed)
    assert loaded.to_json() == undisturbed.to_json()
    images = loaded.images.normalise(loaded.images.test.images[:20])
    for ours, theirs in zip(loaded.represent(images), undisturbed.represent(images), strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_what_cannot_go_on_says_why(setup, tmp_path):
    with pytest.raises(Killed):
        complete(setup, None, None, [saved_in(tmp_path, every=0.0), killed_after(1)])
    with pytest.raises(InputError, match="begun with another configuration"):
        resume(tmp_path, prepare(dataclasses.replace(TINY, seed=5)))
    with pytest.raises(InputError, match="not finished: go on with train --resume"):
        load_trained(tmp_path)
    (tmp_path / "unfinished" / "fitting.json").write_text("{")
    with pytest.raises(InputError, match="fitting.json is damaged"):
        resume(tmp_path, setup)
    assert resume(tmp_path / "elsewhere", setup) is None
    with pytest.raises(InputError, match="there is no folder"):
        load_trained(tmp_path / "elsewhere")
    (tmp_path / "training.json").write_text("[]")
    with pytest.raises(InputError, match="holds list, expected a mapping"):
        load_trained(tmp_path)


def test_the_command_goes_on_with_what_was_interrupted(run, tmp_path, monkeypatch):
    out = tmp_path / "run"
    short = ("--epochs", "2", "--batch-size", "32", "--set", "network.hidden=8")
    monkeypatch.setattr(saving, "_EVERY_SECONDS", 0.0)
    with monkeypatch.context() as patched:
        patched.setattr(saving, "saved_in", lambda folder: stopping(saved_in(folder, every=0.0)))
        status, _, err = run("train", "backprop", *short, "--out", out)
    assert status == 130 and err.endswith("goes on with --resume and the same --out alone\n")
    for wrong, told in (
        (("backprop", "--resume", "--out", out), "RULE was given with --resume"),
        (("--resume", "--out", out, "--epochs", "3"), "--epochs was given with --resume"),
        (("--resume",), "without --out"),
        (("--resume", "--out", tmp_path / "elsewhere"), "holds no training"),
    ):
        status, _, err = run("train", *wrong)
        assert status == 2 and told in err and err.count("\n") == 1
    assert run("train", "--resume", "--out", out)[0] == 0
    plain = train(load_trained(out).config)
    assert json.loads((out / "results.json").read_text())["test_accuracy_by_epoch"] == plain.to_json()["test_accuracy_by_epoch"]
    assert sorted(path.name for path in out.iterdir()) == ["checkpoints", "config.yaml", "results.json", "tables", "training.json"]
    status, found, err = run("train", "--resume", "--out", out, "--json")
    assert status == 0 and "is finished: nothing is left to do" in err
    assert json.loads(found)["test_accuracy_by_epoch"] == plain.to_json()["test_accuracy_by_epoch"]


def test_two_at_once_in_one_folder_are_refused(tmp_path, setup):
    """Whichever comes second is told so, and writes nothing."""
    (tmp_path / "config.yaml").write_text(write_yaml(TINY))
    with FileLock(tmp_path / "training.lock"):
        with pytest.raises(InputError, match="another process is training in"):
            train_in(tmp_path, TINY, go_on=True)
    assert {path.name for path in tmp_path.iterdir()} <= {"config.yaml", "training.lock"}
    with FileLock(tmp_path / "new.lock"):  # another's lock is another's file
        with pytest.raises(InputError, match="holds files already"):
            train_in(tmp_path, TINY)


def stopping(save):
    def then_stop(setup, fitting):
        save(setup, fitting)
        raise KeyboardInterrupt

    return then_stop


def test_an_epoch_at_a_time(setup):
    epochs = fit(setup)
    first = next(epochs)
    assert first.epoch == 1 and set(first.angles) == {"start", "tenth"} and len(first.accuracy) == 2
    assert next(epochs).epoch == 2
