"""What a run in time costs: an Elman layer's learning step beside plain `jax.grad` through a scan written by hand.

Both take the same weights and sequences, in turns. Compile times for a short and a long sequence stand beside each other: a network
in time is one scan, whose program does not grow with the steps.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pandas as pd

import architectures
import learning_rules
from experiments.benchmarks import check_sizes

__all__ = ["benchmark_time"]

_N_FEATURES, _N_CLASSES = 28, 10
_STEPS_A_TURN = 5


def _by_hand(params: Any, inputs: jax.Array, labels: jax.Array) -> jax.Array:
    """The loss of an Elman network, as one would write it for this one network alone."""
    hidden, readout = params

    def step(h: jax.Array, x: jax.Array) -> tuple[jax.Array, None]:
        return jnp.tanh(x @ hidden["kernel"] + h @ hidden["kernel_1"] + hidden["bias"]), None

    last, _ = jax.lax.scan(step, jnp.zeros((inputs.shape[1], hidden["bias"].size)), inputs)
    scores = last @ readout["kernel"] + readout["bias"]
    return jnp.mean(optax.softmax_cross_entropy_with_integer_labels(scores, labels))


class _Timed:
    """A compiled program of a few scanned gradient steps."""

    def __init__(self, gradient: Any, params: Any, batches: Any):
        def step(params: Any, batch: Any) -> tuple[Any, None]:
            return jax.tree.map(lambda p, g: p - 1e-3 * g, params, gradient(params, *batch)), None

        def run(params: Any, batches: Any) -> Any:
            return jax.lax.scan(step, params, batches)[0]

        started = time.perf_counter()
        self.program = jax.jit(run).lower(params, batches).compile()
        self.compile_seconds = time.perf_counter() - started
        self.params, self.batches = params, batches
        self.milliseconds: list[float] = []

    def turn(self) -> None:
        started = time.perf_counter()
        jax.block_until_ready(self.program(self.params, self.batches))
        self.milliseconds.append((time.perf_counter() - started) / _STEPS_A_TURN * 1e3)

    def typical(self) -> float:
        # The first turn warms up.
        return float(np.median(self.milliseconds[1:]))


def benchmark_time(steps: Sequence[int] = (28, 280), n_units: int = 256, batch_size: int = 128, n_turns: int = 11) -> pd.DataFrame:
    """Time an Elman layer in the frame and by hand.

    Parameters
    ----------
    steps
        Lengths of the sequences.
    n_units
        Units of the one hidden layer.
    batch_size
        Sequences a step.
    n_turns
        Calls of a program of five scanned steps, the two programs in turns.

    Returns
    -------
    pandas.DataFrame
        One row a length: `milliseconds_per_step` in the frame and by hand (medians), their `ratio`, `compile_seconds` of both, and
        the largest difference between the two gradients.

    Raises
    ------
    InputError
        Sizes under one.
    """
    check_sizes(n_units=n_units, batch_size=batch_size, n_turns=n_turns, **{f"steps[{i}]": n for i, n in enumerate(steps)})
    network = architectures.build(
        "recurrent", input_shape=(_N_FEATURES,), n_classes=_N_CLASSES, hidden=(n_units,), reading="sequence"
    )
    rule = learning_rules.build("backprop", network)
    params = network.init(jax.random.key(0))

    def in_the_frame(params: Any, inputs: jax.Array, labels: jax.Array) -> Any:
        state = learning_rules.RuleState({"network": params}, ())
        return rule.assign_credit(jax.random.key(0), state, (inputs, labels))[0]["network"]

    by_hand = jax.grad(_by_hand)
    rows = []
    for length in steps:
        key_inputs, key_labels = jax.random.split(jax.random.key(length))
        inputs = jax.random.normal(key_inputs, (_STEPS_A_TURN, length, batch_size, _N_FEATURES))
        labels = jax.random.randint(key_labels, (_STEPS_A_TURN, batch_size), 0, _N_CLASSES)
        frame, hand = (_Timed(gradient, params, (inputs, labels)) for gradient in (in_the_frame, by_hand))
        for _ in range(n_turns + 1):
            hand.turn()
            frame.turn()
        pairs = zip(*(jax.tree.leaves(jax.jit(g)(params, inputs[0], labels[0])) for g in (in_the_frame, by_hand)), strict=True)
        rows.append(
            {
                "steps": length,
                "units": n_units,
                "batch_size": batch_size,
                "milliseconds_per_step": frame.typical(),
                "milliseconds_by_hand": hand.typical(),
                "ratio": frame.typical() / hand.typical(),
                "compile_seconds": frame.compile_seconds,
                "compile_seconds_by_hand": hand.compile_seconds,
                "largest_difference": max(float(jnp.max(jnp.abs(a - b))) for a, b in pairs),
            }
        )
    return pd.DataFrame(rows)
