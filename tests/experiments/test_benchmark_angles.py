"""Cosines with backpropagation are those of rules whose cosine is known."""

import jax.numpy as jnp
import numpy as np
import pytest

from bioplausible.foundation.errors import InputError
from experiments.benchmark_angles import _cosines, benchmark_angles, to_markdown

SMALL = {"depths": (2,), "width": 12, "dataset": "digits", "n_train": 256, "epochs": 1}


@pytest.fixture(scope="module")
def table():
    return benchmark_angles(["backprop", "feedback_alignment/random", "perturbation/node"], **SMALL)


def test_what_is_known_of_a_rule_stands_in_its_rows(table):
    assert len(table) == 3 * 2 * 2 and set(table["when"]) == {"start", "end"} and set(table["depth"]) == {2}
    rows = table.set_index(["rule", "layer"])
    exact = rows.loc["backprop"]
    np.testing.assert_allclose(exact[["single", "double", "single_with_double"]], 1, atol=1e-5)
    aligned = rows.loc["feedback_alignment/random"]
    np.testing.assert_allclose(aligned.loc["output", "double"], 1, atol=1e-5)  # the readout needs no feedback
    assert (aligned.loc["hidden_0", "double"] < 0.9).all() and (aligned["single_with_double"] > 0.999).all()
    # It draws noise, in either precision another: rounding cannot be told from the draw.
    assert rows.loc["perturbation/node", "single_with_double"].isna().all()


def test_cosines_are_those_of_vectors_of_any_length():
    one = ({"a": jnp.array([3.0, 0.0]), "b": jnp.array([4.0])}, {"a": jnp.array([1e-30])}, {"a": jnp.zeros(2)}, ())
    other = ({"a": jnp.array([0.0, 2.0]), "b": jnp.array([1.0])}, {"a": jnp.array([-1e-30])}, {"a": jnp.ones(2)}, ())
    np.testing.assert_allclose(_cosines(one, other), [4 / (5 * np.sqrt(5)), -1, np.nan, np.nan])


def test_the_table_for_reading_marks_what_single_precision_cannot_hold(table):
    low = table.assign(single_with_double=np.where(table["rule"] == "backprop", 0.42, table["single_with_double"]))
    text = to_markdown(low, {"jax": "1"})
    (line,) = (line for line in text.splitlines() if line.startswith("| backprop "))
    assert "**0.420**" in line and line.count("1.00 1.00") == 3
    assert "**" not in to_markdown(table, {"jax": "1"})


def test_mistakes_are_named():
    with pytest.raises(InputError, match="expected numbers of weight layers from 2"):
        benchmark_angles(["backprop"], depths=(1,))
    with pytest.raises(InputError, match="did you mean 'backprop'"):
        benchmark_angles(["backprp"])
