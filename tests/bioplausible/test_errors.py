import pytest

import architectures
import bioplausible
import learning_rules
import neurodata
import rsa
from bioplausible.foundation.errors import InputError, guesses, nearest, unknown_name


def test_all_packages_raise_one_class():
    assert {each.InputError for each in (bioplausible, architectures, learning_rules, neurodata, rsa)} == {InputError}
    assert issubclass(InputError, ValueError)


def test_an_unknown_name_is_answered_with_the_nearest_and_all_valid_ones():
    assert str(unknown_name("rule", "backprob", ["hebbian", "backprop"])) == (
        "unknown rule 'backprob': did you mean 'backprop'? Valid are: backprop, hebbian"
    )
    assert "did you mean" not in str(unknown_name("rule", "zzz", ["backprop"]))


def test_nothing_is_guessed_where_nothing_is_near():
    assert nearest("zzz", ["backprop"]) is None and nearest("x", []) is None
    assert guesses(["zzz", 5], ["name"]) == "'zzz', '5'; valid are name"


def test_an_error_is_raised_as_itself():
    with pytest.raises(InputError, match="unknown rule"):
        raise unknown_name("rule", "x", [])
