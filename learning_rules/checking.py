"""Whether what a user's function made keeps the contract: said in a sentence when it is built, not in the midst of a training."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp

from bioplausible.foundation.errors import InputError
from learning_rules.contract import LearningRule, RuleState
from learning_rules.objectives import CLASSES, Batch, make_objective

__all__ = ["check_contract", "reason_of"]

_N_EXAMPLES, _N_STEPS = 4, 3


def reason_of(error: Exception) -> str:
    r"""What went wrong in a user's code, in one line.

    Parameters
    ----------
    error
        What it raised.

    >>> reason_of(ValueError("first\nsecond"))
    'ValueError: first'
    """
    text = str(error).strip()
    return f"{type(error).__name__}: {text.splitlines()[0]}" if text else type(error).__name__


def _example(rule: LearningRule) -> Batch:
    """Shapes of a small batch for the rule's network and objective."""
    network = rule.network
    objective = make_objective("cross_entropy", network) if rule.objective is None else rule.objective
    time = (_N_STEPS,) if network.temporal and network.reading is None else ()

    def batch() -> Batch:
        inputs = jnp.zeros((*time, _N_EXAMPLES, *network.input_shape))
        scores = objective.scores(network.forward(network.init(jax.random.key(0)), inputs)[-1])
        return Batch(inputs, jnp.zeros(scores.shape[:-1], jnp.int32) if objective.targets == CLASSES else scores)

    shapes: Batch = jax.eval_shape(batch)
    return shapes


def _tried(name: str, what: str, function: Callable[..., Any], *arguments: Any) -> Any:
    try:
        return jax.eval_shape(function, *arguments)
    except InputError:
        raise
    except Exception as error:  # noqa: BLE001 a user's rule may raise anything
        raise InputError(f"rule '{name}' failed in {what} of a batch of {_N_EXAMPLES}: {reason_of(error)}") from error


def _alike(tree: Any, other: Any) -> bool:
    """Whether two trees have the same structure, and arrays of the same shapes."""
    if jax.tree.structure(tree) != jax.tree.structure(other):  # type: ignore[operator]
        return False
    return all(a.shape == b.shape for a, b in zip(jax.tree.leaves(tree), jax.tree.leaves(other), strict=True))


def check_contract(name: str, rule: LearningRule) -> None:
    """Trace a rule's functions on the shapes of a small batch.

    Parameters
    ----------
    name
        What it is called in messages.
    rule
        What a user's function has made.

    Raises
    ------
    InputError
        If a function fails, or gives something else than `LearningRule` says.
    """
    key, batch = jax.random.key(0), _example(rule)
    state = _tried(name, "init", rule.init, key)
    if not isinstance(state, RuleState) or not isinstance(state.params, dict) or "network" not in state.params:
        raise InputError(
            f"rule '{name}' starts with {type(state).__name__}, expected RuleState(params, carry) with params['network']: give "
            'RuleState({"network": network.init(key)}, ()), say'
        )
    given = _tried(name, "assign_credit", rule.assign_credit, key, state, batch)
    if not isinstance(given, tuple) or len(given) != 3:
        raise InputError(f"assign_credit of rule '{name}' returned {type(given).__name__}, expected (updates, state, info)")
    updates, after, info = given
    if not _alike(updates, state.params):
        raise InputError(
            f"assign_credit of rule '{name}' returned updates of another tree than state.params: give one array of the same shape "
            "for each of its parameters, zeros for what does not learn"
        )
    if not _alike(after, state):
        raise InputError(f"assign_credit of rule '{name}' returned a state of other shapes than it was given: keep its tree")
    if not isinstance(info, Mapping) or "loss" not in info:
        raise InputError(f"info of rule '{name}' has no 'loss', which every training watches: give it, as objective.metrics does")
    scores = _tried(name, "predict", rule.predict, state, batch.inputs)
    if scores.shape[-1:] != (rule.network.n_classes,):
        raise InputError(f"predict of rule '{name}' gave {scores.shape}, expected {rule.network.n_classes} scores for each example")
    _tried(name, "constrain", rule.constrain, state.params)
    try:
        jax.eval_shape(lambda params: rule.optimizer(10).init(params), state.params)
    except Exception as error:  # noqa: BLE001 a user's function may raise anything
        raise InputError(
            f"optimizer of rule '{name}' failed ({reason_of(error)}): give a function of the number of steps, or None, that "
            "returns an optax transformation, such as lambda n_steps=None: optax.adam(1e-3)"
        ) from error
    layers = _tried(name, "represent", rule.represent, state, batch.inputs)
    if len(layers) != len(rule.network.nodes) or any(layer.shape[:1] != (_N_EXAMPLES,) for layer in layers):
        raise InputError(
            f"represent of rule '{name}' gave {[layer.shape for layer in layers]}, expected one array for each of "
            f"{', '.join(rule.network.node_names)}, with the {_N_EXAMPLES} examples as its leading axis"
        )
