r"""What a network is asked to do, as one object: its loss for each example, the error that follows from it, and what is told of it.

A rule never looks at labels itself: it takes the loss, the error at the readout, or the loss of each example from here, so that it
learns to classify, to answer at every step, to predict the next token, to regress or to imitate another network with the same code.

* cross-entropy: :math:`-\log \mathrm{softmax}(s)_y`, whose error is softmax minus target: a delta rule;
* smoothed cross-entropy: the same with a tenth of the label spread over all classes (Szegedy et al. 2016, arXiv 1512.00567);
* squared error: :math:`\tfrac12 \lVert s - t \rVert^2`, whose error is scores minus target;
* distillation: :math:`-\sum_c p_c \log \mathrm{softmax}(s)_c` for the probabilities :math:`p` of another network (Hinton, Vinyals
  and Dean 2015, arXiv 1503.02531).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax import Array
from jaxtyping import Float

from architectures import Network
from bioplausible.foundation.errors import InputError, unknown_name

__all__ = ["CLASSES", "DISTRIBUTION", "OBJECTIVES", "VALUES", "Batch", "Objective", "as_batch", "make_objective", "mean_over"]

CLASSES, VALUES, DISTRIBUTION = "classes", "values", "a distribution"


class Batch(NamedTuple):
    """What one step learns from.

    Attributes
    ----------
    inputs
        (n, *input_shape); sequences are (time, n, *input_shape).
    targets
        (n,) classes, (n, d) values or (n, n_classes) probabilities; where every step has one, with time as the leading axis.
    mask
        1 for what counts and 0 for what does not, (n,), or (time, n) where every step has a target; None where all counts. It is
        about targets: what learns without any (Hebbian plasticity, spike timing, inverses) learns from every input that is shown.
    """

    inputs: Array
    targets: Array
    mask: Array | None = None


def as_batch(batch: Any) -> Batch:
    """A batch, from itself or from a pair (inputs, targets), with a target of nought wherever the mask says that none counts.

    What stands there may be no number, or none that a class has (-100, say): times a mask of nought it would still be NaN.

    >>> as_batch(Batch(jnp.ones((2, 3)), jnp.array([1, -100]), jnp.array([1.0, 0.0]))).targets.tolist()
    [1, 0]
    """
    if not isinstance(batch, Batch):
        if not isinstance(batch, tuple | list) or not 2 <= len(batch) <= len(Batch._fields):
            raise InputError(f"a batch of {type(batch).__name__} was given, expected (inputs, targets) or learning_rules.Batch")
        batch = Batch(*batch)
    if any(isinstance(each, list) for each in batch):
        given: list[Any] = [np.asarray(each) if isinstance(each, list) else each for each in batch]
        batch = Batch(*given)
    mask, targets = batch.mask, batch.targets
    if mask is None or targets.shape[: mask.ndim] != mask.shape:  # the second is refused by `Objective.check`
        return batch
    counts = (mask > 0).reshape(*mask.shape, *[1] * (targets.ndim - mask.ndim))
    return batch._replace(targets=jnp.where(counts, targets, jnp.zeros_like(targets)))


def mean_over(values: Array, mask: Array | None) -> Float[Array, ""]:
    """Mean of values over all that counts.

    Parameters
    ----------
    values
        Any shape.
    mask
        1 for what counts and 0 for what does not, of the same shape; None where all counts.

    >>> mean_over(jnp.array([1.0, 2.0, 6.0]), jnp.array([1, 1, 0])).item()
    1.5
    """
    return jnp.mean(values) if mask is None else jnp.sum(values * mask) / jnp.maximum(jnp.sum(mask), 1)


_SMOOTHED = 0.1


def _smoothed_cross_entropy(scores: Array, labels: Array) -> Array:
    n_classes = scores.shape[-1]
    targets = (1 - _SMOOTHED) * jax.nn.one_hot(labels, n_classes, dtype=scores.dtype) + _SMOOTHED / n_classes
    return optax.softmax_cross_entropy(scores, targets)


def _squared_error(scores: Array, labels: Array) -> Array:
    targets = jax.nn.one_hot(labels, scores.shape[-1], dtype=scores.dtype)
    return 0.5 * jnp.sum(jnp.square(scores - targets), axis=-1)


def _squared_distance(scores: Array, values: Array) -> Array:
    return 0.5 * jnp.sum(jnp.square(scores - values), axis=-1)


def _is_right(scores: Array, labels: Array) -> Array:
    return (jnp.argmax(scores, axis=-1) == labels).astype(scores.dtype)


def _agrees(scores: Array, distribution: Array) -> Array:
    return (jnp.argmax(scores, axis=-1) == jnp.argmax(distribution, axis=-1)).astype(scores.dtype)


class _Kind(NamedTuple):
    each: Callable[[Array, Array], Array]
    targets: str
    right: Callable[[Array, Array], Array] | None
    per_step: bool = False
    has_softmax: bool = True


_cross_entropy = optax.softmax_cross_entropy_with_integer_labels

OBJECTIVES: dict[str, _Kind] = {
    "cross_entropy": _Kind(_cross_entropy, CLASSES, _is_right),
    "smoothed_cross_entropy": _Kind(_smoothed_cross_entropy, CLASSES, _is_right),
    "squared_error": _Kind(_squared_error, CLASSES, _is_right, has_softmax=False),
    "cross_entropy_per_step": _Kind(_cross_entropy, CLASSES, _is_right, per_step=True),
    "squared_error_per_step": _Kind(_squared_error, CLASSES, _is_right, per_step=True, has_softmax=False),
    # The targets are the tokens one step later: what is predicted at a step is what comes next.
    "next_token": _Kind(_cross_entropy, CLASSES, _is_right, per_step=True),
    "regression": _Kind(_squared_distance, VALUES, None, has_softmax=False),
    "regression_per_step": _Kind(_squared_distance, VALUES, None, per_step=True, has_softmax=False),
    "distillation": _Kind(optax.softmax_cross_entropy, DISTRIBUTION, _agrees),
}
"""What a network can be asked to do, by the name that `make_objective` and the option `loss` take."""


@dataclass(frozen=True)
class Objective:
    """What a network is asked to do.

    Attributes
    ----------
    name
        One of `OBJECTIVES`.
    network
        Whose readout it judges.
    each
        (scores (..., n_classes), targets (...)) -> losses (...).
    targets
        Kind of targets: "classes", "values" or "a distribution".
    per_step
        Whether every step has a target.
    right
        (scores, targets) -> 1 where an answer is right, else 0; None where there is no such thing.
    has_softmax
        Whether the loss turns scores into probabilities itself.
    """

    name: str
    network: Network
    each: Callable[[Array, Array], Array]
    targets: str
    per_step: bool = False
    right: Callable[[Array, Array], Array] | None = None
    has_softmax: bool = False

    def scores(self, readout: Array) -> Array:
        """Scores from the readout's outputs: of each example (n, n_classes), or of each step (time, n, n_classes)."""
        return readout if self.per_step else self.network.scores(readout)

    def check(self, readout: Array, batch: Batch) -> None:
        """Check that there is a target for each score, and for classes that it is one.

        Raises
        ------
        InputError
            If targets or mask have another shape than they need, or a target is no class. Numbers are looked at where there are
            any: not while a program is traced.
        """
        answers = self.scores(readout).shape
        expected = answers[:-1] if self.targets == CLASSES else answers
        if batch.targets.shape != expected:
            what, hint = "one for each example", "give as many as there are inputs"
            if self.per_step:
                what, hint = "one for each step and example", "give time as the leading axis, and as many steps as the inputs have"
            if self.targets == CLASSES and batch.targets.shape == answers:
                hint = "give the classes' numbers, as argmax gives of one-hot targets"
            raise InputError(
                f"targets of shape {batch.targets.shape} were given to the objective '{self.name}', expected {expected}, {what}: "
                f"{hint}"
            )
        if batch.mask is not None and batch.mask.shape != answers[:-1]:
            raise InputError(f"a mask of shape {batch.mask.shape} was given for targets of {expected}: expected {answers[:-1]}")
        if self.targets == CLASSES:
            self._check_classes(answers[-1], batch)

    def _check_classes(self, n_classes: int, batch: Batch) -> None:
        if not jnp.issubdtype(batch.targets.dtype, jnp.integer):
            raise InputError(
                f"targets of {batch.targets.dtype} were given to the objective '{self.name}', expected whole numbers, one a class: "
                "give labels.astype(int), or an objective of values (regression)"
            )
        if isinstance(batch.targets, jax.core.Tracer) or isinstance(batch.mask, jax.core.Tracer):
            return
        counted = np.asarray(batch.targets)[... if batch.mask is None else np.asarray(batch.mask) > 0]
        wrong = counted[(counted < 0) | (counted >= n_classes)]
        if wrong.size:
            raise InputError(
                f"the target {wrong.flat[0]} was given where there are {n_classes} classes, expected 0 to {n_classes - 1}: number "
                "classes from 0, and mask examples that have none"
            )

    def per_example(self, readout: Array, batch: Batch) -> Float[Array, " n"]:
        """Loss of each example; where every step has a target, the mean over the example's steps.

        Parameters
        ----------
        readout
            The readout's outputs, (n, n_classes) or (time, n, n_classes).
        batch
            Targets and mask.
        """
        self.check(readout, batch)
        batch = as_batch(batch)
        losses = self.each(self.scores(readout), batch.targets)
        if self.per_step:
            return jnp.mean(losses, axis=0) if batch.mask is None else self._over_steps(losses, batch.mask)
        return losses if batch.mask is None else losses * batch.mask

    @staticmethod
    def _over_steps(losses: Array, mask: Array) -> Array:
        return jnp.sum(losses * mask, axis=0) / jnp.maximum(jnp.sum(mask, axis=0), 1)

    def at_every_step(self, batch: Batch, n_steps: int) -> tuple[Objective, Batch]:
        """The same for something that answers at every step of a temporal network, a hidden node's own head say.

        Parameters
        ----------
        batch
            Of the network; an example's target is every step's where steps have none of their own.
        n_steps
            Number of steps.

        Returns
        -------
        objective, batch
            Both as they are where every step has a target already, or the network is static.
        """
        if self.per_step or not self.network.temporal:
            return self, batch

        def at_each(signal: Array) -> Array:
            return jnp.broadcast_to(signal, (n_steps, *signal.shape))

        mask = None if batch.mask is None else at_each(batch.mask)
        return replace(self, per_step=True), Batch(batch.inputs, at_each(batch.targets), mask)

    def n_counted(self, readout: Array, batch: Batch) -> Array | int:
        """Number of answers that count: of examples, or of steps of examples where every step has a target."""
        return math.prod(self.scores(readout).shape[:-1]) if batch.mask is None else jnp.maximum(jnp.sum(batch.mask), 1)

    def loss(self, readout: Array, batch: Batch) -> Float[Array, ""]:
        """Mean loss over all that counts."""
        self.check(readout, batch)
        return mean_over(self.each(self.scores(readout), as_batch(batch).targets), batch.mask)

    def example_weights(self, batch: Batch) -> Float[Array, " n"]:
        """Part that each example has in the mean loss; they add up to one.

        Parameters
        ----------
        batch
            Targets and mask.
        """
        if batch.mask is None:
            n = batch.targets.shape[1 if self.per_step else 0]
            return jnp.full(n, 1 / n)
        counted = jnp.sum(batch.mask, axis=0) if self.per_step else batch.mask
        return counted / jnp.maximum(jnp.sum(counted), 1)

    def loss_and_error(self, readout: Array, batch: Batch) -> tuple[Float[Array, ""], Array]:
        """Mean loss, and its derivative with respect to the readout's outputs (already divided by what counts)."""
        return jax.value_and_grad(self.loss)(readout, batch)

    def metrics(self, readout: Array, batch: Batch) -> dict[str, Array]:
        """`loss`, and `accuracy` where answers are right or wrong, else `rmse`."""
        told = {"loss": self.loss(readout, batch)}
        if self.right is not None:
            told["accuracy"] = mean_over(self.right(self.scores(readout), batch.targets), batch.mask)
        else:
            told["rmse"] = jnp.sqrt(2 * told["loss"] / readout.shape[-1])
        return told


def make_objective(objective: str | Objective, network: Network) -> Objective:
    """The objective of that name for a network.

    Parameters
    ----------
    objective
        One of `OBJECTIVES`, or an objective itself.
    network
        Whose readout it judges.

    Raises
    ------
    InputError
        If there is none of that name, or a static network is asked for an answer at every step.
    """
    if isinstance(objective, Objective):
        return objective
    if objective not in OBJECTIVES:
        raise unknown_name("loss", objective, OBJECTIVES)
    kind = OBJECTIVES[objective]
    if kind.per_step and not network.temporal:
        whole = objective.removesuffix("_per_step")
        raise InputError(
            f"the objective '{objective}' was given to '{network.name}', a static network without steps: use one in time"
            + (f", or '{whole}'" if whole in OBJECTIVES and whole != objective else "")
        )
    return Objective(objective, network, kind.each, kind.targets, kind.per_step, kind.right, kind.has_softmax)
