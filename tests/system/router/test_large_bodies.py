"""Bodies too large to be held: read for their model as they pass, kept on disk, sent again where need be."""

import asyncio
import json
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from system.router.scan import NotAnObject, Scanner
from tests.system.router.stage import (
    ADDRESS,
    Call,
    FakeBackend,
    Stage,
    free_port,
    play,
    request,
    router,
    until,
    whole,
)

MEGABYTE = 1024 * 1024
CHAT = "/v1/chat/completions"

texts = st.text(alphabet=st.sampled_from('ab"\\\n\u00e9:,{}[]'), max_size=8)
values = st.recursive(
    st.none() | st.booleans() | st.integers() | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=10,
)


def scan(data: bytes, step: int) -> dict[str, str | None]:
    scanner = Scanner(("model", "b"))
    for start in range(0, len(data), step):
        scanner.feed(data[start : start + step])
    scanner.end()
    return scanner.found


@settings(max_examples=200, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    document=st.dictionaries(
        st.sampled_from(
            ["model", "b", "c", 'x"'],
        )
        | texts,
        values,
        max_size=5,
    ),
    indent=st.sampled_from([None, 1]),
    ascii_only=st.booleans(),
    step=st.integers(1, 30),
)
def test_scanner_finds_what_a_parser_finds(
    document: dict[str, Any], indent: int | None, ascii_only: bool, step: int
) -> None:
    """Whatever the document, however it arrives: the strings of the outermost object's members."""
    data = json.dumps(document, indent=indent, ensure_ascii=ascii_only).encode()
    expected = {
        name: document[name] if isinstance(document[name], str) else None
        for name in ("model", "b")
        if name in document
    }
    assert scan(data, step) == expected


def test_last_member_of_a_name_counts() -> None:
    """As it does for the parsers of backends; escaped names are names."""
    assert scan(b'{"model":"first","m\\u006fdel":"last"}', 3) == {"model": "last"}


@pytest.mark.parametrize(
    "data", [b"", b"  ", b"[1]", b'"x"', b'{"model":"m"', b'{"model":"m', b'{"a":1}}', b'{}{"model":"m"}']
)
def test_what_is_no_object_is_refused(data: bytes) -> None:
    """Not begun, not ended, or followed by something."""
    with pytest.raises(NotAnObject):
        scan(data, 2)


def large(model: str = "m", size: int = 3 * MEGABYTE) -> bytes:
    return b'{"messages":[{"role":"user","content":"%b"}],"model":"%b"}' % (b"x" * size, model.encode())


async def digests(backend: FakeBackend, call: Call) -> None:
    await call.send(whole(json.dumps({"size": len(call.body), "end": call.body[-20:].decode()}).encode()))


def test_large_body_arrives_byte_for_byte(tmp_path: Path) -> None:
    """The model is found at its very end; the backend gets every byte."""

    async def scene() -> None:
        backend = FakeBackend("a", digests)
        async with router(tmp_path, backend) as stage:
            assert (await stage.ask("POST", CHAT, large())).json["size"] == len(large())
            assert backend.calls[0].body == large()
            assert (await stage.ask("POST", CHAT, large("nope"))).status == 404
            assert (await stage.ask("POST", CHAT, large() + b"}")).status == 400
            assert (await stage.chat()).status == 200

    play(scene())


def test_large_body_is_sent_again_when_a_backend_breaks(tmp_path: Path) -> None:
    """A retry begins at the first byte."""

    async def breaks(_: FakeBackend, call: Call) -> None:
        raise ConnectionResetError

    async def scene() -> None:
        bad, good = FakeBackend("bad", breaks), FakeBackend("good", digests)
        async with router(tmp_path, bad, good) as stage:
            for _ in range(4):
                assert (await stage.ask("POST", CHAT, large())).json["size"] == len(large())
            assert all(call.body == large() for call in good.calls)

    play(scene())


def test_answer_to_a_body_that_is_still_sent_ends_the_sending(tmp_path: Path) -> None:
    """A backend that refuses early is passed on at once; that connection is not used again."""

    class Early(FakeBackend):
        async def _one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            head = await reader.readuntil(b"\r\n\r\n")
            call = Call(head, b"", writer, reader)
            if head.startswith(b"POST"):
                self.calls.append(call)
                await call.send(whole(b"{}", "413 Content Too Large"))
                while await reader.read(65_536):
                    pass
                raise ConnectionResetError
            await call.send(whole(b"{}"))

    async def scene() -> None:
        backend = Early("a")
        async with router(tmp_path, backend) as stage:
            answers = [(await stage.ask("POST", CHAT, large(size=20 * MEGABYTE))).status for _ in range(2)]
            assert answers == [413, 413]
            await until(lambda: backend.left >= 2)

    play(scene())


def resident(pid: int) -> int:
    """Bytes of memory a process has resident, at most so far."""
    lines = Path(f"/proc/{pid}/status").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM"))


@pytest.mark.slow
def test_64_megabytes_pass_through_in_8(tmp_path: Path) -> None:
    """A 64 MB body, there and back, costs the router at most 8 MB of resident memory."""

    async def echoes(_: FakeBackend, call: Call) -> None:
        await call.send(whole(call.body))

    async def scene() -> None:
        backend, port = await FakeBackend("a", echoes).start(), free_port()
        static = tmp_path / "static.json"
        static.write_text(json.dumps([backend.entry]))
        program = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "system", "router", "--host", ADDRESS, "--port", str(port)),
            *("--static-services", str(static), "--log-level", "error"),
            stdout=asyncio.subprocess.PIPE,
        )
        assert program.stdout is not None
        await program.stdout.readline()
        stage = Stage(port, f"http://{ADDRESS}:{port}")
        for _ in range(20):
            await stage.chat()
        before = resident(program.pid)
        client = await stage.connect()
        await client.send(request("POST", CHAT, large(size=64 * MEGABYTE)))
        answer = await client.answer()
        client.close()
        assert (answer.status, len(answer.body)) == (200, len(large(size=64 * MEGABYTE)))
        grown = resident(program.pid) - before
        program.terminate()
        assert await program.wait() == 0
        await backend.stop()
        assert grown <= 8 * MEGABYTE, f"{grown / MEGABYTE:.1f} MB"

    play(scene())
