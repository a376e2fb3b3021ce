"""Where a backend's lines go: `[<name> stdout] ...` on our own standard output, or as JSON."""

import sys
import threading
import time

import orjson

from system.babysitter.child import Write
from system.logs import LogFormat


def line_writer(service: str, log_format: LogFormat) -> Write:
    """A function that writes one line of one of the backend's streams; safe to call from threads."""
    lock = threading.Lock()
    form = {"text": _text, "json": _json}[log_format]

    def write(stream: str, line: bytes) -> None:
        # Without a reader of our output the backend goes on; its lines have nowhere to go.
        try:
            with lock:
                sys.stdout.buffer.write(form(service, stream, line))
                sys.stdout.buffer.flush()
        except (OSError, ValueError):
            pass

    return write


def _text(service: str, stream: str, line: bytes) -> bytes:
    return f"[{service} {stream}] ".encode() + line + b"\n"


def _json(service: str, stream: str, line: bytes) -> bytes:
    stamp = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    message = line.decode(errors="replace")
    return (
        orjson.dumps({"time": stamp, "level": "info", "logger": f"{service} {stream}", "message": message})
        + b"\n"
    )
