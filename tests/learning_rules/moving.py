"""Which families have come to the graph; to be deleted with the last of those that have not."""

import inspect

import learning_rules


def is_moved(name):
    return len(inspect.signature(learning_rules.FAMILIES[name.partition("/")[0]].make).parameters) == 4
