"""An entry as far as matching and choosing are concerned."""

from dataclasses import dataclass, field


@dataclass(slots=True)
class Member:
    """`answer` is what a client that is sent there is told; `used` grows with every choice of it."""

    id: str
    weight: float
    answer: bytes
    used: int = field(default=0, compare=False)
