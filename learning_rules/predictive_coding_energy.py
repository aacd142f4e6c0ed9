r"""The energy of predictive coding, one value an example, as a function of where each hidden state lies.

What a state predicts, what it is predicted by and how the errors between them add up is here; how states go down is in
`predictive_coding`, whose docstring has the equations.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from architectures import INPUT, Crossing, Network, Params, Trace
from learning_rules.objectives import Batch, Objective
from learning_rules.signals import clamped, cut, recalled, relayed

__all__ = ["Energy", "Measured", "per_example", "precisions_of"]

# An error is the nudge over its precision at most, and its square must stay well above the least number of single precision.
_MAX_PRECISION = 1e9


def precisions_of(network: Network, ratio: float) -> tuple[float, ...]:
    """The precision of each hidden node's prediction, from how many edges the longest way from it to the readout has.

    Parameters
    ----------
    network
        The network.
    ratio
        By how much a node is more precise than the one above it.

    >>> import architectures
    >>> precisions_of(architectures.build("mlp", input_shape=(3,), n_classes=2, hidden=(8, 8, 8)), ratio=3.0)
    (9.0, 3.0, 1.0)
    """
    distance = dict.fromkeys(network.node_names, 0)
    for name, edges in reversed(list(zip(network.node_names, network.edges, strict=True))):
        for edge in edges:
            if edge.source != INPUT:
                distance[edge.source] = max(distance[edge.source], distance[name] + 1)
    return tuple(min(ratio ** max(distance[name] - 1, 0), _MAX_PRECISION) for name in network.node_names[:-1])


def per_example(value: Array, like: Array) -> Array:
    """One value an example, (n,), with as many axes as what it multiplies, (n, ...)."""
    return value.reshape(*value.shape, *(1,) * (like.ndim - value.ndim))


def _with_error(crossing: Crossing, error: Array) -> Crossing:
    """The state follows from the error."""
    return crossing._replace(output=lambda prediction: prediction + error)


def _after_its_step(kept: tuple[Array, ...], prediction: Array, arriving: Array) -> Array:
    """What a state's step adds to the error of its prediction: the rate times the energy's gradient at the state."""
    rate, precision, error = kept
    return per_example(rate, error) * (precision * error + arriving)


@jax.custom_vjp
def _moved(prediction: Array, by: Array) -> Array:
    """How far a prediction has moved: known to be so far, and with the prediction's derivative."""
    return by


_moved.defvjp(lambda prediction, by: (by, None), lambda _, error: (error, jnp.zeros_like(error)))


class Measured(NamedTuple):
    """What the energy tells on the way: z and outputs of each node, and errors of the hidden ones."""

    z: tuple[Any, ...]
    outputs: tuple[Array, ...]
    errors: tuple[Array, ...]


@dataclass(frozen=True)
class Energy:
    """The energy of one batch, as a function of states.

    A state is given by its offset from where it lies in the forward pass, and its prediction by how far it has moved from there:
    the error is the difference of these two, and not of two much larger numbers.

    Attributes
    ----------
    network, objective
        Of the rule.
    batch
        Targets. Examples that do not count settle like any other; the weights do not follow them.
    x
        Encoded inputs, (n, ...).
    rest
        The forward pass.
    precisions
        Of the hidden nodes, see `precisions_of`; the readout's is in the nudge.
    errors_settle
        Whether offsets are errors, and states follow from them.
    fixed_predictions
        Whether predictions and derivatives stay at the forward pass.
    top_down
        Whether an error passes a node when the node's state has taken its step, or all at once from where the states are.
    feedback
        What errors go back through, one tree per node and None for one that hears no other; None for the weights themselves. What
        states then follow is no gradient of the energy.
    """

    network: Network
    objective: Objective
    batch: Batch
    x: Array
    rest: Trace
    precisions: tuple[float, ...]
    errors_settle: bool = False
    fixed_predictions: bool = False
    top_down: bool = True
    feedback: tuple[Params | None, ...] | None = None

    def __call__(
        self,
        params: Any,
        offsets: tuple[Array, ...],
        z: Any,
        moved: tuple[Array, ...],
        nudge: Array,
        rate: Array | None = None,
        held: bool = False,
    ) -> tuple[Array, Measured]:
        """The energy of each example, (n,).

        Parameters
        ----------
        params
            One tree per node.
        offsets
            How far the state of each hidden node is from the forward pass; where errors settle, from its prediction.
        z
            Pre-activations where they are known, else None.
        moved
            How far the prediction of each hidden node is from the forward pass; not asked where errors settle.
        nudge
            The loss's weight.
        rate
            Of each example, where each state is to take its step, within a backward pass, before an error goes on down from it.
        held
            Whether states are held, so that no error leaves a node.
        """
        crossings = recalled(self.network, params, z, self.feedback)
        crossings = cut(self.network, crossings) if held else crossings
        crossings = self._with_states(crossings, offsets, moved, None if held else rate)
        trace = self.network.trace(params, self.x, crossings, encoded=True)
        total = nudge * self.objective.per_example(trace.outputs[-1], self.batch._replace(mask=None))
        predictions = trace.outputs[:-1]
        if self.errors_settle and not held:
            errors = offsets  # whatever is predicted
        else:
            each = zip(offsets, moved, predictions, strict=True)
            errors = tuple(offset - _moved(prediction, by) for offset, by, prediction in each)
        for precision, error in zip(self.precisions, errors, strict=True):
            total = total + 0.5 * precision * jnp.sum(jnp.square(error), axis=tuple(range(1, error.ndim)))
        return total, Measured(trace.z, trace.outputs, errors)

    def _with_states(
        self, crossings: tuple[Crossing, ...], offsets: tuple[Array, ...], moved: tuple[Array, ...], rate: Array | None
    ) -> tuple[Crossing, ...]:
        """States in the place of what hidden units do."""
        # A state that moves no prediction still has a gradient.
        shown = [offset - jax.lax.stop_gradient(offset) for offset in offsets] if self.fixed_predictions else offsets
        if self.errors_settle:
            return (*(_with_error(*each) for each in zip(crossings, shown, strict=False)), crossings[-1])
        states = (*(h + offset for h, offset in zip(self.rest.outputs, shown, strict=False)), None)
        if rate is None or not self.top_down:
            return clamped(crossings, states)
        each = zip(self.precisions, offsets, moved, strict=True)
        kept = [(rate, jnp.asarray(precision, offset.dtype), offset - by) for precision, offset, by in each]
        return relayed(crossings, states, (*kept, ()), _after_its_step)
