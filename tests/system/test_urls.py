"""Secrets in URLs stay out of what is shown."""

import pytest

from system.errors import ComponentError
from system.registry.stores import store_of
from system.registry.stores.redis import _client
from system.urls import without_secrets


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("redis://:hunter2@10.0.0.1:6379/0", "redis://***@10.0.0.1:6379/0"),
        ("rediss://me:hunt@er2@10.0.0.1", "rediss://***@10.0.0.1"),
        ("redis://:hunt/er2@10.0.0.1", "redis://***@10.0.0.1"),
        ("redis://10.0.0.1:6379", "redis://10.0.0.1:6379"),
        ("memory", "memory"),
    ],
)
def test_user_and_password_are_not_shown(url: str, shown: str) -> None:
    """Also where the password breaks the URL."""
    assert without_secrets(url) == shown


@pytest.mark.parametrize(
    "url", ["redsi://:hunter2@h", "redis://:hunter2@h:port", "redis://:hunter2@h:99999999"]
)
def test_a_mistaken_store_does_not_repeat_its_password(url: str) -> None:
    """Neither the whole nor in the words of who could not read it."""
    with pytest.raises(ComponentError) as raised:
        (store_of(url), _client(url))
    assert "hunter2" not in str(raised.value)
