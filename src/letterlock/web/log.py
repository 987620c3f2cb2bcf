"""The public files of a log over HTTP, as any web server could show them. Spec: docs/spec/log.md.

Only a path that names one of the log's files is looked up at all; on the way to it no symbolic link
is followed, so that nothing beside the log's folder can be reached.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO, Final

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from letterlock.web import serving

_TEXT: Final = "text/plain; charset=utf-8"
_BYTES: Final = "application/octet-stream"
_YEAR: Final = "public, max-age=31536000, immutable"

_WHOLE: Final = r"(x[0-9]{3}/)*[0-9]{3}"
_PART: Final = r"(\.p/([1-9][0-9]?|1[0-9]{2}|2[0-4][0-9]|25[0-5]))?"
_LEVEL: Final = r"([0-9]|[1-5][0-9]|6[0-3]|entries)"
_DROPS: Final = r"drops/[0-9a-f]{16}/(head|[1-9][0-9]{0,18}\.(json|proof))"
_MUTABLE: Final = re.compile(rf"checkpoint|policy|checkpoints/(0|[1-9][0-9]{{0,18}})|{_DROPS}")
_FIXED: Final = re.compile(f"tile/{_LEVEL}/{_WHOLE}{_PART}|blobs/[0-9a-f]{{64}}")
_CHUNK: Final = 1 << 16


def serve(folder: Path, host: str, port: int, ready: Callable[[str], None]) -> None:
    """Serve a log until Ctrl-C; `ready` is told its URL. Raises UsageError for the port."""
    taken = serving.listen(host, port)
    ready(serving.url_of(taken))
    serving.serve(app(folder), taken)


def app(folder: Path) -> Starlette:
    """Return the application that shows the log in `folder`, and nothing but the log."""

    async def file(request: Request) -> Response:
        # Not the route's parameter: from that a newline at the end is gone.
        path = request.scope["path"].removeprefix(request.scope.get("root_path", ""))[1:]
        fixed = _FIXED.fullmatch(path) is not None
        if not fixed and _MUTABLE.fullmatch(path) is None:
            return _missing()
        try:
            opened = await run_in_threadpool(_opened, folder, path)
        except OSError:
            return _missing()
        size = os.fstat(opened.fileno()).st_size
        headers = {
            "Content-Type": _BYTES if fixed else _TEXT,
            "Content-Length": str(size),
            "Cache-Control": _YEAR if fixed else "no-cache",
            "X-Content-Type-Options": "nosniff",
            "Access-Control-Allow-Origin": "*",  # a page that verifies may come from anywhere
        }
        if request.method == "HEAD":
            opened.close()
            return Response(None, headers=headers)
        return StreamingResponse(_chunks(opened, size), headers=headers)

    return Starlette(routes=[Route("/{path:path}", file, methods=["GET", "HEAD"])])


def _missing() -> Response:
    return Response("not here\n", 404, {"Cache-Control": "no-cache"}, "text/plain")


def _opened(folder: Path, path: str) -> BinaryIO:
    """Open a regular file below `folder`, following no link. Raises OSError."""
    *folders, name = path.split("/")
    place = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        for each in folders:
            below = os.open(each, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=place)
            os.close(place)
            place = below
        # A pipe put there would block whoever opens it, were it not for O_NONBLOCK.
        found = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=place)
    finally:
        os.close(place)
    if not stat.S_ISREG(os.fstat(found).st_mode):
        os.close(found)
        raise FileNotFoundError(path)
    return os.fdopen(found, "rb")


def _chunks(opened: BinaryIO, size: int) -> Iterator[bytes]:
    with opened as file:
        while size and (chunk := file.read(min(size, _CHUNK))):
            size -= len(chunk)
            yield chunk
