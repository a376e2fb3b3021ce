"""The providers: one file each, this table, and nothing else knows their names."""

from importlib import import_module

from system.config import did_you_mean
from system.gateway.providers.base import Provider, ProviderSettings
from system.gateway.transport import LineTransport

PROVIDERS = {
    "openai": "system.gateway.providers.openai:OpenAI",
    "anthropic": "system.gateway.providers.anthropic:Anthropic",
    "compatible": "system.gateway.providers.compatible:Compatible",
}


def provider_class(kind: str) -> type[Provider]:
    """The class of a kind; raises ValueError for an unknown one. An SDK is imported only when it is used."""
    if kind not in PROVIDERS:
        msg = f"unknown kind {kind!r}{did_you_mean(kind, list(PROVIDERS))}; known are {', '.join(PROVIDERS)}"
        raise ValueError(msg)
    module, _, attribute = PROVIDERS[kind].partition(":")
    try:
        found: type[Provider] = getattr(import_module(module), attribute)
    except ModuleNotFoundError as error:
        msg = f"{kind} needs the package {error.name}: pip install 'muster[gateway]'"
        raise ValueError(msg) from None
    return found


def make(settings: ProviderSettings, transport: LineTransport) -> Provider:
    """A provider that is ready to be asked."""
    return provider_class(settings.kind)(settings, transport)


__all__ = ["PROVIDERS", "Provider", "ProviderSettings", "make", "provider_class"]
