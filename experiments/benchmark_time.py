"""What a run in time costs, over the length of the sequence: an Elman layer's learning step, credited in three ways, and by hand.

By hand is plain `jax.grad` through a scan written for this one network. All take the same weights and sequences, in turns. Memory
is what the compiler says that the gradient of one batch needs beside what it is given: of credit through time it grows with the
steps, of traces that are carried forward it does not.
"""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pandas as pd

import architectures
import learning_rules
from experiments.benchmarks import check_sizes
from learning_rules.temporal_credit import TEMPORAL

__all__ = ["BY_HAND", "benchmark_time", "draw_time", "to_markdown"]

_N_FEATURES, _N_CLASSES = 28, 10
_STEPS_A_TURN = 5
BY_HAND = "by hand"


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
        first = tuple(each[0] for each in batches)
        alone = jax.jit(gradient).lower(params, *first).compile()
        self.megabytes = getattr(alone.memory_analysis(), "temp_size_in_bytes", math.nan) / 1e6
        self.gradient = alone(params, *first)

    def turn(self) -> None:
        started = time.perf_counter()
        jax.block_until_ready(self.program(self.params, self.batches))
        self.milliseconds.append((time.perf_counter() - started) / _STEPS_A_TURN * 1e3)

    def typical(self) -> float:
        # The first turn warms up.
        return float(np.median(self.milliseconds[1:]))


def benchmark_time(steps: Sequence[int] = (28, 280), n_units: int = 256, batch_size: int = 128, n_turns: int = 11) -> pd.DataFrame:
    """Time an Elman layer's learning step, credited through time, one step deep and by traces, and through time by hand.

    Parameters
    ----------
    steps
        Lengths of the sequences.
    n_units
        Units of the one hidden layer.
    batch_size
        Sequences a step.
    n_turns
        Calls of a program of five scanned steps, all programs in turns.

    Returns
    -------
    pandas.DataFrame
        One row a length and program: `milliseconds_per_step` (medians), its `ratio` to the program by hand, `compile_seconds`,
        `megabytes` beside what it is given, and `largest_difference` of its gradient from that by hand.

    Raises
    ------
    InputError
        Sizes under one.
    """
    check_sizes(n_units=n_units, batch_size=batch_size, n_turns=n_turns, **{f"steps[{i}]": n for i, n in enumerate(steps)})
    network = architectures.build(
        "recurrent", input_shape=(_N_FEATURES,), n_classes=_N_CLASSES, hidden=(n_units,), reading="sequence"
    )
    params = network.init(jax.random.key(0))

    def in_the_frame(temporal: str) -> Any:
        rule = learning_rules.build("backprop", network, temporal=temporal)

        def gradient(params: Any, inputs: jax.Array, labels: jax.Array) -> Any:
            state = learning_rules.RuleState({"network": params}, ())
            return rule.assign_credit(jax.random.key(0), state, (inputs, labels))[0]["network"]

        return gradient

    programs = {BY_HAND: jax.grad(_by_hand)} | {temporal: in_the_frame(temporal) for temporal in TEMPORAL}
    rows = []
    for length in steps:
        key_inputs, key_labels = jax.random.split(jax.random.key(length))
        inputs = jax.random.normal(key_inputs, (_STEPS_A_TURN, length, batch_size, _N_FEATURES))
        labels = jax.random.randint(key_labels, (_STEPS_A_TURN, batch_size), 0, _N_CLASSES)
        timed = {name: _Timed(gradient, params, (inputs, labels)) for name, gradient in programs.items()}
        for _ in range(n_turns + 1):
            for each in timed.values():
                each.turn()
        hand = timed[BY_HAND]
        for name, each in timed.items():
            pairs = zip(jax.tree.leaves(each.gradient), jax.tree.leaves(hand.gradient), strict=True)
            rows.append(
                {
                    "steps": length,
                    "program": name,
                    "units": n_units,
                    "batch_size": batch_size,
                    "milliseconds_per_step": each.typical(),
                    "ratio": each.typical() / hand.typical(),
                    "compile_seconds": each.compile_seconds,
                    "megabytes": each.megabytes,
                    "largest_difference": max(float(jnp.max(jnp.abs(a - b))) for a, b in pairs),
                }
            )
    return pd.DataFrame(rows)


def to_markdown(table: pd.DataFrame, environment: Mapping[str, Any]) -> str:
    """The table as a page.

    Parameters
    ----------
    table
        As `benchmark_time` gives it.
    environment
        As `describe_environment` gives it.
    """
    told = ", ".join(f"{name} {environment[name]}" for name in ("jax", "device", "platform") if name in environment)
    first = table.iloc[0]
    lines = [
        "# What credit in time costs",
        "",
        f"An Elman layer of {first['units']} units, batches of {first['batch_size']}; {told}. `bioplausible benchmark time`.",
        "Medians over turns that all programs take; memory is what the compiler says the gradient of a batch needs beside what it",
        "is given. One step deep is computed by running back as well, and so keeps every step; traces keep none.",
        "",
        "![Time and memory over the length of the sequence](time.svg)",
        "",
        "| steps | credit | ms a step | to that by hand | MB | compiled in s | apart from through time by |",
        "|---|---|---|---|---|---|---|",
    ]
    for _, row in table.iterrows():
        cells = [
            str(row["steps"]),
            str(row["program"]).replace("_", " "),
            f"{row['milliseconds_per_step']:.2f}",
            f"{row['ratio']:.2f}",
            f"{row['megabytes']:.1f}",
            f"{row['compile_seconds']:.2f}",
            f"{row['largest_difference']:.0e}",
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def draw_time(table: pd.DataFrame) -> str:
    """Draw milliseconds and memory against the length of the sequence, one line a program.

    Parameters
    ----------
    table
        As `benchmark_time` gives it.

    Returns
    -------
    str
        An SVG; the same table gives the same.
    """
    from experiments.report.style import MARKERS, RULE_COLOURS, empty_figure, figure_style, to_svg

    with figure_style():
        figure = empty_figure(8.4, 3.6)
        axes = figure.subplots(1, 2)
        for place, (program, own) in enumerate(table.groupby("program", sort=False)):
            look = {"color": RULE_COLOURS[place][0], "marker": MARKERS[place], "label": str(program).replace("_", " ")}
            for each, field in zip(axes, ("milliseconds_per_step", "megabytes"), strict=True):
                each.plot(own["steps"], own[field], **look)
        for each, label in zip(axes, ("ms a learning step", "MB beside what it is given"), strict=True):
            each.set_xscale("log")
            each.set_yscale("log")
            each.set_xticks(lengths := sorted(table["steps"].unique()), [str(length) for length in lengths])
            each.minorticks_off()
            each.set_xlabel("steps of the sequence")
            each.set_ylabel(label)
        axes[0].legend(fontsize=8)
        return to_svg(figure)
