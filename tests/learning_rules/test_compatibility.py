"""The table of rules and networks says what `build` does."""

import functools

import pytest

import architectures
import learning_rules
from learning_rules import InputError

networks_of_each_kind = functools.cache(learning_rules.typical_networks)


@functools.cache
def matrix():
    return learning_rules.support_matrix(networks_of_each_kind())


@pytest.mark.parametrize("name", learning_rules.names(variants=True))
def test_the_table_says_what_building_does(name):
    networks = networks_of_each_kind()
    row = matrix()[name]
    assert list(row) == list(networks)
    for kind, said in row.items():
        if said.supported:
            assert not said.reason
            rule = learning_rules.build(name, networks[kind])
            # Where states settle they are bounded, in a network of the same nodes; other rules take theirs as it is.
            assert rule.network.node_names == networks[kind].node_names
            assert rule.network is networks[kind] or rule.spec.family == "energy_based"
        else:
            # One sentence, which ends in what to try.
            assert "\n" not in said.reason and (": " in said.reason or ";" in said.reason)
            with pytest.raises(InputError) as caught:
                learning_rules.build(name, networks[kind])
            assert str(caught.value) == f"rule '{name}' cannot train this '{networks[kind].name}': {said.reason}"


def test_every_kind_of_network_that_the_architectures_make_is_a_column():
    networks = networks_of_each_kind()
    assert {network.name for network in networks.values()} == set(architectures.names())
    assert set(matrix()) == set(learning_rules.names(variants=True))


def test_backpropagation_trains_them_all_and_a_users_network_has_a_column_of_its_own():
    assert all(said.supported for said in matrix()["backprop"].values())
    mine = architectures.build("mlp", input_shape=(4,), n_classes=3, hidden=())
    assert learning_rules.support_matrix({"mine": mine})["backprop"] == {"mine": learning_rules.Support(True, "")}
