"""Reading requests: strict framing, whole, byte by byte, and with what follows."""

import pytest

from system.router.reader import Reader, Refused
from system.router.refusals import UNKNOWN_PATH, Refusal
from system.router.request import Request
from system.router.rules import Limits

POST = b"POST /v1/x HTTP/1.1\r\nHost: a\r\n"
CHUNKED = POST + b"Transfer-Encoding: chunked\r\n\r\n"


def admits_all(_: Request) -> Refusal | None:
    return None


def read(data: bytes, step: int = 1 << 20, limits: Limits | None = None) -> list[Request]:
    reader = Reader(limits or Limits(), admits_all)
    for start in range(0, len(data), step):
        reader.feed(data[start : start + step])
    return list(reader.ready)


def feed(reader: Reader, *pieces: bytes) -> Refusal:
    """What the reader refuses the pieces with."""
    try:
        for piece in pieces:
            reader.feed(piece)
    except Refused as refused:
        return refused.refusal
    pytest.fail("it was read without complaint")


MALFORMED = {
    "both lengths": POST + b"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "both lengths, the other way": POST + b"Transfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n0\r\n\r\n",
    "two lengths": POST + b"Content-Length: 3\r\nContent-Length: 4\r\n\r\nabcd",
    "one length twice": POST + b"Content-Length: 3\r\nContent-Length: 3\r\n\r\nabc",
    "a list of lengths": POST + b"Content-Length: 3, 3\r\n\r\nabc",
    "a signed length": POST + b"Content-Length: +3\r\n\r\nabc",
    "a negative length": POST + b"Content-Length: -3\r\n\r\nabc",
    "an endless length": POST + b"Content-Length: 99999999999999999999999\r\n\r\nabc",
    "an empty length": POST + b"Content-Length: \r\n\r\nabc",
    "a folded header": POST + b"X-A: b\r\n c\r\nContent-Length: 0\r\n\r\n",
    "a folded first header": b"POST / HTTP/1.1\r\n Host: a\r\n\r\n",
    "space before the colon": POST + b"X-A : b\r\n\r\n",
    "a bare line feed": b"POST / HTTP/1.1\r\nHost: a\nX-B: 1\r\n\r\n",
    "a bare carriage return": POST + b"X-A: b\rc\r\n\r\n",
    "NUL in a value": POST + b"X-A: b\0c\r\n\r\n",
    "a header without a colon": POST + b"XA\r\n\r\n",
    "a header without a name": POST + b": x\r\n\r\n",
    "identity": POST + b"Transfer-Encoding: identity\r\n\r\nabc",
    "gzip, chunked": POST + b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
    "chunked, gzip": POST + b"Transfer-Encoding: chunked, gzip\r\n\r\n0\r\n\r\n",
    "chunked twice": POST + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "xchunked": POST + b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
    "chunked in HTTP/1.0": b"POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "a negative chunk": CHUNKED + b"-1\r\n\r\n",
    "a hexadecimal prefix": CHUNKED + b"0x3\r\nabc\r\n0\r\n\r\n",
    "an endless chunk": CHUNKED + b"fffffffffffffffff\r\n",
    "a chunk longer than it says": CHUNKED + b"3\r\nabcd\r\n0\r\n\r\n",
    "space after a chunk's size": CHUNKED + b"3 \r\nabc\r\n0\r\n\r\n",
    "a line feed after an extension": CHUNKED + b"3;a\nabc\r\n0\r\n\r\n",
    "no Host": b"GET / HTTP/1.1\r\n\r\n",
    "two Hosts": b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
    "space in the target": b"GET /a b HTTP/1.1\r\nHost: a\r\n\r\n",
    "an unknown method": b"post / HTTP/1.1\r\nHost: a\r\n\r\n",
    "CONNECT": b"CONNECT a:80 HTTP/1.1\r\nHost: a\r\n\r\n",
    "HTTP/2's preface": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "TLS": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
}


@pytest.mark.parametrize("step", [1 << 20, 1])
@pytest.mark.parametrize("data", MALFORMED.values(), ids=list(MALFORMED))
def test_malformed_requests_are_refused(data: bytes, step: int) -> None:
    """What two programs could read differently is 400, however it arrives, and yields no request."""
    reader = Reader(Limits(), admits_all)
    refused = feed(reader, *(data[start : start + step] for start in range(0, len(data), step)))
    assert refused.status == 400
    assert not reader.ready


@pytest.mark.parametrize("version", [b"HTTP/0.9", b"HTTP/2.0"])
def test_other_versions_are_refused(version: bytes) -> None:
    """HTTP/1.1 and HTTP/1.0 are all that is spoken."""
    with pytest.raises(Refused) as refused:
        read(b"GET / " + version + b"\r\nHost: a\r\n\r\n")
    assert refused.value.refusal.status == 505


@pytest.mark.parametrize("step", [1 << 20, 1])
def test_pipelined_requests_are_read_one_by_one(step: int) -> None:
    """Requests that arrive together are the requests that were sent, in order, each with its own body."""
    data = (
        POST
        + b"Content-Length: 3\r\n\r\nabc"
        + CHUNKED
        + b"2\r\nde\r\n0\r\n\r\n"
        + b"GET /y HTTP/1.1\r\nHost: a\r\n\r\n"
    )
    requests = read(data, step)
    assert [(one.method, one.path, one.body) for one in requests] == [
        (b"POST", b"/v1/x", b"abc"),
        (b"POST", b"/v1/x", b"de"),
        (b"GET", b"/y", b""),
    ]


def test_head_is_bounded_even_when_it_never_ends() -> None:
    """A header that grows for ever is refused at the limit, not collected."""
    reader = Reader(Limits(head=1000), admits_all)
    reader.feed(POST + b"X-A: ")
    assert feed(reader, *[b"a" * 100] * 100).status == 431


@pytest.mark.parametrize(
    "data",
    [POST + b"Content-Length: 11\r\n\r\n", CHUNKED + b"6\r\nabcdef\r\n5\r\nabcde\r\n"],
    ids=["announced", "chunked"],
)
def test_body_is_bounded(data: bytes) -> None:
    """A body over the limit is 413, as soon as it is announced or exceeded."""
    with pytest.raises(Refused) as refused:
        read(data, limits=Limits(body=10))
    assert refused.value.refusal.status == 413


def test_offer_to_upgrade_is_passed_over() -> None:
    """A client that offers h2c gets its request served, body included, without the offer."""
    offer = b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAM\r\nX-A: 1\r\n"
    (request,) = read(POST + offer + b"Content-Length: 3\r\n\r\nabc")
    assert (request.path, request.body, request.lines) == (b"/v1/x", b"abc", [b"X-A: 1\r\n"])


def test_absolute_target_is_read_as_its_path() -> None:
    """The form that requests to proxies have is understood."""
    (request,) = read(b"GET http://h:1/p?q=1 HTTP/1.1\r\nHost: h\r\n\r\n")
    assert (request.path, request.target) == (b"/p", b"/p?q=1")


def test_expectation_of_a_refused_request_is_answered_with_the_refusal() -> None:
    """A client that asks before it sends is told no at once."""
    reader = Reader(Limits(), lambda _: UNKNOWN_PATH.saying(method="POST", path="/v1/x"))
    with pytest.raises(Refused) as refused:
        reader.feed(POST + b"Content-Length: 3\r\nExpect: 100-continue\r\n\r\n")
    assert refused.value.refusal.status == 404
