"""What a user's rule must be is said in a sentence when it is built."""

import jax
import jax.numpy as jnp
import networks
import optax
import pytest

import learning_rules
from bioplausible.foundation.errors import InputError
from learning_rules.checking import check_contract
from learning_rules.contract import RuleState

MODULE = "test_checking_rules"


@pytest.fixture
def backprop():
    return learning_rules.build("backprop", networks.network_of("mlp"))


@pytest.mark.parametrize("name", networks.NETWORKS)
def test_a_rule_that_keeps_the_contract_passes_on_every_network(name):
    check_contract("mine", learning_rules.build("backprop", networks.network_of(name)))


@pytest.mark.parametrize("objective", ["cross_entropy_per_step", "regression", "distillation"])
def test_batches_are_as_the_objective_wants_them(objective):
    check_contract("mine", learning_rules.build("backprop", networks.network_of("elman"), objective=objective))


def with_credit(rule, change):
    """The rule with what assign_credit returns changed."""
    return rule._replace(assign_credit=lambda *given: change(*rule.assign_credit(*given)))


BROKEN = {
    "init raises": (lambda rule: rule._replace(init=lambda key: key.missing), ["failed in init", "AttributeError"]),
    "no RuleState": (lambda rule: rule._replace(init=lambda key: rule.init(key).params), ["dict", "RuleState(params, carry)"]),
    "no network": (
        lambda rule: rule._replace(init=lambda key: RuleState({"weights": jnp.zeros(3)}, ())),
        ["params['network']"],
    ),
    "raises": (lambda rule: rule._replace(assign_credit=lambda *given: jnp.ones(2) @ jnp.ones(3)), ["failed in assign_credit"]),
    "two things": (
        lambda rule: with_credit(rule, lambda updates, state, info: (updates, info)),
        ["tuple", "(updates, state, info)"],
    ),
    "other tree": (
        lambda rule: with_credit(rule, lambda updates, state, info: (updates["network"], state, info)),
        ["another tree than state.params"],
    ),
    "other shapes": (
        lambda rule: with_credit(rule, lambda updates, *others: (jax.tree.map(lambda leaf: leaf[None], updates), *others)),
        ["another tree than state.params"],
    ),
    "other state": (
        lambda rule: with_credit(rule, lambda updates, state, info: (updates, state._replace(carry=jnp.ones(2)), info)),
        ["state of other shapes"],
    ),
    "no loss": (lambda rule: with_credit(rule, lambda updates, state, info: (updates, state, {})), ["no 'loss'"]),
    "an optimizer, not what makes it": (lambda rule: rule._replace(optimizer=optax.sgd(0.1)), ["optimizer", "lambda n_steps=None"]),
    "an optimizer that hears no steps": (lambda rule: rule._replace(optimizer=lambda: optax.sgd(0.1)), ["optimizer", "TypeError"]),
    "no scores": (lambda rule: rule._replace(predict=lambda state, inputs: inputs), ["predict", "4 scores"]),
    "a layer too few": (
        lambda rule: rule._replace(represent=lambda *given: rule.represent(*given)[1:]),
        ["represent", "hidden_0, hidden_1, output"],
    ),
    "examples are not first": (
        lambda rule: rule._replace(represent=lambda *given: tuple(h.T for h in rule.represent(*given))),
        ["examples as its leading axis"],
    ),
}


@pytest.mark.parametrize("name", BROKEN)
def test_what_breaks_the_contract_is_named(name, backprop):
    broken, parts = BROKEN[name]
    with pytest.raises(InputError) as caught:
        check_contract("mine.py:rule", broken(backprop))
    message = str(caught.value)
    assert all(part in message for part in ["'mine.py:rule'", *parts]), message
    assert "\n" not in message


@pytest.fixture
def module(tmp_path, monkeypatch):
    """A user's module, with a family, a function and something else."""
    (tmp_path / f"{MODULE}.py").write_text(
        "import dataclasses\n"
        "import learning_rules\n"
        "from learning_rules.contract import Variant\n"
        "ours = learning_rules.FAMILIES['backprop']\n"
        "spec = dataclasses.replace(learning_rules.spec('backprop'), family='mine', variant='fast', front_end='zca')\n"
        "FAMILY = ours._replace(variants={'fast': Variant(spec, {'learning_rate': 0.5}), 'slow': Variant(spec)})\n"
        "def rule(network, learning_rate=0.1, objective='squared_error'):\n"
        "    return learning_rules.build('backprop', network, learning_rate=learning_rate, objective=objective)\n"
        "nothing = 3\n"
    )
    monkeypatch.chdir(tmp_path)
    return str(tmp_path / f"{MODULE}.py")


def test_a_family_of_ones_own_is_built_like_ours(module):
    name, network = f"{module}:FAMILY", networks.network_of("mlp")
    assert learning_rules.spec(name).name == name and learning_rules.spec(name).front_end == "zca"
    assert learning_rules.options_of(name).learning_rate == 0.5
    assert learning_rules.build(name, network).options.learning_rate == 0.5
    assert learning_rules.build(name, network, variant="slow").options.learning_rate < 0.5
    assert learning_rules.support(name, network).supported
    with pytest.raises(InputError, match="did you mean 'learning_rate'"):
        learning_rules.build(name, network, learning_rat=1.0)
    with pytest.raises(InputError, match="'fst'.*did you mean 'fast'"):
        learning_rules.build(name, network, variant="fst")


def test_a_function_of_ones_own_takes_its_options_and_the_objective(module):
    name, network = f"{module}:rule", networks.network_of("mlp")
    assert learning_rules.spec(name).name == name and learning_rules.spec(name).front_end == "none"
    built = learning_rules.build(name, network, learning_rate=0.3, objective="cross_entropy")
    assert built.options.learning_rate == 0.3 and built.objective.name == "cross_entropy"
    assert learning_rules.build(name, network).objective.name == "squared_error"
    assert learning_rules.support(name, network) == learning_rules.Support(True, "")
    with pytest.raises(InputError, match="'mlp', rate=3 and failed: TypeError"):
        learning_rules.build(name, network, rate=3)
    with pytest.raises(InputError, match="is a function, which declares nothing"):
        learning_rules.options_of(name)


def test_a_function_that_keeps_its_options_in_a_dataclass_takes_them_by_name(tmp_path):
    """As the notebook writes rules: `--set learning_rate=0.3` must reach them."""
    path = tmp_path / "kept.py"
    path.write_text(
        "import dataclasses\nimport learning_rules\n"
        "@dataclasses.dataclass(frozen=True)\nclass Options:\n    learning_rate: float = 0.1\n"
        "def rule(network, options=Options()):\n"
        "    return learning_rules.build('backprop', network, learning_rate=options.learning_rate)\n"
    )
    name, network = f"{path}:rule", networks.network_of("mlp")
    assert learning_rules.build(name, network).options.learning_rate == 0.1
    assert learning_rules.build(name, network, learning_rate=0.3).options.learning_rate == 0.3
    with pytest.raises(InputError, match="unknown option of '.*' 'learning_rat': did you mean 'learning_rate'"):
        learning_rules.build(name, network, learning_rat=0.3)


def test_what_is_no_rule_is_said(module):
    with pytest.raises(InputError, match="is int, expected a function from a network to a LearningRule, or a Family"):
        learning_rules.spec(f"{module}:nothing")
    with pytest.raises(InputError, match="returned int, expected a learning_rules.LearningRule"):
        learning_rules.build("builtins:id", networks.network_of("mlp"))
