"""A router that takes prompts for alike only when they are the same to their end.

Must be caught by check `affinity`, in step "prompts that begin alike go to one backend".
"""

from collections.abc import Iterator
from hashlib import blake2b

from mock_services.planting import defective
from system.router import program
from system.router.policies import POLICIES
from system.router.policies.prefix import Prefix


class WholePrompts(Prefix):
    """One key for each prompt."""

    def _keys(self, prompt: bytes) -> Iterator[bytes]:
        yield blake2b(prompt, digest_size=12).digest()


PROGRAM = defective(program.PROGRAM, __doc__, {(program, "POLICIES"): {**POLICIES, "prefix": WholePrompts}})
