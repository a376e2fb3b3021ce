"""Messages of loadbalancer.LoadBalancer to what the balancer thinks in, and back. No I/O."""

import time
from collections.abc import Iterable

from system.balancer.asking import NodeAnswer, Progress
from system.balancer.fleet import Card, Node
from system.balancer.models import Model
from system.balancer.scoring import Specs
from system.proto import load_balancer_pb2 as pb

SERVICE = "loadbalancer.LoadBalancer"
SEED_PORT = 50052
"""Where the original's nodes listen, all of them."""


def card_of(info: pb.ClientInfo, peer: str) -> Card:
    """What a node says of itself; `peer` is where it calls from, for one that does not know its address."""
    port = info.port or SEED_PORT
    host = info.ip_address or peer
    return Card(
        id=info.client_id,
        hostname=info.hostname,
        address=f"[{host}]:{port}" if ":" in host else f"{host}:{port}",
        specs=specs_of(info.specs),
        key=info.key,
        installed=models_of(info.installed) if info.key else None,
        can_install=info.can_install or not info.key,
    )


def specs_of(specs: pb.SystemSpecs) -> Specs:
    return Specs(
        cpu_cores=specs.cpu_cores,
        cpu_frequency_ghz=specs.cpu_frequency_ghz,
        ram_gb=float(specs.ram_gb),
        gpu_info=specs.gpu_info,
        gpu_memory_gb=specs.gpu_memory_gb,
        os_info=specs.os_info,
    )


def specs_message(specs: Specs, score: float) -> pb.SystemSpecs:
    return pb.SystemSpecs(
        cpu_cores=specs.cpu_cores,
        cpu_frequency_ghz=specs.cpu_frequency_ghz,
        ram_gb=int(specs.ram_gb),
        gpu_info=specs.gpu_info,
        gpu_memory_gb=specs.gpu_memory_gb,
        os_info=specs.os_info,
        performance_score=score,
    )


def models_of(messages: Iterable[pb.ModelInfo]) -> tuple[Model, ...]:
    return tuple(
        Model(
            name=message.name,
            parameters=message.parameters,
            size_gb=round(message.size_gb, 3),
            vision=message.supports_vision,
        )
        for message in messages
    )


def model_message(model: Model | None) -> pb.ModelInfo:
    if model is None:
        return pb.ModelInfo()
    return pb.ModelInfo(
        name=model.name,
        parameters=model.parameters,
        size_gb=model.size_gb,
        complexity_score=model.complexity,
        supports_vision=model.vision,
    )


def instruction_for(node: Node, *, drain: bool = False) -> pb.Instruction:
    return pb.Instruction(
        client_id=node.id,
        assigned_model=node.model,
        group_number=1,
        reason=node.assigned.reason,
        drain=drain,
    )


def replaced_by(node: Node, replaced: Node) -> pb.Instruction:
    """What a node hears whose place another has taken: itself after a restart, or one that bears its name."""
    return pb.Instruction(
        client_id=replaced.id, drain=True, reason=f"{node.id} at {node.card.address} has taken its place"
    )


def status_message(node: Node) -> pb.NodeStatus:
    return pb.NodeStatus(
        client_id=node.id,
        hostname=node.card.hostname,
        address=node.card.address,
        specs=specs_message(node.card.specs, node.score),
        score=node.score,
        model=node.model,
        state=node.state,
        detail=node.detail or node.assigned.reason,
        registered_at=int(node.registered_at),
        last_seen=time.time() - (time.monotonic() - node.seen_at),
        lease=node.lease,
        rejections=[pb.Rejection(model=one.model, reason=one.reason) for one in node.assigned.rejected],
        in_progress=node.in_progress,
    )


def progress_of(message: pb.StatusResponse, node: Node) -> Progress:
    return Progress(
        node=node.id,
        status=pb.ProcessingStatus.Name(message.status),
        percentage=message.progress_percentage,
        step=message.current_step,
    )


def progress_message(progress: Progress) -> pb.StatusResponse:
    return pb.StatusResponse(
        client_id=progress.node,
        status=progress.status,
        progress_percentage=progress.percentage,
        current_step=progress.step,
    )


def answer_message(answer: NodeAnswer) -> pb.NodeAnswer:
    return pb.NodeAnswer(
        client_id=answer.node,
        model=answer.model,
        outcome=answer.outcome,
        text=answer.text,
        reason=answer.reason,
        seconds=answer.seconds,
    )
