"""The plausibility scorecard: criteria are questions put to a rule by experiment, answered with a number and its evidence."""

from learning_rules.plausibility.card import CRITERIA, Entry, network_for, scorecard
from learning_rules.plausibility.claims import CLAIMS, Claim, claim_for
from learning_rules.plausibility.criterion import FAILS, MEETS, NOT_APPLICABLE, PARTLY, Criterion, Finding
from learning_rules.plausibility.images import Images
from learning_rules.plausibility.rule_under_test import RuleUnderTest

__all__ = [
    "CLAIMS",
    "CRITERIA",
    "FAILS",
    "MEETS",
    "NOT_APPLICABLE",
    "PARTLY",
    "Claim",
    "Criterion",
    "Entry",
    "Finding",
    "Images",
    "RuleUnderTest",
    "claim_for",
    "network_for",
    "scorecard",
]
