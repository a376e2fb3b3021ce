"""What the official SDKs have in common: both are made by the same generator, so their errors look alike."""

import asyncio
import contextlib
import logging
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from types import ModuleType
from typing import Any

import httpx2

from system.gateway.errors import (
    ConnectionFailed,
    ProviderError,
    ProviderFailed,
    TimedOut,
    of_status,
    read_retry_after,
)
from system.gateway.hiding import hide
from system.gateway.providers.base import ProviderSettings
from system.gateway.transport import CONNECT, LineTransport, is_proxied, trust

log = logging.getLogger("gateway")

LONGEST_PAUSE = 8.0  # seconds: what the SDKs wait at most before they retry
LONGEST_WORDS = 300  # characters of a provider's own words


def client_options(settings: ProviderSettings, transport: LineTransport, base_url: str) -> dict[str, Any]:
    """What either SDK's client is told; `base_url` is the provider's own."""
    timeout = httpx2.Timeout(settings.timeout, connect=min(settings.timeout, CONNECT))
    limits = httpx2.Limits(max_connections=None, max_keepalive_connections=100)
    base = settings.base_url or base_url
    if base.startswith("https:"):
        trust()  # reading all certificates takes a while: now, not on a call
    through = {"limits": limits} if is_proxied(base) else {"transport": transport}
    return {
        "base_url": base,
        "timeout": timeout,
        "max_retries": settings.retries,
        "http_client": httpx2.AsyncClient(timeout=timeout, follow_redirects=True, **through),
    }


@asynccontextmanager
async def whole(sdk: ModuleType, settings: ProviderSettings) -> AsyncGenerator[None, None]:
    """A call that ends within its time, its failures in our words."""
    tries = settings.retries + 1
    try:
        async with asyncio.timeout(settings.timeout * tries + LONGEST_PAUSE * settings.retries):
            with spoken(sdk, settings):
                yield
    except TimeoutError:
        raise TimedOut(settings.name, f"no whole answer within {settings.timeout:g} s") from None


@contextlib.contextmanager
def spoken(sdk: ModuleType, settings: ProviderSettings) -> Any:
    """Says in our words what an SDK raises."""
    try:
        yield
    except ProviderError:
        raise
    except (sdk.APIError, httpx2.HTTPError, httpx2.StreamError) as error:
        raise told(sdk, settings, error) from None
    except (ValueError, TypeError, AttributeError, LookupError) as error:
        # an answer that is not what the SDK expects, or a question it cannot put into words
        log.debug("%s", settings.name, exc_info=True)
        raise ProviderFailed(settings.name, f"not understood: {type(error).__name__}") from None


def told(sdk: ModuleType, settings: ProviderSettings, error: Exception) -> ProviderError:
    """The error of ours that an SDK's stands for."""
    name = settings.name
    if isinstance(error, sdk.APIStatusError):
        after = read_retry_after(error.response.headers.get("retry-after"))
        return of_status(
            name, error.status_code, words_of(error, settings), after, getattr(error, "code", None)
        )
    if isinstance(error, sdk.APITimeoutError | httpx2.TimeoutException):
        return TimedOut(name, f"no answer within {settings.timeout:g} s")
    if isinstance(error, sdk.APIConnectionError | httpx2.TransportError):
        cause = error.__cause__ or error
        return ConnectionFailed(name, hide(str(cause) or type(cause).__name__)[:LONGEST_WORDS])
    return ProviderFailed(name, words_of(error, settings))


def words_of(error: Exception, settings: ProviderSettings) -> str:
    """What the provider said, without the key and of bounded length."""
    body = getattr(error, "body", None)
    inner = body.get("error", body) if isinstance(body, dict) else None
    said = inner.get("message") if isinstance(inner, dict) else None
    return hide(str(said or error), settings.api_key)[:LONGEST_WORDS]
