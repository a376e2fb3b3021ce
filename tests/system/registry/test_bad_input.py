"""Whatever is sent: a clear answer, never a 5xx, and a registry that still works."""

import json
import string
from typing import Any
from urllib.parse import quote

from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from tests.system.registry.simulated import SERVICE, Registry

LEAVES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(max_size=20),
)
JSON = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        st.lists(inner, max_size=4), st.dictionaries(st.text(max_size=8), inner, max_size=4)
    ),
    max_leaves=12,
)
FIELDS = st.sampled_from(
    [*SERVICE, "metadata", "ttl", "weight", "lease_id", "replica_id", "endpoint", "capabilities"]
)
DOCUMENTS = st.one_of(
    JSON,
    st.dictionaries(FIELDS, JSON, max_size=6),
    st.dictionaries(FIELDS, JSON, max_size=2).map(lambda changes: {**SERVICE, **changes}),
)
BODIES = st.one_of(DOCUMENTS.map(lambda document: json.dumps(document).encode()), st.binary(max_size=60))
SEGMENTS = st.one_of(
    st.sampled_from(["a", "services", "register", "heartbeat", "drain", "health", ""]), st.text(max_size=6)
)
PATHS = st.one_of(
    st.sampled_from(
        ["/services", "/services/a", "/services/a/heartbeat", "/services/a/drain", "/stats", "/route"]
    ),
    st.sampled_from(
        ["/registry", "/replicas", "/register/a", "/register/a/heartbeat", "/health", "/metrics"]
    ),
    st.lists(SEGMENTS, max_size=4).map(lambda parts: "/" + "/".join(quote(part, safe="") for part in parts)),
).filter(lambda path: path not in {"/watch", "/register"} and not path.startswith("//"))
QUERIES = st.one_of(
    st.just(""),
    st.text(string.printable, max_size=30).map(quote),
    st.text("&=%+ab1", max_size=30),
)
METHODS = st.sampled_from(["GET", "POST", "PUT", "DELETE", "PATCH", "HEAD", "OPTIONS"])
MEDIA = st.sampled_from([None, "application/json", "application/json; charset=utf-8", "text/plain", "", ";;"])


@settings(max_examples=200, deadline=None, suppress_health_check=list(HealthCheck))
@given(METHODS, PATHS, QUERIES, BODIES, MEDIA)
@example("POST", "/services", "", json.dumps({**SERVICE, "metadata": {"models": [[]] * 50}}).encode(), None)
@example("PUT", "/services/a", "", b'{"metadata": {"weight": NaN}}', None)
@example("GET", "/route", "&".join(f"k{n}=1" for n in range(200)), b"", None)
@example("GET", "/route", "n=" + "9" * 5_000, b"", None)
def test_never_fails_itself(method: str, path: str, query: str, body: bytes, media: str | None) -> None:
    """Any request gets an answer below 500, as JSON where it has a body, and the registry serves on."""
    registry = Registry()
    try:
        registry.register()
        registry.register(name="b", metadata={"models": ["m"], "n": 9})
        headers = {} if media is None else {"content-type": media}
        url = f"{path}?{query}" if query else path
        answer = registry.call(method, url, content=body, headers=headers)
        assert answer.status_code < 500, answer.text
        if answer.headers["content-type"] == "application/json" and method != "HEAD":
            assert answer.json() is not None
        assert isinstance(registry.call("GET", "/services").json()["total"], int)
        assert registry.call("GET", "/registry").status_code == 200
    finally:
        registry.close()


def _fits_64_bits(value: Any) -> bool:
    """JSON's numbers are what its readers make of them; beyond 64 bits that is a float."""
    if isinstance(value, dict):
        return all(map(_fits_64_bits, value.values()))
    if isinstance(value, list):
        return all(map(_fits_64_bits, value))
    return not isinstance(value, int) or -(2**63) <= value < 2**64


@settings(max_examples=150, deadline=None)
@given(st.dictionaries(st.text(max_size=10), JSON, max_size=6).filter(_fits_64_bits))
def test_shows_metadata_as_it_was_given(metadata: dict[str, Any]) -> None:
    """What is accepted is shown unchanged, in both dialects' listings."""
    registry = Registry()
    try:
        answer = registry.register(metadata=metadata)
        if answer.status_code == 201:
            shown = registry.call("GET", "/services/a").json()["metadata"]
            assert shown == metadata
    finally:
        registry.close()
