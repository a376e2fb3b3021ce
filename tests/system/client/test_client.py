"""The clients: modes, values, discovery, and what is tried again."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import grpc
import numpy as np
import pytest
from numpy.typing import NDArray

from system.client import (
    AsyncClient,
    Client,
    ClientError,
    ConnectionMode,
    DeadlineExceeded,
    InvalidInput,
    InvalidValue,
    ModelNotFound,
    NoMatch,
    RegistryUnreachable,
    WorkerUnavailable,
)
from system.client.discovery import Replica
from system.registry.program import RegistryConfig
from system.registry.program import serve as registry
from system.worker import Worker
from tests.system.worker.served import ADDRESS, run, served
from tests.system.worker.test_registration import listed

NOBODY = f"{ADDRESS}:9"


def worker_called(name: str) -> Worker:
    """A worker that can say who it is."""
    worker = Worker()

    @worker.capability(type="who")
    async def who() -> dict[str, Any]:
        return {"name": [name.encode()]}

    @worker.capability(type="echo")
    async def echo(x: np.ndarray[Any, Any]) -> dict[str, Any]:
        return {"x": x}

    @worker.capability(type="double")
    async def double(x: NDArray[np.int32]) -> dict[str, Any]:
        return {"x": 2 * x}

    @worker.capability(type="hang")
    async def hang() -> dict[str, Any]:
        await asyncio.Event().wait()
        return {}

    @worker.capability(type="count")
    async def count(n: NDArray[np.int32]) -> AsyncIterator[dict[str, Any]]:
        for number in range(int(n[0])):
            yield {"number": np.array([number], np.int32)}

    return worker


@asynccontextmanager
async def deployed(*names: str) -> AsyncIterator[tuple[str, AsyncExitStack, list[str]]]:
    """A registry, and workers registered there: its URL, what stops the workers, their endpoints."""
    config = RegistryConfig(host=ADDRESS, port=0, health_interval=0.0, drain=0.2)
    async with registry(config) as reg, AsyncExitStack() as stack:
        endpoints: list[str] = []
        for name in names:
            options = {"registry": (reg.url,), "replica_id": name}
            endpoints.append(await stack.enter_async_context(served(worker_called(name), **options)))
            await listed(reg.url, endpoints)
        yield reg.url, stack, endpoints


def blocking(work: Callable[[], None]) -> Any:
    """A blocking client beside a worker that lives on the test's loop."""
    return asyncio.to_thread(work)


def test_discovery_finds_a_worker_at_the_first_call() -> None:
    """Mode, endpoint and replica id before and after, as the seed prints them; both clients."""

    async def test() -> None:
        async with deployed("w1") as (url, _, (at,)):

            def plain() -> None:
                with Client(api_server=url, capability={"type": "double"}) as client:
                    assert (str(client.mode), client.endpoint) == ("ConnectionMode.DISCOVERY", None)
                    assert client.infer("double", {"x": [1, 2]}) == {"x": [2, 4]}
                    assert (client.endpoint, client.replica_id) == (at, "w1")
                eager = Client(api_server=url, capability={"type": "double"}, lazy_connect=False)
                assert eager.endpoint == at
                eager.close()
                assert eager.is_model_ready("double")
                eager.close()

            await blocking(plain)
            async with AsyncClient(api_server=url, capability={"type": "double"}) as client:
                assert await client.infer("double", {"x": [1, 2]}) == {"x": [2, 4]}
                assert (client.endpoint, client.replica_id) == (at, "w1")

    run(test())


def test_direct_mode_needs_no_registry() -> None:
    """An endpoint is all; there is no replica id."""

    async def test() -> None:
        async with served(worker_called("w")) as at:

            def plain() -> None:
                with Client(at) as client:
                    assert client.infer("double", {"x": [1]}) == {"x": [2]}
                    assert (client.mode, client.replica_id) == (ConnectionMode.DIRECT, None)
                    assert client.is_alive()
                    assert not client.is_model_ready("nothing")
                    assert [one.name for one in client.model_metadata("double").inputs] == ["x"]
                    answers = client.stream("count", {"n": [3]})
                    assert list(answers) == [{"number": [n]} for n in range(3)]

            await blocking(plain)
            async with AsyncClient(at) as client:
                assert [one async for one in client.stream("count", {"n": [2]})] == [
                    {"number": [0]},
                    {"number": [1]},
                ]
                assert await client.is_alive()

    run(test())


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({}, "Must specify either 'endpoint' or 'api_server'"),
        (
            {"endpoint": "a:1", "api_server": "http://b", "capability": {"type": "x"}},
            "Cannot specify both 'endpoint' and 'api_server'",
        ),
        ({"api_server": "http://b"}, "'capability' required when using 'api_server'"),
        ({"api_server": "http://b", "capability": {}}, "'capability' required when using 'api_server'"),
    ],
)
@pytest.mark.parametrize("kind", [Client, AsyncClient])
def test_wrong_constructor_arguments(kind: Any, arguments: dict[str, Any], says: str) -> None:
    """The seed's words, from both clients."""
    with pytest.raises(ValueError, match=says):
        kind(**arguments)


ROUND_TRIPS = [
    [1, 2, 3],
    [[1, 2], [3, 4]],
    [1.5, 2],
    [b"a\0", "\u00e4"],
    [["a"], ["b"]],
    np.arange(6, dtype=np.int64).reshape(2, 3),
    np.array([[True], [False]]),
    np.array([1.5], np.float16),
    np.array([1, 2**63], np.uint64),
    np.zeros((2, 0), np.float64),
    np.array([b"x", b""], object),
    np.int8(-3),
]


@pytest.mark.parametrize("value", ROUND_TRIPS, ids=str)
def test_values_come_back_as_they_went(value: Any) -> None:
    """Lists as lists, arrays as arrays of the same dtype and shape, text as bytes."""

    async def test() -> None:
        async with served(worker_called("w")) as at, AsyncClient(at) as client:
            got = (await client.infer("echo", {"x": value}))["x"]
            if isinstance(value, np.ndarray | np.generic):
                assert (got.dtype, got.shape) == (value.dtype, value.shape)
                assert np.array_equal(got, value)
            else:
                expected = np.array(value, object)
                encoded = [v.encode() if isinstance(v, str) else v for v in expected.ravel()]
                assert got == np.array(encoded, object).reshape(expected.shape).tolist()

    run(test())


def test_an_empty_list_is_of_the_declared_type() -> None:
    """It needs a handler that declares one; another one says so."""

    async def test() -> None:
        async with served(worker_called("w")) as at, AsyncClient(at) as client:
            assert await client.infer("double", {"x": []}) == {"x": []}
            with pytest.raises(InvalidInput, match="has no datatype"):
                await client.infer("echo", {"x": []})

    run(test())


@pytest.mark.parametrize(
    ("value", "says"),
    [
        ([2**31], "a number does not fit INT32"),
        ([1, "a"], "text and numbers are mixed"),
        ([{}], "dict is neither a number nor text"),
        ([[1], [2, 3]], "inhomogeneous"),
        (np.array([1j]), "complex128 has no datatype"),
    ],
)
def test_what_cannot_be_sent_is_named(value: Any, says: str) -> None:
    """Before anything is sent."""
    with Client(NOBODY) as client, pytest.raises(InvalidValue, match=f"input 'x' cannot be sent: .*{says}"):
        client.infer("m", {"x": value})


def test_failures_are_typed_and_still_grpc_errors() -> None:
    """A status becomes an exception of its own, which old handlers of grpc.RpcError catch, too."""

    async def test() -> None:
        async with served(worker_called("w")) as at, AsyncClient(at) as client:
            with pytest.raises(ModelNotFound, match=r"Inference failed: NOT_FOUND .*did you mean double"):
                await client.infer("doubel", {})
            with pytest.raises(InvalidInput, match="input 'x' is FP32, but INT32 is wanted"):
                await client.infer("double", {"x": [1.5]})
            with pytest.raises(DeadlineExceeded, match="timeout") as caught:
                await client.infer("hang", {}, timeout=0.1)
            assert isinstance(caught.value, RuntimeError | grpc.RpcError)
            assert caught.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED

    run(test())


def test_nobody_at_the_endpoint_or_the_registry() -> None:
    """Each says which address did not answer."""
    with Client(NOBODY) as client, pytest.raises(WorkerUnavailable, match=NOBODY):
        client.infer("m", {})
    with pytest.raises(RegistryUnreachable, match=f"http://{NOBODY}.*api_server"):
        Client(api_server=f"http://{NOBODY}", capability={"type": "x"}, lazy_connect=False)


def test_no_match_says_what_was_asked_for() -> None:
    """The seed's words, and where to look."""

    async def test() -> None:
        async with deployed() as (url, _, _), AsyncClient(api_server=url, capability={"type": "x"}) as client:
            with pytest.raises(NoMatch, match=r"No matching replica for: \{'type': 'x'\} at .*/registry"):
                await client.infer("x", {})

    run(test())


async def name_of(client: AsyncClient, **options: Any) -> bytes:
    return bytes((await client.infer("who", {}, **options))["name"][0])


def test_a_worker_that_left_is_replaced_by_another() -> None:
    """The call after the worker is gone is answered by the other; the caller does not notice."""

    async def test() -> None:
        async with (
            deployed("w1", "w2") as (url, _, endpoints),
            AsyncClient(api_server=url, capability={"type": "who"}) as client,
        ):
            client._replica = Replica(NOBODY, "gone")
            assert await name_of(client) in (b"w1", b"w2")
            assert client.endpoint in endpoints

    run(test())


def test_it_does_not_go_back_to_the_endpoint_that_failed() -> None:
    """A registered endpoint where nobody listens is tried once; then the one that works, every time."""

    async def test() -> None:
        async with deployed("good") as (url, stack, _):
            await register_nobody(url, stack)
            for _ in range(20):
                async with AsyncClient(api_server=url, capability={"type": "who"}) as client:
                    assert await name_of(client) == b"good"

    run(test())


async def register_nobody(url: str, stack: AsyncExitStack) -> None:
    """A registered endpoint where nobody listens."""
    import httpx

    body = {"replica_id": "dead", "endpoint": NOBODY, "capabilities": [{"type": "who"}]}
    client = await stack.enter_async_context(httpx.AsyncClient(base_url=url))
    answer = await stack.enter_async_context(client.stream("POST", "/register", json=body))
    assert answer.status_code == 200


def test_when_nobody_else_can_the_first_failure_is_told() -> None:
    """The only replica does not answer: its failure, and that there is no other."""

    async def test() -> None:
        async with deployed() as (url, stack, _):
            await register_nobody(url, stack)
            async with AsyncClient(api_server=url, capability={"type": "who"}) as client:
                with pytest.raises(WorkerUnavailable, match=f"{NOBODY}.*and nobody else can: No matching"):
                    await name_of(client)

    run(test())


def test_without_retry_the_first_failure_is_raised() -> None:
    """And the next call discovers anew."""

    async def test() -> None:
        async with deployed("good") as (url, stack, _):
            await register_nobody(url, stack)
            async with AsyncClient(api_server=url, capability={"type": "who"}) as client:
                failures = 0
                for _ in range(10):
                    try:
                        await name_of(client, retry_on_failure=False)
                    except ClientError:
                        failures += 1
                assert failures <= 1

    run(test())


def test_the_blocking_client_forgets_what_failed() -> None:
    """Without retry the failure is raised, and the next call goes elsewhere; with it nothing is noticed."""

    async def test() -> None:
        async with deployed("good") as (url, stack, _):
            await register_nobody(url, stack)

            def plain() -> None:
                with Client(api_server=url, capability={"type": "who"}) as client:
                    client._replica = Replica(NOBODY, "dead")
                    with pytest.raises(WorkerUnavailable):
                        client.infer("who", {}, retry_on_failure=False)
                    assert client.infer("who", {}) == {"name": [b"good"]}
                with Client(api_server=url, capability={"type": "who"}) as client:
                    client._replica = Replica(NOBODY, "dead")
                    assert client.infer("who", {}) == {"name": [b"good"]}

            await blocking(plain)

    run(test())


def test_invalid_input_is_not_tried_again() -> None:
    """Another worker would say the same: the endpoint is kept."""

    async def test() -> None:
        async with (
            deployed("w1") as (url, _, (at,)),
            AsyncClient(api_server=url, capability={"type": "double"}) as client,
        ):
            with pytest.raises(InvalidInput) as caught:
                await client.infer("double", {"y": [1]})
            assert client.endpoint == at
            assert "nobody else" not in str(caught.value)

    run(test())


def test_a_worker_that_drains_costs_no_call() -> None:
    """Two workers under load from a client that may retry; one leaves; every call is answered."""

    async def test() -> None:
        async with deployed("w1") as (url, _, _):
            options = {"registry": (url,), "replica_id": "leaving"}
            async with AsyncClient(api_server=url, capability={"type": "who"}) as client:
                over = asyncio.Event()

                async def load() -> int:
                    calls = 0
                    while not over.is_set():
                        await name_of(client)
                        calls += 1
                    return calls

                async with served(worker_called("leaving"), **options) as at:
                    client._replica = Replica(at, "leaving")
                    loads = [asyncio.create_task(load()) for _ in range(4)]
                    while await name_of(client) != b"leaving":
                        pass
                assert await name_of(client) == b"w1"
                over.set()
                assert sum(await asyncio.gather(*loads)) > 0

    run(test())
