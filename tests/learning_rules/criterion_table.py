"""What is known of rules beforehand. A rule without a row in `STRUCTURE`, or a criterion without one in `TABLE`, fails the suite.

`STRUCTURE` was written down from each rule's equations before its card was made. Where a card said something else the equations
were read again, and the reason stands above the row.
"""

STRUCTURAL = ("weight transport", "local credit", "single phase", "update unlocking", "teaching signal")

# rule                                              transport, local credit, single phase, unlocking, teaching signal
STRUCTURE = """
untrained                                           -      -      -      -      -
backprop                                            fails  fails  fails  fails  fails
hebbian/competitive                                 meets  meets  meets  meets  meets
hebbian/class_gated                                 meets  partly meets  meets  partly
hebbian/softhebb                                    meets  meets  meets  meets  meets
hebbian/oja                                         meets  meets  meets  meets  meets
hebbian/sanger                                      meets  meets  meets  meets  meets
hebbian/bcm                                         meets  meets  meets  meets  meets
hebbian/textbook                                    meets  meets  meets  meets  meets
hebbian/textbook_softhebb                           meets  meets  meets  meets  meets
# Units compete where they learn, and not where they are heard.
stdp/pair                                           meets  meets  fails  meets  meets
stdp/triplet                                        meets  meets  fails  meets  meets
stdp/reward_modulated                               meets  meets  fails  partly meets
# One layer, which the readout hears at first hand.
stdp/textbook                                       meets  -      meets  meets  meets
feedback_alignment/random                           meets  fails  fails  fails  fails
feedback_alignment/direct                           meets  fails  fails  fails  fails
feedback_alignment/direct_kolen_pollack             meets  fails  fails  fails  fails
# The label itself is sent down, whatever the network answered.
feedback_alignment/direct_random_target             meets  partly meets  meets  partly
feedback_alignment/sign                             partly fails  fails  fails  fails
feedback_alignment/kolen_pollack                    meets  fails  fails  fails  fails
feedback_alignment/weight_mirror                    meets  fails  fails  fails  fails
feedback_alignment/product                          meets  fails  fails  fails  fails
feedback_alignment/textbook                         meets  fails  fails  fails  fails
feedback_alignment/textbook_kolen_pollack           meets  fails  fails  fails  fails
error_decorrelation                                 meets  fails  fails  fails  fails
target_propagation/local_difference_reconstruction  meets  fails  fails  fails  fails
target_propagation/difference                       meets  fails  fails  fails  fails
target_propagation/plain                            meets  fails  fails  fails  fails
# Twenty steps of inverses on every batch show synapses noise of every direction there is, in one step.
target_propagation/textbook_local_difference_reconstruction  partly fails  fails  fails  fails
# Its first target is a step along the gradient at the last hidden node, through the readout's own weights.
target_propagation/textbook                         fails  fails  fails  fails  fails
feedback_control                                    meets  fails  fails  fails  fails
# What comes down is a vector of errors that is no unit's activity.
dendritic/aligned                                   meets  fails  fails  fails  fails
dendritic/noise                                     meets  fails  fails  fails  fails
dendritic/local_error                               meets  fails  fails  fails  fails
burst/single_phase                                  meets  fails  fails  fails  fails
burst/two_phase                                     meets  fails  fails  fails  fails
# Within a step errors pass from the top down: what is two nodes above has its say before a state has told of it.
predictive_coding/standard                          fails  partly fails  fails  fails
predictive_coding/incremental                       fails  partly fails  fails  fails
predictive_coding/nudged                            fails  partly fails  fails  fails
predictive_coding/error_based                       fails  fails  fails  fails  fails
predictive_coding/learned_feedback                  meets  partly fails  fails  fails
# All states at once: a state's neighbours suffice.
predictive_coding/textbook                          fails  meets  fails  fails  fails
forward_forward/channel_wise                        meets  partly meets  meets  partly
# Hard negatives are drawn from what the readout answers: other weights there move changes below.
forward_forward/symba                               meets  partly fails  fails  fails
forward_forward/textbook                            meets  partly fails  fails  fails
# As symba, but that new weights need not change which one is drawn.
forward_forward/standard                            meets  partly fails  fails  partly
forward_forward/textbook_channel_wise               meets  partly meets  meets  partly
# Losses of nodes' own, by heads that are told the label.
perturbation/forward_gradient_activities            meets  partly meets  meets  partly
perturbation/node                                   meets  meets  fails  partly meets
perturbation/weight                                 meets  meets  fails  partly meets
perturbation/forward_gradient_weights               meets  meets  fails  partly meets
# Its mirror shows synapses every direction there is, in one step.
pepita/weight_mirror                                partly meets  fails  fails  fails
pepita/fixed                                        meets  meets  fails  fails  fails
pepita/textbook                                     meets  meets  fails  fails  fails
local_losses/both                                   meets  partly meets  meets  partly
local_losses/prediction                             meets  partly meets  meets  partly
local_losses/similarity_matching                    meets  partly meets  meets  partly
local_losses/textbook                               meets  partly meets  meets  partly
# Two views of an image, and one at test.
latent_predictive                                   meets  meets  fails  meets  meets
clapp/synchronous                                   meets  meets  fails  meets  meets
clapp/asynchronous                                  meets  meets  fails  meets  meets
# Gauss and Seidel's order from the top: as predictive coding's.
energy_based/centred                                fails  partly fails  fails  fails
energy_based/one_sided                              fails  partly fails  fails  fails
energy_based/contrastive_hebbian                    fails  partly fails  fails  fails
# One sweep sends differences down through all nodes, and their means alone are on a wire.
energy_based/dual_propagation                       fails  fails  fails  fails  fails
energy_based/textbook                               fails  meets  fails  fails  fails
dendritic/textbook                                  meets  fails  fails  fails  fails
perturbation/textbook                               meets  meets  fails  partly meets
# Errors come down from node to node within the step.
eprop/symmetric                                     fails  fails  fails  fails  fails
eprop/random                                        meets  fails  fails  fails  fails
eprop/adaptive                                      meets  fails  fails  fails  fails
eprop/rflo                                          meets  fails  fails  fails  fails
"""

_VERDICTS = {
    rule: dict(zip(STRUCTURAL, ("not applicable" if word == "-" else word for word in verdicts), strict=True))
    for rule, *verdicts in (line.split() for line in STRUCTURE.splitlines() if line and not line.startswith("#"))
}

SPIKING = ("stdp/pair", "stdp/triplet", "stdp/reward_modulated")
ONE_LAYER = "stdp/textbook"  # of which no hidden node hears another


def _of_every_rule(met: tuple[str, ...]) -> dict[str, str]:
    return {rule: "not applicable" if rule == ONE_LAYER else "meets" if rule in met else "fails" for rule in _VERDICTS}


TABLE = {criterion: {rule: verdicts[criterion] for rule, verdicts in _VERDICTS.items()} for criterion in STRUCTURAL} | {
    # Rates go over every other wire; and no rule keeps signs unless it is asked to (`excitatory`).
    "spiking communication": _of_every_rule(SPIKING),
    "Dale's law": _of_every_rule(()),
    "online learning": {"untrained": "not applicable", "backprop": "meets"},
    # With a readout alone, two of three starts learn as much as networks are compared at.
    "robustness": {"untrained": "fails", "backprop": "partly"},
    "energy": {
        "backprop": "meets",
        "feedback_alignment/random": "meets",
        "energy_based/centred": "partly",
        "stdp/pair": "meets",
    },
}
