"""Random RDMs with ties, and rsatoolbox as the judge of what is made of them."""

from collections.abc import Callable, Iterator

import jaxtyping
import numpy as np
import pytest
from judges import JUDGES
from rsatoolbox.rdm import RDMs


@pytest.fixture(params=sorted(JUDGES))
def comparator(request: pytest.FixtureRequest) -> str:
    """Each comparator in turn."""
    return request.param


@pytest.fixture
def judge(comparator: str) -> str:
    """The same comparator as rsatoolbox calls it."""
    return JUDGES[comparator]


@pytest.fixture
def tied_rdms() -> Callable[..., np.ndarray]:
    """Make condensed RDMs whose values come in steps, so that many tie."""

    def make(seed: int, n_rdms: int, n_conditions: int, steps: int = 12, shared: float = 1.0) -> np.ndarray:
        random = np.random.default_rng(seed)
        n_pairs = n_conditions * (n_conditions - 1) // 2
        values = shared * random.random(n_pairs) + random.random((n_rdms, n_pairs))
        return np.ceil(values * steps) / steps

    return make


@pytest.fixture
def resampled() -> Callable[[np.ndarray, np.ndarray], RDMs]:
    """Resample conditions by their counts the way rsatoolbox does: repeat them, with NaN between copies."""

    def resample(condensed: np.ndarray, counts: np.ndarray) -> RDMs:
        rdms = RDMs(condensed.copy())
        return rdms.subsample_pattern("index", np.repeat(np.arange(len(counts)), counts))

    return resample


@pytest.fixture
def unchecked_shapes() -> Iterator[None]:
    """Let wrong shapes through to our own errors, as they come to users, for whom the test hook is not installed."""
    jaxtyping.config.update("jaxtyping_disable", True)
    yield
    jaxtyping.config.update("jaxtyping_disable", False)
