"""Does what was learned survive noisy and low-precision synapses?

A network that tells nine of ten apart has more to lose than one that tells half, and may also have more to spare: networks are
compared when they have been trained to one accuracy, by half of the held-out images, and one that does not get there is not judged.
Then weights get Gaussian noise
of a fifth of each array's root mean square, or are rounded to sixteen levels (4 bits).

Faisal, Selen and Wolpert 2008, doi:10.1038/nrn2258 (noise); Bartol et al. 2015, doi:10.7554/eLife.10778 (4.7 bits a synapse).
"""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from learning_rules.contract import RuleState
from learning_rules.plausibility.criterion import FAILS, MEETS, NOT_APPLICABLE, PARTLY, Criterion, Finding, between
from learning_rules.plausibility.rule_under_test import RuleUnderTest
from learning_rules.plausibility.training import ACCURACY, HELD_BACK, N_STARTS, to_common_accuracy

__all__ = ["CRITERION", "noisy", "rounded"]

_NOISE = 0.2
_LEVELS = 16
_N_DRAWS = 3


def noisy(params: Any, key: Array) -> Any:
    """Every array of the network with noise in proportion to its root mean square.

    Parameters
    ----------
    params
        Any tree.
    key
        Of the noise.
    """
    leaves, shape = jax.tree.flatten(params)
    keys = jax.random.split(key, len(leaves))
    changed = [
        leaf + _NOISE * jnp.sqrt(jnp.mean(jnp.square(leaf))) * jax.random.normal(each, leaf.shape, leaf.dtype)
        for leaf, each in zip(leaves, keys, strict=True)
    ]
    return jax.tree.unflatten(shape, changed)


def rounded(params: Any) -> Any:
    """Every array of the network on sixteen levels between its extremes.

    Parameters
    ----------
    params
        Any tree.

    >>> int(len(jnp.unique(rounded(jnp.linspace(0.0, 1.0, 100)))))
    16
    """

    def one(leaf: Array) -> Array:
        low, high = leaf.min(), leaf.max()
        step = jnp.where(high > low, (high - low) / (_LEVELS - 1), 1.0)
        return jnp.round((leaf - low) / step) * step + low

    return jax.tree.map(one, params)


class _Spoiled(NamedTuple):
    clean: float
    with_noise: float
    in_four_bits: float

    @property
    def ratio(self) -> float:
        return min(self.with_noise, self.in_four_bits) / max(self.clean, 1e-30)


def _spoiled(test: RuleUnderTest, state: RuleState, draw: int) -> _Spoiled:
    """Accuracies on the images that had no say in when to stop."""

    def with_network(network: Any) -> float:
        return test.accuracy(state._replace(params={**state.params, "network": network}), HELD_BACK)

    network, spoil = state.params["network"], test.once("spoil", lambda _: jax.jit(noisy))
    keys = [jax.random.fold_in(test.key(6), draw * _N_DRAWS + each) for each in range(_N_DRAWS)]
    with_noise = float(np.mean([with_network(spoil(network, key)) for key in keys]))
    return _Spoiled(with_network(network), with_noise, with_network(jax.jit(rounded)(network)))


def probe(test: RuleUnderTest) -> Finding:
    """Spoil what was learned, from several starts."""
    found = [to_common_accuracy(test, draw) for draw in range(N_STARTS)]
    reached = {draw: each for draw, each in enumerate(found) if each.accuracy >= ACCURACY}
    if not reached:
        best = max(found, key=lambda each: each.accuracy)
        short = (
            f"accuracy {best.accuracy:.2f} after {best.n_steps} updates, short of the {ACCURACY:g} that networks are compared at"
        )
        return Finding(NOT_APPLICABLE, 0.0, short)
    spoiled = [_spoiled(test, each.state, draw) for draw, each in reached.items()]
    clean, with_noise, in_four_bits = np.mean(spoiled, axis=0)
    ratios = [each.ratio for each in spoiled]
    value = float(np.mean(ratios))
    told = (
        f"trained to an accuracy of {ACCURACY:g} in {between([each.n_steps for each in reached.values()])} updates "
        f"({len(reached)} of {N_STARTS} starts), {clean:.2f} on other images, {with_noise:.2f} with noise on every synapse, "
        f"{in_four_bits:.2f} with synapses of 4 bits; a ratio of {between(ratios)} from start to start"
    )
    return Finding(MEETS if value >= 0.95 else PARTLY if value >= 0.8 else FAILS, value, told)


CRITERION = Criterion(
    "robustness",
    "Does what was learned survive noisy and low-precision synapses?",
    f"accuracy with noisy or 4-bit synapses over that with clean ones, the lower of the two, of a network trained to {ACCURACY:g}",
    "Faisal, Selen and Wolpert 2008, doi:10.1038/nrn2258; Bartol et al. 2015, doi:10.7554/eLife.10778",
    probe,
)
