"""What the registry's tests are given."""

from collections.abc import Iterator

import pytest

from tests.system.registry.simulated import Registry


@pytest.fixture
def registry() -> Iterator[Registry]:
    made = Registry()
    yield made
    made.close()
