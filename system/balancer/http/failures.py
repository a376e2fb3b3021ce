"""What goes wrong, as the original says it (`{"success": false, ...}`), with the status that is true."""

import logging
from typing import Any

from fastapi import FastAPI, Request
from fastapi.encoders import jsonable_encoder
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from system.balancer.half import Unavailable
from system.balancer.storage.base import StorageUnavailable

log = logging.getLogger("balancer")


class Failed(Exception):
    """An answer that says what went wrong; `more` are fields beside it."""

    def __init__(self, status: int, error: str, **more: Any) -> None:
        super().__init__(error)
        self.status = status
        self.more = more


def failure(status: int, error: str, **more: Any) -> JSONResponse:
    return JSONResponse({"success": False, "error": error, **jsonable_encoder(more)}, status)


def install(app: FastAPI) -> None:
    """Give every failure of an app its answer."""

    @app.exception_handler(Failed)
    async def failed(_: Request, error: Failed) -> JSONResponse:
        return failure(error.status, str(error), **error.more)

    @app.exception_handler(Unavailable)
    async def unavailable(_: Request, error: Unavailable) -> JSONResponse:
        return failure(503, f"gRPC server not available: {error}")

    @app.exception_handler(StorageUnavailable)
    async def storage_unavailable(_: Request, error: StorageUnavailable) -> JSONResponse:
        return failure(503, f"database not available: {error}")

    @app.exception_handler(RequestValidationError)
    async def invalid(_: Request, error: RequestValidationError) -> JSONResponse:
        wrong = error.errors()
        if any(one["type"] == "json_invalid" for one in wrong):
            return failure(400, "the body is not JSON")
        words = [f"{'.'.join(str(part) for part in one['loc'][1:]) or 'body'}: {one['msg']}" for one in wrong]
        missing = [str(one["loc"][-1]) for one in wrong if one["type"] in ("missing", "string_too_short")]
        if missing and len(missing) == len(wrong) and missing != ["body"]:
            return failure(400, f"{missing[0].capitalize()} is required")
        return failure(422, "; ".join(words))

    @app.exception_handler(HTTPException)
    async def plain(_: Request, error: HTTPException) -> JSONResponse:
        return failure(error.status_code, str(error.detail))

    @app.exception_handler(Exception)
    async def bug(_: Request, error: Exception) -> JSONResponse:
        log.error("a request failed: %s", error, exc_info=error)
        return failure(500, "internal error; the log says more")
