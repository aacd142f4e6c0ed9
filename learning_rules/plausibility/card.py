"""The scorecard of a rule: every criterion's verdict, number and evidence, beside what the literature claims.

To add a criterion: its own file with a `CRITERION`, a line in `CRITERIA`, a row in `tests/learning_rules/criterion_table.py`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

from architectures import Network
from bioplausible.foundation.errors import unknown_name
from learning_rules.contract import LearningRule
from learning_rules.plausibility import (
    dales_law,
    energy,
    local_credit,
    online_learning,
    robustness,
    single_phase,
    spiking,
    teaching_signal,
    update_unlocking,
    weight_transport,
)
from learning_rules.plausibility.claims import claim_for
from learning_rules.plausibility.criterion import Criterion
from learning_rules.plausibility.images import Images, digits, small_network
from learning_rules.plausibility.rule_under_test import RuleUnderTest
from learning_rules.registry import build, spec, support

__all__ = ["CRITERIA", "Entry", "network_for", "scorecard"]

CRITERIA: dict[str, Criterion] = {
    module.CRITERION.name: module.CRITERION
    for module in (
        weight_transport,
        local_credit,
        single_phase,
        update_unlocking,
        teaching_signal,
        spiking,
        dales_law,
        online_learning,
        robustness,
        energy,
    )
}
"""Criteria of the scorecard by name, in the order in which they are asked."""


@dataclasses.dataclass(frozen=True)
class Entry:
    """One line of a card.

    Attributes
    ----------
    verdict
        "meets", "partly", "fails" or "not applicable".
    value
        The number that was measured, see the criterion's `measure`.
    evidence
        In a sentence.
    claimed
        The verdict that a publication gives, with its source; "" where none does.
    difference
        Why the two differ, "" where they agree or nothing is claimed.
    """

    verdict: str
    value: float
    evidence: str
    claimed: str = ""
    difference: str = ""


def _entry(rule: str, criterion: Criterion, test: RuleUnderTest) -> Entry:
    found = criterion.probe(test)
    claim = claim_for(rule, criterion.name)
    if claim is None:
        return Entry(*found)
    differs = claim.verdict != found.verdict
    why = (claim.if_not or "the measurement says otherwise; see its evidence") if differs else ""
    return Entry(*found, claimed=f"{claim.verdict} ({claim.source})", difference=why)


def network_for(rule: str, architecture: str | Network) -> str | Network:
    """What a rule is examined on: the small network of an architecture, or one that it was published for, if bound to that.

    A rule that is not bound to its published depth is examined at the depth of all others: with one hidden layer there is nothing
    for credit to pass, and little to ask about it. One that is bound to time is examined on a recurrent network in place of one
    that has none.

    Parameters
    ----------
    rule
        As `learning_rules.build` takes it.
    architecture
        As `scorecard` takes it.
    """
    published = dict(spec(rule).network)
    if spec(rule).temporal and not small_network(architecture).temporal:
        return small_network("recurrent", **published)
    if isinstance(architecture, Network) or "hidden" not in published or support(rule, small_network(architecture)).supported:
        return architecture
    return small_network(architecture, len(published["hidden"]))


def scorecard(
    rule: str | Callable[[Network], LearningRule],
    architecture: str | Network = "mlp",
    criteria: Sequence[str] | None = None,
    seed: int = 0,
    name: str | None = None,
    images: Images | None = None,
    **options: Any,
) -> dict[str, Entry]:
    """Put every criterion's question to a rule.

    Parameters
    ----------
    rule
        A name that `learning_rules.build` takes, `module:name` and `path.py:name` of a user's own among them, or a function from a
        network to a `LearningRule`.
    architecture
        Of the small network that it is examined on: a name that `architectures.build` takes, a user's own among them, or a network
        that tells ten classes of 8 x 8 images apart.
    criteria
        Names of `CRITERIA`, by default all.
    seed
        Of everything that is drawn.
    name
        What the rule is called, by default its spec's name.
    images
        What the behavioural criteria learn from, by default handwritten digits.
    **options
        Of the rule, where it is given by name.

    Returns
    -------
    dict
        Criterion -> what was found.

    Raises
    ------
    InputError
        Unknown rules, architectures, options or criteria, or a network that the rule cannot train.

    >>> card = scorecard("feedback_alignment", criteria=["weight transport"])
    >>> card["weight transport"].verdict
    'meets'
    """
    chosen = list(CRITERIA) if criteria is None else list(criteria)
    for each in chosen:
        if each not in CRITERIA:
            raise unknown_name("criterion", each, CRITERIA)

    def make(network: Network) -> LearningRule:
        return build(rule, network, **options) if isinstance(rule, str) else rule(network)

    examined_on = network_for(rule, architecture) if isinstance(rule, str) else architecture
    test = RuleUnderTest(name or str(rule), make, examined_on, seed, images or digits())
    called = name or test.rule.spec.name
    return {each: _entry(called, CRITERIA[each], test) for each in chosen}
