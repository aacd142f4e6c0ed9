"""Objectives against optax and numpy: losses, errors, masks, steps, metrics, and what is asked wrongly."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from small_task import batch_of, double, network_of

import learning_rules
from learning_rules import Batch, InputError, as_batch, make_objective

N, STEPS, CLASSES = 6, 5, 4
RNG = np.random.default_rng(0)
LABELS = RNG.integers(CLASSES, size=N)
LABELS_PER_STEP = RNG.integers(CLASSES, size=(STEPS, N))
VALUES = RNG.normal(size=(N, CLASSES))
PROBABILITIES = RNG.dirichlet(np.ones(CLASSES), size=N)


def log_softmax(scores):
    return scores - np.log(np.exp(scores).sum(-1, keepdims=True))


def spread(labels):
    return 0.9 * np.eye(CLASSES)[labels] + 0.1 / CLASSES


# Name -> targets, and the loss of each score by numpy.
LOSSES = {
    "cross_entropy": (LABELS, lambda s, t: -np.take_along_axis(log_softmax(s), t[..., None], -1)[..., 0]),
    "smoothed_cross_entropy": (LABELS, lambda s, t: -(spread(t) * log_softmax(s)).sum(-1)),
    "squared_error": (LABELS, lambda s, t: 0.5 * ((s - np.eye(CLASSES)[t]) ** 2).sum(-1)),
    "regression": (VALUES, lambda s, t: 0.5 * ((s - t) ** 2).sum(-1)),
    "distillation": (PROBABILITIES, lambda s, t: -(t * log_softmax(s)).sum(-1)),
    "cross_entropy_per_step": (LABELS_PER_STEP, lambda s, t: LOSSES["cross_entropy"][1](s, t)),
    "squared_error_per_step": (LABELS_PER_STEP, lambda s, t: LOSSES["squared_error"][1](s, t)),
    "next_token": (LABELS_PER_STEP, lambda s, t: LOSSES["cross_entropy"][1](s, t)),
    "regression_per_step": (RNG.normal(size=(STEPS, N, CLASSES)), lambda s, t: 0.5 * ((s - t) ** 2).sum(-1)),
}
CASES = [(name, network) for name in LOSSES for network in ("mlp", "elman", "spiking") if network != "mlp" or "step" not in name]
CASES = [case for case in CASES if case != ("next_token", "mlp")]


@pytest.fixture(autouse=True)
def in_double():
    with jax.enable_x64(True):
        yield


def readout_of(network, seed=1):
    """What a readout might give, and the scores that the objective takes of it by numpy."""
    rng = np.random.default_rng(seed)
    if not network.temporal:
        readout = rng.normal(size=(N, CLASSES))
        return readout, readout
    readout = rng.normal(size=(STEPS, N, CLASSES))
    return readout, readout[-1] if network.decision == "last" else readout.mean(axis=0)


def test_every_objective_has_a_row():
    assert set(LOSSES) == set(learning_rules.OBJECTIVES)


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize(("name", "network"), CASES)
def test_losses_errors_and_metrics(name, network, masked):
    network = network_of(network)
    objective = make_objective(name, network)
    readout, answers = readout_of(network)
    scores = readout if objective.per_step else answers
    targets, loss_of = LOSSES[name]
    each = loss_of(scores, targets)
    mask = np.random.default_rng(3).integers(2, size=each.shape).astype(float) if masked else None
    weight = np.ones_like(each) if mask is None else mask
    batch = Batch(jnp.zeros(1), jnp.asarray(targets), None if mask is None else jnp.asarray(mask))
    readout = jnp.asarray(readout)

    expected = (each * weight).sum() / weight.sum()
    loss, error = objective.loss_and_error(readout, batch)
    np.testing.assert_allclose(loss, expected, rtol=1e-12)
    np.testing.assert_allclose(objective.loss(readout, batch), expected, rtol=1e-12)
    np.testing.assert_allclose(objective.scores(readout), scores, rtol=1e-12)

    per_example = objective.per_example(readout, batch)
    if objective.per_step:
        over_steps = (each * weight).sum(axis=0) / np.maximum(weight.sum(axis=0), 1)
        np.testing.assert_allclose(per_example, over_steps, rtol=1e-12)
    else:
        np.testing.assert_allclose(per_example, each * weight, rtol=1e-12)

    # The error by its closed form: what is given minus what is asked for, at every score that counts.
    given = np.exp(log_softmax(scores)) if "cross_entropy" in name or name in ("next_token", "distillation") else scores
    asked = (spread if "smoothed" in name else np.eye(CLASSES).__getitem__)(targets) if objective.targets == "classes" else targets
    at_scores = (given - asked) * weight[..., None] / weight.sum()
    if not network.temporal or objective.per_step:
        at_readout = at_scores
    elif network.decision == "last":
        at_readout = np.concatenate([np.zeros((STEPS - 1, N, CLASSES)), at_scores[None]])
    else:
        at_readout = np.broadcast_to(at_scores / STEPS, (STEPS, N, CLASSES))
    np.testing.assert_allclose(error, at_readout, atol=1e-14)

    metrics = objective.metrics(readout, batch)
    np.testing.assert_allclose(metrics["loss"], expected, rtol=1e-12)
    if objective.targets == "values":
        assert set(metrics) == {"loss", "rmse"}
        squares = ((scores - targets) ** 2).mean(axis=-1)
        np.testing.assert_allclose(metrics["rmse"], np.sqrt((squares * weight).sum() / weight.sum()), rtol=1e-12)
    else:
        assert set(metrics) == {"loss", "accuracy"}
        wanted = targets if objective.targets == "classes" else targets.argmax(-1)
        np.testing.assert_allclose(metrics["accuracy"], ((scores.argmax(-1) == wanted) * weight).sum() / weight.sum(), rtol=1e-12)


def test_losses_are_optaxs():
    scores = jnp.asarray(RNG.normal(size=(N, CLASSES)))
    network = network_of("mlp")

    def per_example(name, targets):
        return make_objective(name, network).per_example(scores, Batch(jnp.zeros(1), jnp.asarray(targets)))

    np.testing.assert_allclose(
        per_example("cross_entropy", LABELS),
        optax.softmax_cross_entropy_with_integer_labels(scores, jnp.asarray(LABELS)),
        rtol=1e-12,
    )
    np.testing.assert_allclose(
        per_example("squared_error", LABELS), optax.l2_loss(scores, jax.nn.one_hot(LABELS, CLASSES)).sum(-1), rtol=1e-12
    )
    np.testing.assert_allclose(per_example("regression", VALUES), optax.l2_loss(scores, jnp.asarray(VALUES)).sum(-1), rtol=1e-12)
    np.testing.assert_allclose(
        per_example("distillation", PROBABILITIES), optax.softmax_cross_entropy(scores, jnp.asarray(PROBABILITIES)), rtol=1e-12
    )


@pytest.mark.parametrize("name", ["cross_entropy", "squared_error", "regression", "distillation"])
def test_what_the_mask_leaves_out_does_not_count_at_all(name):
    """The same as if it had not been in the batch: loss, error and metrics."""
    objective = make_objective(name, network_of("mlp"))
    targets = jnp.asarray(LOSSES[name][0])
    readout = jnp.asarray(RNG.normal(size=(N, CLASSES)))
    keep = np.array([True, False, True, True, False, True])
    whole = Batch(jnp.zeros(1), targets, jnp.asarray(keep, jnp.float64))
    part = Batch(jnp.zeros(1), targets[keep])
    (loss, error), (expected, kept_error) = objective.loss_and_error(readout, whole), objective.loss_and_error(readout[keep], part)
    np.testing.assert_allclose(loss, expected, rtol=1e-12)
    np.testing.assert_allclose(error[keep], kept_error, rtol=1e-12)
    assert np.all(np.asarray(error[~keep]) == 0)
    for key, value in objective.metrics(readout[keep], part).items():
        np.testing.assert_allclose(objective.metrics(readout, whole)[key], value, rtol=1e-12)


def test_nothing_that_counts_is_a_loss_of_nought_and_no_nan():
    objective = make_objective("cross_entropy", network_of("mlp"))
    nothing = Batch(jnp.zeros(1), jnp.asarray(LABELS), jnp.zeros(N))
    loss, error = objective.loss_and_error(jnp.asarray(RNG.normal(size=(N, CLASSES))), nothing)
    assert loss == 0 and np.all(np.asarray(error) == 0)


@pytest.mark.parametrize(
    ("name", "network", "targets", "mask", "message"),
    [
        ("cross_entropy", "mlp", LABELS_PER_STEP, None, "targets of shape \\(5, 6\\) .* expected \\(6,\\), one for each example"),
        ("cross_entropy", "elman", LABELS_PER_STEP, None, "expected \\(6,\\), one for each example"),
        ("cross_entropy", "mlp", np.eye(CLASSES)[LABELS], None, "targets of shape \\(6, 4\\)"),
        ("cross_entropy_per_step", "elman", LABELS, None, "expected \\(5, 6\\), one for each step and example"),
        ("cross_entropy_per_step", "elman", LABELS_PER_STEP[:4], None, "targets of shape \\(4, 6\\).*as many steps as the inputs"),
        ("regression", "mlp", VALUES[:, :3], None, "targets of shape \\(6, 3\\).*expected \\(6, 4\\)"),
        ("distillation", "mlp", LABELS, None, "expected \\(6, 4\\)"),
        ("cross_entropy", "mlp", LABELS, np.ones(5), "a mask of shape \\(5,\\) .* expected \\(6,\\)"),
        (
            "cross_entropy",
            "mlp",
            LABELS - 1,
            None,
            "the target -1 was given where there are 4 classes, expected 0 to 3: number classes",
        ),
        ("cross_entropy", "mlp", LABELS + 4, None, "where there are 4 classes, expected 0 to 3"),
        ("cross_entropy", "mlp", LABELS + 0.0, None, "targets of float.* expected whole numbers, one a class"),
        ("cross_entropy_per_step", "elman", LABELS_PER_STEP, np.ones(6), "a mask of shape \\(6,\\) .* expected \\(5, 6\\)"),
    ],
)
def test_a_wrong_number_of_targets_is_named(name, network, targets, mask, message):
    network = network_of(network)
    readout = jnp.asarray(readout_of(network)[0])
    batch = Batch(jnp.zeros(1), jnp.asarray(targets), None if mask is None else jnp.asarray(mask))
    objective = make_objective(name, network)
    for asked in (objective.loss, objective.per_example, objective.loss_and_error, objective.metrics):
        with pytest.raises(InputError, match=message) as caught:
            asked(readout, batch)
        assert "\n" not in str(caught.value)


def test_one_hot_targets_are_told_from_classes():
    network = network_of("mlp")
    with pytest.raises(InputError, match="expected \\(5,\\), one for each example: give the classes' numbers"):
        make_objective("cross_entropy", network).check(jnp.zeros((5, 4)), as_batch((jnp.zeros((5, 8, 8, 1)), jnp.zeros((5, 4)))))


def test_mistakes_are_named():
    with pytest.raises(InputError, match="unknown loss 'cross_entropi': did you mean 'cross_entropy'"):
        make_objective("cross_entropi", network_of("mlp"))
    with pytest.raises(InputError, match="'mlp', a static network without steps: use one in time$"):
        make_objective("next_token", network_of("mlp"))
    with pytest.raises(InputError, match="'mlp', a static network without steps: use one in time, or 'regression'"):
        make_objective("regression_per_step", network_of("mlp"))


def test_a_pair_is_a_batch_and_an_objective_is_itself():
    x, y = jnp.zeros((2, 3)), jnp.zeros(2, int)
    assert as_batch((x, y)).inputs is x and as_batch((x, y)).mask is None
    batch = Batch(x, y)
    assert as_batch(batch) is batch
    objective = make_objective("regression", network_of("mlp"))
    assert make_objective(objective, network_of("mlp")) is objective


@pytest.mark.parametrize(
    ("name", "network"),
    [("regression", "mlp"), ("distillation", "cnn"), ("cross_entropy_per_step", "elman"), ("regression", "gated")],
)
@pytest.mark.costly
def test_backpropagation_learns_what_it_is_asked_to(name, network):
    """Targets that depend on the input; the loss that it is told of falls, and the mask is heard."""
    with jax.enable_x64(False):
        network = network_of(network)
        rule = learning_rules.build("backprop", network, objective=name, learning_rate=0.01)
        images, labels = batch_of(0)
        one_hot = jax.nn.one_hot(labels, CLASSES)
        targets = {"regression": one_hot, "distillation": 0.7 * one_hot + 0.3 / CLASSES}.get(name, jnp.tile(labels, (8, 1)))
        mask = jnp.ones(targets.shape if name == "cross_entropy_per_step" else len(labels)).at[..., 0].set(0)
        batch = Batch(images, targets, mask)
        optimizer = rule.optimizer()
        step = jax.jit(learning_rules.make_step(rule, optimizer))
        learner = jax.jit(lambda key: learning_rules.start(rule, optimizer, key))(jax.random.key(0))
        losses = []
        for key in jax.random.split(jax.random.key(1), 30):
            learner, info = step(learner, key, batch)
            losses.append(float(info["loss"]))
        assert losses[-1] < losses[0] and np.all(np.isfinite(losses))
        other = Batch(images.at[0].add(5.0), targets, mask)
        assert jnp.allclose(step(learner, key, other)[1]["loss"], step(learner, key, batch)[1]["loss"], rtol=1e-5)
        shape = (8, 32, CLASSES) if rule.objective.per_step else (32, CLASSES)
        assert rule.predict(learner.state, images).shape == shape


@pytest.mark.parametrize(
    ("rule", "loss", "nowhere"),
    [
        ("backprop", "regression", np.nan),
        ("backprop", "distillation", np.nan),
        ("perturbation/node", "cross_entropy", -100),
        ("predictive_coding", "cross_entropy", -100),
        ("energy_based/contrastive_hebbian", "cross_entropy", -100),
    ],
)
def test_whatever_stands_where_no_target_counts_is_never_seen(rule, loss, nowhere):
    """A missing value is mostly written as no number, a class to ignore as -100: times a mask of nought both were NaN."""
    rule = learning_rules.build(rule, network_of("mlp"), loss=loss)
    targets = LOSSES[loss][0]
    mask = jnp.array([1.0, 0, 1, 1, 0, 1])
    missing = np.array(targets)
    missing[np.asarray(mask) == 0] = nowhere
    state, images = double(rule.init(jax.random.key(0))), batch_of(1, n=N, dtype=jnp.float64)[0]
    step = jax.jit(rule.assign_credit)
    found = [step(jax.random.key(1), state, Batch(images, jnp.asarray(t), mask)) for t in (targets, missing)]
    for a, b in zip(*(jax.tree.leaves((updates, info)) for updates, _, info in found), strict=True):
        np.testing.assert_array_equal(a, b)
        assert np.all(np.isfinite(a))


def test_what_is_no_class_may_stand_where_none_counts():
    objective = make_objective("cross_entropy", network_of("mlp"))
    scores, labels = jnp.asarray(RNG.normal(size=(N, CLASSES))), np.where(np.arange(N) == 0, -100, LABELS)
    counts = jnp.asarray(np.arange(N) > 0, float)
    masked = objective.loss(scores, Batch(jnp.zeros(1), jnp.asarray(labels), counts))
    assert masked == objective.loss(scores, Batch(jnp.zeros(1), jnp.asarray(LABELS), counts))


def test_a_batch_is_a_pair_of_arrays_or_lists():
    assert as_batch([np.ones((2, 3)), [0, 1]]).targets.tolist() == [0, 1]
    for wrong in (jnp.ones((2, 3)), (jnp.ones((2, 3)),)):
        with pytest.raises(InputError, match="expected \\(inputs, targets\\) or learning_rules.Batch"):
            as_batch(wrong)
