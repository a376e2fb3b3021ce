"""Who may call: tokens, models, rates, TLS."""

import ssl
import subprocess
from pathlib import Path

import httpx
import pytest

from system.errors import StartupError
from system.router.callers import Rate, read_callers
from system.router.files import load_callers
from tests.system.router.stage import ADDRESS, FakeBackend, play, router

FILE = """
[callers.alice]
token = "alice-token"
models = ["m", "llama-*"]

[callers.bob]
token = "bob-token"
requests_per_minute = 60
burst = 2
"""


def bearer(token: str) -> dict[str, str]:
    return {"authorization": f"Bearer {token}"}


def test_only_callers_with_a_token_get_in(tmp_path: Path) -> None:
    """No token or a wrong one is 401; /health stays open to probes."""
    (tmp_path / "callers.toml").write_text(FILE)

    async def scene() -> None:
        async with router(tmp_path, FakeBackend("a"), callers=tmp_path / "callers.toml") as stage:
            for headers in (
                {},
                bearer("wrong"),
                {"authorization": "Basic alice-token"},
                {"authorization": ""},
            ):
                answer = await stage.chat(**headers)
                assert (answer.status, answer.json["error"]["code"]) == (401, "invalid_api_key")
            assert (await stage.ask("GET", "/v1/models")).status == 401
            assert (await stage.ask("GET", "/health")).status == 200
            assert (await stage.chat(**bearer("alice-token"))).status == 200

    play(scene())


def test_caller_may_use_the_models_on_its_list_and_sees_no_others(tmp_path: Path) -> None:
    """Others are 403, and not listed for that caller."""
    (tmp_path / "callers.toml").write_text(FILE)

    async def scene() -> None:
        backend = FakeBackend("a", models=("m", "n", "llama-3"))
        async with router(tmp_path, backend, callers=tmp_path / "callers.toml") as stage:
            alice, bob = bearer("alice-token"), bearer("bob-token")
            assert [(await stage.chat(model, **alice)).status for model in ("m", "llama-3", "n")] == [
                200,
                200,
                403,
            ]
            assert (await stage.chat("n", **bob)).status == 200
            listed = (await stage.ask("GET", "/v1/models", b"", **alice)).json["data"]
            assert [model["id"] for model in listed] == ["llama-3", "m"]
            assert (await stage.ask("GET", "/v1/models/n", b"", **alice)).status == 404

    play(scene())


def test_caller_above_its_rate_is_told_when_to_come_back(tmp_path: Path) -> None:
    """Its burst is spent: 429 with Retry-After; others are not affected."""
    (tmp_path / "callers.toml").write_text(FILE)

    async def scene() -> None:
        async with router(tmp_path, FakeBackend("a"), callers=tmp_path / "callers.toml") as stage:
            answers = [await stage.chat(**bearer("bob-token")) for _ in range(3)]
            assert [answer.status for answer in answers] == [200, 200, 429]
            assert answers[2].headers["retry-after"] == "1"
            assert (await stage.chat(**bearer("alice-token"))).status == 200

    play(scene())


def test_callers_tokens_stay_with_the_router(tmp_path: Path) -> None:
    """A backend gets the router's own token, if it has one, and never a caller's."""
    (tmp_path / "callers.toml").write_text(FILE)
    (tmp_path / "tokens").write_text("own-token\n")

    async def scene() -> list[str | None]:
        backend = FakeBackend("a")
        async with router(tmp_path, backend, callers=tmp_path / "callers.toml") as stage:
            await stage.chat(**bearer("alice-token"))
        async with router(tmp_path, again := FakeBackend("a"), token_file=tmp_path / "tokens") as stage:
            await stage.chat(**bearer("own-token"))
        async with router(tmp_path, open_one := FakeBackend("a")) as stage:
            await stage.chat(**bearer("the-backends-own"))
        return [one.calls[0].header("authorization") for one in (backend, again, open_one)]

    assert play(scene()) == [None, "Bearer own-token", "Bearer the-backends-own"]


def test_rate_refills_and_never_exceeds_its_burst() -> None:
    """One a second after two at once, however long nobody asked."""
    rate = Rate(per_minute=60, burst=2)
    assert [rate.take(0.0), rate.take(0.0), rate.take(0.0)] == [0.0, 0.0, 1.0]
    assert rate.take(0.5) == 0.5
    assert [rate.take(100.0), rate.take(100.0), rate.take(100.0)] == [0.0, 0.0, 1.0]


@pytest.mark.parametrize(
    ("document", "words"),
    [
        ({}, "expected a table"),
        ({"callers": {"a": 7}}, "callers.a: must be a table"),
        ({"callers": {"a": {}}}, "callers.a: needs a token"),
        ({"callers": {"a": {"token": "x", "modles": []}}}, "unknown key modles"),
        ({"callers": {"a": {"token": "x", "models": "m"}}}, "models must be a list"),
        ({"callers": {"a": {"token": "x", "requests_per_minute": 0}}}, "requests_per_minute must be"),
    ],
)
def test_mistakes_in_the_file_are_named(document: object, words: str) -> None:
    """Which caller, which key."""
    with pytest.raises(ValueError, match=words):
        read_callers(document)


def test_file_that_cannot_be_used_ends_the_start(tmp_path: Path) -> None:
    """Missing, not TOML, or mistaken: one line each, with the file's name."""
    (tmp_path / "bad.toml").write_text("[callers")
    for name in ("missing.toml", "bad.toml"):
        with pytest.raises(StartupError, match=name):
            load_callers(tmp_path / name, ())
    assert load_callers(None, ()) is None


def certificate(tmp_path: Path) -> tuple[Path, Path]:
    cert, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    subject = ["-subj", "/CN=test", "-addext", f"subjectAltName=IP:{ADDRESS}"]
    command = [
        "openssl",
        "req",
        "-x509",
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:prime256v1",
        "-nodes",
    ]
    files = ["-keyout", str(key), "-out", str(cert), "-days", "2"]
    subprocess.run([*command, *files, *subject], check=True, capture_output=True)
    return cert, key


def test_tls_from_client_to_router_to_router(tmp_path: Path) -> None:
    """A router serves HTTPS and reaches an https backend, here another router, verified by its CA."""
    cert, key = certificate(tmp_path)
    (tmp_path / "inner").mkdir()

    async def scene() -> None:
        backend = FakeBackend("a")
        async with router(tmp_path / "inner", backend, tls_cert=cert, tls_key=key) as inner:
            assert inner.url.startswith("https://")
            secure = FakeBackend("inner", port=inner.port)
            url = {"url": inner.url}
            outer_file = tmp_path / "outer.json"
            outer_file.write_text(httpx.Response(200, json=[{**secure.entry, **url}]).text)
            async with router(
                tmp_path, static_services=outer_file, backend_ca=cert, tls_cert=cert, tls_key=key
            ) as outer:
                verify = ssl.create_default_context(cafile=cert)
                async with httpx.AsyncClient(verify=verify, base_url=outer.url) as client:
                    answer = await client.post("/v1/chat/completions", json={"model": "m", "messages": []})
                    assert (answer.status_code, answer.headers["x-muster-backend"]) == (200, "inner")
                    assert (await client.post("/nowhere")).status_code == 404
        assert len(backend.calls) == 1

    play(scene())
