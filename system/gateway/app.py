"""`uvicorn system.gateway.app:app --workers 4`: the gateway for any ASGI server, told by the environment.

Importing this module makes the gateway of this process, so only servers import it. Every option of
`python -m system gateway` is a variable here: `MUSTER_GATEWAY_THRESHOLD=3`, beside the ones that others have
named (OPENAI_API_KEY, REDIS_HOST, ...).
"""

import multiprocessing
import os
import sys
from dataclasses import replace

from system.config import read_config
from system.errors import ComponentError
from system.gateway.logs import set_up_gateway_logging
from system.gateway.service import Service
from system.gateway.settings import GatewayConfig

STARTUP_FAILURE = 3  # uvicorn's


def from_environment() -> Service:
    """The gateway that the environment describes; a mistake in it is one line, and the exit code 2."""
    try:
        config = read_config("gateway", "", GatewayConfig, [], os.environ)
        set_up_gateway_logging(config.log_level, config.log_format)
        if not config.group and multiprocessing.parent_process() is not None:
            config = replace(config, group=f"uvicorn-{os.getppid()}")  # `--workers`: they have one parent
        return Service(config, os.environ)
    except ComponentError as error:
        print(f"gateway: {error}", file=sys.stderr)
        # of `--workers`, uvicorn starts another one unless it hears its own code
        sys.exit(STARTUP_FAILURE if multiprocessing.parent_process() is not None else error.exit_code)


app = from_environment()
