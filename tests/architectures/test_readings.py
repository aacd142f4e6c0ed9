"""How a static input becomes spikes: the rate counts them, and their time orders the latency."""

import jax
import jax.numpy as jnp
import numpy as np

from architectures.readings import spike_trains


def test_spikes_count_the_rate_and_their_time_orders_the_latency():
    x = jnp.array([[0.0, 0.1, -0.2, 0.5, 2.0]])
    for key in (None, jax.random.key(0)):
        counts = np.asarray(spike_trains(x, 20, 1.0, "rate", key).sum(0))[0]
        assert np.all(np.abs(counts - [0, 2, -4, 10, 20]) <= 1)
    mean = np.mean(
        [np.asarray(spike_trains(0.37 * jnp.ones((1, 200)), 1, 1.0, "rate", jax.random.key(k))).mean() for k in range(5)]
    )
    np.testing.assert_allclose(mean, 0.37, atol=0.06)
    early = np.asarray(spike_trains(x, 21, 1.0, "latency"))[:, 0]
    np.testing.assert_array_equal(np.abs(early).sum(0), [0, 1, 1, 1, 1])
    assert list(np.argmax(np.abs(early[:, 1:]), axis=0)) == [18, 16, 10, 0] and early[16, 2] == -1
