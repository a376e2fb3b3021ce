"""What the wire says, as JSON for users."""

from typing import Any

from system.balancer.storage.base import Counts
from system.proto import load_balancer_pb2 as pb


def fleet_view(fleet: pb.FleetResponse, health: pb.HealthResponse) -> dict[str, Any]:
    """All nodes, as `/status` lists them."""
    return {
        "total_clients": len(fleet.nodes),
        "active_clients": sum(1 for node in fleet.nodes if node.state == "ready"),
        "available_models": [model.name for model in fleet.models],
        "clients": [node_view(node) for node in fleet.nodes],
        "healthy": health.healthy,
        "message": health.message,
    }


def stats_view(counts: Counts) -> dict[str, Any]:
    """How much is kept."""
    return {
        "rag_stats": {"total_documents": counts.documents, "mode": "simple"},
        "chat_stats": {"total_sessions": counts.sessions, "total_messages": counts.messages},
    }


def node_view(node: pb.NodeStatus) -> dict[str, Any]:
    """A node, as `/status` lists it."""
    return {
        "client_id": node.client_id,
        "hostname": node.hostname,
        "address": node.address,
        "score": round(node.score, 1),
        "specs": {
            "cpu_cores": node.specs.cpu_cores,
            "cpu_frequency_ghz": round(node.specs.cpu_frequency_ghz, 2),
            "ram_gb": node.specs.ram_gb,
            "gpu_info": node.specs.gpu_info,
            "gpu_memory_gb": round(node.specs.gpu_memory_gb, 1),
            "os_info": node.specs.os_info,
        },
        "model": node.model or None,
        "state": node.state,
        "detail": node.detail,
        "rejected": {one.model: one.reason for one in node.rejections},
        "registered_at": node.registered_at,
        "last_seen": round(node.last_seen, 3),
        "lease": node.lease,
        "in_progress": node.in_progress,
    }


def answer_view(answer: pb.NodeAnswer) -> dict[str, Any]:
    """What became of one node's part in an answer."""
    return {
        "client_id": answer.client_id,
        "model": answer.model,
        "outcome": answer.outcome,
        "reason": answer.reason,
        "seconds": round(answer.seconds, 3),
    }


def progress_view(progress: pb.StatusResponse) -> dict[str, Any]:
    """How far a node is."""
    return {
        "client_id": progress.client_id,
        "status": pb.ProcessingStatus.Name(progress.status),
        "percentage": round(progress.progress_percentage, 1),
        "step": progress.current_step,
    }


def result_view(result: pb.AskResult) -> dict[str, Any]:
    """The facts of an answer's details, as fields."""
    counted = [node for node in result.nodes if node.outcome == "answered"]
    return {
        "total_clients": len(result.nodes),
        "models_used": len({node.model for node in counted}),
        "summary_method": result.method,
        "processing_time": round(result.seconds, 3),
        "partial": len(counted) < sum(1 for node in result.nodes if node.outcome != "not needed"),
        "nodes": [answer_view(node) for node in result.nodes],
    }
