"""`POST /query`: a question with its context, to the fleet, answered whole or as it comes about."""

import uuid
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import orjson
from fastapi import APIRouter
from fastapi.responses import JSONResponse, Response, StreamingResponse

from system.balancer.half import GrpcHalf, Unavailable
from system.balancer.http.bodies import AskBody
from system.balancer.http.context import LAST_MESSAGES, TOP_DOCUMENTS, citations, prompt_with, title_of
from system.balancer.http.failures import Failed
from system.balancer.http.views import answer_view, progress_view, result_view
from system.balancer.layout import NONE_SEES
from system.balancer.storage.base import Query, Storage
from system.proto import load_balancer_pb2 as pb


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """A question on its way."""

    request: pb.AskRequest
    session_id: str
    metadata: dict[str, Any]


def router_over(half: GrpcHalf, storage: Storage) -> APIRouter:
    """The routes of questions."""
    router = APIRouter()

    @router.post("/query")
    async def query(body: AskBody) -> Response:
        """Ask the fleet. With `stream`, events arrive as they happen: progress, answered, result."""
        prepared = await _prepared(body, storage)
        if body.stream:
            events = _events(half, storage, prepared)
            return StreamingResponse(events, media_type="text/event-stream")
        try:
            async for event in half.ask(prepared.request):
                if event.WhichOneof("of") == "result":
                    return JSONResponse(*await _answered(storage, prepared, event.result))
        except ValueError as error:
            raise Failed(422, str(error)) from None
        raise Failed(502, "the gRPC half ended without an answer", session_id=prepared.session_id)

    return router


async def _prepared(body: AskBody, storage: Storage) -> Prepared:
    session_id = body.session_id or await storage.create_session(title_of(body.prompt))
    if body.session_id and await storage.session(session_id) is None:
        raise Failed(404, "Session not found")
    before = await storage.messages(session_id, LAST_MESSAGES)
    found = await storage.search(Query(text=body.prompt, most=TOP_DOCUMENTS)) if body.use_rag else []
    await storage.add_message(session_id, "user", body.prompt, body.images)
    prompt, used = prompt_with(body.prompt, before, found)
    request = pb.AskRequest(
        request_id=str(uuid.uuid4()),
        prompt=prompt,
        images=body.images,
        plan=body.plan,
        count=body.count,
        aggregation=body.aggregation,
        deadline=body.deadline,
    )
    metadata: dict[str, Any] = {
        "context_used": used,
        "images_received": len(body.images),
        "rag_enabled": body.use_rag,
    }
    if found:
        metadata["citations"] = citations(found)
    return Prepared(request=request, session_id=session_id, metadata=metadata)


async def _answered(storage: Storage, prepared: Prepared, result: pb.AskResult) -> tuple[dict[str, Any], int]:
    """The answer and its status, the chat having been written down."""
    metadata = {**prepared.metadata, **result_view(result)}
    if not result.success:
        failed = {"success": False, "error": result.problem, "response": result.layout}
        # images that nobody can look at are the caller's to leave out; all else may be well in a moment
        status = 422 if result.problem == NONE_SEES else 503
        return {**failed, "session_id": prepared.session_id, "metadata": metadata}, status
    await storage.add_message(prepared.session_id, "assistant", result.layout)
    answer = {"success": True, "response": result.layout, "text": result.text}
    return {**answer, "session_id": prepared.session_id, "metadata": metadata}, 200


async def _events(half: GrpcHalf, storage: Storage, prepared: Prepared) -> AsyncIterator[bytes]:
    try:
        async for event in half.ask(prepared.request):
            match event.WhichOneof("of"):
                case "progress":
                    yield _sse("progress", progress_view(event.progress))
                case "answered":
                    yield _sse("answered", {**answer_view(event.answered), "text": event.answered.text})
                case "result":
                    answer, _ = await _answered(storage, prepared, event.result)
                    yield _sse("result", answer)
    except (Unavailable, ValueError) as error:
        yield _sse("result", {"success": False, "error": str(error), "session_id": prepared.session_id})


def _sse(event: str, document: Any) -> bytes:
    return b"event: %s\ndata: %s\n\n" % (event.encode(), orjson.dumps(document))
