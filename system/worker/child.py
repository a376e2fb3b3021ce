"""One of several worker processes behind an endpoint: serves on a Unix socket until its parent lets go of it.

Says on standard output, in one line of JSON, what it can do or why it cannot start. Signals are the parent's
business: what ends a child is the end of its standard input, which comes also when the parent is killed.
"""

import asyncio
import json
import os
import signal
import sys
from typing import Any

from system.errors import ComponentError
from system.logs import set_up_logging


def main() -> int:
    """Serve what the JSON in the first argument says."""
    options = json.loads(sys.argv[1])
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    # what handlers print is not for the parent to read
    said = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    set_up_logging(options["log_level"], options["log_format"])
    import uvloop

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        try:
            runner.run(_serve(options, said))
        except ComponentError as error:
            print(json.dumps({"error": str(error)}), file=said, flush=True)
            return 2
    return 0


async def _serve(options: dict[str, Any], said: Any) -> None:
    import grpc.aio

    from system.grpc_server import message_options
    from system.worker.calls import Calls
    from system.worker.identity import Identity
    from system.worker.loading import load_worker
    from system.worker.service import InferenceService

    worker = load_worker(options["app"])
    calls = Calls(options["threads"])
    identity = Identity(options["replica_id"], tuple(options["registry"]))
    service = InferenceService(worker, calls, identity, options["max_concurrency"])
    server = grpc.aio.server(options=message_options(options["max_message"]))
    server.add_generic_rpc_handlers((service.handler(),))
    server.add_insecure_port(f"unix:{options['socket']}")
    await server.start()
    capabilities = [dict(one) for one in worker.capabilities.attributes]
    print(json.dumps({"capabilities": capabilities}), file=said, flush=True)
    await _input_ends()
    await server.stop(options["drain"])
    calls.close()


async def _input_ends() -> None:
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    await reader.read()


if __name__ == "__main__":
    sys.exit(main())
