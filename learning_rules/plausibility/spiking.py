"""Are the signals between nodes binary events, while learning and at the test?

Every value that one node hears of another is looked at while the rule runs: events have two levels in every channel, one where
something happens and one where nothing does, or three where they have a sign. A little else may pass, such as the mean that a
feed-forward inhibition hears.

Pfeiffer and Pfeil 2018, doi:10.3389/fnins.2018.00774.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np

from learning_rules.plausibility.criterion import FAILS, MEETS, NOT_APPLICABLE, PARTLY, Criterion, Finding
from learning_rules.plausibility.neighbours import place_of
from learning_rules.plausibility.rule_under_test import RuleUnderTest
from learning_rules.plausibility.tagging import Wire, Wires, recorded

__all__ = ["CRITERION", "EVENTS", "fractions_of_events"]

_N_IMAGES = 64
EVENTS = 0.95
"""From this fraction on a wire carries events."""


def fractions_of_events(test: RuleUnderTest, learning: bool) -> dict[Wire, float]:
    """For each wire the fraction of values that are one of the levels of their channel.

    Parameters
    ----------
    test
        The rule under test.
    learning
        Whether to look while it learns, or while it represents.
    """
    found: dict[Wire, float] = test.once(f"events, {learning}", lambda of: _fractions(of, learning))
    return found


def _fractions(test: RuleUnderTest, learning: bool) -> dict[Wire, float]:
    wires = Wires()
    rule = test.make(recorded(test.network, wires))
    images = jnp.asarray(test.images.train[:_N_IMAGES])
    if learning:
        batch = images, test.targets(jnp.asarray(test.images.train_labels[:_N_IMAGES]))
        jax.block_until_ready(jax.jit(rule.assign_credit)(test.key(2), test.start, batch)[:2])
    else:
        jax.block_until_ready(jax.jit(rule.represent)(test.start, images))
    jax.effects_barrier()
    place = place_of(test.network)
    every = {Wire(place[edge.source], index) for index, edges in enumerate(test.network.edges) for edge in edges}
    return {wire: wires.fraction(wire) for wire in sorted(every)}


def probe(test: RuleUnderTest) -> Finding:
    """Look at the wires between hidden nodes; what the readout hears may be rates."""
    last = len(test.network.nodes) - 1
    fewest = []
    for learning in (True, False):
        between = [each for wire, each in fractions_of_events(test, learning).items() if wire.source >= 0 and wire.hearer != last]
        seen = [each for each in between if each == each]
        fewest.append(min(seen, default=float("nan")))
    if not between:
        return Finding(NOT_APPLICABLE, 0.0, "no hidden node hears another")
    told = (
        f"of the values between hidden nodes, {fewest[0]:.0%} are events or none while learning and {fewest[1]:.0%} at the test "
        "(on the wire with the fewest)"
    )
    whole = [each >= EVENTS for each in fewest]
    return Finding(MEETS if all(whole) else PARTLY if any(whole) else FAILS, float(np.min(fewest)), told)


CRITERION = Criterion(
    "spiking communication",
    "Are the signals between nodes binary events?",
    "fraction of values between hidden nodes that are an event or none, learning or test, on the wire with the fewest",
    "Pfeiffer and Pfeil 2018, doi:10.3389/fnins.2018.00774",
    probe,
)
