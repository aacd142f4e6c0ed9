"""The identities that prove forward-forward: each node follows the gradient of its own goodness, and nothing crosses a node."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from chains import chain_of
from small_task import batch_of, double, network_of

import architectures
import learning_rules
from learning_rules import InputError, RuleState
from learning_rules.forward_forward_goodness import class_groups
from learning_rules.forward_forward_labels import label_patterns

both_networks = pytest.mark.parametrize("architecture", ["mlp", "cnn"])
every_variant = pytest.mark.parametrize("variant", ["standard", "symba", "channel_wise"])
AMPLITUDE, SHARPNESS, THRESHOLD, SHARE = 5.0, 3.0, 0.8, 0.5


def rule_of(variant, network, **options):
    given = {"label_amplitude": AMPLITUDE, "sharpness": SHARPNESS, "threshold": THRESHOLD, "group_fraction": SHARE, **options}
    return learning_rules.build("forward_forward", network, variant=variant, **given)


def state_of(rule):
    """Initial weights, and biases that are not zero: else nothing would tell whether a bias counts once or twice."""
    state = double(rule.init(jax.random.key(0)))
    return jax.tree.map(lambda leaf: leaf + 0.1 * jnp.cos(jnp.arange(leaf.size, dtype=leaf.dtype)).reshape(leaf.shape), state)


def assert_same(a, b, rtol=1e-10):
    assert jax.tree.structure(a) == jax.tree.structure(b)
    for p, q in zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True):
        np.testing.assert_allclose(p, q, rtol=rtol, atol=rtol * float(jnp.abs(q).max()))


def direction(h):
    """Root mean square of one, each example by itself (the rule's tiny floor under the mean square included)."""
    flat = h.reshape(len(h), -1)
    return (flat / jnp.sqrt((flat**2).mean(1, keepdims=True) + 1e-6)).reshape(h.shape)


def with_label(x, labels, n_classes, sees_all):
    """A signal of unit size with labels inside, made example by example; `labels` (n,), or None for the neutral one."""
    n = len(x)
    chosen = jnp.full((n, n_classes), 1 / n_classes) if labels is None else jax.nn.one_hot(labels, n_classes, dtype=x.dtype)
    if sees_all:  # the first inputs
        return jnp.concatenate([AMPLITUDE * chosen, x.reshape(n, -1)[:, n_classes:]], axis=1).reshape(x.shape)
    if x.shape[-1] >= n_classes:  # a channel a class
        return jnp.concatenate([x[..., :n_classes] + AMPLITUDE / 4 * chosen[:, None, None], x[..., n_classes:]], axis=-1)
    waves = label_patterns("waves", x.shape[1:], n_classes, AMPLITUDE).patterns[:n_classes]
    return x + jnp.tensordot(chosen, waves, axes=1)


def ascend(network, params, images, labels=None, labelled=True, stop=True):
    """Each hidden block's answer to the direction of the answer below it."""
    hidden, x = [], direction(images)
    for block, w in zip(chain_of(network)[:-1], params[:-1], strict=True):
        if labelled:
            x = with_label(x, labels, network.n_classes, sees_all="conv" not in block.name)
        hidden.append(block.apply(w, jax.lax.stop_gradient(x) if stop else x))
        x = direction(hidden[-1])
    return hidden


def goodness(h):
    return (h.reshape(len(h), -1) ** 2).mean(1)


def log_goodness_by_class(h, n_classes):
    """Class after class, the logarithm of the mean square of the units that stand for it."""
    groups, flat = class_groups(h.shape[1:], n_classes, SHARE), h.reshape(len(h), -1)
    return jnp.stack([jnp.log((flat[:, groups[:, c]] ** 2).mean(1) + 1e-3) for c in range(n_classes)], axis=1)


def definition(network, variant, params, images, labels, negatives, stop=True):
    """Sum of all blocks' losses and the readout's; with `stop` one gradient holds each node's own."""
    if variant == "channel_wise":
        hidden = ascend(network, params, images, labelled=False, stop=stop)
        logits = [SHARPNESS * log_goodness_by_class(h, network.n_classes) for h in hidden]
        total = sum(-jnp.mean(jax.nn.log_softmax(g)[jnp.arange(len(labels)), labels]) for g in logits)
    else:
        positive, negative = ([goodness(h) for h in ascend(network, params, images, y, stop=stop)] for y in (labels, negatives))
        hidden = ascend(network, params, images, stop=stop)
        total = 0.0
        for p, q in zip(positive, negative, strict=True):
            if variant == "standard":
                each = jnp.logaddexp(0, SHARPNESS * (THRESHOLD - p)) + jnp.logaddexp(0, SHARPNESS * (q - THRESHOLD))
            else:
                each = jnp.logaddexp(0, SHARPNESS * (q - p))
            total += jnp.mean(each)
    scores = chain_of(network)[-1].apply(params[-1], jax.lax.stop_gradient(direction(hidden[-1])))
    return total - jnp.mean(jax.nn.log_softmax(scores)[jnp.arange(len(labels)), labels])


@both_networks
@every_variant
@pytest.mark.costly
def test_each_block_follows_the_gradient_of_its_own_goodness_loss(architecture, variant):
    network = network_of(architecture)
    rule = rule_of(variant, network)
    with jax.enable_x64(True):
        state, (images, labels) = state_of(rule), batch_of(2, dtype=jnp.float64)
        updates, _, info = jax.jit(rule.assign_credit)(jax.random.key(1), state, (images, labels))
        negatives = info.get("negative_labels", labels)

        def reference(params, stop):
            return definition(network, variant, params, images, labels, negatives, stop)

        gradient = jax.jit(jax.value_and_grad(reference), static_argnums=1)
        params = state.params["network"]
        total, stopped = gradient(params, True)
        assert_same(updates["network"], stopped)
        np.testing.assert_allclose(info["loss"] + sum(info["node_loss"]), total, rtol=1e-10)
        # Let through, errors from above would change what every block but the last hidden one is updates.
        for a, b in zip(updates["network"][:-2], gradient(params, False)[1][:-2], strict=True):
            assert float(jnp.linalg.norm(a["kernel"] - b["kernel"])) > 0.05 * float(jnp.linalg.norm(a["kernel"]))


@both_networks
@every_variant
@pytest.mark.costly
def test_what_a_node_learns_does_not_depend_on_anything_above(architecture, variant):
    """Save through the choice of hard negatives, which is the readout's: here they are uniform."""
    network = network_of(architecture)
    rule = rule_of(variant, network, negatives="uniform")
    with jax.enable_x64(True):
        params, batch = state_of(rule).params["network"], batch_of(2, dtype=jnp.float64)
        ask = jax.jit(lambda params: rule.assign_credit(jax.random.key(1), RuleState({"network": params}, ()), batch)[0]["network"])
        before = ask(params)
        for lowest in range(1, len(params)):
            shaken = jax.tree.map(lambda leaf: leaf + 0.3 * jnp.cos(leaf * 50), params[lowest:])
            after = ask((*params[:lowest], *shaken))
            assert_same(after[:lowest], before[:lowest], 1e-12)
            assert float(jnp.abs(after[lowest]["kernel"] - before[lowest]["kernel"]).max()) > 1e-4


@both_networks
@every_variant
@pytest.mark.costly
def test_predicts_by_goodness_and_represents_the_neutral_pass(architecture, variant):
    network = network_of(architecture)
    by_all, by_last = (rule_of(variant, network, voters=voters) for voters in ("all", "last"))
    with jax.enable_x64(True):
        state, (images, _) = state_of(by_all), batch_of(2, n=5, dtype=jnp.float64)
        params = state.params["network"]

        @jax.jit
        def answers(state):
            return by_all.predict(state, images), by_last.predict(state, images), by_all.represent(state, images)

        scores, scores_of_last, activations = answers(state)
        hidden = ascend(network, params, images, labelled=variant != "channel_wise")
        if variant == "channel_wise":
            votes = [log_goodness_by_class(h, network.n_classes) for h in hidden]
        else:
            passes = [ascend(network, params, images, jnp.full(5, c)) for c in range(network.n_classes)]
            votes = [jnp.stack([goodness(h) for h in same_block], axis=1) for same_block in zip(*passes, strict=True)]
        assert_same(scores, SHARPNESS * sum(votes))
        assert_same(scores_of_last, SHARPNESS * votes[-1])
        passed_on = [direction(h) for h in hidden]
        assert_same(activations, (*passed_on, chain_of(network)[-1].apply(params[-1], passed_on[-1])))


@both_networks
@every_variant
@pytest.mark.costly
def test_the_readout_follows_the_delta_rule_on_what_it_reads(architecture, variant):
    """Softmax less target times what the neutral pass hands to it, written out."""
    network = network_of(architecture)
    rule = rule_of(variant, network)
    with jax.enable_x64(True):
        state, (images, labels) = state_of(rule), batch_of(2, dtype=jnp.float64)
        activations = jax.jit(rule.represent)(state, images)
        updates = jax.jit(rule.assign_credit)(jax.random.key(1), state, (images, labels))[0]["network"][-1]
        error = (jax.nn.softmax(activations[-1]) - jax.nn.one_hot(labels, network.n_classes)) / len(labels)
        assert_same(updates["kernel"], activations[-2].T @ error)
        assert_same(updates["bias"], error.sum(0))


@every_variant
@pytest.mark.costly
def test_only_the_direction_of_an_answer_reaches_the_next_block(variant):
    """Else the block above could read the goodness of the block below off its input's length."""
    network = network_of("mlp")
    rule = rule_of(variant, network)
    with jax.enable_x64(True):
        state, (images, _) = state_of(rule), batch_of(3, n=6, dtype=jnp.float64)
        doubled = (jax.tree.map(lambda leaf: 2 * leaf, state.params["network"][0]), *state.params["network"][1:])
        represent = jax.jit(rule.represent)
        before, after = represent(state, images), represent(RuleState({"network": doubled}, ()), images)
        for a, b in zip(after, before, strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)


def test_negatives_are_wrong_labels_that_the_readout_finds_likely():
    network = network_of("mlp")
    images, labels = batch_of(4, n=1)
    n = 4000
    batch = jnp.broadcast_to(images, (n, *images.shape[1:])), jnp.broadcast_to(labels, n)
    for negatives in ("hard", "uniform"):
        rule = rule_of("symba", network, negatives=negatives)
        state = rule.init(jax.random.key(0))
        drawn = np.asarray(jax.jit(rule.assign_credit)(jax.random.key(1), state, batch)[2]["negative_labels"])
        share = np.bincount(drawn, minlength=4) / n
        likely = np.array(jax.nn.softmax(rule.represent(state, images)[-1][0])) if negatives == "hard" else np.ones(4)
        likely[int(labels[0])] = 0
        likely /= likely.sum()
        assert share[int(labels[0])] == 0
        assert np.ptp(likely[likely > 0]) > 0.1 or negatives == "uniform"
        np.testing.assert_allclose(share, likely, atol=4 * np.sqrt(0.25 / n))


def test_labels_replace_the_first_pixels_or_lie_over_the_whole_image():
    pixels, waves = (label_patterns(kind, (6, 5, 2), 7, 4.0) for kind in ("pixels", "waves"))
    np.testing.assert_array_equal(pixels.patterns[:7].reshape(7, -1)[:, :7], 4 * np.eye(7))
    np.testing.assert_array_equal(pixels.free.ravel(), np.arange(60) >= 7)
    assert waves.free.all()
    np.testing.assert_allclose(np.sqrt((waves.patterns[:7] ** 2).mean((1, 2, 3))), 0.5)
    for embedding in (pixels, waves):
        np.testing.assert_allclose(embedding.patterns[7], embedding.patterns[:7].mean(0))
    many = label_patterns("waves", (28, 28, 1), 100, 8.0).patterns[:100].reshape(100, -1)
    assert np.abs(np.corrcoef(many) - np.eye(100)).max() < 0.999


def test_the_label_is_a_channel_where_units_see_patches_of_enough_channels():
    patterns, free = label_patterns("channels", (3, 2, 5), 4, 8.0)
    np.testing.assert_array_equal(
        np.broadcast_to(patterns[:4], (4, 3, 2, 5)), np.tile(2 * np.eye(4, 5)[:, None, None], (1, 3, 2, 1))
    )
    np.testing.assert_allclose(patterns[4], patterns[:4].mean(0))
    assert np.all(free == 1)


@pytest.mark.parametrize("share", [0.0, 0.3, 0.5])
@pytest.mark.parametrize(("shape", "n_classes"), [((12,), 4), ((512,), 10), ((14, 14, 32), 10), ((2, 2, 8), 4)])
def test_every_unit_stands_for_its_share_of_the_classes_and_every_class_has_as_many_units(shape, n_classes, share):
    groups = class_groups(shape, n_classes, share)
    n_chosen = max(round(share * n_classes), 1)
    assert groups.shape == (np.prod(shape), n_classes)
    assert (groups.sum(1) <= n_chosen).all() and (groups.sum(1) == n_chosen).mean() > 0.5
    if n_classes % n_chosen == 0:
        assert (groups.sum(1) == n_chosen).all()
    kinds = np.unique(groups.reshape(-1, n_classes), axis=0)
    assert len(kinds) > n_chosen
    sizes = groups.sum(0)
    assert sizes.min() > 0.6 * sizes.mean()


def test_a_channel_stands_for_the_same_classes_within_a_cell_and_for_others_elsewhere():
    groups = class_groups((8, 8, 3), 10, 0.5).reshape(8, 8, 3, 10)
    for y in range(0, 8, 2):
        for x in range(0, 8, 2):
            assert (groups[y : y + 2, x : x + 2] == groups[y, x]).all()
    assert len(np.unique(groups[:, :, 0].reshape(-1, 10), axis=0)) > 8


def test_classes_compete_for_shares_whatever_the_size_of_the_answer():
    network = network_of("mlp")
    rule = rule_of("channel_wise", network, voters="last")
    with jax.enable_x64(True):
        state, (images, _) = state_of(rule), batch_of(3, n=6, dtype=jnp.float64)
        first, second, readout = state.params["network"]
        large = jax.tree.map(lambda leaf: 100 * leaf, second)
        scores = [rule.predict(RuleState({"network": (first, w, readout)}, ()), images) for w in (large, second)]
        shares = [jax.nn.softmax(s) for s in scores]
        np.testing.assert_allclose(shares[0], shares[1], atol=0.02)


@every_variant
@pytest.mark.parametrize("architecture", ["residual", "attention", "flax"])
@pytest.mark.costly
def test_nothing_crosses_a_node_on_any_graph(architecture, variant):
    """Weights further up, shaken, leave what is asked below as it is; those below do not."""
    network = network_of(architecture)
    rule = rule_of(variant, network, negatives="uniform", group_fraction=0.5)
    with jax.enable_x64(True):
        params, batch = state_of(rule).params["network"], batch_of(2, n=8, dtype=jnp.float64)
        ask = jax.jit(lambda params: rule.assign_credit(jax.random.key(1), RuleState({"network": params}, ()), batch)[0]["network"])
        before = ask(params)
        for lowest in range(1, len(params)):
            if not jax.tree.leaves(params[lowest]):
                continue
            shaken = jax.tree.map(lambda leaf: leaf + 0.3 * jnp.cos(leaf * 50), params[lowest:])
            after = ask((*params[:lowest], *shaken))
            assert_same(after[:lowest], before[:lowest], 1e-12)
            moved = [jnp.abs(a - b).max() for a, b in zip(*map(jax.tree.leaves, (after[lowest], before[lowest])), strict=True)]
            assert float(max(moved)) > 1e-4


@pytest.mark.parametrize(
    ("options", "network_options", "message"),
    [
        ({"label": "wave"}, {}, "did you mean 'waves'"),
        ({"negatives": "har"}, {}, "did you mean 'hard'"),
        ({"voters": "lats"}, {}, "did you mean 'last'"),
        ({"group_fraction": 1.0}, {}, "below 1|less than 1|\\[0, 1\\)"),
        ({"sharpness": 0.0}, {}, "expected a number above 0"),
        ({"variant": "symbaa"}, {}, "did you mean 'symba'"),
        ({"variant": "channel_wise"}, {"hidden": (8, 1)}, "'hidden_1' has too few units"),
        ({"variant": "channel_wise", "group_fraction": 0.0}, {"hidden": (8, 3)}, "'hidden_1' has too few units"),
        ({"variant": "symba", "label": "channels"}, {}, "fewer channels"),
        ({}, {"hidden": ()}, "no hidden node"),
        ({}, {"normalisation": "length"}, "take normalisation='none'"),
    ],
)
def test_mistakes_are_named(options, network_options, message):
    with pytest.raises(InputError, match=message):
        learning_rules.build("forward_forward", network_of("mlp", **network_options), **options)


def test_the_kind_of_label_that_is_given_is_the_images():
    """Further up a wave would have no map to lie on."""
    network = network_of("mlp")
    images, labels = batch_of(2)
    updates = {}
    for kind in ("pixels", "waves"):
        rule = rule_of("symba", network, label=kind, negatives="uniform")
        state = rule.init(jax.random.key(0))
        updates[kind] = jax.jit(rule.assign_credit)(jax.random.key(1), state, (images, labels))[0]["network"][0]["kernel"]
    assert float(jnp.abs(updates["pixels"] - updates["waves"]).max()) > 1e-4


def test_more_classes_than_pixels_are_named():
    network = architectures.build("mlp", input_shape=(2, 2, 1), n_classes=6)
    with pytest.raises(InputError, match="fewer pixels"):
        learning_rules.build("forward_forward/symba", network)
