"""Networks of the shared table and inputs for them, and a graph run by a plain loop, which knows nothing of scans and crossings."""

import functools

import jax
import jax.numpy as jnp
from architecture_table import TABLE

import architectures

KEY = jax.random.key(0)
N_STEPS = 5


@functools.cache
def network_of(row):
    return architectures.build(row.split()[0], **TABLE[row])


@functools.cache
def params_of(row):
    return network_of(row).init(KEY)


def run(network, inputs, seed=0):
    """Outputs of the nodes at initial weights, in one program: that of each operation by itself takes longer to compile."""
    return jax.jit(lambda key, x: network.forward(network.init(key), x))(jax.random.key(seed), inputs)


def inputs_for(network, n=5, seed=1, dtype=jnp.float32):
    """Images, or sequences where the network takes them; strong enough for units to spike."""
    in_time = (N_STEPS,) if network.temporal and network.reading is None else ()
    return 2 * jax.random.normal(jax.random.key(seed), (*in_time, n, *network.input_shape), dtype)


def run_by_hand(network, params, encoded, arriving=lambda edge, h: h):
    """Name -> what each node got, did, passed on and remembered, a list with one entry a step; edges may change what they bring."""
    steps = encoded if network.temporal else encoded[None]
    n = steps.shape[1]
    state = {node.name: node.init_state(n, steps.dtype) for node in network.nodes}
    last = {node.name: jnp.zeros((n, *node.output_shape), steps.dtype) for node in network.nodes}
    told = {node.name: [] for node in network.nodes}
    for x in steps:
        now = {"input": x}
        for node, own, edges in zip(network.nodes, params, network.edges, strict=True):
            heard = [arriving(edge, (last if edge.delay else now)[edge.source]) for edge in edges]
            inputs = tuple(h for h, edge in zip(heard, edges, strict=True) if not edge.skip)
            skips = tuple(h for h, edge in zip(heard, edges, strict=True) if edge.skip)
            z = node.synapse(own, inputs)
            after, h = node.activate(state[node.name], z, skips)
            told[node.name].append((inputs, skips, z, h, state[node.name]))
            now[node.name], state[node.name] = h, after
        last = now
    return told
