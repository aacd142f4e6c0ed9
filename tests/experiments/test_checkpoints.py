import errno
import os

import jax
import jax.numpy as jnp
import numpy as np
import orbax.checkpoint as ocp
import pytest

import architectures
import learning_rules
from bioplausible.foundation.errors import InputError
from experiments import checkpoints


def state_of(rule="feedback_alignment/kolen_pollack", hidden=(6,), seed=0):
    network = architectures.build("mlp", input_shape=(4, 4, 1), n_classes=3, hidden=hidden)
    return jax.vmap(learning_rules.build(rule, network).init)(jnp.stack([jax.random.key(seed), jax.random.key(seed + 1)]))


@pytest.mark.parametrize("rule", ["untrained", "feedback_alignment/random", "feedback_alignment/kolen_pollack"])
def test_a_state_comes_back_to_the_bit(rule, tmp_path):
    state = state_of(rule)
    checkpoints.save(tmp_path / "deep" / "last", state)
    restored = checkpoints.restore(tmp_path / "deep" / "last", state_of(rule, seed=7))
    assert jax.tree.structure(restored) == jax.tree.structure(state)
    for ours, theirs in zip(jax.tree.leaves(restored), jax.tree.leaves(state), strict=True):
        assert ours.dtype == theirs.dtype
        np.testing.assert_array_equal(np.asarray(ours), np.asarray(theirs))


def test_saving_again_replaces_and_leaves_nothing_beside_it(tmp_path):
    checkpoints.save(tmp_path / "last", state_of(seed=0))
    checkpoints.save(tmp_path / "last", state_of(seed=5))
    restored = checkpoints.restore(tmp_path / "last", state_of())
    np.testing.assert_array_equal(jax.tree.leaves(restored)[0], jax.tree.leaves(state_of(seed=5))[0])
    assert os.listdir(tmp_path) == ["last"]


def test_a_relative_folder_is_taken_from_the_working_directory(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    checkpoints.save(checkpoints.Path("here"), state_of())
    assert (tmp_path / "here").is_dir()


def test_a_checkpoint_that_is_missing_or_does_not_fit_is_said(tmp_path):
    with pytest.raises(InputError, match="there is no checkpoint in"):
        checkpoints.restore(tmp_path / "nowhere", state_of())
    checkpoints.save(tmp_path / "last", state_of())
    for other in (state_of(hidden=(7,)), state_of(hidden=(6, 6)), state_of("untrained")):
        with pytest.raises(InputError) as caught:
            checkpoints.restore(tmp_path / "last", other)
        assert str(tmp_path / "last") in str(caught.value) and "config.yaml" in str(caught.value)
        assert "\n" not in str(caught.value)
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="does not fit"):
        checkpoints.restore(tmp_path / "empty", state_of())


def test_a_full_disk_is_said(tmp_path, monkeypatch):
    def full(*arguments, **keywords):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(ocp.StandardCheckpointer, "save", full)
    with pytest.raises(InputError, match="No space left on device"):
        checkpoints.save(tmp_path / "last", state_of())
