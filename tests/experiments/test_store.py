import dataclasses
import shutil
import threading

import numpy as np
import pandas as pd
import pytest
from test_saving import TINY, Killed, assert_same, killed_after

from bioplausible.foundation.errors import InputError
from experiments import store
from experiments.preparing import prepare
from experiments.saving import saved_in
from experiments.store import Store
from experiments.training import complete

ONE = dataclasses.replace(TINY, rule="backprop", n_seeds=1, epochs=2)


@pytest.fixture(scope="module")
def setup():
    return prepare(ONE)


@pytest.fixture(scope="module")
def kept(setup, tmp_path_factory):
    folder = tmp_path_factory.mktemp("store")
    return folder, Store(folder).fit(setup)[0]


@pytest.fixture
def filled(kept, tmp_path):
    shutil.copytree(kept[0], tmp_path / "store")
    return Store(tmp_path / "store")


def nobody_trains(*_):
    pytest.fail("it trained")


def test_what_is_there_is_not_trained_again(filled, kept, monkeypatch):
    monkeypatch.setattr(store, "complete", nobody_trains)
    found, was_there = filled.fit(prepare(ONE))
    assert was_there
    assert_same(found, kept[1])


@pytest.mark.parametrize(
    "other", [{"seed": 1}, {"epochs": 3}, {"rule_options": {"learning_rate": 0.01}}, {"n_train": 150}, {"rule": "untrained"}]
)
def test_whatever_decides_the_weights_asks_for_another_training(filled, other):
    assert filled.find(prepare(dataclasses.replace(ONE, **other))) is None


def test_what_is_said_and_what_follows_from_the_images_are_one_training(setup):
    said = prepare(dataclasses.replace(ONE, front_end="none", rule_options={"learning_rate": setup.rule.options.learning_rate}))
    assert said.config.rule_options != setup.config.rule_options and said.digest == setup.digest


RULE = """
import learning_rules
from {beside} import RATE


def rule(network, scale=1.0):
    return learning_rules.build("backprop", network, learning_rate=RATE * scale)
"""


@pytest.fixture
def mine(tmp_path, monkeypatch):
    """A rule of a user's own that takes a rate from a file beside it and shows none of its own options."""
    name = f"beside_{abs(hash(str(tmp_path)))}"
    (tmp_path / f"{name}.py").write_text("RATE = 0.01\n")
    (tmp_path / f"own_{name}.py").write_text(RULE.format(beside=name))
    monkeypatch.syspath_prepend(str(tmp_path))
    return tmp_path, name


@pytest.mark.parametrize("form", ["path", "module", "lender"])
def test_a_rule_of_the_users_own_is_known_by_its_options_and_by_all_text_that_it_uses(mine, form):
    folder, name = mine
    own = f"own_{name}:rule" if form == "module" else f"{folder / f'own_{name}.py'}:rule"
    config = dataclasses.replace(ONE, **({"optimizer_of": own} if form == "lender" else {"rule": own}))
    setup = prepare(config)
    assert prepare(config).digest == setup.digest
    if form != "lender":
        assert prepare(dataclasses.replace(config, rule_options={"scale": 2.0})).digest != setup.digest
    before = setup.digest
    (folder / f"{name}.py").write_text("RATE = 0.01  # changed\n")
    assert prepare(config).digest != before
    assert setup.digest == before  # what was prepared is what was prepared, whatever becomes of the file


def test_pixels_decide_and_no_paths(setup, tmp_path):
    images = setup.images
    splits = {"train": images.train, "test": images.test}
    arrays = {f"{x}_{name}": array for name, split in splits.items() for x, array in zip("xy", split, strict=True)}
    digests = []
    for name, change in (("one", 0), ("two", 0), ("three", 1)):
        np.savez(tmp_path / f"{name}.npz", **{**arrays, "x_train": arrays["x_train"] ^ np.uint8(change)})
        digests.append(prepare(dataclasses.replace(ONE, dataset=str(tmp_path / f"{name}.npz"), n_train=150)).digest)
    assert digests[0] == digests[1] != digests[2]


@pytest.mark.parametrize("name", ["training.json", "tables/accuracy.csv", "checkpoints/last"])
def test_what_is_damaged_or_gone_is_trained_again(filled, setup, kept, name):
    path = filled.place_of(setup) / name
    if path.is_dir():
        for each in path.rglob("d/*"):
            each.write_bytes(each.read_bytes()[:50])
    else:
        path.write_text("{")
    assert filled.find(setup) is None
    trained, was_there = filled.fit(setup)
    assert_same(trained, kept[1])
    assert not was_there and filled.find(setup) is not None
    assert path.with_name(path.name).exists() and list(filled.folder.glob("trainings/*.damaged-1"))  # nothing is deleted


def test_what_was_interrupted_goes_on(setup, kept, tmp_path, monkeypatch):
    fresh = Store(tmp_path)
    with pytest.raises(Killed):
        complete(setup, None, None, [saved_in(fresh.place_of(setup), every=0.0), killed_after(1)])
    seen = []
    assert_same(fresh.fit(setup, lambda done, *_: seen.append(done))[0], kept[1])
    assert seen == [2]


def test_who_comes_second_waits_and_trains_nothing(setup, kept, tmp_path, monkeypatch):
    trained, found = [], []
    real = complete

    def counted(*arguments):
        trained.append(1)
        return real(*arguments)

    monkeypatch.setattr(store, "complete", counted)
    threads = [threading.Thread(target=lambda: found.append(Store(tmp_path).fit(setup))) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(trained) == 1 and sorted(was_there for _, was_there in found) == [False, True]
    for each, _ in found:
        assert_same(each, kept[1])


def test_a_store_that_cannot_be_written_is_said(setup, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="the store .*file cannot be written"):
        Store(tmp_path / "file").fit(setup)


def test_tables_are_made_once_and_again_when_they_are_damaged_or_decided_otherwise(tmp_path):
    made = []

    def make():
        made.append(1)
        return pd.DataFrame({"seed": [0, 1], "reached": [0.1 + 0.2, np.nan], "read_from": ["h", None], "right": ["01", ""]})

    kept = Store(tmp_path)
    first = kept.table("readouts", ["abc", 10], make)
    pd.testing.assert_frame_equal(kept.table("readouts", ["abc", 10], make), first)
    assert len(made) == 1
    for other in (("readouts", ["abc", 20]), ("controls", ["abc", 10])):
        kept.table(*other, make)
    assert len(made) == 3
    for path in (tmp_path / "tables").iterdir():
        path.write_text("{")
    pd.testing.assert_frame_equal(kept.table("readouts", ["abc", 10], make), first)
    assert len(made) == 4
