"""The identities that prove each variant of energy-based learning."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from chains import chain_of, loss_function
from small_task import N_CLASSES, batch_of, course, double, network_of

import architectures
import learning_rules
from learning_rules import InputError, RuleState
from learning_rules.objectives import Batch

# Couplings do not ask whether weights are shared, and settling a convolutional network takes twice as long to compile.
CNN_TOO = pytest.param("cnn", "cross_entropy", marks=pytest.mark.thorough)
pytestmark = pytest.mark.on_all_networks
both_networks = pytest.mark.parametrize("architecture", ["mlp", pytest.param("cnn", marks=pytest.mark.thorough)])
both_losses = pytest.mark.parametrize(("architecture", "loss"), [("mlp", "cross_entropy"), CNN_TOO, ("mlp", "squared_error")])
SETTLED = {"free_sweeps": 80, "nudged_sweeps": 80}


def flat(tree):
    return jnp.concatenate([leaf.ravel() for leaf in jax.tree.leaves(tree)])


def cosine(a, b):
    return float(a @ b / jnp.linalg.norm(a) / jnp.linalg.norm(b))


def distance(updates, reference):
    """Length of the difference over the reference's length, per node."""
    pairs = [(flat(a), flat(b)) for a, b in zip(updates, reference, strict=True)]
    return np.array([float(jnp.linalg.norm(a - b) / jnp.linalg.norm(b)) for a, b in pairs])


def state_of(rule):
    return double(rule.init(jax.random.key(0)))


def ask(rule, state, n=8):
    return jax.jit(rule.assign_credit)(jax.random.key(1), state, batch_of(2, n=n, dtype=jnp.float64))


def gradient_of_settled_loss(rule, state, loss="cross_entropy"):
    """Differentiated through every sweep of settling."""
    images, labels = batch_of(2, n=8, dtype=jnp.float64)
    objective = loss_function(loss)
    return jax.jit(jax.grad(lambda p: objective(rule.predict(RuleState({"network": p}, ()), images), labels)))(
        state.params["network"]
    )


@both_losses
@pytest.mark.costly
def test_equilibrium_propagation_tends_to_the_gradient_of_the_settled_loss(architecture, loss):
    """Bias falls with the nudge for one side, with its square for the centred estimate."""
    network = network_of(architecture)
    with jax.enable_x64(True):
        distances, reference = {}, None
        for variant in ("one_sided", "centred"):
            for beta in (2e-3, 1e-3):
                rule = learning_rules.build("energy_based", network, variant=variant, loss=loss, beta=beta, gain=0.2, **SETTLED)
                state = state_of(rule)
                reference = reference or gradient_of_settled_loss(rule, state, loss)
                distances[variant, beta] = distance(ask(rule, state)[0]["network"], reference)
        for variant, ratio in (("one_sided", 2), ("centred", 4)):
            np.testing.assert_allclose(distances[variant, 2e-3] / distances[variant, 1e-3], ratio, rtol=0.1)
        assert distances["one_sided", 1e-3].max() < 2e-2
        assert distances["centred", 1e-3].max() < 1e-4


def test_feedback_matters_to_the_settled_state():
    """The identity above would also hold for a network without feedback, of which settling is the forward pass; this is not one."""
    rule = learning_rules.build("energy_based", network_of("mlp"), gain=0.5)
    with jax.enable_x64(True):
        state = state_of(rule)
        images, _ = batch_of(2, n=8, dtype=jnp.float64)
        settled, forward = rule.represent(state, images), rule.network.forward(state.params["network"], images)
        assert float(jnp.linalg.norm(settled[0] - forward[0]) / jnp.linalg.norm(forward[0])) > 0.1


@both_losses
@pytest.mark.costly
def test_contrastive_hebbian_descends_the_difference_of_the_two_energies(architecture, loss):
    """Free energy clamped minus free energy free, each at its own settled states, differentiated through the settling."""
    network = network_of(architecture)
    strength = 0.6
    rule = learning_rules.build("energy_based/contrastive_hebbian", network, loss=loss, gain=0.2, output_gain=strength, **SETTLED)
    chain = chain_of(rule.network)
    with jax.enable_x64(True):
        state = state_of(rule)
        state.params["network"] = (*state.params["network"][:-1], jax.tree.map(lambda w: 0.3 * w, state.params["network"][-1]))
        images, labels = batch_of(2, n=8, dtype=jnp.float64)
        target = jax.nn.one_hot(labels, N_CLASSES, dtype=jnp.float64)

        def energy(params, clamped):
            states = [chain[0].apply(params[0], images)]
            for block, w in zip(chain[1:-1], params[1:-1], strict=True):
                states.append(block.apply(w, states[-1]))
            act = jax.nn.softmax if loss == "cross_entropy" else (lambda z: z)

            def one_sweep(states, _):
                states = list(states)
                above = strength * (target if clamped else act(chain[-1].synapse(params[-1], states[-1])))
                for k in reversed(range(len(states))):
                    _, pull = jax.vjp(lambda s: chain[k + 1].synapse(params[k + 1], s), states[k])  # noqa: B023
                    drive = chain[k].synapse(params[k], images if k == 0 else states[k - 1])
                    above = states[k] = jnp.clip(drive + pull(above)[0], -1, 1)
                return tuple(states), None

            states, _ = jax.lax.scan(one_sweep, tuple(states), None, length=60)
            scores = chain[-1].synapse(params[-1], states[-1])
            output = target if clamped else act(scores)
            own = jax.scipy.special.xlogy(output, output) if loss == "cross_entropy" else 0.5 * output**2
            total = strength * jnp.sum(own - output * scores)
            for k, s in enumerate(states):
                below = images if k == 0 else states[k - 1]
                total += 0.5 * jnp.sum(s**2) - jnp.sum(s * chain[k].synapse(params[k], below))
            return total / (strength * len(labels))

        reference = jax.jit(jax.grad(lambda p: energy(p, True) - energy(p, False)))(state.params["network"])
        assert distance(ask(rule, state)[0]["network"], reference).max() < 1e-6


@both_networks
@pytest.mark.parametrize("variant", ["centred", "one_sided", "contrastive_hebbian"])
@pytest.mark.costly
def test_the_energy_falls_while_states_settle(architecture, variant):
    rule = learning_rules.build(
        "energy_based", network_of(architecture), variant=variant, free_sweeps=12, nudged_sweeps=12, gain=0.2, beta=0.1
    )
    with jax.enable_x64(True):
        _, _, info = ask(rule, state_of(rule))
    energy = np.asarray(info["energy"])
    assert energy[1] < energy[0] - 1e-3
    assert np.all(np.diff(energy) <= 1e-12)
    assert np.all(np.diff(np.asarray(info["nudged_energy"]), axis=0) <= 1e-12)  # of either condition
    for residual in ("residual", "nudged_residual"):
        assert len(info[residual]) == len(rule.network.nodes) - 1 and float(jnp.max(info[residual])) < 0.05


@both_networks
@pytest.mark.parametrize(("variant", "strength"), [("one_sided", "beta"), ("contrastive_hebbian", "output_gain")])
def test_what_is_left_of_settling_is_no_teaching_signal(architecture, variant, strength):
    """States far from settled move on in both conditions alike, so a weaker nudge asks for the same, not for ten times as much."""
    network = network_of(architecture)
    with jax.enable_x64(True):
        updates = []
        for value in (1e-3, 1e-4):
            options = {strength: value, "gain": 0.3, "free_sweeps": 1, "nudged_sweeps": 1}
            rule = learning_rules.build("energy_based", network, variant=variant, **options)
            asks, _, info = ask(rule, state_of(rule))
            assert float(jnp.max(info["residual"])) > 0.05
            updates.append(asks["network"])
        assert distance(*updates).max() < 0.02


@both_networks
@pytest.mark.parametrize("sweeps", [1, 4])
def test_dual_propagation_tends_to_backpropagation(architecture, sweeps):
    network = network_of(architecture, activation="tanh")
    reference_rule = learning_rules.build("backprop", network)
    with jax.enable_x64(True):
        distances = []
        for beta in (0.4, 0.2):
            rule = learning_rules.build("energy_based/dual_propagation", network, beta=beta, nudged_sweeps=sweeps)
            state = state_of(rule)
            distances.append(distance(ask(rule, state)[0]["network"], ask(reference_rule, state)[0]["network"]))
        below = slice(0, -1)  # one sweep leaves the readout's input where it was, up to the states' curvature
        np.testing.assert_allclose(distances[0][below] / distances[1][below], 4, rtol=0.2)
        assert max(distances[1]) < 0.02


@both_networks
def test_dual_propagation_is_backpropagation_where_no_rectifier_switches(architecture):
    network = network_of(architecture)
    rule = learning_rules.build("energy_based/dual_propagation", network, beta=1e-4)
    with jax.enable_x64(True):
        state = state_of(rule)
        reference = ask(learning_rules.build("backprop", network), state)[0]["network"]
        assert distance(ask(rule, state)[0]["network"], reference).max() < 1e-8


def test_settles_over_skips_to_the_gradient_of_the_settled_loss():
    """On a residual network, whose skips are couplings too: equilibrium propagation asks for the settled loss's gradient."""
    rule = learning_rules.build("energy_based/centred", network_of("residual", activation="tanh"), beta=1e-3, gain=0.2, **SETTLED)
    with jax.enable_x64(True):
        state = state_of(rule)
        reference = gradient_of_settled_loss(rule, state)
        assert all(float(jnp.linalg.norm(flat(each))) > 0 for each in reference)
        assert distance(ask(rule, state)[0]["network"], reference).max() < 1e-4


@pytest.mark.parametrize(
    ("architecture", "built_with", "reason"),
    [
        ("cnn", {"pooling": "mean", "strides": 1}, "without pooling"),
        ("mlp", {"normalisation": "length"}, "without pooling, normalisation"),
        ("attention", {}, "attention"),
        ("elman", {}, "runs in time"),
    ],
)
def test_networks_that_have_no_such_energy_are_refused(architecture, built_with, reason):
    network = network_of(architecture, **built_with)
    assert reason in learning_rules.support("energy_based", network).reason
    with pytest.raises(InputError, match=reason):
        learning_rules.build("energy_based", network)


@pytest.mark.parametrize(
    ("options", "message"),
    [({"beta": 0.0}, "beta=0.0"), ({"free_sweeps": 0}, "free_sweeps=0"), ({"loss": "hinge"}, "unknown loss 'hinge'")],
)
def test_mistakes_are_named(options, message):
    with pytest.raises(InputError, match=message):
        learning_rules.build("energy_based", network_of("mlp"), **options)


@pytest.mark.parametrize("variant", ["centred", "one_sided", "contrastive_hebbian", "dual_propagation"])
@pytest.mark.costly
def test_examples_that_do_not_count_change_nothing(variant):
    rule = learning_rules.build("energy_based", network_of("mlp"), variant=variant)
    with jax.enable_x64(True):
        state = state_of(rule)
        images, labels = batch_of(2, n=8, dtype=jnp.float64)
        counts = jnp.array([1, 0, 1, 1, 0, 1, 1, 1])
        kept = counts > 0
        updates = [
            jax.jit(rule.assign_credit)(jax.random.key(1), state, batch)[0]["network"]
            for batch in (Batch(images, labels, counts), (images[kept], labels[kept]))
        ]
        for a, b in zip(*map(jax.tree.leaves, updates), strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("variant", ["centred", "one_sided", "contrastive_hebbian"])
@pytest.mark.costly
def test_after_training_with_defaults_it_goes_down_the_loss_where_its_states_settle(variant):
    """In single precision and with the few sweeps of the defaults; how far states still move is part of the statement."""
    rule = learning_rules.build("energy_based", network_of("mlp"), variant=variant)
    step = learning_rules.make_step(rule, rule.optimizer())

    @jax.jit
    def run(learner, steps):
        after, info = jax.lax.scan(lambda now, given: step(now, given[1], given[0]), learner, steps)
        batch = batch_of(6)
        key = jax.random.key(5)
        ours = learning_rules.alignment_with_backprop(rule, after.state, key, batch)
        forward = learning_rules.alignment_with_backprop(rule._replace(infer=None), after.state, key, batch)
        return info["residual"][-1], ours.cosine, forward.cosine

    residual, cosine, of_forward_pass = run(learning_rules.start(rule, rule.optimizer(), jax.random.key(0)), course(0, 80))
    assert np.all(residual < 0.05) and np.all(cosine > 0.95), (residual, cosine)
    assert np.all(cosine >= of_forward_pass)  # the forward pass's loss is not the one that it learns by


@pytest.mark.parametrize("variant", ["centred", "dual_propagation", "textbook"])
def test_a_readout_that_bends_its_scores_is_refused(variant):
    """The weights' part of the energy would lack the readout's derivative: with softmax even the sign of an update is another."""
    nodes = [architectures.dense("hidden", (8, 8, 1), 6), architectures.dense("output", (6,), N_CLASSES, activation="sigmoid")]
    network = architectures.chain(nodes, name="bent", input_shape=(8, 8, 1), n_classes=N_CLASSES)
    with pytest.raises(InputError, match="'output' bends the scores"):
        learning_rules.build(f"energy_based/{variant}", network)
