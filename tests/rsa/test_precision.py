import jax
import jax.numpy as jnp
import pytest

from rsa.precision import in_double_precision


def test_sixty_four_bits_inside_and_the_callers_setting_outside():
    assert in_double_precision(lambda: jnp.arange(3.0).dtype)() == jnp.float64
    assert jnp.arange(3.0).dtype == jnp.float32

    def fail() -> None:
        raise RuntimeError

    with pytest.raises(RuntimeError):
        in_double_precision(fail)()
    assert not jax.config.jax_enable_x64
