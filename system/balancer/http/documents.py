"""`/rag`: documents, and what is found in them."""

from dataclasses import asdict
from typing import Annotated, Any

from fastapi import APIRouter
from fastapi import Query as Limit

from system.balancer.http.bodies import DocumentBody, SearchBody
from system.balancer.http.failures import Failed
from system.balancer.storage.base import Query, Storage


def router_over(storage: Storage) -> APIRouter:
    """The routes of documents."""
    router = APIRouter(prefix="/rag")

    @router.get("/documents")
    async def listed(limit: Annotated[int, Limit(ge=1, le=1000)] = 100) -> dict[str, Any]:
        """Documents without their content, the newest first."""
        shown = ("doc_id", "title", "metadata", "timestamp")
        documents = await storage.documents(limit)
        return {
            "success": True,
            "documents": [{name: getattr(one, name) for name in shown} for one in documents],
        }

    @router.post("/documents")
    async def added(body: DocumentBody) -> dict[str, Any]:
        """Keep a document."""
        doc_id = await storage.add_document(body.title, body.content, body.metadata)
        return {"success": True, "doc_id": doc_id, "message": "Document added successfully"}

    @router.post("/search")
    async def searched(body: SearchBody) -> dict[str, Any]:
        """The parts that fit a query best, with their points."""
        found = await storage.search(Query(text=body.query, most=body.top_k, metadata=body.metadata))
        return {
            "success": True,
            "documents": [asdict(one.document) for one in found],
            "scores": [one.score for one in found],
        }

    @router.delete("/documents/{doc_id}")
    async def deleted(doc_id: str) -> dict[str, Any]:
        """Forget a document."""
        if not await storage.delete_document(doc_id):
            raise Failed(404, "Document not found", message="Document not found")
        return {"success": True, "message": "Document deleted"}

    return router
