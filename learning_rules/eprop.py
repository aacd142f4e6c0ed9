r"""E-prop: each synapse remembers its own past, and an error of now meets what it remembers.

.. math:: \Delta w_{ji} \propto \sum_t L_j^t\, F_\kappa(e_{ji})^t, \qquad L_j^t = \sum_k B_{jk}\, (y_k^t - y_k^{*,t})

for a synapse's eligibility trace :math:`e_{ji}^t` (`synapse_traces.py`), a readout that leaks by :math:`\kappa`, and errors
:math:`y_k^t - y_k^{*,t}` at what the readout sums (Bellec et al. 2020, doi:10.1038/s41467-020-17236-y, equations 1, 4 and 28).
Nothing goes back in time, and nothing is kept of the steps before (`forward_credit.py`).

========== ==================================================================== ====================================================
variant    :math:`L_j`                                                          source
========== ==================================================================== ====================================================
symmetric  through the forward weights, from node to node within the step       Bellec et al. 2020
random     :math:`B` fixed, random, from the scores to every node               Bellec et al. 2020
adaptive   :math:`B` gets the product that the readout's weights get, and       Bellec et al. 2020, their "adaptive e-prop"
           decays as they do
rflo       as random, for units whose rate leaks                                Murray 2019, doi:10.7554/eLife.43299
========== ==================================================================== ====================================================

On units of Murray's kind, :math:`h_t = \kappa h_{t-1} + (1 - \kappa) f(z_t)`, the trace is his random feedback local online
learning's, :math:`p_{ji}^t = \kappa\, p_{ji}^{t-1} + (1 - \kappa) f'(z_j^t)\, x_i^t`.

Departures: Adam instead of plain steps; no regularisation of firing rates; where an example has one target and scores are a
mean over steps, the error is the mean's, which is known at the end and brought along in a second run of the sequence.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import optax
from jaxtyping import PRNGKeyArray

from architectures import Network
from bioplausible.foundation.errors import InputError
from bioplausible.foundation.options import positive
from learning_rules.contract import Family, LearningRule, RuleSpec, RuleState, Variant
from learning_rules.feedback_weights import direct_feedback
from learning_rules.feedforward import feedforward_rule
from learning_rules.forward_credit import forward_credit
from learning_rules.forward_needs import Direct, Heard, why_no_traces
from learning_rules.needs import Needs
from learning_rules.objectives import Objective, as_batch, make_objective
from learning_rules.optimizers import adam
from learning_rules.signals import cut, exact
from learning_rules.temporal_credit import ELIGIBILITY

__all__ = ["FAMILY", "EpropOptions", "eprop"]


@dataclass(frozen=True)
class EpropOptions:
    """Options of e-prop.

    Attributes
    ----------
    variant
        See the table above.
    loss
        One of `OBJECTIVES`.
    learning_rate
        Adam's, at the first step.
    weight_decay
        Decoupled, per unit of learning rate. The adaptive variant needs it: by it forward and feedback weights meet.
    feedback_gain
        Factor on the initial size of feedback weights.
    """

    variant: str = "symmetric"
    loss: str = "cross_entropy"
    learning_rate: float = 8e-3
    weight_decay: float = 0.1
    feedback_gain: float = 1.0


def eprop(network: Network, options: EpropOptions, spec: RuleSpec, objective: Objective) -> LearningRule:
    """Build the rule for a network.

    Parameters
    ----------
    network, options, spec, objective
        As `Family.make` takes them.

    Raises
    ------
    InputError
        Units whose synapses carry no traces, feedback weights of no size, or a decay of zero for the adaptive variant.
    """
    positive(options, "feedback_gain")
    adaptive = options.variant == "adaptive"
    if adaptive and not options.weight_decay > 0:
        raise InputError(
            f"weight_decay={options.weight_decay} was given to adaptive: without decay the feedback weights never meet the forward "
            "ones; try 0.1"
        )

    def directly(feedback: Any) -> Direct | None:
        if options.variant == "symmetric":
            return None

        def told(heard: Heard) -> list[Any]:
            return [jnp.tensordot(heard.at_scores, b, axes=1) for b in feedback]

        def beside(heard: Heard) -> Any:
            if not adaptive:
                return ()
            return tuple(jnp.tensordot(heard.at_scores, h, axes=(0, 0)) for h in heard.filtered[:-1])

        return Direct(told, beside, as_readout=True)

    reason = why_no_traces(network, objective, directly(()))
    if reason:
        raise InputError(f"rule '{spec.name}' cannot train this '{network.name}': {reason}")

    def init(key: PRNGKeyArray) -> RuleState:
        params = network.init(key)
        if options.variant == "symmetric":
            return RuleState({"network": params}, {})
        feedback = direct_feedback(network, jax.random.fold_in(key, 1), options.feedback_gain)
        if adaptive:
            return RuleState({"network": params, "feedback": feedback}, {})
        return RuleState({"network": params}, {"feedback": feedback})

    def assign_credit(key: PRNGKeyArray, state: RuleState, batch: Any) -> tuple[dict[str, Any], RuleState, Mapping[str, Any]]:
        params = state.params["network"]
        crossings = exact(network, params)
        direct = directly((state.params if adaptive else state.carry).get("feedback"))
        crossings = crossings if direct is None else cut(network, crossings)
        metrics, updates, beside = forward_credit(network, objective, params, as_batch(batch), crossings, direct)
        return {"network": updates, **({"feedback": beside} if adaptive else {})}, state, metrics

    def optimizer(n_steps: int | None = None) -> optax.GradientTransformation:
        return adam(options.learning_rate, n_steps, options.weight_decay)

    return feedforward_rule(spec, network, options, init, assign_credit, optimizer, objective)


def _supports(network: Network) -> str:
    readout = network.nodes[-1]
    if not readout.one_z or readout.z_shape != readout.output_shape:
        return f"'{readout.name}' does not sum one number for each score, which the rule's errors are told at: use a linear readout"
    return why_no_traces(network, make_objective("cross_entropy", network))


# The rate: of 0.002, 0.004, 0.008 and 0.015 the best on validation images or within a point of it for each variant (rows of
# Fashion-MNIST, 8,000 images, four epochs, 128 leaky units, one seed): symmetric 80.9, random 75.3, adaptive 77.1, where
# backpropagation through time has 81.5 (at 0.003) and an untrained network 66.0; rflo, on its units, 76.4 beside 81.2 and 64.3. The
# decay is the feedback alignment family's.
_BELLEC = "Bellec et al. 2020, doi:10.1038/s41467-020-17236-y"


def _variant(name: str, summary: str, citation: str = _BELLEC, **options: Any) -> Variant:
    rates = name == "rflo"
    spec = RuleSpec(
        "eprop", name, summary, citation, phases=1, network=(("units", "leaky_activity"),) if rates else (), temporal=ELIGIBILITY
    )
    return Variant(spec, {"variant": name, **options}, Needs(temporal=True, leaky_rates=rates))


FAMILY = Family(
    EpropOptions,
    eprop,
    {
        variant.spec.variant: variant
        for variant in (
            _variant("symmetric", "synapses' traces of their own past meet errors that come through the forward weights"),
            _variant("random", "synapses' traces of their own past meet errors that come through fixed random weights"),
            _variant("adaptive", "as random, with feedback weights that get the readout's own change and decay"),
            _variant(
                "rflo",
                "random feedback local online learning: e-prop of units whose rates leak, with fixed random weights",
                "Murray 2019, doi:10.7554/eLife.43299",
            ),
        )
    },
    supports=_supports,
)
