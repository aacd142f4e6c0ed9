"""One row a rule and variant: the options that the shared small task is learned with. A rule without a row fails the suite."""

TABLE = {
    "untrained": {"learning_rate": 0.02},
    "backprop": {"learning_rate": 0.01},
    "feedback_alignment/random": {"learning_rate": 0.01},
    "feedback_alignment/direct": {"learning_rate": 0.01},
    "feedback_alignment/sign": {"learning_rate": 0.01},
    "feedback_alignment/kolen_pollack": {"learning_rate": 0.01},
    "feedback_alignment/weight_mirror": {"learning_rate": 0.01},
    "local_losses/both": {"learning_rate": 0.01},
    "local_losses/prediction": {"learning_rate": 0.01},
    "local_losses/similarity_matching": {"learning_rate": 0.01},
}
