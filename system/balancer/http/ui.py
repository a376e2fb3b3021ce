"""`/ui`: nodes and chats for people, one file that asks nobody but this balancer."""

from pathlib import Path

from fastapi import APIRouter
from fastapi.responses import HTMLResponse

PAGE = Path(__file__).with_name("ui.html")
HEADERS = {
    "content-security-policy": (
        "default-src 'none'; connect-src 'self'; style-src 'unsafe-inline'; script-src 'unsafe-inline'"
    ),
    "cache-control": "no-cache",
}

router = APIRouter()


@router.get("/ui", response_class=HTMLResponse)
async def page() -> HTMLResponse:
    """Nodes with score and model, a chat with sessions and documents, progress of every node."""
    return HTMLResponse(PAGE.read_text(encoding="utf-8"), headers=HEADERS)
