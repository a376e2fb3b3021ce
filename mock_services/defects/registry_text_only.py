"""A registry that compares values as text, so that `gpus=8` is not met by the number 8.

Must be caught by check `routing`, in step "numbers and truths match as people write them".
"""

from mock_services.planting import defective
from system.registry import matching, program


def text_alone(text: str) -> list[str]:
    """What is written, and nothing that it could mean."""
    return [text]


PROGRAM = defective(program.PROGRAM, __doc__, {(matching, "_meanings"): text_alone})
