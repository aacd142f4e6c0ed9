"""Variants as published: one step of each at its own settings, against the paper's equations written out with NumPy alone.

Dense networks, double precision. What a rule draws is told by the rule (negative labels), one of two things (the sign of a nudge),
or drawn again from its key (the noise of inverses).
"""

import functools
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import textbook_table
from networks import N_CLASSES, network_of
from small_task import batch_of, double, train

import architectures
import learning_rules
from learning_rules import RuleState
from learning_rules.forward_forward_goodness import class_groups
from learning_rules.noise import signs

N = 12
NUDGED_AWAY = 1  # a seed that draws the sign that pushes the output away from the label


def softmax(scores):
    grown = np.exp(scores - scores.max(-1, keepdims=True))
    return grown / grown.sum(-1, keepdims=True)


def sigmoid(z):
    return 1 / (1 + np.exp(-z))


def relu(z):
    return np.maximum(z, 0)


def one_hot(labels):
    return np.eye(N_CLASSES)[labels]


class Asked:
    """What a rule asks for at its own settings, on a dense network with its own activation function, as arrays of NumPy."""

    def __init__(self, name, seed=1, rule_options=(), **network_options):
        # Two hidden layers whatever it was published with: equations are asked of nodes between nodes too.
        published = {option: value for option, value in learning_rules.spec(name).network if option != "hidden"}
        self.network = network_of("mlp", **{**published, **network_options})
        self.rule = learning_rules.build(name, self.network, **dict(rule_options))
        self.options = self.rule.options
        with jax.enable_x64(True):
            state = double(self.rule.init(jax.random.key(0)))
            # Biases that are not zero: else nothing would tell whether they count.
            spread = jax.tree.map(
                lambda leaf: leaf + 0.05 * jnp.cos(jnp.arange(leaf.size, dtype=leaf.dtype)).reshape(leaf.shape), state.params
            )
            self.state = RuleState(spread, state.carry)
            self.key = jax.random.key(seed)
            batch = batch_of(2, n=N, dtype=jnp.float64)
            updates, _, info = jax.jit(self.rule.assign_credit)(self.key, self.state, batch)
            self.updates, self.info = jax.tree.map(np.asarray, (updates, info))
            self.x, self.labels = np.asarray(batch[0]).reshape(N, -1), np.asarray(batch[1])
            self.params = jax.tree.map(np.asarray, spread)
            self.carry = jax.tree.map(np.asarray, state.carry)
        self.weights = [own["kernel"] for own in self.params["network"]]
        self.biases = [own["bias"] for own in self.params["network"]]

    def norm_at_start(self, w):
        """Mean norm of the units of a node, known by the shape of its weights, in one fixed draw of them."""
        drawn = (node.init(jax.random.key(0))["kernel"] for node in self.network.nodes)
        (own,) = (each for each in drawn if each.shape == w.shape)
        return np.linalg.norm(np.asarray(own, float), axis=0).mean()

    def assert_asks(self, expected, part="network", rtol=1e-8):
        """Expected: (weights, biases) of each node, None for one that is not looked at."""
        for own, pair in zip(self.updates[part], expected, strict=True):
            if pair is None:
                continue
            for name, value in zip(("kernel", "bias"), pair, strict=True):
                np.testing.assert_allclose(own[name], value, rtol=rtol, atol=rtol * np.abs(value).max() + 1e-14, err_msg=name)
                assert np.abs(value).max() > 0


asked = functools.cache(Asked)


def forward(weights, biases, x, function):
    """What each node hears, and what it answers; the last is linear."""
    heard, answers = [], []
    for index, (w, b) in enumerate(zip(weights, biases, strict=True)):
        heard.append(x)
        z = x @ w + b
        x = z if index == len(weights) - 1 else function(z)
        answers.append(x)
    return heard, answers


def products(heard, deltas):
    return [(x.T @ d, d.sum(0)) for x, d in zip(heard, deltas, strict=True)]


def test_predictive_coding_settles_all_states_at_once_at_one_rate():
    """E = sum |h - relu(W h_below)|^2 / 2 + |scores - target|^2 / 2: 32 steps of 0.1 down its gradient, then its gradient in W."""
    it = asked("predictive_coding/textbook", gain=3.0)
    (w1, w2, w3), (b1, b2, b3) = it.weights, it.biases
    x, target = it.x, one_hot(it.labels)
    h1 = relu(x @ w1 + b1)
    h2 = relu(h1 @ w2 + b2)
    energies = []
    for _ in range(32):
        e1, z2 = h1 - relu(x @ w1 + b1), h1 @ w2 + b2
        e2, e3 = h2 - relu(z2), target - (h2 @ w3 + b3)
        energies.append(sum((e**2).sum(1) / 2 for e in (e1, e2, e3)))
        h1, h2 = h1 + 0.1 * (((z2 > 0) * e2) @ w2.T - e1), h2 + 0.1 * (e3 @ w3.T - e2)
    z1, z2 = x @ w1 + b1, h1 @ w2 + b2
    deltas = [(z1 > 0) * (h1 - relu(z1)), (z2 > 0) * (h2 - relu(z2)), target - (h2 @ w3 + b3)]
    it.assert_asks(products([x, h1, h2], [-d / N for d in deltas]))
    # Weights so large that a guarded step would have been undone: the published one is not.
    assert np.any(np.diff(energies, axis=0) > 0) and np.all(np.isfinite(energies))


def hopfield_steps(it, states, n_steps, beta):
    """Scellier and Bengio's equations 8 to 10 with the hard sigmoid: s <- clip(s + (s_below W + b + s_above W^T - s) / 2)."""
    (w1, w2, w3), (b1, b2, b3) = it.weights, it.biases
    s1, s2, s3 = states
    for _ in range(n_steps):
        d1 = it.x @ w1 + b1 + s2 @ w2.T - s1
        d2 = s1 @ w2 + b2 + s3 @ w3.T - s2
        d3 = s2 @ w3 + b3 - s3 + beta * (one_hot(it.labels) - s3)
        s1, s2, s3 = (np.clip(s + 0.5 * d, 0, 1) for s, d in ((s1, d1), (s2, d2), (s3, d3)))
    return s1, s2, s3


@pytest.mark.parametrize("seed", [NUDGED_AWAY, pytest.param(2, marks=pytest.mark.thorough)])
def test_equilibrium_propagation_settles_free_and_then_nudged_either_way(seed):
    it = asked("energy_based/textbook", seed)
    free = hopfield_steps(it, [np.zeros((N, w.shape[1])) for w in it.weights], 20, 0.0)
    sign = 2 * int(jax.random.randint(it.key, (), 0, 2, jnp.int32)) - 1
    assert sign == (-1 if seed == NUDGED_AWAY else 1)
    nudged = hopfield_steps(it, free, 4, sign * 0.5)

    def correlations(states):
        return products([it.x, *states[:-1]], states)

    pairs = zip(correlations(nudged), correlations(free), strict=True)
    it.assert_asks([tuple(-(a - b) / (sign * 0.5 * N) for a, b in zip(*pair, strict=True)) for pair in pairs])
    scores = jax.jit(it.rule.predict)
    with jax.enable_x64(True):
        reached = scores(it.state, jnp.asarray(it.x.reshape(N, 8, 8, 1)))
    np.testing.assert_allclose(reached, free[-1], atol=1e-12)
    np.testing.assert_allclose(
        it.info["state_difference"], [np.sqrt(np.mean((a - b) ** 2)) for a, b in zip(nudged, free, strict=True)]
    )


def directions(h):
    return h / np.sqrt((h**2).mean(-1, keepdims=True) + 1e-6)


def passes(it, labels):
    """Hinton's network: the label in the first pixels of the image alone, directions between layers. Heard, and answers."""
    pattern = 3.0 * (one_hot(labels) if labels is not None else np.full((N, N_CLASSES), 1 / N_CLASSES))
    x = np.concatenate([pattern, directions(it.x)[:, N_CLASSES:]], axis=1)
    heard, answers = [], []
    for w, b in zip(it.weights[:-1], it.biases[:-1], strict=True):
        heard.append(x)
        answers.append(relu(x @ w + b))
        x = directions(answers[-1])
    return [*heard, x], answers


def test_forward_forward_compares_the_sum_of_squares_with_a_threshold():
    """Gradient of log(1 + exp(theta - g+)) + log(1 + exp(g- - theta)), g = sum of squares, theta = the number of units."""
    it = asked("forward_forward/textbook")
    wrong = it.info["negative_labels"]
    assert not np.any(wrong == it.labels)
    expected = [[0.0, 0.0] for _ in it.weights[:-1]]
    for labels, sign in ((it.labels, -1), (wrong, 1)):
        heard, answers = passes(it, labels)
        for total, x, h in zip(expected, heard, answers, strict=False):
            g, theta = (h**2).sum(1, keepdims=True), h.shape[1]
            delta = sign * sigmoid(sign * (g - theta)) * 2 * h / N  # a rectifier that is shut has h = 0
            total[0] += x.T @ delta
            total[1] += delta.sum(0)
    heard, _ = passes(it, None)
    error = (softmax(heard[-1] @ it.weights[-1] + it.biases[-1]) - one_hot(it.labels)) / N
    it.assert_asks([*expected, (heard[-1].T @ error, error.sum(0))])


def test_forward_forward_classifies_by_the_goodness_of_all_layers_but_the_first():
    it = asked("forward_forward/textbook")
    votes = [sum((h**2).sum(1) for h in passes(it, np.full(N, label))[1][1:]) for label in range(N_CLASSES)]
    with jax.enable_x64(True):
        scores = jax.jit(it.rule.predict)(it.state, jnp.asarray(it.x.reshape(N, 8, 8, 1)))
    np.testing.assert_allclose(scores, np.stack(votes, 1), rtol=1e-9)


def test_channels_compete_by_the_softmax_of_their_goodness():
    """-log exp(g_y) / sum_c exp(g_c), g_c the mean square of the class's own units."""
    it = asked("forward_forward/textbook_channel_wise")
    x = directions(it.x)
    for index in range(2):
        h = relu(x @ it.weights[index] + it.biases[index])
        units = h.shape[1] // N_CLASSES
        member = class_groups(h.shape[1:], N_CLASSES, 0.0)
        assert np.all(member.sum(0) == units) and np.all(member.sum(1) == 1)
        g = np.stack([(h[:, member[:, c]] ** 2).mean(1) for c in range(N_CLASSES)], 1)
        delta = ((softmax(g) - one_hot(it.labels)) @ member.T) * 2 * h / units / N
        np.testing.assert_allclose(it.updates["network"][index]["kernel"], x.T @ delta, rtol=1e-8, atol=1e-12)
        x = directions(h)


def test_difference_target_propagation_sends_targets_through_inverses_that_bend():
    """Lee et al., algorithm 1: h2_ = h2 - eta dL/dh2, h1_ = h1 - tanh(V h2 + c) + tanh(V h2_ + c), and |f(h1) - h2_|^2 a layer."""
    it = asked("target_propagation/textbook")
    heard, (h1, h2, scores) = forward(it.weights, it.biases, it.x, np.tanh)
    error = (softmax(scores) - one_hot(it.labels)) / N
    inverse = it.params["inverse"][1]
    v, c = inverse["weights"]["kernel"].T, inverse["offset"]

    def g(h):
        return np.tanh(h @ v + c)

    target2 = h2 - 0.328 * error @ it.weights[2].T
    target1 = h1 - g(h2) + g(target2)
    deltas = [2 / N * (h - t) * (1 - h**2) for h, t in ((h1, target1), (h2, target2))]
    it.assert_asks(products(heard, [*deltas, error]))
    # The inverse goes down |g(f(h1 + noise)) - (h1 + noise)|^2.
    assert it.updates["inverse"][0] is None and it.updates["inverse"][2] is None
    with jax.enable_x64(True):
        noise = np.asarray(jax.random.normal(jax.random.split(it.key, 3)[1], h1.shape, jnp.float64))
    shaken = h1 + 0.36 * noise
    reached = np.tanh(shaken @ it.weights[1] + it.biases[1])
    rebuilt = np.tanh(reached @ v + c)
    np.testing.assert_allclose(it.info["feedback_loss"][0], ((rebuilt - shaken) ** 2).sum() / N, rtol=1e-9)
    delta = 2 / N * (rebuilt - shaken) * (1 - rebuilt**2)
    np.testing.assert_allclose(it.updates["inverse"][1]["weights"]["kernel"], (reached.T @ delta).T, rtol=1e-7, atol=1e-12)
    np.testing.assert_allclose(it.updates["inverse"][1]["offset"], delta.sum(0), rtol=1e-7, atol=1e-12)


LOCAL_DIFFERENCE = "target_propagation/textbook_local_difference_reconstruction"


def test_inverses_follow_local_differences_for_some_steps_before_targets_go_down():
    """Ernoult et al., algorithm 1: of each B, K steps with momentum down <|g(f(h) + n) - g(f(h))|^2 - 2 e.(g(f(h + e)) - g(f(h)))>.

    Then the loss goes down through the B of that moment.
    """
    it = asked(LOCAL_DIFFERENCE, rule_options=(("feedback_steps", 3),), activation="tanh")
    size, rate = 0.4, 0.005
    heard, answers = forward(it.weights, it.biases, it.x, np.tanh)
    slopes = [1 - answers[0] ** 2, 1 - answers[1] ** 2, np.ones((N, N_CLASSES))]
    inverse = [None] + [it.params["inverse"][k]["weights"]["kernel"] for k in (1, 2)]
    velocity = [None, 0.0, 0.0]
    for key in jax.random.split(it.key, 3):
        for k, node_key in enumerate(jax.random.split(key, 3)):
            if k == 0:
                continue
            with jax.enable_x64(True):
                below, above = jax.random.split(jax.random.split(node_key, 1)[0])
                shape = (N, *it.network.nodes[k].input_shapes[0]), (N, *it.network.nodes[k].output_shape)
                e = size * np.asarray(signs(below, shape[0], jnp.float64))
                n = size * np.asarray(signs(above, shape[1], jnp.float64))
            z = (heard[k] + e) @ it.weights[k] + it.biases[k]
            moved = slopes[k] * ((np.tanh(z) if k < 2 else z) - answers[k])
            shrunk = slopes[k] * n
            # d/dB of |B s|^2 / 2 - e.(B m), a mean over examples in units of the noise.
            gradient = ((shrunk @ inverse[k].T).T @ shrunk - e.T @ moved) / (N * size**2)
            velocity[k] = 0.9 * velocity[k] + gradient
            inverse[k] = inverse[k] - rate * velocity[k]
    for k in (1, 2):
        asked_of = it.updates["inverse"][k]["weights"]["kernel"]
        np.testing.assert_allclose(asked_of, it.params["inverse"][k]["weights"]["kernel"] - inverse[k], rtol=1e-8, atol=1e-13)
    d3 = (softmax(answers[2]) - one_hot(it.labels)) / N
    d2 = (d3 @ inverse[2].T) * slopes[1]
    d1 = (d2 @ inverse[1].T) * slopes[0]
    it.assert_asks(products(heard, [d1, d2, d3]))


def test_inverses_that_have_settled_carry_the_gradient_before_anything_else_has_learned():
    """Ernoult et al., theorem: where the Jacobians match, targets are the gradient's, on the first batch already."""

    def cosines(n_steps):
        options = (("feedback_steps", n_steps), ("noise", 0.02), ("feedback_rate", 1e-3))
        it = asked(LOCAL_DIFFERENCE, rule_options=options, activation="tanh")
        heard, answers = forward(it.weights, it.biases, it.x, np.tanh)
        d3 = (softmax(answers[2]) - one_hot(it.labels)) / N
        d2 = (d3 @ it.weights[2].T) * (1 - answers[1] ** 2)
        d1 = (d2 @ it.weights[1].T) * (1 - answers[0] ** 2)
        own = [u["kernel"].ravel() for u in it.updates["network"][:2]]
        exact = [w.ravel() for w, _ in products(heard[:2], [d1, d2])]
        return [u @ w / np.linalg.norm(u) / np.linalg.norm(w) for u, w in zip(own, exact, strict=True)]

    assert max(cosines(1)) < 0.5 and min(cosines(2000)) > 0.98


def feedback_alignment(it, feedback):
    heard, (h1, h2, scores) = forward(it.weights, it.biases, it.x, sigmoid)
    d3 = (softmax(scores) - one_hot(it.labels)) / N
    d2 = d3 @ feedback[2]["kernel"].T * h2 * (1 - h2)
    d1 = d2 @ feedback[1]["kernel"].T * h1 * (1 - h1)
    return products(heard, [d1, d2, d3])


def stepped(it, n_steps=2):
    """Parameters after equal steps of the rule's own optimiser."""
    with jax.enable_x64(True):
        transform = it.rule.optimizer(1000)
        params, memory = it.state.params, transform.init(it.state.params)
        for _ in range(n_steps):
            moves, memory = transform.update(jax.tree.map(jnp.asarray, it.updates), memory, params)
            params = jax.tree.map(jnp.add, params, moves)
        return jax.tree.map(np.asarray, params)


def test_feedback_alignment_takes_plain_steps_through_fixed_weights_of_full_size():
    it = asked("feedback_alignment/textbook")
    feedback = it.carry["feedback"]
    expected = feedback_alignment(it, feedback)
    it.assert_asks(expected)
    assert 0.8 < np.std(feedback[1]["kernel"]) * np.sqrt(24) < 1.2  # drawn as the weights are: of variance 1 / fan-in
    after = stepped(it)
    for before, own, (w, b) in zip(it.params["network"], after["network"], expected, strict=True):
        np.testing.assert_allclose(own["kernel"], before["kernel"] - 2 * 0.2 * w, rtol=1e-10)
        np.testing.assert_allclose(own["bias"], before["bias"] - 2 * 0.2 * b, rtol=1e-10)


def test_kolen_pollack_gives_both_paths_the_same_plain_step_and_decay():
    """Akrout et al., equations 16 and 17: W and B get one change and one decay, so that their difference only decays."""
    it = asked("feedback_alignment/textbook_kolen_pollack")
    it.assert_asks(feedback_alignment(it, it.params["feedback"]))
    after, kept = stepped(it), (1 - 0.3 * 1e-4) ** 2
    for index in (1, 2):
        apart = it.weights[index] - it.params["feedback"][index]["kernel"]
        np.testing.assert_allclose(after["network"][index]["kernel"] - after["feedback"][index]["kernel"], kept * apart, rtol=1e-10)
        step = 0.3 * it.updates["network"][index]["kernel"]
        once = (1 - 0.3 * 1e-4) * it.weights[index] - step
        np.testing.assert_allclose(after["network"][index]["kernel"], (1 - 0.3 * 1e-4) * once - step, rtol=1e-10)


def competitive(it, x, w):
    """Krotov and Hopfield, equations 3 and 10 with R = 1: the first of each image learns, the seventh unlearns at 0.4.

    Their weights start from a deviation of one: ours are theirs times a constant, and so are the changes.
    """
    unit = it.norm_at_start(w) / np.sqrt(len(w))
    w = w / unit
    y = x @ (np.sign(w) * np.abs(w) ** 2)
    order = np.argsort(y, axis=1)
    g = np.zeros_like(y)
    g[np.arange(N), order[:, -1]] = 1
    g[np.arange(N), order[:, -7]] = -0.4
    change = x.T @ g - w * (g * y).sum(0)
    return -unit * change / np.abs(change).max()


def softly(it, x, w):
    """Journé et al.: y_k softmax, negative for all but the winner; (x - u w) y; rates as the root of the distance from norm one.

    Inputs have unit variance, and weights start from a norm of 25.
    """
    unit = it.norm_at_start(w) / 25
    w, x = w / unit, x / np.sqrt(np.mean(x**2))
    u = x @ w
    y = softmax(u)
    y = np.where(u == u.max(1, keepdims=True), y, -y)
    change = x.T @ y - w * (y * u).sum(0)
    return -unit * change / np.abs(change).max() * np.sqrt(np.abs(np.linalg.norm(w, axis=0) - 1))


def triangle(z):
    return relu(z - z.mean(1, keepdims=True)) ** 0.7


@pytest.mark.parametrize(
    ("name", "plasticity", "function"),
    [
        ("hebbian/textbook", competitive, relu),
        pytest.param("hebbian/textbook_softhebb", softly, triangle, marks=pytest.mark.thorough),
    ],
)
def test_hebbian_units_compete_as_published(name, plasticity, function):
    it = asked(name)
    heard, answers = forward(it.weights, it.biases, it.x, function)
    error = (softmax(answers[-1]) - one_hot(it.labels)) / N
    np.testing.assert_allclose(it.updates["network"][2]["kernel"], heard[2].T @ error, rtol=1e-8, atol=1e-12)
    for index in (0, 1):
        w = it.weights[index]
        # Plasticity leaves the bias alone: what a unit answers with is its weights' part.
        # The unit of what the rule keeps is of the start, which is drawn in single precision.
        np.testing.assert_allclose(it.updates["network"][index]["kernel"], plasticity(it, heard[index], w), rtol=1e-5, atol=1e-10)
        assert not np.any(it.updates["network"][index]["bias"])


def test_competing_units_come_down_to_their_radius():
    """Krotov and Hopfield's start far above it; from below, as networks start, one unit a class wins ever after."""

    def learned(**options):
        network = network_of("mlp")
        rule = learning_rules.build("hebbian/textbook", network, **options)
        state = rule.init(jax.random.key(0))
        after = train(rule, state, n_steps=400)[0]
        weights = np.asarray(after.params["network"][0]["kernel"], float).reshape(-1, 24)
        unit = np.linalg.norm(network.nodes[0].init(jax.random.key(0))["kernel"].reshape(-1, 24), axis=0).mean() / 8
        winners = np.unique(np.argmax(rule.represent(after, batch_of(7, n=256)[0])[0], axis=1))
        return np.sum(np.abs(weights / unit) ** 3, axis=0) ** (1 / 3), len(winners)

    norms, n_winners = learned()
    assert np.mean(norms < 1.2) > 0.7 and norms.min() > 0.95  # they start at four and more
    assert n_winners > learned(initial_deviation=0.0)[1] == N_CLASSES


@pytest.mark.thorough
def test_local_losses_match_similarities_among_as_many_dimensions_as_units():
    """0.01 cross-entropy + 0.99 |S(h) - S(y)|^2: its slope along a random direction of a node's weights, by central differences."""
    it = asked("local_losses/textbook")
    leaky = lambda z: np.where(z > 0, z, 0.01 * z)  # noqa: E731

    def cosines(features):
        centred = features - features.mean(1, keepdims=True)
        unit = centred / np.linalg.norm(centred, axis=1, keepdims=True)
        return unit @ unit.T

    def loss(w1):
        h = leaky(it.x @ w1 + it.biases[0])
        head = it.params["heads"][0]
        assert head["similarity"]["kernel"].shape == (24, 24)
        guess = h @ head["prediction"]["kernel"] + head["prediction"]["bias"]
        cross_entropy = -np.mean(np.log(softmax(guess)[np.arange(N), it.labels]))
        mismatch = np.mean((cosines(h @ head["similarity"]["kernel"]) - cosines(one_hot(it.labels))) ** 2)
        return 0.01 * cross_entropy + 0.99 * mismatch

    direction = np.random.default_rng(0).normal(size=it.weights[0].shape)
    slope = (loss(it.weights[0] + 1e-6 * direction) - loss(it.weights[0] - 1e-6 * direction)) / 2e-6
    np.testing.assert_allclose(np.vdot(it.updates["network"][0]["kernel"], direction), slope, rtol=1e-5)


def test_pepita_takes_plain_steps_by_what_a_modulated_pass_changes():
    """Dellaferrera and Kreiman, algorithm 1: (h - h~) x~^T below, (softmax(scores~) - target) h~^T at the readout; momentum 0.9."""
    it = asked("pepita/textbook")
    _, (h1, h2, scores) = forward(it.weights, it.biases, it.x, relu)
    target = one_hot(it.labels)
    modulated = it.x + (softmax(scores) - target) @ it.carry["projection"].reshape(N_CLASSES, -1)
    heard, (m1, m2, changed) = forward(it.weights, it.biases, modulated, relu)
    it.assert_asks(products(heard, [(h1 - m1) / N, (h2 - m2) / N, (softmax(changed) - target) / N]))
    after = stepped(it)
    for index in range(3):
        moved = 0.1 * (1 + 1.9) * it.updates["network"][index]["kernel"]
        np.testing.assert_allclose(after["network"][index]["kernel"], it.weights[index] - moved, rtol=1e-9)
    assert abs(np.std(it.carry["projection"]) / (0.05 * np.sqrt(2 / 64)) - 1) < 0.15


def errors_through(it, apical, bound=50.0):
    """What each node hears, and errors at its pre-activations: (target - softmax) down through the apical weights, bounded."""
    heard, (h1, h2, scores) = forward(it.weights, it.biases, it.x, np.tanh)
    e3 = 0.9 * one_hot(it.labels) + 0.1 / N_CLASSES - softmax(scores)
    e2 = np.clip(e3 @ apical[2]["kernel"].T, -bound, bound)
    d2 = e2 * (1 - h2**2)
    e1 = np.clip(d2 @ apical[1]["kernel"].T, -bound, bound)
    return heard, (e1, e2), (e1 * (1 - h1**2), d2, e3)


@pytest.mark.parametrize("bound", [50.0, 0.1])
def test_dendrites_compare_bounded_errors_through_large_weights_of_their_own(bound):
    """Lv et al., equations 6 to 9 at rest, for gradient descent: f'(z) e and the slope of |e|^2 / 2 in Theta, labels smoothed."""
    it = asked("dendritic/textbook", rule_options=(("bound", bound),))
    apical = it.params["apical"]
    assert apical[0] is None and 0.85 < np.std(apical[1]["kernel"]) < 1.15
    heard, (e1, e2), deltas = errors_through(it, apical, bound)
    assert np.any(np.abs(e1) == bound) == (bound < 1)
    it.assert_asks(products(heard, [-d / N for d in deltas]))
    for index, (below, above) in enumerate(((e1, deltas[1]), (e2, deltas[2])), start=1):
        np.testing.assert_allclose(it.updates["apical"][index]["kernel"], below.T @ above / N, rtol=1e-8, atol=1e-12)
        assert not np.any(it.updates["apical"][index]["bias"])


def test_both_dendrites_take_steps_of_adam_at_their_own_rates_without_decay():
    """Adam's first step is its rate, whatever the size of what is asked."""
    it = asked("dendritic/textbook")
    after = stepped(it, 1)
    for part, rate, index in (("network", 1e-4, 1), ("apical", 1e-5, 1)):
        moved = after[part][index]["kernel"] - it.params[part][index]["kernel"]
        large = np.abs(it.updates[part][index]["kernel"]) > 1e-5
        np.testing.assert_allclose(moved[large], -rate * np.sign(it.updates[part][index]["kernel"][large]), rtol=1e-2)
    assert learning_rules.spec("dendritic/textbook").batch_size == 64


class Linear:
    """A linear unit of normal inputs that it should answer with nought, and what one step of a rule leaves of its weights."""

    N_INPUTS, N_UNITS = 5, 3

    def __init__(self, name, **options):
        network = architectures.build("mlp", input_shape=(self.N_INPUTS,), n_classes=self.N_UNITS, hidden=())
        self.rule = learning_rules.build(
            name, network, loss="regression", perturbation_size=1e-3, readout="perturbation", **options
        )

    def factor(self, rate, n_steps=40_000):
        """Mean squared length of the weights after a step, of the length before: of many steps from one place."""
        weights = jnp.ones((self.N_INPUTS, self.N_UNITS)) / jnp.sqrt(self.N_INPUTS * self.N_UNITS)
        state = RuleState({"network": ({"kernel": weights, "bias": jnp.zeros(self.N_UNITS)},)}, {})

        def length(key):
            own, other = jax.random.split(key)
            x = jax.random.normal(own, (1, self.N_INPUTS))
            asked = self.rule.assign_credit(other, state, (x, jnp.zeros((1, self.N_UNITS))))[0]["network"][0]
            return jnp.sum((weights - rate * asked["kernel"]) ** 2) + jnp.sum((rate * asked["bias"]) ** 2)

        with jax.enable_x64(True):
            lengths = np.asarray(jax.jit(jax.vmap(length))(jax.random.split(jax.random.key(0), n_steps)))
        return float(lengths.mean()), float(lengths.std() / np.sqrt(n_steps))


@pytest.mark.parametrize(("name", "directions"), [("perturbation/textbook", 3), ("perturbation/weight", 3 * 6)])
def test_noise_learns_as_many_times_more_slowly_as_it_has_directions(name, directions):
    """Werfel, Xie and Seung 2005: 1 - 2 eta + eta^2 (D + 2) E|x|^4 / N, with D units or weights that are shaken.

    With a bias that starts where it should be, which hears a one: E[(w x)^2 (|x|^2 + 1)] = (N + 3) |w|^2.
    """
    linear = Linear(name)
    best_rate = 1 / ((directions + 2) * (5 + 3))
    for rate in (best_rate, 0.05):
        expected = 1 - 2 * rate + rate**2 * (directions + 2) * (5 + 3)
        found, error = linear.factor(rate)
        assert abs(found - expected) < 4 * error + 1e-4, (found, expected, error)
        if rate == best_rate:  # what is tested is smaller than what it is tested by
            assert np.isclose(expected, 1 - best_rate) and error < 0.1 * best_rate


def test_node_perturbation_takes_plain_steps_of_the_best_rate_that_is_known():
    it = asked("perturbation/textbook")
    rate = 1 / ((24 + 16 + N_CLASSES + 2) * (64 + 2))
    moved = 2 * rate * it.updates["network"][1]["kernel"]
    np.testing.assert_allclose(stepped(it)["network"][1]["kernel"], it.weights[1] - moved, rtol=1e-10)


def test_every_rule_as_published_is_in_the_table_with_the_test_that_proves_it():
    rules = textbook_table.textbook_rules()
    assert set(textbook_table.ORACLES) == set(rules)
    for name, (file, test) in textbook_table.ORACLES.items():
        assert f"def {test}(" in (Path(__file__).parent / file).read_text(encoding="utf-8"), name
    said = (textbook_table.RESULTS / "textbook.md").read_text(encoding="utf-8")
    assert said == textbook_table.page(), "rules or sweeps have changed since: run tests/learning_rules/textbook_table.py"
