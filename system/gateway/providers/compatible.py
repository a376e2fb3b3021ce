"""Whatever speaks OpenAI's HTTP at an address of its own: vLLM, SGLang, Ollama, the router beside us."""

from dataclasses import replace

from system.gateway.providers.base import ProviderSettings
from system.gateway.providers.openai import OpenAI
from system.gateway.transport import LineTransport

NO_KEY = "none"  # the SDK insists on one; a server that wants none ignores it


class Compatible(OpenAI):
    """OpenAI's SDK with another address; the key is optional."""

    def __init__(self, settings: ProviderSettings, transport: LineTransport) -> None:
        if not settings.base_url:
            msg = (
                f"{settings.name}: a compatible provider needs its base_url, such as http://10.0.0.5:8000/v1"
            )
            raise ValueError(msg)
        super().__init__(replace(settings, api_key=settings.api_key or NO_KEY), transport)
