"""The `/services` dialect over HTTP."""

import json
import logging
from typing import Any

import pytest

from system.registry.access import Access
from system.registry.context import Limits
from tests.system.registry.simulated import SERVICE, Registry


def test_answers_a_registration_with_the_entry_and_its_lease(registry: Registry) -> None:
    """A registration is 201 with the message, the whole entry and a lease id."""
    answer = registry.register(metadata={"models": ["m"]}, ttl=4)
    document = answer.json()
    assert answer.status_code == 201
    assert document["message"] == "Service 'a' registered successfully"
    assert document["lease_id"]
    assert document["service"]["metadata"] == {"models": ["m"]}
    assert {key: document["service"][key] for key in SERVICE} == SERVICE
    assert document["service"]["is_healthy"] is True
    assert document["service"]["health_status"] == "unknown"
    assert document["service"]["ttl"] == 4


def test_answers_compact_json(registry: Registry) -> None:
    """Scripts grep for `"name":"a"`, so there are no spaces."""
    registry.register()
    assert '"name":"a"' in registry.call("GET", "/services").text
    assert '"total":1' in registry.call("GET", "/services").text


@pytest.mark.parametrize("missing", sorted(SERVICE))
def test_names_a_missing_field(registry: Registry, missing: str) -> None:
    """A registration without a required field is 422 and says which."""
    answer = registry.call("POST", "/services", {key: SERVICE[key] for key in SERVICE if key != missing})
    assert answer.status_code == 422
    assert answer.json() == {"error": f"Missing required field: {missing}"}


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("name", ""),
        ("name", "a/b"),
        ("name", ".."),
        ("name", "a\nb"),
        ("name", "x" * 257),
        ("name", 7),
        ("port", 0),
        ("port", 65_536),
        ("port", "8100"),
        ("port", 81.5),
        ("port", True),
        ("host", ""),
        ("url", "http://a\r\nHost: b"),
        ("metadata", []),
        ("metadata", {"models": [str(number) for number in range(1_001)]}),
        ("metadata", {"models": [str(n) for n in range(1_000)], **{f"k{n}": n for n in range(30)}}),
        ("ttl", 0),
        ("ttl", -1),
        ("ttl", "4"),
        ("ttl", 1e9),
        ("weight", -1),
    ],
)
def test_refuses_a_value_that_cannot_be(registry: Registry, field: str, value: Any) -> None:
    """A field that cannot be what it says is 422, names the field, and registers nothing."""
    answer = registry.register(**{field: value})
    assert answer.status_code == 422
    assert answer.json()["error"].startswith(f"{field}")
    assert registry.names() == []


@pytest.mark.parametrize(
    ("content", "media", "status"),
    [
        (b"{", "application/json", 400),
        (b"", "application/json", 400),
        (b"[" * 5_000 + b"]" * 5_000, "application/json", 400),
        (b"[]", "application/json", 422),
        (b"null", "application/json", 422),
        (json.dumps(SERVICE).encode(), "application/x-www-form-urlencoded", 415),
        (b" " * 200_000, "application/json", 413),
    ],
)
def test_refuses_a_body_that_cannot_be_read(
    registry: Registry, content: bytes, media: str, status: int
) -> None:
    """A body that is not the JSON object it should be is a 4xx with a reason."""
    answer = registry.call("POST", "/services", content=content, headers={"content-type": media})
    assert answer.status_code == status
    assert answer.json()["error"]


def test_takes_json_that_does_not_say_so(registry: Registry) -> None:
    """A caller that names no content type is understood when its body is JSON."""
    assert registry.call("POST", "/services", content=json.dumps(SERVICE).encode()).status_code == 201


def test_refuses_metadata_too_deep_to_be_shown_again(registry: Registry) -> None:
    """Metadata that could be read but not written again is refused, not kept."""
    deep: Any = {}
    for _ in range(500):
        deep = {"in": deep}
    assert registry.register(metadata=deep).status_code == 422
    assert registry.call("GET", "/services").status_code == 200


def test_keeps_the_place_of_a_service_that_registers_again(registry: Registry) -> None:
    """Registering again overwrites the entry and does not move it."""
    registry.register(name="a")
    registry.register(name="b")
    registry.register(name="a", port=9000)
    assert registry.names() == ["a", "b"]
    assert registry.call("GET", "/services/a").json()["port"] == 9000


def test_forgets_an_entry_with_a_ttl_at_its_expiry_instant(registry: Registry) -> None:
    """With a ttl an entry is there until exactly ttl seconds after its last sign of life."""
    registry.register(ttl=4)
    registry.pass_time(3.75)
    assert registry.names() == ["a"]
    registry.call("POST", "/services/a/heartbeat")
    registry.pass_time(3.75)
    assert registry.names() == ["a"]
    registry.pass_time(0.25)
    assert registry.names() == []


def test_keeps_the_contracts_times_for_who_asks_for_nothing(registry: Registry) -> None:
    """Without a ttl an entry is unhealthy after 120 s and gone after 300 s."""
    registry.register()
    registry.pass_time(119.9)
    assert registry.names("?healthy=true") == ["a"]
    registry.pass_time(0.1)
    assert registry.names("?healthy=true") == []
    assert registry.names("?healthy=false") == ["a"]
    registry.pass_time(179.9)
    assert registry.names() == ["a"]
    registry.pass_time(0.1)
    assert registry.names() == []


def test_a_heartbeat_brings_an_overdue_service_back(registry: Registry) -> None:
    """A service that was only unhealthy is healthy again with its next heartbeat."""
    registry.register()
    registry.pass_time(200)
    assert registry.names("?healthy=true") == []
    assert registry.call("POST", "/services/a/heartbeat").json()["message"] == "Heartbeat received"
    assert registry.names("?healthy=true") == ["a"]


def test_an_older_owner_neither_renews_nor_removes(registry: Registry) -> None:
    """After a newer registration the older lease id gets 409, and the entry stays as it is."""
    old = registry.register(ttl=4).json()["lease_id"]
    new = registry.register(ttl=4, port=9000).json()["lease_id"]
    registry.pass_time(3)
    assert registry.call("POST", "/services/a/heartbeat", {"lease_id": old}).status_code == 409
    assert registry.call("PUT", "/services/a", {"lease_id": old, "status": "x"}).status_code == 409
    assert registry.call("DELETE", f"/services/a?lease_id={old}").status_code == 409
    assert registry.call("GET", "/services/a").json()["port"] == 9000
    registry.pass_time(1)
    assert registry.names() == [], "the old owner's heartbeat must not have kept it"
    assert registry.call("POST", "/services/a/heartbeat", {"lease_id": new}).status_code == 404


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/services/nobody"),
        ("PUT", "/services/nobody"),
        ("DELETE", "/services/nobody"),
        ("POST", "/services/nobody/heartbeat"),
        ("GET", "/services/nobody/health"),
        ("POST", "/services/nobody/drain"),
    ],
)
def test_says_that_a_name_is_unknown(registry: Registry, method: str, path: str) -> None:
    """Every verb on an unknown name is 404 with an error in JSON."""
    answer = registry.call(method, path, {} if method == "PUT" else None)
    assert answer.status_code == 404
    assert answer.json() == {"error": "Service 'nobody' not found"}


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'{"status": 7}', b'{"status": "a\\nb"}'])
def test_ignores_what_it_cannot_read_in_a_heartbeat(registry: Registry, body: bytes) -> None:
    """A heartbeat counts whatever its body says."""
    registry.register()
    assert registry.call("POST", "/services/a/heartbeat", content=body).status_code == 200
    assert registry.call("GET", "/services/a").json()["status"] == "running"


def test_blames_nobody_for_the_time_in_which_it_did_not_run_itself(registry: Registry) -> None:
    """After this process stood still, everybody has the rest of its ttl, and a second more, to be heard."""
    registry.register(ttl=4)
    registry.pass_time(2)
    registry.stand_still(60)
    assert registry.names() == ["a"]
    registry.pass_time(0.75)
    assert registry.names() == ["a"]
    registry.pass_time(0.5)
    assert registry.names() == []


def test_a_heartbeat_may_change_the_status(registry: Registry) -> None:
    """A status other than running is not healthy."""
    registry.register()
    registry.call("POST", "/services/a/heartbeat", {"status": "loading"})
    assert registry.call("GET", "/services/a").json()["is_healthy"] is False
    assert registry.names("?status=loading") == ["a"]
    assert registry.names("?status=running") == []


def test_an_update_replaces_what_it_names_and_renews(registry: Registry) -> None:
    """PUT changes the given fields, replaces metadata whole, and counts as a sign of life."""
    registry.register(metadata={"a": 1, "b": 2}, ttl=4)
    registry.pass_time(3)
    answer = registry.call("PUT", "/services/a", {"port": 9000, "metadata": {"c": 3}})
    assert answer.status_code == 200
    assert answer.json()["message"] == "Service 'a' updated successfully"
    registry.pass_time(3)
    shown = registry.call("GET", "/services/a").json()
    assert (shown["port"], shown["host"], shown["metadata"]) == (9000, "10.0.0.1", {"c": 3})


def test_unregisters(registry: Registry) -> None:
    """DELETE takes an entry out; its own lease id may be shown."""
    lease = registry.register().json()["lease_id"]
    answer = registry.call("DELETE", f"/services/a?lease_id={lease}")
    assert answer.json() == {"message": "Service 'a' unregistered successfully"}
    assert registry.names() == []


def test_a_draining_service_is_listed_but_not_healthy_until_it_registers_again(registry: Registry) -> None:
    """Draining outlives heartbeats, and ends with the registration it was asked for."""
    registry.register()
    assert registry.call("POST", "/services/a/drain").json()["service"]["status"] == "draining"
    registry.call("POST", "/services/a/heartbeat", {"status": "running"})
    assert registry.names("?healthy=true") == []
    assert registry.names() == ["a"]
    registry.call("DELETE", "/services/a/drain")
    assert registry.names("?healthy=true") == ["a"]
    registry.call("POST", "/services/a/drain")
    registry.register()
    assert registry.names("?healthy=true") == ["a"]


def test_counts(registry: Registry) -> None:
    """`/stats` and `/health` count what is there."""
    registry.register(name="a")
    registry.register(name="b", status="loading")
    stats = registry.call("GET", "/stats").json()
    assert (stats["total_services"], stats["healthy_services"], stats["unhealthy_services"]) == (2, 1, 1)
    assert stats["status_distribution"] == {"loading": 1, "running": 1}
    assert stats["host_distribution"] == {"10.0.0.1": 2}
    health = registry.call("GET", "/health").json()
    assert (health["status"], health["registry"]) == ("healthy", "running")
    assert (health["registered_services"], health["healthy_services"]) == (2, 1)
    registry.call("GET", "/route?model=nothing")
    metrics = registry.call("GET", "/metrics").text
    assert "\nregistry_entries 2\n" in metrics
    assert '\nregistry_routes_total{result="none"} 1\n' in metrics


@pytest.mark.parametrize("host", ["0.0.0.0", "localhost", "127.0.0.1", "::1"])
def test_flags_an_address_that_only_its_owner_can_use(
    registry: Registry, host: str, caplog: pytest.LogCaptureFixture
) -> None:
    """A registration of such an address from elsewhere is accepted, and flagged wherever people look."""
    caplog.set_level(logging.INFO)
    answer = registry.register(host=host)
    assert answer.status_code == 201
    assert "10.0.0.9" in answer.json()["warnings"][0]
    assert registry.call("GET", "/services").json()["services"][0]["warnings"]
    assert any(record.levelname == "WARNING" and host in record.getMessage() for record in caplog.records)


def test_flags_no_local_address_of_a_local_caller() -> None:
    """A caller on this machine may register localhost."""
    local = Registry(caller="127.0.0.1")
    assert local.register(host="localhost").json()["warnings"] == []
    local.close()


def test_logs_what_scripts_look_for(registry: Registry, caplog: pytest.LogCaptureFixture) -> None:
    """Registration, update, removal and expiry have the log lines that are known."""
    caplog.set_level(logging.INFO)
    registry.register(name="a")
    registry.call("PUT", "/services/a", {"port": 9000})
    registry.call("DELETE", "/services/a")
    registry.register(name="b", ttl=1)
    registry.pass_time(1)
    registry.names()
    assert [record.getMessage() for record in caplog.records if record.name == "registry"] == [
        "Registered service: a at http://10.0.0.1:8100",
        "Updated service: a",
        "Unregistered service: a",
        "Registered service: b at http://10.0.0.1:8100",
        "Removed stale service: b",
    ]


def test_refuses_more_entries_than_one_caller_may_have() -> None:
    """The limit counts what is there: registering again is free, and leaving makes room."""
    small = Registry(limits=Limits(body=10_000, entries_per_caller=2, kept=10_000, hold=0))
    assert [small.register(name=name).status_code for name in "abca"] == [201, 201, 429, 201]
    small.call("DELETE", "/services/b")
    assert small.register(name="c").status_code == 201
    small.close()


def test_answers_unknown_paths_and_methods(registry: Registry) -> None:
    """Unknown paths are 404, known ones with another method 405 with what is allowed."""
    assert registry.call("GET", "/nothing").status_code == 404
    answer = registry.call("PATCH", "/services")
    assert (answer.status_code, answer.headers["allow"]) == (405, "GET, POST")


def test_names_with_odd_characters_can_be_reached(registry: Registry) -> None:
    """What may be registered may also be asked for, percent-encoded."""
    registry.register(name="modèle 7%?#")
    assert registry.call("GET", "/services/mod%C3%A8le%207%25%3F%23").json()["name"] == "modèle 7%?#"


def test_refuses_to_keep_more_than_it_may() -> None:
    """What all entries hold together is bounded; replacing counts only the difference, leaving makes room."""
    small = Registry(limits=Limits(body=10_000, entries_per_caller=50, kept=2_500, hold=0))
    assert small.register(name="a", metadata={"x": "y" * 2_000}).status_code == 201
    assert small.register(name="b", metadata={"x": "y" * 2_000}).status_code == 429
    assert small.register(name="a", metadata={"x": "y" * 2_100}).status_code == 201
    assert small.call("PUT", "/services/a", {"metadata": {"x": "y" * 3_000}}).status_code == 429
    small.call("DELETE", "/services/a")
    assert small.register(name="b", metadata={"x": "y" * 2_000}).status_code == 201
    small.close()


def test_is_its_own_size_again_after_everybody_left() -> None:
    """Nothing is counted twice and nothing is forgotten."""
    made = Registry()
    made.register(name="a", ttl=2, metadata={"x": 1})
    made.register(name="a", metadata={"x": 22})
    made.call("PUT", "/services/a", {"metadata": {"x": 333}})
    made.register(name="b", ttl=1)
    made.pass_time(1)
    made.call("DELETE", "/services/a")
    assert (made.context.kept, made.context._held, made.context._callers) == (0, {}, {})
    made.close()


@pytest.mark.parametrize(
    ("token", "reads", "writes"),
    [(None, 401, 401), ("wrong", 401, 401), ("reader", 200, 403), ("writer", 200, 201), ("next", 200, 201)],
)
def test_asks_for_tokens(token: str | None, reads: int, writes: int) -> None:
    """Writers may write and read, readers only read, probes need no token."""
    guarded = Registry(access=Access(writers=("writer", "next"), readers=("reader",)))
    headers = {"authorization": f"Bearer {token}"} if token else {}
    assert guarded.call("GET", "/services", headers=headers).status_code == reads
    assert guarded.call("POST", "/services", SERVICE, headers=headers).status_code == writes
    assert guarded.call("GET", "/health").status_code == 200
    guarded.close()


def test_a_token_for_writers_alone_is_asked_of_readers_too() -> None:
    """With one token file, everything but the probes needs a token of it."""
    guarded = Registry(access=Access(writers=("writer",)))
    assert guarded.call("GET", "/services").status_code == 401
    assert guarded.call("GET", "/route", headers={"authorization": "Bearer writer"}).status_code == 404
    guarded.close()
