"""Values of the wrong kind, as a user gives them: one sentence each.

In a process of its own, since the suite's own check of types would speak first.
"""

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent

SCRIPT = """
import json
import architectures, experiments, learning_rules
from architectures import Edge, Network, chain, dense, make_node, readout
from bioplausible.foundation.errors import InputError

network = architectures.build("mlp", input_shape=(8, 8, 1), n_classes=10)
a, last = dense("a", (3,), 4), readout("last", (4,), 2)
mistakes = {
    "the shape of an input": lambda: dense("a", 3, 4),
    "a readout's": lambda: readout("a", 3, 4),
    "a fraction of a unit": lambda: dense("a", (3,), 2.5),
    "the shape of an example": lambda: chain([a, last], name="m", input_shape=3, n_classes=2),
    "edges by name": lambda: Network("m", (3,), 2, (a, last), {"a": (Edge("input"),), "last": (Edge("a"),)}),
    "shapes of a node": lambda: make_node("n", input_shapes=(8,), init=None, synapse=None, activate=None, roles=None),
    "the network first": lambda: learning_rules.build(network, "backprop"),
    "a function for a rule": lambda: learning_rules.build(lambda network: None, network),
    "a rule for a training": lambda: experiments.train("backprop"),
    "a rule for a comparison": lambda: experiments.compare("backprop"),
}
said = {}
for name, make in mistakes.items():
    try:
        make()
    except InputError as error:
        said[name] = str(error)
print(json.dumps(said))
"""

EXPECTED = {
    "the shape of an input": "3 was given as the shape of what a node hears, expected a tuple such as (3,)",
    "a readout's": "3 was given as the shape of what a node hears, expected a tuple such as (3,)",
    "a fraction of a unit": "n_units=2.5 was given, expected a whole number of units, at least 1",
    "the shape of an example": "3 was given as the shape of one example of 'm', expected a tuple such as (3,)",
    "edges by name": "edges of 'm' were given by name, expected for each node in turn a tuple of what it hears",
    "shapes of a node": "8 was given as the shape of an input of node 'n', expected a tuple such as (8,)",
    "the network first": "a network was given first, expected the rule's name: build('backprop', network)",
    "a function for a rule": "the function <lambda> was given as a rule's name: call it with the network, or give 'path.py:name'",
    "a rule for a training": "train was given 'backprop', expected a TrainConfig, or its fields by name: train(rule='backprop')",
    "a rule for a comparison": (
        "compare was given 'backprop', expected a CompareConfig, or its fields by name: compare(rules=['backprop'])"
    ),
}


def test_values_of_the_wrong_kind_are_refused_in_one_sentence():
    finished = subprocess.run([sys.executable, "-c", SCRIPT], cwd=ROOT, capture_output=True, text=True, check=False)
    assert finished.returncode == 0, finished.stderr
    assert json.loads(finished.stdout.splitlines()[-1]) == EXPECTED
