"""A worker that registers localhost, which everywhere else is somebody else.

Must be caught by check `availability`, in step "products are numpy's": nobody is there.
"""

from mock_services.planting import defective
from system.worker import program, serving


def localhost(advertise: str, host: str, port: int, registry_url: str) -> str:
    """Whatever it listens on."""
    del advertise, host, registry_url
    return f"localhost:{port}"


PROGRAM = defective(program.PROGRAM, __doc__, {(serving, "endpoint"): localhost})
