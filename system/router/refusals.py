"""What the router answers by itself when it cannot pass on a backend's answer: OpenAI's error envelope."""

from dataclasses import dataclass, replace

import orjson

REASONS = {
    200: "OK",
    201: "Created",
    202: "Accepted",
    204: "No Content",
    304: "Not Modified",
    400: "Bad Request",
    401: "Unauthorized",
    403: "Forbidden",
    404: "Not Found",
    405: "Method Not Allowed",
    408: "Request Timeout",
    413: "Content Too Large",
    429: "Too Many Requests",
    431: "Request Header Fields Too Large",
    499: "Client Closed Request",
    500: "Internal Server Error",
    502: "Bad Gateway",
    503: "Service Unavailable",
    504: "Gateway Timeout",
    505: "HTTP Version Not Supported",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """An error the router answers: status, OpenAI's fields, and headers that belong to it."""

    status: int
    message: str
    type: str = "invalid_request_error"
    code: str | None = None
    param: str | None = None
    headers: tuple[tuple[bytes, bytes], ...] = ()

    def saying(self, **words: object) -> "Refusal":
        """The same refusal with the braces of its message filled in."""
        return replace(self, message=self.message.format(**words))

    @property
    def error(self) -> dict[str, dict[str, str | None]]:
        fields = {"message": self.message, "type": self.type, "param": self.param, "code": self.code}
        return {"error": fields}

    @property
    def body(self) -> bytes:
        return orjson.dumps(self.error)

    @property
    def event(self) -> bytes:
        """The same error as a server-sent event, for a stream that has begun."""
        return b"data: " + self.body + b"\n\n"


MALFORMED = Refusal(status=400, message="Malformed HTTP request: {why}.", code="malformed_request")
BAD_VERSION = Refusal(status=505, message="Only HTTP/1.1 and HTTP/1.0 are spoken here.", code="http_version")
HEAD_TOO_LARGE = Refusal(
    status=431, message="The request's headers exceed {limit} bytes.", code="headers_too_large"
)
BODY_TOO_LARGE = Refusal(
    status=413, message="The request's body exceeds {limit} bytes.", code="request_too_large"
)
TOO_SLOW = Refusal(
    status=408, message="The request did not arrive within the time allowed.", code="request_timeout"
)
UNKNOWN_PATH = Refusal(status=404, message="Invalid URL ({method} {path}).", code="unknown_url")
WRONG_METHOD = Refusal(
    status=405, message="{method} is not allowed on {path}; use {allowed}.", code="method_not_allowed"
)
NO_TOKEN = Refusal(
    status=401,
    message="A valid bearer token is required.",
    type="authentication_error",
    code="invalid_api_key",
    headers=((b"www-authenticate", b"Bearer"),),
)
MODEL_NOT_ALLOWED = Refusal(
    status=403,
    message="This token may not use the model `{model}`.",
    type="permission_error",
    code="model_not_allowed",
    param="model",
)
RATE_EXCEEDED = Refusal(
    status=429,
    message="This token's rate is exceeded; try again in {seconds} s.",
    type="rate_limit_error",
    code="rate_limit_exceeded",
)
NOT_JSON = Refusal(status=400, message="The request's body is not valid JSON: {why}.", code="invalid_json")
NO_ROOM = Refusal(
    status=503,
    message="The router has no room for the request's body: {why}.",
    type="server_error",
    code="router_exhausted",
)
NOT_AN_OBJECT = Refusal(status=400, message="The request's body must be a JSON object.", code="invalid_json")
NO_MODEL = Refusal(
    status=400,
    message="The request names no model; give its id as `model`.",
    code="missing_required_parameter",
    param="model",
)
MODEL_NOT_TEXT = Refusal(
    status=400, message="`model` must be a non-empty string.", code="invalid_type", param="model"
)
UNKNOWN_MODEL = Refusal(
    status=404,
    message="The model `{model}` does not exist; GET /v1/models lists those that do.",
    code="model_not_found",
    param="model",
)
NO_BACKEND = Refusal(
    status=503,
    message="No healthy services available for model '{model}'.",
    type="server_error",
    code="no_healthy_backend",
    headers=((b"retry-after", b"1"),),
)
QUEUE_FULL = Refusal(
    status=429,
    message="Too many requests wait for model '{model}'.",
    type="rate_limit_error",
    code="queue_full",
    headers=((b"retry-after", b"1"),),
)
QUEUE_TIMEOUT = Refusal(
    status=429,
    message="No backend of model '{model}' had room within {seconds:g} s.",
    type="rate_limit_error",
    code="queue_timeout",
    headers=((b"retry-after", b"1"),),
)
NO_CONNECTION = Refusal(
    status=503,
    message="Service unavailable: '{backend}' refused the connection.",
    type="server_error",
    code="backend_refused",
    headers=((b"retry-after", b"1"),),
)
NO_SOCKET = Refusal(
    status=503,
    message="The router has no connection left for '{backend}'.",
    type="server_error",
    code="router_exhausted",
    headers=((b"retry-after", b"1"),),
)
BAD_GATEWAY = Refusal(
    status=502,
    message="Bad gateway: '{backend}' broke the connection before it answered.",
    type="server_error",
    code="backend_broke",
)
BAD_ANSWER = Refusal(
    status=502,
    message="Bad gateway: '{backend}' answered with something that is not HTTP/1.1.",
    type="server_error",
    code="backend_malformed",
)
BROKEN_STREAM = Refusal(
    status=502,
    message="'{backend}' broke off in the middle of its answer.",
    type="server_error",
    code="stream_broken",
)
TIMEOUT = Refusal(
    status=504,
    message="'{backend}' did not answer in time ({phase}).",
    type="server_error",
    code="backend_timeout",
)
INTERNAL = Refusal(status=500, message="Internal server error.", type="server_error", code="internal_error")
