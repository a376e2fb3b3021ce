"""Log lines of a gateway: `time - name - LEVEL - [Worker:pid] - text`, or JSON; never a key in either."""

import logging

from system.gateway.hiding import hide
from system.logs import LogFormat, LogLevel, set_up_logging

LINE = "%(asctime)s - %(name)s - %(levelname)s - [Worker:%(process)d] - %(message)s"
TIME = "%Y-%m-%d %H:%M:%S"

# At debug level they write whole requests, headers included.
_TALKATIVE = ("openai", "anthropic", "httpx2", "httpcore2", "redis")


class Discreet(logging.Formatter):
    """Another formatter's lines without the secrets in them."""

    def __init__(self, inner: logging.Formatter) -> None:
        super().__init__()
        self._inner = inner

    def format(self, record: logging.LogRecord) -> str:
        return hide(self._inner.format(record))


class Numbered(logging.Formatter):
    """Another formatter's JSON objects with the process in them."""

    def __init__(self, inner: logging.Formatter) -> None:
        super().__init__()
        self._inner = inner

    def format(self, record: logging.LogRecord) -> str:
        return f'{self._inner.format(record)[:-1]},"worker_id":{record.process}}}'


def set_up_gateway_logging(level: LogLevel, log_format: LogFormat) -> None:
    """Send every logger's lines to standard error in the given form."""
    set_up_logging(level, log_format)
    root = logging.getLogger()
    for handler in root.handlers:
        assert handler.formatter is not None
        text = log_format == "text"
        handler.setFormatter(Discreet(logging.Formatter(LINE, TIME) if text else Numbered(handler.formatter)))
    for name in _TALKATIVE:
        logging.getLogger(name).setLevel(
            max(logging.INFO if name == "redis" else logging.WARNING, root.level)
        )
