"""How everything here is served: one process, one port, until Ctrl-C."""

from __future__ import annotations

import socket
from typing import Final

import uvicorn
from starlette.applications import Starlette

from letterlock.errors import UsageError

MOST_AT_ONCE: Final = 200
"""Connections that are served at a time; more are answered 503."""

_PORTS: Final = 65_535


def listen(host: str, port: int) -> socket.socket:
    """Take a port (0: any that is free). Raises UsageError if it cannot be had."""
    try:
        if not 0 <= port <= _PORTS:  # else the resolver takes it modulo 65536
            raise OverflowError(f"a port is a number from 0 to {_PORTS}")
        kind, *_, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        taken = socket.socket(kind, socket.SOCK_STREAM)
        try:
            taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            taken.bind(address)
            taken.listen()
        except OSError:
            taken.close()
            raise
    except (OSError, OverflowError, UnicodeError) as error:
        why = getattr(error, "strerror", None) or error
        raise UsageError(f"nothing can be served at {host}:{port}: {why}") from error
    return taken


def url_of(taken: socket.socket) -> str:
    """Return where a socket is reached."""
    host, port, *_ = taken.getsockname()
    return f"http://[{host}]:{port}/" if ":" in host else f"http://{host}:{port}/"


def serve(app: Starlette, taken: socket.socket) -> None:
    """Serve until a signal ends it; what is being answered is answered first."""
    server = server_of(app)
    with taken:
        server.run(sockets=[taken])


def server_of(app: Starlette) -> uvicorn.Server:
    """Return the server of an app, not started yet."""
    return uvicorn.Server(
        uvicorn.Config(
            app,
            log_level="warning",
            access_log=False,  # who asked is nobody's business
            server_header=False,
            proxy_headers=False,
            lifespan="off",
            ws="none",
            limit_concurrency=MOST_AT_ONCE,
            timeout_graceful_shutdown=5,
        )
    )
