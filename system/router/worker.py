"""One of several processes of a router: started by its parent, ends with it."""

import asyncio
import base64
import pickle
import signal
import socket
import sys

import uvloop

from system.errors import ComponentError
from system.listening import listen
from system.logs import set_up_logging
from system.router.program import router
from system.router.settings import RouterConfig
from system.router.sharing import Shared


def main(descriptor: int, number: int) -> int:
    """Serve until the parent closes its end of the channel."""
    channel = socket.socket(fileno=descriptor)
    config: RouterConfig = pickle.loads(base64.b64decode(_line(channel)))  # noqa: S301 - from our own parent
    set_up_logging(config.log_level, config.log_format)
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(_serve(config, channel, number))
    except ComponentError as error:
        print(f"router: {error}", file=sys.stderr)
        return error.exit_code
    return 0


def _line(channel: socket.socket) -> bytes:
    """The first line, byte by byte: what follows is for somebody else."""
    line = bytearray()
    while byte := channel.recv(1):
        if byte == b"\n":
            break
        line += byte
    return bytes(line)


async def _serve(config: RouterConfig, channel: socket.socket, number: int) -> None:
    for one in (signal.SIGINT, signal.SIGTERM):
        signal.signal(one, signal.SIG_IGN)  # the parent hears them, and closes the channel
    shared = Shared(channel, number)
    listener = listen(config.host, config.port, reuse_port=True)
    channel.settimeout(0)
    async with router(config, listener, shared):
        shared.ready()
        await shared.left.wait()


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]), int(sys.argv[2])))
