"""A backend whose streams end without `data: [DONE]`, though the connection ends as it should.

Must be caught by check `availability`, in step "a streamed chat with model-1 arrives whole".
"""

from collections.abc import Iterator

from mock_services import openai, openai_app
from mock_services.fields import JSON
from mock_services.openai_app import OpenAIMock
from mock_services.planting import defective
from mock_services.scripted import Exchange
from system.asgi import Message


class CuttingMock(OpenAIMock):
    """Keeps the end of every stream to itself."""

    async def _stream(self, exchange: Exchange, documents: Iterator[JSON]) -> None:
        send = exchange.send

        async def without_end(message: Message) -> None:
            cut = message.get("body") == b"data: [DONE]\n\n"
            await send({**message, "body": b""} if cut else message)

        exchange.send = without_end
        await super()._stream(exchange, documents)


PROGRAM = defective(openai.PROGRAM, __doc__, {(openai_app, "OpenAIMock"): CuttingMock})
