"""One row a rule and variant: the options that the shared small task is learned with. A rule without a row fails the suite.

`REFUSES` says which of the other small networks the first variant of a family cannot train, so that none is lost unnoticed.
"""

TABLE = {
    "untrained": {"learning_rate": 0.02},
    "backprop": {"learning_rate": 0.01},
    "hebbian/competitive": {"learning_rate": 0.02},
    "hebbian/class_gated": {"learning_rate": 0.02},
    "hebbian/softhebb": {"learning_rate": 0.02},
    "hebbian/oja": {"learning_rate": 0.02},
    "hebbian/sanger": {"learning_rate": 0.02},
    "hebbian/bcm": {"learning_rate": 0.02},
    "stdp/pair": {"learning_rate": 0.02, "homeostasis": 0.1},
    "stdp/triplet": {"learning_rate": 0.02, "homeostasis": 0.1},
    "stdp/reward_modulated": {"learning_rate": 0.02, "homeostasis": 0.1},
    "feedback_alignment/random": {"learning_rate": 0.01},
    "feedback_alignment/direct": {"learning_rate": 0.01},
    "feedback_alignment/direct_kolen_pollack": {"learning_rate": 0.01},
    "feedback_alignment/direct_random_target": {"learning_rate": 0.002},
    "feedback_alignment/sign": {"learning_rate": 0.01},
    "feedback_alignment/kolen_pollack": {"learning_rate": 0.01},
    "feedback_alignment/weight_mirror": {"learning_rate": 0.01},
    "error_decorrelation": {"learning_rate": 0.01},
    "feedback_alignment/product": {"learning_rate": 0.05},
    "perturbation/forward_gradient_activities": {"learning_rate": 0.01},
    "perturbation/node": {"learning_rate": 0.01},
    "perturbation/weight": {"learning_rate": 0.01},
    "perturbation/forward_gradient_weights": {"learning_rate": 0.01},
    "pepita/weight_mirror": {"learning_rate": 0.1, "modulation": 0.03, "readout_rate": 0.01},
    "pepita/fixed": {"learning_rate": 0.1, "modulation": 0.03, "readout_rate": 0.01},
    "target_propagation/local_difference_reconstruction": {"learning_rate": 0.01},
    "target_propagation/difference": {"learning_rate": 0.01},
    "target_propagation/plain": {"learning_rate": 0.01},
    "feedback_control": {"learning_rate": 0.01},
    "dendritic/aligned": {"learning_rate": 0.01},
    "dendritic/noise": {"learning_rate": 0.01},
    "dendritic/local_error": {"learning_rate": 0.01},
    "burst/single_phase": {"learning_rate": 0.01},
    "burst/two_phase": {"learning_rate": 0.01},
    # Two programs that round differently ask for the same to three digits: a larger nudge than the default's, which leaves two.
    "predictive_coding/standard": {"learning_rate": 0.01, "nudge": 0.1, "precision_ratio": 10.0},
    "predictive_coding/incremental": {"learning_rate": 0.01, "nudge": 0.1, "precision_ratio": 10.0},
    "predictive_coding/nudged": {"learning_rate": 0.01},
    "predictive_coding/error_based": {"learning_rate": 0.01},
    "predictive_coding/learned_feedback": {"learning_rate": 0.01, "nudge": 0.1, "precision_ratio": 10.0},
    "forward_forward/standard": {"learning_rate": 0.01},
    "forward_forward/symba": {"learning_rate": 0.01},
    "forward_forward/channel_wise": {"learning_rate": 0.01},
    "local_losses/both": {"learning_rate": 0.01},
    "local_losses/prediction": {"learning_rate": 0.01},
    "local_losses/similarity_matching": {"learning_rate": 0.01},
    "latent_predictive": {"learning_rate": 0.001, "readout_rate": 0.02},
    "clapp/synchronous": {"learning_rate": 0.01},
    "clapp/asynchronous": {"learning_rate": 0.01},
    "energy_based/centred": {"learning_rate": 0.01},
    "energy_based/one_sided": {"learning_rate": 0.01},
    "energy_based/contrastive_hebbian": {"learning_rate": 0.01},
    "energy_based/dual_propagation": {"learning_rate": 0.01},
    # As published but for rates that eighty steps are enough for.
    "predictive_coding/textbook": {"learning_rate": 0.01},
    "energy_based/textbook": {"learning_rate": 0.1},
    "forward_forward/textbook": {"learning_rate": 0.01},
    "forward_forward/textbook_channel_wise": {"learning_rate": 0.02},
    "target_propagation/textbook": {},
    "target_propagation/textbook_local_difference_reconstruction": {"learning_rate": 0.05},
    "feedback_alignment/textbook": {"learning_rate": 0.1},
    "feedback_alignment/textbook_kolen_pollack": {"learning_rate": 0.1},
    "hebbian/textbook": {"learning_rate": 0.05},
    "hebbian/textbook_softhebb": {"learning_rate": 0.02},
    "local_losses/textbook": {"learning_rate": 0.01},
    "pepita/textbook": {"learning_rate": 0.1},
    "dendritic/textbook": {"learning_rate": 0.01},
    # And for the readout, which one number an example does not teach in eighty steps.
    "perturbation/textbook": {"learning_rate": 100.0, "readout": "delta_rule"},
}
# Of networks in time alone: which of the small ones each is tried on. What rates that leak learn by stands in its own file.
IN_TIME = {
    "eprop/symmetric": {"learning_rate": 0.01},
    "eprop/random": {"learning_rate": 0.01},
    "eprop/adaptive": {"learning_rate": 0.01},
}
TRIED_IN_TIME = (("eprop/adaptive", "elman"), ("eprop/random", "spiking"))
# Published for a single layer of weights that are never negative: of the networks here "flax" alone is one, and its own file has
# what it keeps.
ALONE = {"stdp/textbook": "test_stdp_diehl_cook", "eprop/rflo": "test_temporal_credit"}
# Published settings of a variant that stands above: mostly its code with other options, so that one of the two is enough in haste.
SAME_CODE = {
    "predictive_coding/textbook",
    "forward_forward/textbook",
    "hebbian/textbook",
    "forward_forward/textbook_channel_wise",
    "feedback_alignment/textbook",
    "feedback_alignment/textbook_kolen_pollack",
    "hebbian/textbook_softhebb",
    "local_losses/textbook",
    "pepita/textbook",
    "dendritic/textbook",
}

_TEMPORAL = {"gated", "spiking", "elman"}
_NO_TIME = {"residual", "attention", "flax"}

REFUSES = {
    "hebbian/competitive": {"gated", "attention"},
    "stdp/pair": {"residual", "attention", *_TEMPORAL},
    "predictive_coding/standard": _TEMPORAL,
    "burst/single_phase": {"attention", *_TEMPORAL},
    "forward_forward/channel_wise": _TEMPORAL,
    "pepita/weight_mirror": {"gated", "attention"},
    "energy_based/centred": {"attention", *_TEMPORAL},
    "feedback_control": {"attention", *_TEMPORAL},
    "eprop/symmetric": {"gated", *_NO_TIME},
}
