"""The official OpenAI client against the router and this project's mock backend: what users' programs do."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import openai
import pytest

from mock_services.openai import OpenAIConfig, serve
from tests.system.router.stage import ADDRESS, STREAM_HEAD, Call, FakeBackend, chunk, play, router, whole


@asynccontextmanager
async def client_of(tmp_path: Path, *backends: FakeBackend) -> AsyncIterator[openai.AsyncOpenAI]:
    async with (
        router(tmp_path, *backends) as stage,
        openai.AsyncOpenAI(base_url=f"{stage.url}/v1", api_key="unused", max_retries=0) as client,
    ):
        yield client


@asynccontextmanager
async def client_of_mock(tmp_path: Path) -> AsyncIterator[openai.AsyncOpenAI]:
    config = OpenAIConfig(host=ADDRESS, port=0, name="mock-service-a", models=("model-1",), drain=0.2)
    async with serve(config) as serving:
        mock = FakeBackend("a-server", models=("model-1",), port=int(serving.url.rpartition(":")[2]))
        async with (
            router(tmp_path, mock, start=False) as stage,
            openai.AsyncOpenAI(base_url=f"{stage.url}/v1", api_key="unused", max_retries=0) as client,
        ):
            yield client


def test_chat(tmp_path: Path) -> None:
    """A chat completion, with the backend named in the raw response's header."""

    async def scene() -> None:
        async with client_of_mock(tmp_path) as client:
            raw = await client.chat.completions.with_raw_response.create(
                model="model-1", messages=[{"role": "user", "content": "Hello"}]
            )
            assert raw.headers["x-muster-backend"] == "a-server"
            answer = raw.parse()
            assert "mock-service-a" in (answer.choices[0].message.content or "")
            assert answer.usage is not None

    play(scene())


def test_streamed_chat(tmp_path: Path) -> None:
    """Every chunk of a stream arrives and parses."""

    async def scene() -> None:
        async with client_of_mock(tmp_path) as client:
            stream = await client.chat.completions.create(
                model="model-1", messages=[{"role": "user", "content": "Hello"}], stream=True
            )
            pieces = [chunk.choices[0].delta.content or "" async for chunk in stream if chunk.choices]
            assert "mock-service-a" in "".join(pieces)

    play(scene())


def test_models(tmp_path: Path) -> None:
    """Listing and retrieving models; an unknown one is the SDK's NotFoundError."""

    async def scene() -> None:
        async with client_of_mock(tmp_path) as client:
            assert [model.id async for model in client.models.list()] == ["model-1"]
            assert (await client.models.retrieve("model-1")).id == "model-1"
            with pytest.raises(openai.NotFoundError):
                await client.models.retrieve("nope")

    play(scene())


def test_embeddings(tmp_path: Path) -> None:
    """Any path below /v1 that carries a model is proxied."""

    async def embeds(_: FakeBackend, call: Call) -> None:
        assert call.head.startswith(b"POST /v1/embeddings ")
        vector = b'{"object":"embedding","index":0,"embedding":[0.5,1.0]}'
        await call.send(
            whole(
                b'{"object":"list","model":"m","data":[%b],"usage":{"prompt_tokens":1,"total_tokens":1}}'
                % vector
            )
        )

    async def scene() -> None:
        async with client_of(tmp_path, FakeBackend("a", embeds)) as client:
            answer = await client.embeddings.create(model="m", input="x", encoding_format="float")
            assert answer.data[0].embedding == [0.5, 1.0]

    play(scene())


def test_embeddings_of_the_mock(tmp_path: Path) -> None:
    """As the SDK asks for them by default, in base64: vectors come back as numbers, one for each text."""

    async def scene() -> None:
        async with client_of_mock(tmp_path) as client:
            answer = await client.embeddings.create(model="model-1", input=["one", "two"], dimensions=16)
            assert [len(one.embedding) for one in answer.data] == [16, 16]
            assert answer.data[0].embedding != answer.data[1].embedding
            assert answer.usage.prompt_tokens == 2

    play(scene())


def test_text_completions(tmp_path: Path) -> None:
    """The older API, whole and streamed."""

    async def scene() -> None:
        async with client_of_mock(tmp_path) as client:
            answer = await client.completions.create(model="model-1", prompt="Hello")
            assert "mock-service-a" in answer.choices[0].text
            stream = await client.completions.create(model="model-1", prompt="Hello", stream=True)
            pieces = [chunk.choices[0].text async for chunk in stream if chunk.choices]
            assert "".join(pieces) == answer.choices[0].text

    play(scene())


def test_errors_are_the_sdk_s_own(tmp_path: Path) -> None:
    """Unknown model, backend's refusal, nobody there: each is the exception an OpenAI user expects."""

    async def limits(_: FakeBackend, call: Call) -> None:
        error = (
            b'{"error":{"message":"slow down","type":"rate_limit_error","param":null,"code":"rate_limit"}}'
        )
        await call.send(whole(error, "429 Too Many Requests"))

    async def scene() -> None:
        backend = FakeBackend("a", limits)
        async with client_of(tmp_path, backend) as client:
            create = client.chat.completions.create
            with pytest.raises(openai.NotFoundError) as unknown:
                await create(model="nope", messages=[])
            assert (unknown.value.code, unknown.value.param) == ("model_not_found", "model")
            with pytest.raises(openai.RateLimitError, match="slow down"):
                await create(model="m", messages=[])
            await backend.stop()
            with pytest.raises(openai.InternalServerError) as gone:
                await create(model="m", messages=[])
            assert gone.value.status_code == 503

    play(scene())


def test_stream_that_breaks_is_an_error_not_a_short_answer(tmp_path: Path) -> None:
    """The SDK raises when the backend dies in mid-stream."""

    async def breaks(_: FakeBackend, call: Call) -> None:
        data = b'data: {"id":"c","object":"chat.completion.chunk","created":1,"model":"m","choices":[]}\n\n'
        await call.send(STREAM_HEAD + chunk(data))
        raise ConnectionResetError

    async def scene() -> None:
        async with client_of(tmp_path, FakeBackend("a", breaks)) as client:
            stream = await client.chat.completions.create(model="m", messages=[], stream=True)
            with pytest.raises(openai.APIError, match="broke off"):
                async for _ in stream:
                    pass

    play(scene())
