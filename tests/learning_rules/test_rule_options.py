"""Numbers that an option of a rule can not have are refused before anything is trained."""

import dataclasses

import pytest
from small_task import network_of

import learning_rules
from learning_rules import InputError

# What unrewarded spikes do may go either way.
EITHER_SIGN = {"unrewarded"}


def _numbers(name):
    options = learning_rules.options_of(name)
    values = {field.name: getattr(options, field.name) for field in dataclasses.fields(options)}
    return {each: value for each, value in values.items() if isinstance(value, int | float) and not isinstance(value, bool)}


@pytest.mark.parametrize("family", learning_rules.FAMILIES)
def test_no_number_that_makes_no_sense_is_taken(family):
    network = network_of("mlp")
    for variant in learning_rules.FAMILIES[family].variants.values():
        name = variant.spec.name
        if not learning_rules.support(name, network).supported:
            continue
        for option, default in _numbers(name).items():
            below = () if option in EITHER_SIGN else (type(default)(-5),)
            for value in (*below, float("nan")):
                with pytest.raises(InputError, match=option):
                    learning_rules.build(name, network, **{option: value}).optimizer(10)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -1.0])
def test_the_sentence_says_what_was_given_and_what_would_do(value):
    with pytest.raises(InputError, match=f"{value} was given|given {value}.*number|weight_decay={value}"):
        learning_rules.build("backprop", network_of("mlp"), weight_decay=value).optimizer(10)
