"""Are the signals between blocks binary events, while learning and at the test?

Every value that goes into the synapses of a block above another is looked at while the rule runs: events have two levels in every
channel, one where something happens and one where nothing does, or three where they have a sign. A little else may pass, such as
the mean that a feed-forward inhibition hears.

Pfeiffer and Pfeil 2018, doi:10.3389/fnins.2018.00774.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np

from learning_rules.plausibility.criterion import FAILS, MEETS, PARTLY, Criterion, Finding
from learning_rules.plausibility.subject import Subject
from learning_rules.plausibility.tagging import Wires, recorded

__all__ = ["CRITERION", "EVENTS", "share_of_events"]

_N_IMAGES = 64
EVENTS = 0.95
"""From this share on a wire carries events."""


def share_of_events(subject: Subject, learning: bool) -> dict[int, float]:
    """For each wire the share of values that are one of the levels of their channel; -1 is what the first block sees."""
    found: dict[int, float] = subject.once(f"events, {learning}", lambda of: _shares(of, learning))
    return found


def _shares(subject: Subject, learning: bool) -> dict[int, float]:
    wires = Wires()
    rule = subject.make(recorded(subject.network, wires))
    images, labels = jnp.asarray(subject.images.train[:_N_IMAGES]), jnp.asarray(subject.images.train_labels[:_N_IMAGES])
    if learning:
        jax.block_until_ready(jax.jit(rule.assign_credit)(subject.key(2), subject.start, (images, labels))[:2])
    else:
        jax.block_until_ready(jax.jit(rule.represent)(subject.start, images))
    jax.effects_barrier()
    return {position: wires.share(position) for position in range(-1, len(subject.network.blocks) - 1)}


def probe(subject: Subject) -> Finding:
    """Look at the wires between hidden blocks; what the readout hears may be rates."""
    between = range(len(subject.network.blocks) - 2)
    fewest = []
    for learning in (True, False):
        shares = share_of_events(subject, learning)
        fewest.append(float(np.nanmin([shares[position] for position in between])))
    told = (
        f"of the values between hidden blocks, {fewest[0]:.0%} are events or none while learning and {fewest[1]:.0%} at the test "
        "(on the wire with the fewest)"
    )
    whole = [share >= EVENTS for share in fewest]
    return Finding(MEETS if all(whole) else PARTLY if any(whole) else FAILS, min(fewest), told)


CRITERION = Criterion(
    "spiking communication",
    "Are the signals between blocks binary events?",
    "share of values between hidden blocks that are an event or none, learning or test, on the wire with the fewest",
    "Pfeiffer and Pfeil 2018, doi:10.3389/fnins.2018.00774",
    probe,
)
