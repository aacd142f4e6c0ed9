"""What is told elsewhere is what the training's own table says, and nobody has to have the packages."""

import sys
import types

import pytest

from bioplausible.foundation.errors import InputError
from experiments.loggers import logging_to
from experiments.training import train

SMALL = {"rule": "backprop", "dataset": "digits", "n_train": 64, "batch_size": 32, "architecture_options": {"hidden": (3,)}}
NUMBERS = ("train_loss", "train_accuracy", "validation_accuracy", "test_accuracy")


class FakeTensorBoard(types.ModuleType):
    """In the place of tensorboardX."""

    def __init__(self):
        super().__init__("tensorboardX")
        self.told, self.closed = {}, []
        module = self

        class SummaryWriter:
            def __init__(self, folder):
                self.folder = folder

            def add_scalar(self, name, value, step):
                module.told[self.folder, name, step] = value

            def flush(self):
                pass

            def close(self):
                module.closed.append(self.folder)

        self.SummaryWriter = SummaryWriter


class FakeWandb(types.ModuleType):
    """In the place of wandb; its first `fails` calls of log fail."""

    def __init__(self, fails=0):
        super().__init__("wandb")
        self.begun, self.told, self.finished, self.fails = [], [], 0, fails

    def init(self, **given):
        self.begun.append(given)
        return self

    def log(self, numbers):
        if self.fails:
            self.fails -= 1
            raise ConnectionError("no network")
        self.told.append(numbers)

    def finish(self):
        self.finished += 1


def test_tensorboard_and_wandb_are_told_every_epoch_of_every_seed(monkeypatch):
    board, bias = FakeTensorBoard(), FakeWandb()
    monkeypatch.setitem(sys.modules, "tensorboardX", board)
    monkeypatch.setitem(sys.modules, "wandb", bias)
    with logging_to(["tensorboard:here/tb", "wandb:my project"]) as callbacks:
        trained = train(callbacks=callbacks, epochs=2, n_seeds=2, seed=5, **SMALL)
        assert not board.closed and not bias.finished
    assert sorted(board.closed) == ["here/tb/backprop_seed5", "here/tb/backprop_seed6"] and bias.finished == 1
    assert bias.begun[0]["project"] == "my project" and bias.begun[0]["config"]["n_train"] == 64
    for row in trained.accuracy.to_dict("records"):
        for name in NUMBERS:
            assert board.told[f"here/tb/backprop_seed{row['seed']}", name, row["epoch"]] == row[name]
            assert {"epoch": row["epoch"], f"seed_{row['seed']}/{name}": row[name]}.items() <= _of(bias.told, row).items()
    assert len(bias.told) == 4 and len(board.told) == 4 * (len(NUMBERS) + 1)


def _of(told, row):
    return next(each for each in told if each["epoch"] == row["epoch"] and f"seed_{row['seed']}/train_loss" in each)


def test_a_destination_that_fails_ends_no_training(monkeypatch):
    bias = FakeWandb(fails=1)
    monkeypatch.setitem(sys.modules, "wandb", bias)
    with logging_to(["wandb:p"]) as callbacks, pytest.warns(UserWarning, match="goes on without --log wandb:p, .* no network"):
        assert train(callbacks=callbacks, epochs=2, **SMALL).config.epochs == 2
    assert bias.told == [] and bias.finished == 1


@pytest.mark.parametrize(
    ("destination", "parts"),
    [
        ("tensorbord:x", ["'tensorbord'", "did you mean 'tensorboard'"]),
        ("wandb", ["names no place", "wandb:PROJECT"]),
        ("tensorboard: ", ["names no place", "tensorboard:DIR"]),
        ("wandb:p", ["needs the package wandb", "pip install wandb"]),
        ("tensorboard:d", ["needs the package tensorboardX"]),
    ],
)
def test_mistakes_are_said_before_anything_is_trained(destination, parts, monkeypatch):
    for name in ("wandb", "tensorboardX", "torch.utils.tensorboard"):
        monkeypatch.setitem(sys.modules, name, None)  # as if it were not installed
    with pytest.raises(InputError) as caught, logging_to([destination]):
        pass
    assert all(part in str(caught.value) for part in parts), caught.value


def test_the_command_logs_too(run, tmp_path, monkeypatch):
    board = FakeTensorBoard()
    monkeypatch.setitem(sys.modules, "tensorboardX", board)
    arguments = ("--epochs", "1", "--set", "network.hidden=3", "--log", "tensorboard:tb", "--out", tmp_path / "run")
    status, _, err = run("train", "backprop", *arguments)
    assert status == 0, err
    assert ("tb/backprop_seed0", "test_accuracy", 1) in board.told
