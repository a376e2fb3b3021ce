"""Heads that were read before: taken for the same only where every byte is, and forgotten in time."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from system.router.familiar import LONGEST, MOST, Familiar
from system.router.reader import Reader, Refused
from system.router.request import Request
from system.router.rules import Limits
from system.router.upstream import Connection, Head, Pool
from tests.system.router.test_reader import CHUNKED, POST, admits_all

LENGTH_3 = POST + b"X-A: 1\r\nContent-Length: 3\r\n\r\n"


class Counting:
    """Counts what is read header by header, as a header's reader does."""

    def __init__(self) -> None:
        self.read = 0

    def __call__(self, message: Request, value: bytes) -> bool:
        self.read += 1
        return True


def reader_of(counting: Counting, familiar: Familiar[Request]) -> Reader:
    from system.router.headers import REQUEST_HEADERS

    return Reader(Limits(), admits_all, {**REQUEST_HEADERS, b"x-a": counting}, familiar)


def told(request: Request) -> tuple[bytes, bytes, object, bytes]:
    return request.method, request.path, request.body, request.wire(b"host: b\r\n")


def test_head_that_was_read_before_is_not_read_again() -> None:
    """The second request has its own body and means the same, on whichever connection it comes."""
    counting, familiar = Counting(), Familiar[Request]()
    requests = []
    for body in (b"abc", b"def", b"ghi"):
        reader = reader_of(counting, familiar)
        reader.feed(LENGTH_3 + body)
        requests.append(reader.ready.popleft())
    assert counting.read == 1
    assert [request.body for request in requests] == [b"abc", b"def", b"ghi"]
    assert len({request.wire(b"host: b\r\n") for request in requests}) == 1


@pytest.mark.parametrize(
    "data",
    [
        LENGTH_3 + b"a",
        LENGTH_3 + b"abcGET / HTTP/1.1\r\nHost: a\r\n\r\n",
        LENGTH_3.replace(b": 1", b": 2") + b"abc",
        LENGTH_3.replace(b"X-A", b"x-A") + b"abc",
        b"\r\n" + LENGTH_3 + b"abc",
    ],
)
def test_anything_else_is_read(data: bytes) -> None:
    """A body that is not whole, one more byte, another value, another case: nothing is guessed."""
    fresh, used = Reader(Limits(), admits_all), Reader(Limits(), admits_all)
    used.feed(LENGTH_3 + b"abc")
    used.ready.clear()
    for reader in (fresh, used):
        reader.feed(data)
    assert [told(one) for one in used.ready] == [told(one) for one in fresh.ready]
    assert used.reading is fresh.reading


@pytest.mark.parametrize(
    "data",
    [
        CHUNKED + b"3\r\nabc\r\n0\r\n\r\n",
        POST + b"Connection: close\r\nContent-Length: 0\r\n\r\n",
        b"POST / HTTP/1.0\r\nContent-Length: 0\r\n\r\n",
        POST + b"Expect: 100-continue\r\nContent-Length: 3\r\n\r\nabc",
        LENGTH_3.replace(b": 1", b": " + b"1" * LONGEST) + b"abc",
        POST + b"Content-Length: 0\r\n\r\n" + POST + b"Content-Length: 0\r\n\r\n",
    ],
    ids=["chunked", "closing", "HTTP/1.0", "expecting", "too long", "two at once"],
)
def test_only_plain_heads_are_kept(data: bytes) -> None:
    """Whatever ends the connection, waits for a word or has no length is read each time."""
    familiar = Familiar[Request]()
    Reader(Limits(), admits_all, familiar=familiar).feed(data)
    assert len(familiar) == 0


PIECES = (
    LENGTH_3 + b"abc",
    LENGTH_3 + b"\r\n\r",
    LENGTH_3.replace(b": 3", b": 0"),
    POST + b"Content-Length: 60\r\n\r\n" + LENGTH_3 + b"abc".ljust(60 - len(LENGTH_3), b"\n"),
    CHUNKED + b"3\r\nabc\r\n0\r\n\r\n",
    b"GET /health HTTP/1.1\r\nHost: a\r\n\r\n",
    b"\r\n",
    LENGTH_3.replace(b"X-A: 1", b"Connection: close") + b"abc",
    LENGTH_3.replace(b"X-A: 1", b"X-A : 1") + b"abc",
)


class Forgetful(Familiar[Request]):
    """Knows nothing, so that everything is read."""

    __slots__ = ()

    def get(self, head: bytes) -> Request | None:
        return None


SEEN_BEFORE = Familiar[Request]()


def read_all(data: bytes, cuts: list[int], familiar: Familiar[Request]) -> tuple[object, object, bool]:
    """What a reader makes of bytes that come in pieces: the requests, the refusal, whether it waits for more."""
    reader, refusal = Reader(Limits(), admits_all, familiar=familiar), None
    ends = sorted({*(cut % (len(data) + 1) for cut in cuts), len(data)})
    try:
        for start, end in zip([0, *ends], ends, strict=False):
            if end > start:
                reader.feed(data[start:end])
    except Refused as refused:
        refusal = refused.refusal
    return [told(one) for one in reader.ready], refusal, reader.reading


@settings(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck))
@given(pieces=st.lists(st.sampled_from(PIECES), max_size=5), cuts=st.lists(st.integers(0, 1000), max_size=4))
def test_requests_are_the_same_however_often_they_were_seen(pieces: list[bytes], cuts: list[int]) -> None:
    """In any order, cut anywhere: what is known makes no difference to what is read."""
    data = b"".join(pieces)
    at_ends = [len(b"".join(pieces[:number])) for number in range(len(pieces))]
    for where in (cuts, at_ends, [*cuts, *at_ends]):
        assert read_all(data, where, SEEN_BEFORE) == read_all(data, where, Forgetful())


def test_malformed_heads_are_malformed_every_time() -> None:
    """What was refused is not remembered as anything."""
    familiar = Familiar[Request]()
    for _ in range(2):
        with pytest.raises(Refused):
            Reader(Limits(), admits_all, familiar=familiar).feed(
                POST + b"X-A : b\r\nContent-Length: 0\r\n\r\n"
            )
    assert len(familiar) == 0


def test_memory_of_heads_is_bounded() -> None:
    """The oldest are forgotten; those in use stay."""
    familiar = Familiar[int]()
    for number in range(10 * MOST):
        familiar.keep(b"%d" % number, number)
        assert familiar.get(b"0") == 0
    assert len(familiar) <= 2 * MOST
    assert familiar.get(b"1") is None


class Transport:
    """Takes everything, and can be closed."""

    def __init__(self) -> None:
        self.open = True

    def write(self, data: bytes) -> None: ...

    def get_write_buffer_size(self) -> int:
        return 0

    def abort(self) -> None:
        self.open = False


class Sink:
    """What came, as an exchange would see it."""

    def __init__(self) -> None:
        self.heads: list[tuple[int, bytes]] = []
        self.got = b""
        self.ended = ""

    def head(self, head: Head) -> None:
        self.heads.append((head.status, b"".join(head.lines)))

    def body(self, data: bytes) -> None:
        self.got += data

    def flush(self) -> None: ...

    def done(self) -> None:
        self.ended = "done"

    def failed(self, failure: object, why: str) -> None:
        self.ended = "failed"


ANSWER = b"HTTP/1.1 200 OK\r\nX-A: 1\r\nContent-Length: 3\r\n\r\n"


@pytest.mark.parametrize("head_only", [False, True])
@pytest.mark.parametrize(
    "pieces",
    [
        [ANSWER + b"abc"],
        [ANSWER, b"abc"],
        [ANSWER + b"a", b"bc"],
        [ANSWER + b"abcd"],
        [ANSWER + b"abc" + ANSWER + b"abc"],
        [ANSWER[:20], ANSWER[20:] + b"abc"],
        [ANSWER.replace(b"200 OK", b"503 No") + b"abc"],
        [b"HTTP/1.1 100 Continue\r\n\r\n" + ANSWER + b"abc"],
        [b"HTTP/1.1 100 Continue\r\n\r\n", ANSWER + b"abc"],
        [ANSWER.replace(b"X-A: 1", b"Connection: close") + b"abc"],
    ],
)
def test_familiar_answers_are_what_they_would_be_if_they_were_read(
    pieces: list[bytes], *, head_only: bool
) -> None:
    """However an answer comes, a connection that knows its head passes on the same as one that does not."""
    seen = []
    for familiar in (False, True):
        pool = Pool("h", 1, tls=None, clock=lambda: 0.0, connect_timeout=1.0, idle_timeout=1.0)
        connection, transport = Connection(pool), Transport()
        connection.connection_made(transport)  # type: ignore[arg-type]
        sink = Sink()
        if familiar:
            for known in (ANSWER, ANSWER.replace(b"200 OK", b"503 No")):
                connection.request(Sink(), b"", b"")
                connection.data_received(known + b"abc")
            assert len(pool.familiar) == 2
            assert pool.take() is connection
        connection.request(sink, b"", b"", head_only=head_only)
        for piece in pieces:
            connection.data_received(piece)
        seen.append((sink.heads, sink.got, sink.ended, transport.open))
    assert seen[0] == seen[1]


@pytest.mark.parametrize(
    "answer",
    [
        ANSWER.replace(b"X-A: 1", b"Connection: close") + b"abc",
        ANSWER.replace(b"HTTP/1.1", b"HTTP/1.0") + b"abc",
        ANSWER.replace(b"Content-Length: 3", b"Transfer-Encoding: chunked") + b"3\r\nabc\r\n0\r\n\r\n",
        ANSWER + b"abcd",
        b"HTTP/1.1 204 No\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 100 Continue\r\n\r\n" + ANSWER + b"abc",
    ],
)
def test_only_plain_answers_are_kept(answer: bytes) -> None:
    """Whatever ends the connection, has no length or no body is read each time."""
    pool = Pool("h", 1, tls=None, clock=lambda: 0.0, connect_timeout=1.0, idle_timeout=1.0)
    connection, sink = Connection(pool), Sink()
    connection.connection_made(Transport())  # type: ignore[arg-type]
    connection.request(sink, b"", b"")
    connection.data_received(answer)
    assert (sink.ended, len(pool.familiar)) == ("done", 0)
