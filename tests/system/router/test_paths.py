"""Where requests go that are for no page and name no model."""

from pathlib import Path

from tests.system.router.stage import Call, FakeBackend, play, request, router, whole


def test_everything_is_proxied_where_that_is_asked_for(tmp_path: Path) -> None:
    """Other paths and methods go to any backend; pages, and what names a model, do not change."""

    async def tells(_: FakeBackend, call: Call) -> None:
        if call.head.startswith(b"HEAD "):
            await call.send(b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n")
        else:
            await call.send(whole(call.head.split(b" HTTP")[0]))

    async def scene() -> None:
        a, b = FakeBackend("a", tells), FakeBackend("b", tells, models=("other",))
        async with router(tmp_path, a, b, proxy_everything=True, policy="round-robin") as stage:
            assert (await stage.ask("GET", "/version?x=1")).body == b"GET /version?x=1"
            assert (await stage.ask("DELETE", "/v1/files/7")).body == b"DELETE /v1/files/7"
            assert (await stage.ask("POST", "/tool", b"not json")).body == b"POST /tool"
            served = [(await stage.ask("GET", "/x")).headers["x-muster-backend"] for _ in range(4)]
            assert sorted(served) == ["a", "a", "b", "b"]
            assert (await stage.chat("nope")).status == 404
            assert {(await stage.chat("other")).headers["x-muster-backend"] for _ in range(4)} == {"b"}
            assert (await stage.ask("GET", "/v1/models")).json["object"] == "list"
            client = await stage.connect()
            await client.send(request("HEAD", "/version"))
            assert (await client.head())[1]["content-length"] == "1000"
            await client.send(request("GET", "/after"))
            assert (await client.answer()).body == b"GET /after"

    play(scene())
