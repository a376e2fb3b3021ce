"""What a balancer program can be told, and what a question gets that says nothing itself."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from system.balancer.aggregation import aggregation_of
from system.balancer.asking import Plan, Question, plan_of
from system.balancer.balancer import Asked
from system.component import ComponentConfig
from system.config_values import Duration, Port


@dataclass(frozen=True, slots=True, kw_only=True)
class BalancerConfig(ComponentConfig):
    """Where to listen, whom to give which model, how to ask."""

    port: Annotated[Port, "the port of gRPC, for nodes"] = 50051
    http_port: Annotated[Port, "the port of HTTP, for users"] = 5001
    grpc_only: Annotated[bool, "leave HTTP to another process"] = False
    http_only: Annotated[bool, "HTTP alone, for the gRPC at --grpc-target"] = False
    grpc_target: Annotated[str, "HOST:PORT of the gRPC half, for --http-only"] = "localhost:50051"
    grpc_ca: Annotated[Path | None, "CA (PEM) of the gRPC half's certificate: it is called with TLS"] = None
    assignment: Annotated[str, "who gets which model: tiers, rank, or your own MODULE:FUNCTION"] = "tiers"
    model: Annotated[tuple[str, ...], "a model that may be assigned, NAME or NAME=GB; several"] = ()
    plan: Annotated[Literal["all", "first", "quorum", "best"], "how many nodes are asked"] = "all"
    count: Annotated[int, "of --plan quorum and best"] = 0
    aggregation: Annotated[Literal["synthesize", "majority", "concat", "best"], "how answers become one"] = (
        "synthesize"
    )
    deadline: Annotated[Duration, "seconds that a question may take in all"] = 120.0
    database: Annotated[str, "chats and documents: a file (SQLite), or postgresql://"] = "balancer.db"
    cors: Annotated[tuple[str, ...], "origins that browsers may call from (default: loopback)"] = ()
    node_ca: Annotated[Path | None, "CA (PEM) of the nodes' certificates: they are called with TLS"] = None
    console: Annotated[bool, "read prompts, `stats`, `reassign` and `quit` from standard input"] = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Defaults:
    """How a question is asked that does not say."""

    plan: Plan
    aggregation: str
    deadline: float

    @classmethod
    def of(cls, config: BalancerConfig) -> "Defaults":
        """As configured; raises PlanError."""
        return cls(
            plan=plan_of(config.plan, config.count), aggregation=config.aggregation, deadline=config.deadline
        )

    def asked(self, question: Question) -> Asked:
        return Asked(
            question=question,
            plan=self.plan,
            aggregation=aggregation_of(self.aggregation),
            deadline=self.deadline,
        )
