"""`/chat/sessions`: chats and what was said in them."""

from dataclasses import asdict
from typing import Annotated, Any

from fastapi import APIRouter, Body, Query

from system.balancer.http.bodies import SessionBody, TitleBody
from system.balancer.http.failures import Failed
from system.balancer.storage.base import Storage

NOT_FOUND = "Session not found"


def router_over(storage: Storage) -> APIRouter:
    """The routes of chats."""
    router = APIRouter(prefix="/chat/sessions")

    @router.get("")
    async def listed(limit: Annotated[str, Query()] = "50") -> dict[str, Any]:
        """Chats without their messages, the one that changed last first; a limit that is none is 50."""
        most = int(limit) if limit.isdecimal() and 0 < int(limit) <= 1000 else 50
        return {"success": True, "sessions": [asdict(one) for one in await storage.sessions(most)]}

    @router.post("")
    async def created(body: Annotated[SessionBody | None, Body()] = None) -> dict[str, Any]:
        """A new chat."""
        title = (body or SessionBody()).title
        return {"success": True, "session_id": await storage.create_session(title)}

    @router.get("/{session_id}")
    async def one(session_id: str) -> dict[str, Any]:
        """A chat with all that was said."""
        session = await storage.session(session_id)
        if session is None:
            raise Failed(404, NOT_FOUND)
        messages = [asdict(message) for message in await storage.messages(session_id)]
        return {"success": True, "session": {**asdict(session), "messages": messages}}

    @router.delete("/{session_id}")
    async def deleted(session_id: str) -> dict[str, Any]:
        """Forget a chat."""
        if not await storage.delete_session(session_id):
            raise Failed(404, NOT_FOUND, message=NOT_FOUND)
        return {"success": True, "message": "Session deleted"}

    @router.put("/{session_id}/title")
    async def renamed(session_id: str, body: TitleBody) -> dict[str, Any]:
        """Another title."""
        if not await storage.rename_session(session_id, body.title):
            raise Failed(404, NOT_FOUND, message=NOT_FOUND)
        return {"success": True, "message": "Title updated"}

    return router
