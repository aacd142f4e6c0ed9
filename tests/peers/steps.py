"""Other toolkits of JAX for networks in time, beside ours: what a learning step costs, and what is learned in as many epochs.

    python tests/peers/steps.py [--out FILE] [--turns N]

Needs `pip install spyx braintrace` in an environment of its own, with what this project needs; whichever is missing is left out
by name. Every program is a few gradient steps in one scan, compiled once, and programs take turns, so that whatever else the
machine does falls on all of them. The networks are the same, from the same weights; units of spyx tell of a spike a step later.
"""

import argparse
import importlib.metadata
import json
import os
import sys
import time
from pathlib import Path

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))
os.environ.setdefault("JAX_PLATFORMS", "cpu")

import jax  # noqa: E402
import jax.numpy as jnp  # noqa: E402
import numpy as np  # noqa: E402
import optax  # noqa: E402

import architectures  # noqa: E402
import learning_rules  # noqa: E402

N_IN, N_OUT, BATCH, STEPS_A_TURN = 28, 10, 128, 5


def cross_entropy(scores, labels):
    return jnp.mean(optax.softmax_cross_entropy_with_integer_labels(scores, labels))


def ours(network, rule="backprop", **options):
    made = learning_rules.build(rule, network, **options)
    key = jax.random.key(0)

    def gradient(params, inputs, labels):
        state = made.init(key)
        state = state._replace(params={**state.params, "network": params})
        return made.assign_credit(key, state, (inputs, labels))[0]["network"]

    return gradient


def elman_by_hand(params, inputs, labels):
    hidden, readout = params

    def step(h, x):
        return jnp.tanh(x @ hidden["kernel"] + h @ hidden["kernel_1"] + hidden["bias"]), None

    last, _ = jax.lax.scan(step, jnp.zeros((inputs.shape[1], hidden["bias"].size)), inputs)
    return cross_entropy(last @ readout["kernel"] + readout["bias"], labels)


def elman_of_braintrace(n_units):
    import brainstate
    import braintrace

    class Net(brainstate.nn.Module):
        def __init__(self):
            super().__init__()
            self.cell = braintrace.nn.ValinaRNNCell(N_IN, n_units, activation="tanh")
            self.readout = braintrace.nn.Linear(n_units, N_OUT)

        def update(self, x):
            return self.readout(self.cell(x))

    net = Net()
    brainstate.nn.init_all_states(net, BATCH)
    weights = net.states(brainstate.ParamState)
    cell, out = weights[("cell", "W", "weight")], weights[("readout", "weight")]

    def gradient(inputs, labels):
        net.cell.h.value = jnp.zeros((BATCH, n_units))

        def loss():
            return cross_entropy(brainstate.transform.for_loop(net, inputs)[-1], labels)

        return brainstate.transform.grad(loss, weights)()

    def start(params):
        hidden, readout = params
        cell.value = {"weight": jnp.concatenate([hidden["kernel"], hidden["kernel_1"]]), "bias": hidden["bias"]}
        out.value = {"weight": readout["kernel"], "bias": readout["bias"]}

    def as_ours(of_cell, of_out):
        kernel, own = jnp.split(of_cell["weight"], [N_IN])
        return {"kernel": kernel, "kernel_1": own, "bias": of_cell["bias"]}, {"kernel": of_out["weight"], "bias": of_out["bias"]}

    @brainstate.transform.jit
    def one(params, inputs, labels):
        start(params)
        found = gradient(inputs, labels)
        return as_ours(found[("cell", "W", "weight")], found[("readout", "weight")])

    def step(inputs, labels):
        for name, found in gradient(inputs, labels).items():
            weights[name].value = jax.tree.map(lambda p, g: p - 1e-3 * g, weights[name].value, found)

    @brainstate.transform.jit
    def run(params, batches):
        start(params)
        brainstate.transform.for_loop(step, *batches)
        return as_ours(cell.value, out.value)

    return Compiled(run, one)


class Compiled:
    """A program of a library whose functions JAX itself cannot compile: some steps, and the gradient of one."""

    def __init__(self, run, gradient):
        self.run, self.gradient = run, gradient


def spiking_of_spyx(n_units, leak):
    import spyx
    from flax import nnx

    fast_sigmoid = spyx.axn.superspike(10)
    hidden, readout = (
        spyx.nn.LIF((n_units,), leak, activation=fast_sigmoid, rngs=nnx.Rngs(0)),
        spyx.nn.LI((N_OUT,), leak, rngs=nnx.Rngs(0)),
    )

    def loss(params, inputs, labels):
        of_hidden, of_readout = params

        def step(carry, x):
            v, u = carry
            spikes, v = hidden(x @ of_hidden["kernel"] + of_hidden["bias"], v)
            out, u = readout(spikes @ of_readout["kernel"] + of_readout["bias"], u)
            return (v, u), out

        start = hidden.initial_state(BATCH), readout.initial_state(BATCH)
        return cross_entropy(jnp.mean(jax.lax.scan(step, start, inputs)[1], axis=0), labels)

    return jax.grad(loss)


class Timed:
    """A compiled program of a few scanned gradient steps."""

    def __init__(self, name, gradient, params, batches):
        def step(params, batch):
            return jax.tree.map(lambda p, g: p - 1e-3 * g, params, gradient(params, *batch)), None

        self.row, self.given, self.turns = {"program": name}, (params, batches), []
        first = tuple(each[0] for each in batches)
        started = time.perf_counter()
        if isinstance(gradient, Compiled):
            self.program, self.gradient = gradient.run, gradient.gradient(params, *first)
            started = time.perf_counter()
            jax.block_until_ready(self.program(*self.given))
            self.row["temporary MB"] = None  # it does not tell
        else:
            run = jax.jit(lambda params, batches: jax.lax.scan(step, params, batches)[0])
            self.program = run.lower(params, batches).compile()
            self.row["temporary MB"] = round(self.program.memory_analysis().temp_size_in_bytes / 1e6, 1)
        self.row["compile seconds"] = round(time.perf_counter() - started, 2)
        if not isinstance(gradient, Compiled):
            self.gradient = jax.jit(gradient)(params, *first)

    def turn(self):
        started = time.perf_counter()
        jax.block_until_ready(self.program(*self.given))
        self.turns.append((time.perf_counter() - started) / STEPS_A_TURN * 1e3)


def compared(title, programs, params, batches, n_turns):
    """Time programs in turns; the first is what ratios are to."""
    timed = []
    for name, make in programs.items():
        try:
            timed.append(Timed(name, make(), params, batches))
        except ModuleNotFoundError as error:
            print(f"{name} is left out: {error}", file=sys.stderr)
    for _ in range(n_turns + 1):
        for each in timed:
            each.turn()
    rows = []
    first = np.array(timed[0].turns[1:])
    for each in timed:
        turns = np.array(each.turns[1:])
        apart = [
            float(jnp.max(jnp.abs(a - b))) for a, b in zip(*map(jax.tree.leaves, (each.gradient, timed[0].gradient)), strict=True)
        ]
        cosine = sum(float(jnp.vdot(a, b)) for a, b in zip(*map(jax.tree.leaves, (each.gradient, timed[0].gradient)), strict=True))
        lengths = [np.sqrt(sum(float(jnp.vdot(a, a)) for a in jax.tree.leaves(one.gradient))) for one in (each, timed[0])]
        rows.append(
            {"network": title, **each.row, "ms a step": round(float(np.median(turns)), 2)}
            | {"to ours": round(float(np.median(turns / first)), 2), "largest difference": f"{max(apart):.1e}"}
            | {"cosine of gradients": round(cosine / lengths[0] / lengths[1], 4)}
        )
        print(json.dumps(rows[-1]), flush=True)
    return rows


def drawn(length, n_steps_a_turn=STEPS_A_TURN):
    inputs = jax.random.normal(jax.random.key(length), (n_steps_a_turn, length, BATCH, N_IN))
    return inputs, jax.random.randint(jax.random.key(length + 1), (n_steps_a_turn, BATCH), 0, N_OUT)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path)
    parser.add_argument("--turns", type=int, default=11)
    asked = parser.parse_args()
    rows = []
    elman = architectures.build("recurrent", input_shape=(N_IN,), n_classes=N_OUT, hidden=(256,), reading="sequence")
    for length in (28, 280):
        programs = {
            "ours": lambda: ours(elman),
            "ours, by traces": lambda: ours(elman, temporal="eligibility"),
            "by hand": lambda: jax.grad(elman_by_hand),
            "braintrace": lambda: elman_of_braintrace(256),
        }
        rows += compared(f"Elman 256, {length} steps", programs, elman.init(jax.random.key(0)), drawn(length), asked.turns)
    spiking = architectures.build("spiking", input_shape=(N_IN,), n_classes=N_OUT, hidden=(512,), reading="sequence", gain=2.0)
    programs = {"ours": lambda: ours(spiking), "spyx": lambda: spiking_of_spyx(512, 0.9)}
    rows += compared("LIF 512, 100 steps", programs, spiking.init(jax.random.key(0)), drawn(100), asked.turns)
    versions = {name: importlib.metadata.version(name) for name in ("jax", "spyx", "braintrace", "brainstate") if _is_there(name)}
    print(json.dumps(versions))
    if asked.out:
        asked.out.write_text(json.dumps({"versions": versions, "rows": rows}, indent=1) + "\n")


def _is_there(name):
    try:
        importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return False
    return True


if __name__ == "__main__":
    main()
