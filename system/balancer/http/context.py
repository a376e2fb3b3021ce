"""What a prompt is given along: what the chat said before, what documents know. Pure."""

from collections.abc import Sequence

from system.balancer.storage.base import Found, Message

LAST_MESSAGES = 5
TOP_DOCUMENTS = 3
CHAT, DOCUMENTS = "Chat history added", "RAG context added"


def prompt_with(prompt: str, messages: Sequence[Message], found: Sequence[Found]) -> tuple[str, list[str]]:
    """The prompt behind its context, and what that context is made of."""
    blocks: list[str] = []
    used: list[str] = []
    if messages:
        names = {"user": "User", "assistant": "Assistant"}
        said = [f"{names.get(one.role, one.role)}: {one.content}" for one in messages]
        blocks.append("\n\n".join(["Previous conversation:", *said]))
        used.append(CHAT)
    if found:
        parts = [
            f"[Document {number}: {one.document.title}]\n{one.document.content}"
            for number, one in enumerate(found, 1)
        ]
        head, tail = "Context from knowledge base:", "Based on the above context, please answer: "
        blocks.append("\n\n".join([head, *parts, tail]))
        used.insert(0, DOCUMENTS)
    return "\n\n".join([*blocks, prompt]), used


def citations(found: Sequence[Found]) -> list[dict[str, object]]:
    """Which parts of which documents an answer was given."""
    return [
        {
            "doc_id": one.document.doc_id,
            "title": one.document.title,
            "chunk": one.document.chunk,
            "score": one.score,
        }
        for one in found
    ]


def title_of(prompt: str) -> str:
    """Of a chat that begins with this prompt."""
    return prompt if len(prompt) <= 50 else prompt[:50] + "..."
