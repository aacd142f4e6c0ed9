"""What the literature claims of rules, criterion by criterion, and why a measurement may differ.

Only claims that a publication makes in so many words are listed; the longest name that fits a rule wins.
"""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["CLAIMS", "Claim", "claim_for"]


class Claim(NamedTuple):
    """A published mark.

    Attributes
    ----------
    verdict
        As published, in our words.
    source
        Authors, year, DOI or arXiv id.
    if_not
        Why the measurement differs, where it does.
    """

    verdict: str
    source: str
    if_not: str = ""


_RUMELHART = "Grossberg 1987, doi:10.1111/j.1551-6708.1987.tb00862.x; Crick 1989, doi:10.1038/337129a0"
_LILLICRAP = "Lillicrap et al. 2016, doi:10.1038/ncomms13276"
_NOKLAND = "Nøkland 2016, arXiv:1609.01596"
_AKROUT = "Akrout et al. 2019, arXiv:1904.05391"
_LIAO = "Liao, Leibo and Poggio 2016, arXiv:1510.05067"
_LEE = "Lee et al. 2015, arXiv:1412.7525"
_WHITTINGTON = "Whittington and Bogacz 2017, doi:10.1162/NECO_a_00949"
_MILLIDGE = "Millidge, Tschantz, Seth and Buckley 2020, arXiv:2010.01047"
_SCELLIER = "Scellier and Bengio 2017, doi:10.3389/fncom.2017.00024"
_LV = "Lv et al. 2025, arXiv:2501.09976"
_HINTON = "Hinton 2022, arXiv:2212.13345"
_NOKLAND_EIDNES = "Nøkland and Eidnes 2019, arXiv:1901.06656"
_DELLAFERRERA = "Dellaferrera and Kreiman 2022, arXiv:2201.11665"
_HOIER = "Høier, Staudt and Zach 2023, arXiv:2302.01228"
_KROTOV = "Krotov and Hopfield 2019, doi:10.1073/pnas.1820458116"
_JOURNE = "Journé et al. 2023, arXiv:2209.11883"
_DIEHL = "Diehl and Cook 2015, doi:10.3389/fncom.2015.00099"
_WERFEL = "Werfel, Xie and Seung 2005, doi:10.1162/089976605774320539"
_REN = "Ren et al. 2023, arXiv:2210.03310"
_HALVAGAL = "Halvagal and Zenke 2023, doi:10.1038/s41593-023-01460-y"
_ILLING = "Illing et al. 2021, arXiv:2010.08262"

_WEBSTER = "Webster, Choi and Ahn 2021, Learning the connections in direct feedback alignment"
_JI_AN = "Ji-An and Benna 2024, arXiv:2405.20594"
_ERDOGAN = "Erdogan, Pehlevan and Erdogan 2025, arXiv:2504.11558"
_GREEDY = "Greedy et al. 2022, arXiv:2206.11769"
_MEULEMANS = "Meulemans et al. 2021, arXiv:2106.07887"
_FRENKEL = "Frenkel, Lefebvre and Bol 2021, doi:10.3389/fnins.2021.629892"

_BELLEC = "Bellec et al. 2020, doi:10.1038/s41467-020-17236-y"
_MURRAY = "Murray 2019, doi:10.7554/eLife.43299"
_TOLD = "the error is a vector of all scores, told to every unit, and no unit's activity"

CLAIMS: dict[str, dict[str, Claim]] = {
    "backprop": {
        "weight transport": Claim("fails", _RUMELHART),
        "local credit": Claim("fails", _RUMELHART),
        "single phase": Claim("fails", _RUMELHART),
        "update unlocking": Claim("fails", "Jaderberg et al. 2017, arXiv:1608.05343"),
    },
    "feedback_alignment": {
        "weight transport": Claim("meets", _LILLICRAP),
        "local credit": Claim("fails", _LV),
        "single phase": Claim("fails", _LV),
    },
    "feedback_alignment/direct": {"weight transport": Claim("meets", _NOKLAND)},
    "feedback_alignment/direct_kolen_pollack": {"weight transport": Claim("meets", _WEBSTER)},
    "feedback_alignment/direct_random_target": {
        "weight transport": Claim("meets", _FRENKEL),
        "single phase": Claim("meets", _FRENKEL),
        "update unlocking": Claim("meets", _FRENKEL),
    },
    "feedback_alignment/sign": {"weight transport": Claim("partly", _LIAO)},
    "feedback_alignment/kolen_pollack": {"weight transport": Claim("meets", _AKROUT)},
    "feedback_alignment/weight_mirror": {"weight transport": Claim("meets", _AKROUT)},
    "feedback_alignment/product": {"weight transport": Claim("meets", _JI_AN)},
    "error_decorrelation": {"weight transport": Claim("meets", _ERDOGAN)},
    "burst/single_phase": {
        "single phase": Claim(
            "meets", _GREEDY, "answer and error share one phase in continuous time; here bursts come down when events have gone up"
        )
    },
    "target_propagation": {
        "weight transport": Claim("meets", _LEE),
        "local credit": Claim(
            "meets",
            _LEE,
            "a layer's loss is local, but its target comes down from the scores through all inverses above it as a vector, as an "
            "error would, and is no activity of any unit",
        ),
    },
    "target_propagation/textbook": {
        "weight transport": Claim(
            "meets",
            _LEE,
            "inverses carry targets down, but the first target is a step along the gradient at the last hidden layer, through the "
            "readout's own weights",
        )
    },
    "feedback_control": {"weight transport": Claim("meets", _MEULEMANS)},
    "predictive_coding": {
        "local credit": Claim(
            "meets",
            _WHITTINGTON,
            "a state needs its neighbours' errors alone; but in order from the top an error passes all layers within one step of "
            "settling. With all states at once (`textbook`, or order='simultaneous') none does",
        ),
        "weight transport": Claim("fails", _WHITTINGTON),
    },
    "predictive_coding/learned_feedback": {"weight transport": Claim("meets", _MILLIDGE)},
    "predictive_coding/error_based": {
        "local credit": Claim(
            "meets", _WHITTINGTON, "errors are the states here, and each step carries them through all layers at once"
        )
    },
    "energy_based": {
        "weight transport": Claim(
            "meets",
            f"{_LV}, Table 1",
            "settling sums every layer's weights over its units to feed states below: feedback weights are the forward ones, which "
            "Scellier and Bengio 2017 (doi:10.3389/fncom.2017.00024) say themselves",
        ),
        "local credit": Claim(
            "meets",
            _SCELLIER,
            "a state needs its neighbours' alone; but they settle layer after layer from the top, so that what is above has "
            "its say in all layers within one sweep. With all states at once (`textbook`) it has not",
        ),
        "single phase": Claim("fails", _SCELLIER),
    },
    "energy_based/dual_propagation": {
        "single phase": Claim(
            "meets",
            _HOIER,
            "one phase of inference serves learning, but its sweep down through forward weights follows a sweep up, and inference "
            "without a teacher needs the sweep up alone",
        ),
        "local credit": Claim(
            "meets",
            _HOIER,
            "the difference of a unit's two states is all that it needs, but one sweep sends these differences down through all "
            "layers, and only their means are on a wire",
        ),
    },
    "dendritic": {
        "weight transport": Claim("meets", _LV),
        "local credit": Claim(
            "meets",
            _LV,
            "the apical signal of a layer is worked out from the error of the layer above, and that from the layer above it, up to "
            "the label: what comes down is a vector of errors that no unit's activity carries",
        ),
        "single phase": Claim(
            "meets",
            _LV,
            "basal and apical weights learn at once, but a layer's apical signal waits for the layers above it to have answered",
        ),
    },
    "forward_forward": {
        "weight transport": Claim("meets", _HINTON),
        "local credit": Claim(
            "meets",
            _HINTON,
            "each layer follows its own goodness, but the layer that sees the label (all, where labels are given to all) is taught "
            "by it as a vector, and hard negatives ask the readout",
        ),
        "update unlocking": Claim(
            "meets", _HINTON, "hard negatives are drawn from what the readout answers, which depends on all layers"
        ),
        "single phase": Claim(
            "fails", _HINTON, "one pass is enough here: classes compete for channels, and there are no negative images"
        ),
    },
    "local_losses": {
        "weight transport": Claim("meets", _NOKLAND_EIDNES),
        "update unlocking": Claim("meets", _NOKLAND_EIDNES),
        "local credit": Claim("meets", _NOKLAND_EIDNES, "nothing crosses a layer, but the label reaches every layer as a vector"),
    },
    "eprop": {"single phase": Claim("meets", _BELLEC, "errors are formed at the scores before they are told to the units below")},
    "eprop/symmetric": {"weight transport": Claim("fails", _BELLEC)},
    "eprop/random": {"weight transport": Claim("meets", _BELLEC)},
    "eprop/adaptive": {"weight transport": Claim("meets", _BELLEC)},
    "eprop/rflo": {"weight transport": Claim("meets", _MURRAY), "local credit": Claim("meets", _MURRAY, _TOLD)},
    "latent_predictive": {"local credit": Claim("meets", _HALVAGAL)},
    "clapp": {"local credit": Claim("meets", _ILLING), "teaching signal": Claim("meets", _ILLING)},
    "perturbation": {
        "weight transport": Claim("meets", _WERFEL),
        "local credit": Claim("meets", _WERFEL),
        "single phase": Claim("fails", _WERFEL),
        "teaching signal": Claim("meets", _WERFEL),
    },
    "perturbation/forward_gradient_activities": {
        "weight transport": Claim("meets", _REN),
        "local credit": Claim(
            "meets", _REN, "losses of groups of units need the label in every layer, a vector and not one number"
        ),
        "teaching signal": Claim("partly", _REN),
        "single phase": Claim(
            "fails",
            _REN,
            "activities are perturbed layer by layer and judged by losses of the layer's own, all in one sweep",
        ),
    },
    "pepita": {
        "weight transport": Claim("meets", _DELLAFERRERA),
        "local credit": Claim("meets", _DELLAFERRERA),
        "single phase": Claim("fails", _DELLAFERRERA),
    },
    "pepita/weight_mirror": {
        "weight transport": Claim(
            "meets",
            _AKROUT,
            "its mirror shows a synapse noise of every direction within one step, after which no change of weights tells feeling "
            "them from reading them backwards",
        ),
    },
    "hebbian": {
        "weight transport": Claim("meets", _KROTOV),
        "local credit": Claim("meets", _KROTOV),
        "single phase": Claim("meets", _KROTOV),
        "update unlocking": Claim("meets", _JOURNE),
        "teaching signal": Claim("meets", _KROTOV),
    },
    "hebbian/class_gated": {
        "local credit": Claim(
            "meets", _KROTOV, "competition within an image's class needs the label in every layer, unlike the rule without labels"
        ),
        "teaching signal": Claim("meets", _KROTOV, "the label gates which units compete: this variant is not the published rule"),
    },
    "stdp": {
        "weight transport": Claim("meets", _DIEHL),
        "local credit": Claim("meets", _DIEHL),
        "single phase": Claim(
            "meets",
            _DIEHL,
            "units compete while their weights change, and what others hear and the readout reads is how they fire without "
            "competition: two ways of firing",
        ),
        "update unlocking": Claim("meets", _DIEHL, "here a reward decides, which depends on all layers"),
        "teaching signal": Claim("meets", _DIEHL),
        "spiking communication": Claim("meets", _DIEHL),
        "Dale's law": Claim(
            "meets", _DIEHL, "inputs are centred here and weights may have either sign, which the published network's may not"
        ),
    },
}
"""Rule -> criterion -> what the literature claims of it, with its source; shown beside what is measured, and no part of it."""


def claim_for(rule: str, criterion: str) -> Claim | None:
    """The published mark of a rule, or of its family.

    Parameters
    ----------
    rule
        `family` or `family/variant`.
    criterion
        One of `CRITERIA`.

    >>> claim_for("feedback_alignment/sign", "weight transport").verdict
    'partly'
    """
    family = rule.partition("/")[0]
    return CLAIMS.get(rule, {}).get(criterion) or CLAIMS.get(family, {}).get(criterion)
