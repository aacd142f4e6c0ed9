import dataclasses
import math
from collections.abc import Mapping, Sequence
from types import SimpleNamespace

import pytest

from bioplausible.foundation.errors import InputError
from bioplausible.foundation.options import at_least, check_keys, fraction, make_options, one_of, positive


@dataclasses.dataclass(frozen=True)
class Options:
    rate: float = 0.1
    steps: int = 3
    sizes: tuple[int, ...] = (20, 10)
    name: str | None = None
    is_on: bool = False
    either: float | int = 1.0
    window: tuple[float | None, float | None] | None = None
    triggers: Mapping[str, int] | None = None
    names: Sequence[str] | None = None
    secret: int = 0


@pytest.mark.parametrize(
    ("given", "field", "expected"),
    [
        ({"rate": 1}, "rate", 1.0),
        ({"steps": 4.0}, "steps", 4),
        ({"sizes": [1, 2]}, "sizes", (1, 2)),
        ({"sizes": 7}, "sizes", (7,)),
        ({"name": None}, "name", None),
        ({"name": "a"}, "name", "a"),
        ({"is_on": True}, "is_on", True),
        ({"either": 2}, "either", 2),
        ({"either": 2.5}, "either", 2.5),
        ({"window": [None, 1]}, "window", (None, 1.0)),
        ({"triggers": {"apple": 3}}, "triggers", {"apple": 3}),
        ({"names": ["a", "b"]}, "names", ["a", "b"]),
    ],
)
def test_values_become_what_the_field_holds(given, field, expected):
    made = getattr(make_options(Options, given, "'net'"), field)
    assert type(made) is type(expected) or isinstance(expected, list)
    assert list(made) == expected if isinstance(expected, list) else made == expected


@pytest.mark.parametrize(
    "given",
    [
        {"rate": "fast"},
        {"rate": True},
        {"steps": 2.5},
        {"steps": None},
        {"sizes": ["a"]},
        {"sizes": {"a": 1}},
        {"name": 5},
        {"is_on": 1},
        {"window": [1, 2, 3]},
        {"triggers": {"apple": 1.5}},
        {"names": 5},
        {"names": "a"},
        {"rate": math.inf},
        {"steps": 2**63},
        {"steps": 1e30},
        {"sizes": [2**70]},
    ],
)
def test_values_of_another_kind_are_refused_in_one_sentence(given):
    (name, value), *_ = given.items()
    with pytest.raises(InputError) as caught:
        make_options(Options, given, "'net'")
    message = str(caught.value)
    assert f"'{name}' of 'net'" in message and repr(value) in message and "expected" in message and "\n" not in message


def test_what_is_expected_can_be_said_in_words():
    with pytest.raises(InputError, match="expected seconds"):
        make_options(Options, {"rate": "x"}, "'net'", expected={"rate": "seconds"})


def test_unknown_options_are_guessed_and_hidden_ones_not_offered():
    with pytest.raises(InputError, match="did you mean 'steps'") as caught:
        make_options(Options, {"stepz": 1}, "'net'", hidden=("secret",))
    assert "secret" not in str(caught.value)
    with pytest.raises(InputError, match=r"f\.yaml has unknown keys: 'aa', 'stepz' \(did you mean 'steps'\?\); valid are steps, b"):
        check_keys(["aa", "steps", "stepz"], ["steps", "b"], "f.yaml")
    check_keys([], [], "f.yaml")


@pytest.mark.parametrize("value", [0, -0.5, math.nan, math.inf, "1", True])
def test_what_is_not_positive_is_refused(value):
    with pytest.raises(InputError, match=rf"rate={value} was given, expected a number above 0, such as its default 0\.1$"):
        positive(dataclasses.replace(Options(), rate=value), "steps", "rate")


def test_each_value_of_a_list_is_checked_and_none_is_passed():
    positive(SimpleNamespace(a=(1, 2), b=None), "a", "b")
    with pytest.raises(
        InputError, match=r"sizes=\(1, 0\) was given, expected each a number above 0, such as its default \(20, 10\)"
    ):
        positive(dataclasses.replace(Options(), sizes=(1, 0)), "sizes")


def test_the_least_value_is_allowed_and_less_is_not():
    at_least(SimpleNamespace(n=1), 1, "n")
    with pytest.raises(InputError, match=r"n=0 was given, expected at least 1$"):
        at_least(SimpleNamespace(n=0), 1, "n")
    with pytest.raises(InputError, match=r"n=9 was given, expected at least 1 and at most 8$"):
        at_least(SimpleNamespace(n=9), 1, "n", at_most=8)
    with pytest.raises(InputError, match=r"n=18446744073709551616, which 64 bits do not hold, was given, expected at least 1$"):
        at_least(SimpleNamespace(n=2**64), 1, "n")


@pytest.mark.parametrize(
    ("value", "closed", "open_"), [(0, True, False), (1, True, False), (0.5, True, True), (-0.1, False, False)]
)
def test_fractions_end_where_they_are_said_to(value, closed, open_):
    for allowed, ends in ((closed, {}), (open_, {"with_zero": False, "with_one": False})):
        if allowed:
            fraction(SimpleNamespace(decay=value), "decay", **ends)
        else:
            with pytest.raises(InputError, match=f"decay={value} was given, expected a number"):
                fraction(SimpleNamespace(decay=value), "decay", **ends)


def test_a_default_that_would_not_do_is_not_offered():
    @dataclasses.dataclass
    class Bad:
        decay: float = 1.0

    with pytest.raises(InputError, match="to below 1$"):
        fraction(Bad(decay=2.0), "decay", with_one=False)


def test_one_of_several_names():
    one_of(SimpleNamespace(noise="uniform"), "noise", ("gaussian", "uniform"))
    with pytest.raises(InputError, match="unknown noise 'gausian': did you mean 'gaussian'"):
        one_of(SimpleNamespace(noise="gausian"), "noise", ("gaussian", "uniform"))
