"""JSON from strangers: read in the one way that every reader agrees on, or not at all.

No key twice, no fraction or exponent, no -0, no integer beyond ±(2^53 - 1), no half character, and
bounds on length, depth and the number of values, so that reading costs little whatever is sent.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final, NoReturn, TypeAlias

from letterlock.domain import END, canonical
from letterlock.errors import InputError

DEPTH: Final = 32
"""Lists and objects within each other, at most."""
VALUES: Final = 2**18
"""Commas and brackets, at most: each value needs one of them."""

Shape: TypeAlias = Mapping[str, type | tuple[type, ...]]
"""Every key of an object, and the types that its value may have."""

_TIMES: Final = frozenset({"time", "as_of"})
_DIGITS: Final = len(str(END))


def parse(data: bytes, what: str, *, limit: int, values: int = VALUES) -> Any:  # noqa: ANN401
    """Read UTF-8 JSON of at most `limit` bytes. Raises InputError, which begins with `what`."""
    if len(data) > limit:
        raise InputError(f"{what}: {len(data)} bytes, at most {limit} are read")
    if sum(map(data.count, (b",", b"[", b"{"))) > values:
        raise InputError(f"{what}: more than {values} values")
    try:
        value = _DECODER.decode(data.decode())
    except (UnicodeDecodeError, ValueError, RecursionError) as error:
        raise InputError(f"{what}: not JSON: {error}") from error
    except InputError as error:
        raise InputError(f"{what}: {error}") from error
    _check(value, what, DEPTH)
    return value


def parse_canonical(data: bytes, what: str, *, limit: int, values: int = VALUES) -> Any:  # noqa: ANN401
    """Read JSON that is written in the one canonical way (RFC 8785). Raises InputError."""
    value = parse(data, what, limit=limit, values=values)
    if canonical(value) != data:
        raise InputError(f"{what}: not canonical JSON")
    return value


def shaped(value: object, shape: Shape, what: str) -> Any:  # noqa: ANN401 - the same value
    """Return an object that has exactly the keys of `shape`, each of its type.

    bool never passes for int, and only a time may be below 0. Raises InputError.
    """
    if not isinstance(value, dict):
        raise InputError(f"{what}: not an object")
    for key in shape.keys() - value.keys():
        raise InputError(f"{what}: {key} is missing")
    for key in value.keys() - shape.keys():
        raise InputError(f"{what}: unknown {key!r}")
    for key, kinds in shape.items():
        found = value[key]
        if not isinstance(found, kinds) or (isinstance(found, bool) and kinds is not bool):
            raise InputError(f"{what}: {key} is of the wrong type")
        if isinstance(found, int) and found < 0 and key not in _TIMES:
            raise InputError(f"{what}: {key} is below 0")
    return value


def from_hex(text: object, size: int | None, what: str) -> bytes:
    """Read lower-case hexadecimal digits of `size` bytes (None: of any number)."""
    if not isinstance(text, str) or not _HEX.issuperset(text) or len(text) % 2:
        raise InputError(f"{what}: not lower-case hexadecimal")
    if size is not None and len(text) != 2 * size:
        raise InputError(f"{what}: {len(text) // 2} bytes, not {size}")
    return bytes.fromhex(text)


_HEX: Final = frozenset("0123456789abcdef")


def _check(value: object, what: str, depth: int) -> None:
    if isinstance(value, str) and not value.isascii():
        try:
            value.encode()
        except UnicodeEncodeError as error:
            raise InputError(f"{what}: half a character") from error
    if isinstance(value, dict | list):
        if not depth:
            raise InputError(f"{what}: more than {DEPTH} lists and objects within each other")
        for inner in [*value, *value.values()] if isinstance(value, dict) else value:
            _check(inner, what, depth - 1)


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise InputError("a key stands twice in one object")
    return found


def _integer(digits: str) -> int:
    if digits == "-0" or len(digits) > _DIGITS + 1 or abs(number := int(digits)) > END:
        raise InputError("an integer that not every reader reads alike")
    return number


def _no(text: str) -> NoReturn:
    raise InputError(f"{text[:20]} is no integer")


_DECODER: Final = json.JSONDecoder(
    object_pairs_hook=_object, parse_int=_integer, parse_float=_no, parse_constant=_no
)
