"""CLAPP against its four factors written out in NumPy, finite differences, and what its scores tell apart once it has learned."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from small_task import batch_of, double, network_of, watch

import learning_rules
from learning_rules import Batch, InputError
from learning_rules.clapp import _after_saccade
from learning_rules.positive_pairs import ViewOptions, second_view

KEY = jax.random.key(3)
# What a step draws, in the order in which it draws it.
KEY_VIEW, KEY_MOVEMENTS = jax.random.split(KEY)
KEY_OTHER, KEY_KIND = jax.random.split(KEY_MOVEMENTS)


def one_step(name, variant, counts=None, n=12):
    network = network_of(name, hidden=(6, 5)) if name == "mlp" else network_of(name)
    rule = learning_rules.build("clapp", network, variant=variant)
    state, (images, labels) = double(rule.init(jax.random.key(0))), batch_of(2, n=n, dtype=jnp.float64)
    # Lateral weights this large make some scores right by more than the margin.
    lateral = jax.tree.map(lambda leaf: leaf / 2, state.params["lateral"])
    state = state._replace(params={**state.params, "lateral": lateral})
    updates, _, info = jax.jit(rule.assign_credit)(KEY, state, Batch(images, labels, counts))
    seen = jnp.ones(n) if counts is None else counts
    return network, state.params, images, updates, info, np.asarray(_after_saccade(KEY_OTHER, seen)[0])


@pytest.mark.parametrize("variant", ["synchronous", "asynchronous"])
@pytest.mark.costly
def test_a_step_is_the_four_factors_of_the_paper(variant):
    """Movement and surprise, dendrite, unit, input: for each example and each synapse, minus what an optimiser subtracts."""
    with jax.enable_x64(True):
        n = 12
        counts = np.asarray(np.arange(n) % 4 > 0, float)
        network, params, images, updates, _, other = one_step("mlp", variant, jnp.asarray(counts))
        view = second_view(KEY_VIEW, images, ViewOptions())
        kind = np.asarray(jax.random.bernoulli(KEY_KIND, 0.5, (1, n)))[0]
        both = variant == "synchronous"
        fixations = [(b, b, 1) for b in range(n) if counts[b] and (both or kind[b])]
        saccades = [(b, other[b], -1) for b in range(n) if counts[b] and (both or not kind[b])]
        assert min(len(fixations), len(saccades)) > 1
        first, second = (np.asarray(x).reshape(n, -1) for x in (images, view))
        surprising = []
        each = zip(params["network"], params["lateral"], updates["network"], updates["lateral"], strict=False)
        for own, lateral, update, moved in each:
            w, b = np.asarray(own["kernel"]), np.asarray(own["bias"])
            w_pred, w_retro = (np.asarray(lateral[name]) for name in ("prediction", "retrodiction"))
            a_first, a_second = first @ w + b, second @ w + b
            context, after = np.maximum(a_first, 0), np.maximum(a_second, 0)
            dw, db, d_pred, d_retro = np.zeros_like(w), np.zeros_like(b), np.zeros_like(w_pred), np.zeros_like(w_retro)
            for movements in (fixations, saccades):
                for was, now, y in movements:
                    c, z = context[was], after[now]
                    gamma = y * (y * (z @ w_pred @ c) < 1) / len(movements)
                    gamma_retro = y * (y * (c @ w_retro @ z) < 1) / len(movements)
                    surprising.append(gamma != 0)
                    at_z, at_c = gamma * (w_pred @ c) * (a_second[now] > 0), gamma_retro * (w_retro @ z) * (a_first[was] > 0)
                    dw += np.outer(second[now], at_z) + np.outer(first[was], at_c)
                    db += at_z + at_c
                    d_pred += gamma * np.outer(z, c)
                    d_retro += gamma_retro * np.outer(c, z)
            for asked, expected in (
                (update["kernel"], dw),
                (update["bias"], db),
                (moved["prediction"], d_pred),
                (moved["retrodiction"], d_retro),
            ):
                np.testing.assert_allclose(-np.asarray(asked), expected, rtol=1e-9, atol=1e-12)
            first, second = context, after
        # Both cases of the third factor have been seen.
        assert 0 < np.mean(surprising) < 1


@pytest.mark.thorough
def test_units_that_share_weights_follow_the_slope_of_their_own_loss():
    """Finite differences of each node's loss alone, at what maps are on average over places, the dendrite's input held."""
    with jax.enable_x64(True):
        network, params, images, updates, info, other = one_step("cnn", "synchronous")
        view = second_view(KEY_VIEW, images, ViewOptions())
        forward = jax.jit(lambda params, x: network.forward(params, x))

        def pooled(h):
            h = np.asarray(h)
            return h.mean(tuple(range(1, h.ndim - 1))) if h.ndim > 2 else h

        held = [[pooled(h) for h in forward(params["network"], x)] for x in (images, view)]
        rng = np.random.default_rng(0)
        for k, (c_held, z_held, lateral) in enumerate(zip(*held, params["lateral"], strict=False)):
            own = {"node": params["network"][k], "lateral": lateral}
            along = jax.tree.map(lambda leaf: rng.normal(size=leaf.shape) / np.sqrt(leaf.size), own)

            def loss(step, k=k, own=own, along=along, c_held=c_held, z_held=z_held):
                moved = jax.tree.map(lambda p, d: p + step * d, own, along)
                network_moved = (*params["network"][:k], moved["node"], *params["network"][k + 1 :])
                c, z = (pooled(forward(network_moved, x)[k]) for x in (images, view))
                w_pred, w_retro = (np.asarray(moved["lateral"][name]) for name in ("prediction", "retrodiction"))
                total = 0.0
                for order, y in ((np.arange(len(c)), 1), (other, -1)):
                    for post, weights, dendrite in ((z[order], w_pred, c_held), (c, w_retro, z_held[order])):
                        total += np.mean(np.maximum(0, 1 - y * np.einsum("bi,ij,bj->b", post, weights, dendrite)))
                return total

            slope = (loss(1e-6) - loss(-1e-6)) / 2e-6
            asked = {"node": updates["network"][k], "lateral": updates["lateral"][k]}
            along_asked = sum(jax.tree.leaves(jax.tree.map(lambda u, d: float(jnp.vdot(u, d)), asked, along)))
            np.testing.assert_allclose(along_asked, slope, rtol=1e-5, atol=1e-8)
            assert 0 < float(info["contrastive_loss"][k]) < loss(0.0)


def test_what_is_seen_after_a_saccade_is_another_example_that_counts():
    draw = jax.jit(jax.vmap(_after_saccade, in_axes=(0, None)))
    seen = jnp.asarray([0.0, 1.0, 1.0, 0.0, 1.0, 1.0, 0.0])
    counted = np.flatnonzero(seen)
    others, exists = draw(jax.random.split(jax.random.key(0), 300), seen)
    others = np.asarray(others)[:, counted]
    assert np.all(exists == 1) and np.all(np.sort(others, axis=1) == counted) and np.all(others != counted)
    # Each of the three others about as often as any.
    assert all(abs(np.mean(others[:, 0] == one) - 1 / 3) < 4 * np.sqrt(2 / 9 / 300) for one in counted[1:])
    assert np.all(draw(jax.random.split(jax.random.key(0), 3), jnp.zeros(7).at[2].set(1))[1] == 0)


def test_nodes_learn_to_tell_what_comes_next_from_what_comes_of_another():
    """On images that they have not seen: at chance at first, and not after a course of learning."""
    rule = learning_rules.build("clapp", network_of("mlp", hidden=(12, 8)), learning_rate=0.01, shift=0.0, zoom=0.0)
    told_apart = watch(rule, "told_apart")
    assert np.all(np.abs(told_apart[0] - 0.5) < 0.2) and np.all(told_apart[-10:].mean(0) > 0.75)


@pytest.mark.thorough
def test_one_example_alone_has_nothing_to_be_told_from_and_teaches_fixation_alone():
    rule = learning_rules.build("clapp", network_of("mlp"))
    state, (images, labels) = rule.init(jax.random.key(0)), batch_of(0, n=1)
    updates, _, info = jax.jit(rule.assign_credit)(KEY, state, (images, labels))
    assert all(bool(jnp.all(jnp.isfinite(leaf))) for leaf in jax.tree.leaves((updates, info)))
    assert np.all(np.asarray(info["contrastive_loss"]) <= 4)


def test_mistakes_are_named():
    with pytest.raises(InputError, match="grid=0 was given"):
        learning_rules.build("clapp", network_of("mlp"), grid=0)
    with pytest.raises(InputError, match="did you mean 'synchronous'"):
        learning_rules.build("clapp", network_of("mlp"), variant="sinchronous")
