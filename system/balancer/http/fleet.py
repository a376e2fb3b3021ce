"""`/`, `/health`, `/status`, `/reassign`: the nodes, and whether both halves are there."""

from fastapi import APIRouter
from fastapi.responses import JSONResponse

from system.balancer.half import GrpcHalf, Unavailable
from system.balancer.http.failures import Failed, failure
from system.balancer.http.views import fleet_view, stats_view
from system.balancer.storage.base import Storage

FEATURES = ["distributed_ai", "rag", "chat_history", "multimodal"]


def router_over(half: GrpcHalf, storage: Storage, version: str) -> APIRouter:
    """The routes of the fleet."""
    router = APIRouter()

    @router.get("/")
    async def root() -> dict[str, object]:
        """What this is."""
        return {
            "features": FEATURES,
            "service": "Smart AI Load Balancer HTTP Wrapper",
            "status": "running",
            "version": version,
        }

    @router.get("/health")
    async def health() -> dict[str, object]:
        """Whether both halves are there; 200 also when the gRPC half is not, as the original has it."""
        ours = {"chat_available": True, "rag_available": True}
        try:
            answer = await half.health()
        except Unavailable as error:
            missing = {"healthy": False, "error": "gRPC server not available", "reason": str(error)}
            return {**missing, "connected_clients": 0, "active_models": 0, **ours}
        return {
            "active_models": answer.active_models,
            "connected_clients": answer.connected_clients,
            "healthy": answer.healthy,
            "message": answer.message,
            **ours,
        }

    @router.get("/status")
    async def status() -> JSONResponse:
        """Every node with its score, specs, model and state, and why it has no larger model."""
        stats = stats_view(await storage.counts())
        try:
            fleet, answer = await half.fleet(), await half.health()
        except Unavailable as error:
            none = {"total_clients": 0, "active_clients": 0, "available_models": [], "clients": []}
            return failure(200, f"gRPC server not available: {error}", **none, **stats)
        return JSONResponse({**fleet_view(fleet, answer), **stats})

    @router.post("/reassign")
    async def reassign() -> dict[str, object]:
        """Decide anew which node gets which model."""
        answer = await half.reassign()
        if not answer.success:
            raise Failed(400, answer.message)
        assignments = {one.client_id: one.assigned_model for one in answer.new_assignments}
        return {"success": True, "message": answer.message, "assignments": assignments}

    return router
