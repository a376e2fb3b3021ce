"""What every storage can do. What a call has returned is on disk: a crash loses nothing acknowledged.

Calls raise StorageUnavailable while there is no storage to ask; the next may succeed.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """One line of a chat. Times are whole seconds since the epoch, as the original has them."""

    message_id: str
    session_id: str
    role: str
    """user or assistant."""
    content: str
    timestamp: int
    images: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """A chat, without its messages."""

    session_id: str
    title: str
    created_at: int
    updated_at: int
    message_count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """A document, or the part of one that was found."""

    doc_id: str
    title: str
    content: str
    metadata: Mapping[str, Any]
    timestamp: int
    chunk: int = 0
    """Which part of the document, from 0."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """A part of a document, and how well it fits: higher is better."""

    document: Document
    score: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """How much is there."""

    sessions: int
    messages: int
    documents: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """A search: words, at most so many parts, of documents whose metadata say all of this."""

    text: str
    most: int = 3
    metadata: Mapping[str, Any] = field(default_factory=dict)


class StorageUnavailable(Exception):
    """The storage cannot be reached at this time; says where it was looked for, and why."""


class Storage(Protocol):
    """Chats and documents."""

    async def create_session(self, title: str) -> str:
        """The id of a new chat."""
        ...

    async def sessions(self, most: int) -> Sequence[Session]:
        """Chats, the one that changed last first."""
        ...

    async def session(self, session_id: str) -> Session | None: ...

    async def messages(self, session_id: str, last: int | None = None) -> Sequence[Message]:
        """Of a chat, in their order; all, or the last few."""
        ...

    async def rename_session(self, session_id: str, title: str) -> bool:
        """Whether there was such a chat."""
        ...

    async def delete_session(self, session_id: str) -> bool:
        """Whether there was such a chat."""
        ...

    async def add_message(
        self, session_id: str, role: str, content: str, images: Sequence[str] = ()
    ) -> str | None:
        """The id of the new message; None if there is no such chat."""
        ...

    async def add_document(self, title: str, content: str, metadata: Mapping[str, Any]) -> str:
        """The id of the new document."""
        ...

    async def documents(self, most: int) -> Sequence[Document]:
        """Documents without their content, the newest first."""
        ...

    async def delete_document(self, doc_id: str) -> bool:
        """Whether there was such a document."""
        ...

    async def search(self, query: Query) -> Sequence[Found]:
        """The parts that fit best, the best first."""
        ...

    async def counts(self) -> Counts: ...
