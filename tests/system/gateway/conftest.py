"""One gateway for many tests; each finds it as if nothing had happened."""

from collections.abc import Iterator

import pytest

from tests.system.gateway.front import Front, Mock, front, mocks


@pytest.fixture(scope="session")
def providers() -> Iterator[tuple[Mock, Mock]]:
    with mocks() as both:
        yield both


@pytest.fixture(scope="session")
def _front(providers: tuple[Mock, Mock]) -> Iterator[Front]:
    with front(*providers, "--threshold", "3", "--recovery", "60s") as started:
        yield started


@pytest.fixture
def gateway(_front: Front) -> Iterator[Front]:
    _front.calm()
    yield _front
    _front.calm()
