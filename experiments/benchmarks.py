"""How long a learning step of each rule takes beside backpropagation's: same network, same batch, same run.

Both programs scan a few steps and take turns, so that whatever else the machine does meets both alike; the figures are medians over
the turns. What a rule may cost is stated beside what it costs, and how many products it takes: time beyond them goes elsewhere.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from types import SimpleNamespace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd

import architectures
import learning_rules
from bioplausible.foundation.options import at_least
from bioplausible.foundation.progress import Progress
from experiments.config import REFERENCE
from learning_rules import Learner, make_step, start
from learning_rules.plausibility.dataflow import count_products

__all__ = ["BINDSNET_MILLISECONDS", "RATIO_LIMITS", "benchmark_rules", "benchmark_spikes", "check_sizes", "to_markdown"]

RATIO_LIMITS: dict[str, float] = {
    "backprop": 1.0,
    "feedback_alignment": 1.2,
    "feedback_alignment/kolen_pollack": 1.4,
    "local_losses": 1.4,
    "hebbian": 1.2,
    "latent_predictive": 3.5,
    "clapp": 4.0,
    "target_propagation": 2.4,
    "predictive_coding": 2.0,
    "forward_forward": 2.2,
    "perturbation/node": 1.7,
    "perturbation/weight": 3.0,
    "perturbation/forward_gradient_activities": 1.8,
    "energy_based": 3.0,
    "dendritic": 2.0,
}
"""What a step may cost in steps of backpropagation: of a variant where it stands, else of its family."""

BINDSNET_MILLISECONDS = 90.0
"""What a sample of 250 steps takes that library to learn with 100 neurons, as it publishes it."""

_IMAGE_SHAPE, _N_CLASSES = (28, 28, 1), 10
_STEPS_A_TURN = 5
_LARGEST = 1_000_000


def check_sizes(**sizes: int) -> None:
    """Check sizes of what is to be timed.

    Parameters
    ----------
    **sizes
        By name.

    Raises
    ------
    InputError
        One below 1, or more than anybody waits for.
    """
    at_least(SimpleNamespace(**sizes), 1, *sizes, at_most=_LARGEST)


def _limit(name: str) -> float:
    return RATIO_LIMITS.get(name, RATIO_LIMITS.get(learning_rules.spec(name).family, np.nan))


def _peak_megabytes(program: Any) -> float:
    """What the compiler says that a program needs: arguments, results and everything in between."""
    memory = program.memory_analysis()
    if memory is None:
        return float("nan")
    needed = memory.argument_size_in_bytes + memory.output_size_in_bytes + memory.temp_size_in_bytes - memory.alias_size_in_bytes
    return float(needed / 1e6)


class _Timed:
    """A compiled program of a few scanned steps, which goes on from where its last turn ended."""

    def __init__(self, name: str, architecture: str, batch_size: int, options: dict[str, Any] | None = None, **of_network: Any):
        network = architectures.build(architecture, input_shape=_IMAGE_SHAPE, n_classes=_N_CLASSES, **of_network)
        rule = learning_rules.build(name, network, **(options or {}))
        transform = rule.optimizer(1000)
        key_images, key_labels, key_steps, key_init = jax.random.split(jax.random.key(0), 4)
        self.images = jax.random.normal(key_images, (_STEPS_A_TURN, batch_size, *_IMAGE_SHAPE))
        self.labels = jax.random.randint(key_labels, (_STEPS_A_TURN, batch_size), 0, _N_CLASSES)

        learn = make_step(rule, transform)

        def step(learner: Learner, now: tuple[jax.Array, jax.Array, jax.Array]) -> tuple[Learner, Any]:
            key, images, labels = now
            learner, info = learn(learner, key, (images, labels))
            return learner, {"loss": info["loss"], "spikes": info.get("spikes", jnp.nan)}

        def run(learner: Learner, images: jax.Array, labels: jax.Array) -> tuple[Learner, Any]:
            return jax.lax.scan(step, learner, (jax.random.split(key_steps, _STEPS_A_TURN), images, labels))

        self.learner = jax.tree.map(jnp.copy, start(rule, transform, key_init))  # a program takes each number away once
        started = time.perf_counter()
        traced = jax.jit(run, donate_argnums=0).trace(self.learner, self.images, self.labels)
        self.program = traced.lower().compile()
        self.compile_seconds = time.perf_counter() - started
        self.peak_megabytes = _peak_megabytes(self.program)
        self.products = count_products(traced.jaxpr) / _STEPS_A_TURN
        self.milliseconds: list[float] = []
        self.spikes: list[float] = []

    def turn(self) -> None:
        """One call: its milliseconds a step, and spikes of a step."""
        started = time.perf_counter()
        self.learner, told = jax.block_until_ready(self.program(self.learner, self.images, self.labels))
        self.milliseconds.append((time.perf_counter() - started) / _STEPS_A_TURN * 1e3)
        self.spikes.append(float(np.mean(told["spikes"])))

    def typical(self, n_turns: int) -> tuple[float, float]:
        """Median milliseconds a step, and mean spikes of one, over the last turns."""
        return float(np.median(self.milliseconds[-n_turns:])), float(np.mean(self.spikes[-n_turns:]))


def _supported(architecture: str) -> list[str]:
    network = architectures.build(architecture, input_shape=_IMAGE_SHAPE, n_classes=_N_CLASSES)
    return [name for name in learning_rules.names(variants=True) if learning_rules.support(name, network).supported]


def _measure(name: str, architecture: str, batch_size: int, n_turns: int, reference: _Timed) -> dict[str, Any]:
    """One row; backpropagation takes its turns in between."""
    timed = _Timed(name, architecture, batch_size)
    for _ in range(n_turns + 1):  # the first one warms up
        reference.turn()
        timed.turn()
    (milliseconds, spikes), (of_backprop, _) = timed.typical(n_turns), reference.typical(n_turns)
    limit = _limit(name)
    return {
        "rule": name,
        "architecture": architecture,
        "batch_size": batch_size,
        "steps": n_turns * _STEPS_A_TURN,
        "milliseconds_per_step": milliseconds,
        "milliseconds_per_step_of_backprop": of_backprop,
        "ratio": milliseconds / of_backprop,
        "ratio_limit": limit,
        "within_limit": None if np.isnan(limit) else bool(name == REFERENCE or milliseconds / of_backprop <= limit),
        "milliseconds_per_sample": milliseconds / batch_size,
        "spikes_per_second": spikes / milliseconds * 1e3,
        "products": timed.products,
        "products_ratio": timed.products / reference.products,
        "peak_megabytes": timed.peak_megabytes,
        "compile_seconds": timed.compile_seconds,
    }


def to_markdown(table: pd.DataFrame, environment: Mapping[str, Any]) -> str:
    """The table for reading; every figure in it comes from the measurement."""
    lines = [
        "# What a learning step costs",
        "",
        "Milliseconds of a step, the optimiser's part included, and its ratio to backpropagation's in the same run: medians over",
        "scanned steps on 28 by 28 images, with default options. Products are the multiply-accumulates of a step's matrix products",
        "and convolutions, as a ratio to backpropagation's: time beyond them goes into work on single numbers, such as the",
        "optimiser's, and random draws. Memory is what the compiler says that the program needs.",
        "",
    ]
    for architecture, rows in table.groupby("architecture", sort=False):
        first = rows.iloc[0]
        lines += [
            f"## {architecture}, batch {first['batch_size']}, {first['steps']} steps",
            "",
            "| rule | ms | ratio | may be | within | products | peak MB | compiled in s | million spikes a second |",
            "|---|---|---|---|---|---|---|---|---|",
        ]
        for row in rows.to_dict("records"):
            limit = "" if np.isnan(row["ratio_limit"]) else f"{row['ratio_limit']:.1f}"
            within = {None: "", True: "yes", False: "**no**"}[row["within_limit"]]
            spikes = "" if np.isnan(row["spikes_per_second"]) else f"{row['spikes_per_second'] / 1e6:.2f}"
            lines.append(
                f"| {row['rule']} | {row['milliseconds_per_step']:.2f} | {row['ratio']:.2f} | {limit} | {within} "
                f"| {row['products_ratio']:.2f} | {row['peak_megabytes']:.0f} | {row['compile_seconds']:.1f} | {spikes} |"
            )
        lines.append("")
    told = ", ".join(f"{name} {environment[name]}" for name in ("jax", "device", "platform") if name in environment)
    return "\n".join([*lines, f"Measured with {told}.", ""])


def benchmark_rules(
    rules: Sequence[str] | None = None,
    architecture: str | Sequence[str] = ("mlp", "cnn"),
    batch_size: int = 128,
    n_turns: int = 21,
    progress: Progress | None = None,
) -> pd.DataFrame:
    """Time a learning step, the optimiser's part included, of rules with their default options on 28 by 28 images.

    Parameters
    ----------
    rules
        Names or `family/variant`; by default every variant that can train the network as it is.
    architecture
        One or several.
    batch_size
        Images a step.
    n_turns
        Calls of a program of five scanned steps; backpropagation's program takes as many turns in between.
    progress
        Called with measurements done, in all, and a line to show.

    Returns
    -------
    pandas.DataFrame
        One row a rule and architecture: `milliseconds_per_step` (median), `ratio` to backpropagation's, `ratio_limit`, `products`
        (multiply-accumulates of a step in matrix products and convolutions) and `products_ratio`, `peak_megabytes`,
        `compile_seconds`, and for rules that spike `spikes_per_second`, simulated in wall time.

    Raises
    ------
    InputError
        Unknown names, or fewer than one turn.
    """
    check_sizes(n_turns=n_turns, batch_size=batch_size)
    networks = [architecture] if isinstance(architecture, str) else list(architecture)
    named = {network: [learning_rules.spec(rule).name for rule in (rules or _supported(network))] for network in networks}
    n_rows = sum(map(len, named.values()))
    rows: list[dict[str, Any]] = []
    for network, names in named.items():
        reference = _Timed(REFERENCE, network, batch_size)
        for name in names:
            if progress is not None:
                progress(len(rows), n_rows, f"{name} on {network}")
            rows.append(_measure(name, network, batch_size, n_turns, reference))
    return pd.DataFrame(rows)


def benchmark_spikes(
    rule: str = "stdp", n_neurons: int = 100, n_steps: int = 250, batch_size: int = 128, n_turns: int = 3
) -> dict[str, Any]:
    """Time learning in one layer of spiking units, beside what a library made for spikes publishes of the same size.

    Parameters
    ----------
    rule
        A rule whose option `n_steps` is the length of a presentation.
    n_neurons
        Units of the one hidden layer.
    n_steps
        Length of a presentation.
    batch_size
        Images a step.
    n_turns
        Calls of a program of five scanned steps.

    Raises
    ------
    InputError
        A rule that does not spike, or sizes under one.
    """
    check_sizes(n_neurons=n_neurons, n_steps=n_steps, batch_size=batch_size, n_turns=n_turns)
    timed = _Timed(rule, "mlp", batch_size, {"n_steps": n_steps}, hidden=(n_neurons,))
    for _ in range(n_turns + 1):  # the first one warms up
        timed.turn()
    milliseconds, spikes = timed.typical(n_turns)
    a_sample = milliseconds / batch_size
    return {
        "rule": learning_rules.spec(rule).name,
        "neurons": n_neurons,
        "steps": n_steps,
        "batch_size": batch_size,
        "milliseconds_per_sample": a_sample,
        "spikes_per_second": spikes / milliseconds * 1e3,
        "bindsnet_milliseconds_per_sample": BINDSNET_MILLISECONDS,
        "times_as_fast": BINDSNET_MILLISECONDS / a_sample,
        "compile_seconds": timed.compile_seconds,
    }
