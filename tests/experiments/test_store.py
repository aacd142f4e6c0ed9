import dataclasses
import shutil
import threading

import pytest
from test_saving import TINY, Killed, assert_same, killed_after

from bioplausible.foundation.errors import InputError
from experiments import store
from experiments.identity import digest_of
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
    return folder, Store(folder).fit(setup)


@pytest.fixture
def filled(kept, tmp_path):
    shutil.copytree(kept[0], tmp_path / "store")
    return Store(tmp_path / "store")


def nobody_trains(*_):
    pytest.fail("it trained")


def test_what_is_there_is_not_trained_again(filled, kept, monkeypatch):
    monkeypatch.setattr(store, "complete", nobody_trains)
    assert_same(filled.fit(prepare(ONE)), kept[1])


@pytest.mark.parametrize(
    "other", [{"seed": 1}, {"epochs": 3}, {"rule_options": {"learning_rate": 0.01}}, {"n_train": 150}, {"rule": "untrained"}]
)
def test_whatever_decides_the_weights_asks_for_another_training(filled, other):
    assert filled.find(prepare(dataclasses.replace(ONE, **other))) is None


def test_what_is_said_and_what_follows_from_the_images_are_one_training(setup):
    said = prepare(dataclasses.replace(ONE, front_end="none", rule_options={"learning_rate": setup.rule.options.learning_rate}))
    assert said.config.rule_options != setup.config.rule_options and digest_of(said) == digest_of(setup)


def test_a_rule_of_the_users_own_is_known_by_the_text_of_its_file(tmp_path):
    own = tmp_path / "mine.py"
    own.write_text("import learning_rules\n\n\ndef rule(network):\n    return learning_rules.build('backprop', network)\n")
    mine = dataclasses.replace(ONE, rule=f"{own}:rule")
    before = digest_of(prepare(mine))
    assert digest_of(prepare(mine)) == before
    own.write_text(own.read_text() + "\n# changed\n")
    assert digest_of(prepare(mine)) != before


@pytest.mark.parametrize("name", ["training.json", "tables/accuracy.csv", "checkpoints/last"])
def test_what_is_damaged_or_gone_is_trained_again(filled, setup, kept, name):
    path = filled.place_of(setup) / name
    shutil.rmtree(path) if path.is_dir() else path.write_text("{")
    assert_same(filled.fit(setup), kept[1])
    assert filled.find(setup) is not None


def test_what_was_interrupted_goes_on(setup, kept, tmp_path, monkeypatch):
    fresh = Store(tmp_path)
    with pytest.raises(Killed):
        complete(setup, None, None, [saved_in(fresh.place_of(setup), every=0.0), killed_after(1)])
    seen = []
    assert_same(fresh.fit(setup, lambda done, *_: seen.append(done)), kept[1])
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
    assert len(trained) == 1
    for each in found:
        assert_same(each, kept[1])


def test_a_store_that_cannot_be_written_is_said(setup, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="the store .*file cannot be written"):
        Store(tmp_path / "file").fit(setup)
