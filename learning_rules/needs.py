"""What a rule needs of a network and of an objective, and the sentence that says what is missing."""

from __future__ import annotations

import math
from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np

from architectures import Network, Node
from architectures.node import is_shape
from learning_rules.objectives import CLASSES, DISTRIBUTION, VALUES, Objective
from learning_rules.synapse_traces import shares_weights

__all__ = ["Needs", "bends", "gives_probabilities", "missing"]


@dataclass(frozen=True)
class Needs:
    """What a rule needs.

    Attributes
    ----------
    static
        A network that is run once: no delayed edge, and no node that remembers.
    temporal
        A network that runs in time.
    leaky_rates
        Hidden units each of which remembers the rate that it passes on, and nothing else.
    chain
        Each node hears the one before, and nothing else.
    no_skips
        No edge without weights.
    affine
        Synapses that are linear in their parameters and affine in each input.
    one_z
        Pre-activations of hidden nodes that are one array, and no tree of several.
    unitwise
        Hidden units each of which goes by its own pre-activation alone: no pooling, normalisation, gates or attention.
    weighted
        Hidden nodes that all have weights.
    hidden
        At least one hidden node.
    one_layer
        One hidden node, each of whose units has weights of its own.
    targets
        Kinds of targets that it learns from.
    per_step
        Whether it can learn from a target at every step.
    """

    static: bool = False
    temporal: bool = False
    leaky_rates: bool = False
    chain: bool = False
    no_skips: bool = False
    affine: bool = True
    one_z: bool = False
    unitwise: bool = False
    weighted: bool = False
    hidden: bool = False
    one_layer: bool = False
    targets: tuple[str, ...] = (CLASSES, VALUES, DISTRIBUTION)
    per_step: bool = True


def bends(readout: Node) -> bool:
    """Whether what a readout passes on is not just what it sums.

    Parameters
    ----------
    readout
        The last node of a network.
    """
    if not readout.one_z or readout.z_shape != readout.output_shape:
        return True
    z = jnp.linspace(-3.0, 3.0, math.prod(readout.z_shape)).reshape(1, *readout.z_shape)
    return not bool(jnp.allclose(readout.activate(readout.init_state(1), z, ())[1], z, atol=1e-6))


def gives_probabilities(readout: Node) -> bool:
    """Whether a readout without memory passes on numbers that are positive and add up to one: a softmax's.

    Parameters
    ----------
    readout
        The last node of a network.
    """
    if readout.has_state or readout.n_needed_skips or len(readout.output_shape) != 1:
        return False
    with jax.ensure_compile_time_eval():
        rng = np.random.default_rng(0)
        z = jax.tree.map(lambda shape: jnp.asarray(rng.normal(size=(4, *shape)), jnp.float32), readout.z_shape, is_leaf=is_shape)
        h = np.asarray(readout.activate(readout.init_state(4), z, ())[1])
    return bool(np.all(h >= 0) and np.allclose(h.sum(-1), 1, atol=1e-4))


def _is_its_state(node: Node) -> bool:
    """Whether what each unit passes on is all that it remembers."""
    if not (node.unitwise and node.one_z and node.has_state):
        return False
    with jax.ensure_compile_time_eval():
        z = jnp.asarray(np.random.default_rng(0).normal(size=(1, *node.z_shape)), jnp.float32)
        after, h = node.activate(node.init_state(1), z, ())
    kept = jax.tree.leaves(after)
    return len(kept) == 1 and kept[0].shape == h.shape and bool(jnp.all(kept[0] == h))


def missing(needs: Needs, network: Network, objective: Objective | None = None) -> str:
    """Why a network or an objective is not what a rule needs, "" where it is.

    Parameters
    ----------
    needs
        Of the rule.
    network
        The network.
    objective
        What it is asked to do, None where that is not known yet.
    """
    hidden = network.nodes[:-1]
    if needs.static and network.temporal:
        return (
            "it runs in time, and the rule is one for networks that are run once for each image (where its own states settle or "
            "its own units spike, they do so within that run): use a static network such as 'mlp'"
        )
    if needs.temporal and not network.temporal:
        return (
            "it is run once for each image, and the rule is about what synapses remember from step to step: use a network in time "
            "such as 'recurrent' or 'spiking'"
        )
    if needs.chain and not network.is_chain:
        return "its nodes do not each hear the one before and nothing else, and the rule goes down a chain: leave out other edges"
    if needs.no_skips and network.has_skips:
        return "it has edges without weights, over which the rule has nothing to learn from: leave out skips"
    if needs.hidden and not hidden:
        return "it has no hidden node, and the readout alone is not what the rule trains: add a hidden layer"
    if needs.one_layer and len(hidden) != 1:
        return f"it has {len(hidden)} hidden nodes, and the rule was published for a single layer: give one, as hidden=[400] does"
    for node in network.nodes:
        if needs.affine and not node.affine:
            return (
                f"node '{node.name}' is not linear in its parameters and affine in its inputs, which the rule's products need: "
                "give each of its layers as a node of its own"
            )
    for node in hidden:
        if needs.weighted and not node.weighted:
            return f"node '{node.name}' has no weights, and the rule wants something of every hidden node: make it part of another"
        if needs.one_z and node.weighted and not node.one_z:
            return (
                f"the pre-activations of '{node.name}' are a tree of several arrays, and the rule takes units to have one each: "
                "use nodes without gates and attention"
            )
        if needs.one_layer and shares_weights(node):
            return f"units of '{node.name}' share weights over places, and the rule's units have their own: use a dense layer"
        if needs.unitwise and node.weighted and not node.unitwise:
            return (
                f"units of '{node.name}' do not go by their own pre-activations alone, which the rule takes them to do: use nodes "
                "without pooling, normalisation, gates and attention"
            )
        if needs.leaky_rates and not _is_its_state(node):
            return (
                f"units of '{node.name}' do not remember the rate that they pass on and nothing else, which the rule was published "
                "for: use the architecture 'recurrent' with units=leaky_activity"
            )
    if objective is not None:
        if objective.has_softmax and gives_probabilities(network.nodes[-1]):
            return (
                f"'{network.nodes[-1].name}' gives probabilities, and the loss '{objective.name}' has its own softmax: leave out "
                "the softmax after the last sum"
            )
        if objective.targets not in needs.targets:
            return (
                f"the objective '{objective.name}' has {objective.targets} for targets, and the rule learns from "
                f"{' or '.join(needs.targets)}"
            )
        if objective.per_step and not needs.per_step:
            return f"the objective '{objective.name}' has a target at every step, and the rule learns from one for each example"
    return ""
