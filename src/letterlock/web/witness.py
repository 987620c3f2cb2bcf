"""A witness over HTTP: POST /add-checkpoint, GET /<hex of SHA-256 of the origin>/checkpoint."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Final

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

from letterlock.errors import LetterlockError
from letterlock.record import witness as protocol
from letterlock.record.witness import Witness, WitnessState, folder_of

PATIENCE: Final = 10.0
"""Seconds in which the body of a request has to have come."""


def clock() -> int:
    """Return the time in seconds since 1970-01-01 UTC."""
    return int(time.time())


def app(
    witness: Witness,
    state: WitnessState,
    *,
    clock: Callable[[], int] = clock,
    patience: float = PATIENCE,
) -> Starlette:
    """Return the application that answers for a witness."""
    origins = {folder_of(origin): origin for origin in witness.logs}

    async def add_checkpoint(request: Request) -> Response:
        try:
            async with asyncio.timeout(patience):
                body = await _body(request)
        except TimeoutError:
            return _text(408, "the request did not come in time")
        except ClientDisconnect:
            return _text(400, "the request ended early")
        if len(body) > protocol.MAX_REQUEST:
            return _text(413, f"a request has at most {protocol.MAX_REQUEST} bytes")
        try:
            answer = await run_in_threadpool(witness.answer, body, state, clock)
        except LetterlockError as error:
            return _text(500, f"nothing was cosigned: {error}")
        return _response(answer.status, answer.body, answer.content_type)

    async def checkpoint(request: Request) -> Response:
        origin = origins.get(request.path_params["folder"])
        try:
            note = None if origin is None else await run_in_threadpool(state.read, origin)
        except LetterlockError as error:
            return _text(500, error)
        return _text(404, "nothing was cosigned") if note is None else _response(200, note)

    return Starlette(
        routes=[
            Route("/add-checkpoint", add_checkpoint, methods=["POST"]),
            Route("/{folder}/checkpoint", checkpoint, methods=["GET"]),
        ]
    )


async def _body(request: Request) -> bytes:
    """Read a body, and no further than one byte over what a request may have."""
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > protocol.MAX_REQUEST:
            break
    return bytes(body)


def _text(status: int, why: object) -> Response:
    return _response(status, f"{why}\n".encode())


def _response(status: int, body: bytes, content_type: str = protocol.TEXT) -> Response:
    headers = {"Content-Type": content_type, "Cache-Control": "no-store"}
    return Response(body, status, headers)
