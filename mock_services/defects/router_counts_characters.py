"""A router that measures prompts in characters, not in bytes.

Must be caught by check `served_by`, in step "bytes count, not characters".
"""

from typing import Any

from mock_services.planting import defective
from system.router import program
from system.router.policies import cache_type


def characters(document: dict[str, Any]) -> int:
    """The characters of all messages that are plain text."""
    return sum(len(message["content"]) for message in document["messages"])


PROGRAM = defective(program.PROGRAM, __doc__, {(cache_type, "text_size"): characters})
