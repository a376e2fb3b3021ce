"""The HTTP half: the original's endpoints with codes that are true, chats, documents, streams."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.system.balancer.served import HERE, STRONG, WEAK, balancer, http_half, node, ready, run


@asynccontextmanager
async def users(database: Path, *, nodes: bool = True) -> AsyncIterator[httpx.AsyncClient]:
    """A client of a balancer with two nodes, or with none."""
    async with (
        balancer(aggregation="best") as (address, stub),
        http_half(address, str(database)) as url,
        httpx.AsyncClient(base_url=url, timeout=10, trust_env=False) as client,
    ):
        if not nodes:
            yield client
            return
        strong = node(address, "s", STRONG, "mock:?text=Paris")
        async with strong, node(address, "w", WEAK, "mock:?text=Lyon"):
            await ready(stub, 2)
            yield client


def test_the_originals_pages_have_their_shapes(tmp_path: Path) -> None:
    """And `/status` lists who is there, with score, specs, model, state and why not more."""

    async def test() -> None:
        async with users(tmp_path / "db") as http:
            assert (await http.get("/")).json() == {
                "features": ["distributed_ai", "rag", "chat_history", "multimodal"],
                "service": "Smart AI Load Balancer HTTP Wrapper", "status": "running", "version": "4.0",
            }  # fmt: skip
            assert (await http.get("/health")).json() == {
                "active_models": 2, "chat_available": True, "connected_clients": 2, "healthy": True,
                "message": "Server healthy. 2 clients, 2 active models.", "rag_available": True,
            }  # fmt: skip
            status = (await http.get("/status")).json()
            assert (status["total_clients"], status["active_clients"]) == (2, 2)
            assert status["available_models"] == ["llama3.2:1b", "llama3.2:3b", "llama3.1:8b"]
            weak = next(one for one in status["clients"] if one["model"] == "llama3.2:1b")
            assert (weak["score"], weak["state"], weak["specs"]["cpu_cores"]) == (41.0, "ready", 4)
            assert "80 points and more" in weak["rejected"]["llama3.1:8b"]
            assert status["rag_stats"] == {"total_documents": 0, "mode": "simple"}
            again = (await http.post("/reassign")).json()
            assert again["message"] == "Successfully reassigned models to 2 clients"
            assert set(again["assignments"].values()) == {"llama3.2:1b", "llama3.1:8b"}

    run(test())


def test_a_question_is_answered_and_remembered(tmp_path: Path) -> None:
    """The second one in a chat is given the first, and what documents know, with citations."""

    async def test() -> None:
        async with users(tmp_path / "db") as http:
            document = {"title": "Capitals", "content": "Paris is the capital of France."}
            doc_id = (await http.post("/rag/documents", json=document)).json()["doc_id"]
            first = (await http.post("/query", json={"prompt": "capital of France?"})).json()
            assert (first["success"], first["text"]) == (True, "Paris")
            assert "PROCESSING_DETAILS_START" in first["response"]
            assert first["metadata"]["context_used"] == []
            assert [one["outcome"] for one in first["metadata"]["nodes"]] == ["answered", "answered"]
            more = {"prompt": "sure? capital", "session_id": first["session_id"], "use_rag": True}
            second = (await http.post("/query", json=more)).json()
            assert second["metadata"]["context_used"] == ["RAG context added", "Chat history added"]
            assert [one["doc_id"] for one in second["metadata"]["citations"]] == [doc_id]
            chat = (await http.get(f"/chat/sessions/{first['session_id']}")).json()["session"]
            assert chat["title"] == "capital of France?"
            assert [one["role"] for one in chat["messages"]] == ["user", "assistant", "user", "assistant"]

    run(test())


def test_an_answer_can_be_followed(tmp_path: Path) -> None:
    """Server-sent events: progress and answers of nodes as they come, the result last."""

    async def test() -> None:
        async with users(tmp_path / "db") as http:
            asked = {"prompt": "?", "stream": True, "aggregation": "majority"}
            answer = await http.post("/query", json=asked)
            assert answer.headers["content-type"].startswith("text/event-stream")
            events = [block.split("\n") for block in answer.text.strip().split("\n\n")]
            kinds = [lines[0].removeprefix("event: ") for lines in events]
            assert set(kinds[:-1]) == {"progress", "answered"}
            assert kinds[-1] == "result"
            assert json.loads(events[-1][1].removeprefix("data: "))["text"] == "Paris"

    run(test())


@pytest.mark.parametrize(
    ("path", "body", "status", "says"),
    [
        ("/query", {"prompt": ""}, 400, "Prompt is required"),
        ("/query", {}, 400, "Prompt is required"),
        ("/query", "no object", 422, "body"),
        ("/query", {"prompt": 5}, 422, "prompt: Input should be a valid string"),
        ("/query", {"prompt": "x", "session_id": "nope"}, 404, "Session not found"),
        ("/query", {"prompt": "x", "plan": "quorum"}, 422, "needs a count"),
        ("/query", {"prompt": "x", "images": [{"image_base64": "x"}]}, 422, "images.0"),
        ("/query", {"prompt": "x"}, 503, "No clients connected"),
        ("/query", b"{", 400, "the body is not JSON"),
        ("/reassign", None, 400, "No clients connected"),
        ("/rag/documents", {"title": "x"}, 400, "Content is required"),
        ("/rag/search", {"query": "x", "top_k": -1}, 422, "top_k"),
        ("/rag/search", {}, 400, "Query is required"),
        ("/nowhere", {}, 404, "Not Found"),
    ],
)
def test_what_cannot_be_is_said_with_its_code(
    path: str, body: Any, status: int, says: str, tmp_path: Path
) -> None:
    """Always `success: false` and `error`, never a trace, never 200."""

    async def test() -> None:
        async with users(tmp_path / "db", nodes=False) as http:
            how = {"content": body, "headers": {"content-type": "application/json"}}
            answer = await http.post(path, **(how if isinstance(body, bytes) else {"json": body}))
            assert answer.status_code == status
            assert answer.json()["success"] is False
            assert says in answer.json()["error"]

    run(test())


def test_images_without_a_model_that_sees_are_the_callers_mistake(tmp_path: Path) -> None:
    """422 and words, while nodes are there that answer everything else."""

    async def test() -> None:
        async with users(tmp_path / "db") as http:
            answer = await http.post("/query", json={"prompt": "what is it?", "images": ["aGk="]})
            assert answer.status_code == 422
            assert "No vision-capable clients" in answer.json()["error"]
            assert (await http.post("/query", json={"prompt": "x"})).status_code == 200

    run(test())


def test_a_body_that_is_too_large_is_not_read(tmp_path: Path) -> None:
    """Neither if it says how large it is, nor if it does not."""

    async def test() -> None:
        async def endless() -> AsyncIterator[bytes]:
            for _ in range(70):
                yield b" " * (1024 * 1024)

        async with users(tmp_path / "db", nodes=False) as http:
            answer = await http.post(
                "/query", content=endless(), headers={"content-type": "application/json"}
            )
            assert answer.status_code == 413
            reader, writer = await asyncio.open_connection(http.base_url.host, http.base_url.port)
            writer.write(b"POST /query HTTP/1.1\r\nhost: x\r\ncontent-length: 1000000000\r\n\r\n")
            assert (await reader.readline()).startswith(b"HTTP/1.1 413 ")
            writer.close()

    run(test())


def test_chats_and_documents_can_be_renamed_and_forgotten(tmp_path: Path) -> None:
    """And what is not there is 404, whatever is asked of it."""

    async def test() -> None:
        async with users(tmp_path / "db", nodes=False) as http:
            made = (await http.post("/chat/sessions", json={"title": "one"})).json()["session_id"]
            assert (await http.post("/chat/sessions")).json()["success"]
            assert (await http.put(f"/chat/sessions/{made}/title", json={})).json()[
                "error"
            ] == "Title is required"
            assert (await http.put(f"/chat/sessions/{made}/title", json={"title": "two"})).status_code == 200
            listed = (await http.get("/chat/sessions", params={"limit": "x"})).json()["sessions"]
            assert {one["title"] for one in listed} == {"two", "New Chat"}
            assert (await http.delete(f"/chat/sessions/{made}")).json()["message"] == "Session deleted"
            for method, path in [
                ("GET", f"/chat/sessions/{made}"),
                ("DELETE", f"/chat/sessions/{made}"),
                ("DELETE", "/rag/documents/none"),
            ]:
                assert (await http.request(method, path)).status_code == 404

    run(test())


def test_the_http_half_outlives_the_other(tmp_path: Path) -> None:
    """It says what is missing, keeps chats, and goes on when the other is back."""

    async def test() -> None:
        async with (
            http_half(f"{HERE}:1", str(tmp_path / "db")) as url,
            httpx.AsyncClient(base_url=url, timeout=10, trust_env=False) as http,
        ):
            health = (await http.get("/health")).json()
            assert (health["healthy"], health["error"]) == (False, "gRPC server not available")
            status = (await http.get("/status")).json()
            assert (status["success"], status["clients"]) == (False, [])
            answer = await http.post("/query", json={"prompt": "x"})
            assert answer.status_code == 503
            assert f"{HERE}:1" in answer.json()["error"]
            assert (await http.get("/chat/sessions")).json()["success"]

    run(test())


def test_browsers_of_this_machine_may_call_and_others_may_not(tmp_path: Path) -> None:
    """Unless they were named."""

    async def test() -> None:
        async with users(tmp_path / "db", nodes=False) as http:
            for origin, allowed in [("http://localhost:3000", True), ("http://evil.example", False)]:
                answer = await http.get("/", headers={"origin": origin})
                assert ("access-control-allow-origin" in answer.headers) is allowed

    run(test())
