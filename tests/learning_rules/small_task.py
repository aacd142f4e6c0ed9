"""Small networks and a small task that every rule can learn in a second."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
from networks import N_CLASSES, NETWORKS, SIDE, network_of

import learning_rules

__all__ = ["BATCH", "NETWORKS", "N_CLASSES", "SIDE", "batch_of", "course", "double", "network_of", "train", "watch"]

BATCH = 32
PATTERNS = np.random.default_rng(0).normal(size=(N_CLASSES, SIDE, SIDE, 1))


def batch_of(seed, n=BATCH, dtype=jnp.float32):
    """Noisy views of one fixed pattern a class."""
    patterns = jnp.asarray(PATTERNS, dtype)
    key_labels, key_noise = jax.random.split(jax.random.key(seed) if isinstance(seed, int) else seed)
    labels = jax.random.randint(key_labels, (n,), 0, N_CLASSES)
    return patterns[labels] + 0.7 * jax.random.normal(key_noise, (n, SIDE, SIDE, 1), dtype), labels


def double(tree):
    """The same numbers in double precision."""
    return jax.tree.map(lambda leaf: leaf.astype(jnp.float64), tree)


@functools.cache
def course(seed, n_steps):
    """Batches and keys of some steps: drawn once for all rules, since compiling what draws takes longer than drawing."""

    @jax.jit
    def draw(keys):
        key_batches, key_rules = jnp.unstack(jax.vmap(jax.random.split)(keys), axis=1)
        return jax.vmap(batch_of)(key_batches), key_rules

    return draw(jax.random.split(jax.random.key(seed), n_steps))


def watch(rule, quantity, n_steps=80, seed=0):
    """What a rule tells of itself at every step of a course, each of which shows examples that it has not seen before."""
    transform = rule.optimizer()
    step = learning_rules.make_step(rule, transform)

    @jax.jit
    def run(learner, steps):
        def one(learner, now):
            learner, info = step(learner, now[1], now[0])
            return learner, info[quantity]

        return jax.lax.scan(one, learner, steps)[1]

    return np.asarray(run(learning_rules.start(rule, transform, jax.random.key(0)), course(seed, n_steps)))


def train(rule, state, n_steps=80, seed=0):
    """A few steps of what the training loop does; returns the state and the loss of every step."""
    transform = rule.optimizer()
    step = learning_rules.make_step(rule, transform)

    def one(learner, now):
        batch, key = now
        learner, info = step(learner, key, batch)
        return learner, (info["loss"], info["accuracy"])

    def run(state, steps):
        learner, trace = jax.lax.scan(one, learning_rules.Learner(state, transform.init(state.params)), steps)
        return learner.state, trace

    return jax.jit(run)(state, course(seed, n_steps))
