"""Tokens, kept: what the random function says of each account, in one private file per key.

A token costs as much as a signature and never changes, so it is computed once. The file is a cache
and nothing more: what is absent, torn or of another account is computed again. It is as secret as
the key. Spec: docs/spec/memberset.md §6.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import AbstractContextManager, contextmanager
from hashlib import sha256
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

from letterlock.errors import WorkspaceError
from letterlock.record import memberset
from letterlock.record.vrf import TOKEN_SIZE, SecretKey
from letterlock.store.keys import write_secret

SUFFIX: Final = ".tokens"
"""Of the file, which stands beside that of the key."""
LABEL: Final = b"letterlock/tokens/v1\0"
HEADER_SIZE: Final = 64
"""The label, zeros, and in the last 32 bytes which key and log the tokens are of."""
CHECK_SIZE: Final = 8
ROW_SIZE: Final = TOKEN_SIZE + CHECK_SIZE
"""A token, and the beginning of the hash of token and account; zeros: absent."""
BATCH: Final = 256
"""Tokens computed by a thread at a time, and lost if a build is killed."""

Progress = Callable[[str, int, int], None]


class Tokens:
    """The tokens of one key, by subject number."""

    def __init__(self, path: Path, key: SecretKey, origin: str) -> None:
        """Use the file at `path`, made if it is absent.

        Raises WorkspaceError if it cannot be read, or is not of this key.
        """
        self._path, self._key, self._origin = path, key, origin
        whose = sha256(LABEL + key.public + origin.encode()).digest()
        header = LABEL.ljust(HEADER_SIZE - len(whose), b"\0") + whose
        if not path.exists():
            write_secret(path, header)
        with self._open(os.O_RDONLY) as file:
            if os.pread(file, HEADER_SIZE, 0) != header:
                raise WorkspaceError(
                    f"{path} holds the tokens of another key: remove it, it is made anew"
                )

    def of(
        self,
        numbers: npt.NDArray[np.int64],
        accounts: Sequence[str],
        *,
        threads: int,
        progress: Progress,
    ) -> bytes:
        """Return the tokens of subject `numbers`, end to end; `accounts` are their ids: (numbers,).

        What is missing is computed by `threads` threads at a time (libsodium lets go of the
        interpreter) and kept, whatever comes between. Raises WorkspaceError, InputError.
        """
        with self._open(os.O_RDWR) as file:
            found = _rows(file, numbers)
            missing = [n for n, account in enumerate(accounts) if not _holds(found[n], account)]
            done = 0
            for places, rows in self._computed(missing, accounts, threads):
                for n, row in zip(places, rows, strict=True):
                    os.pwrite(file, row, HEADER_SIZE + ROW_SIZE * int(numbers[n]))
                    found[n] = row
                done += len(places)
                progress("naming", done, len(missing))
            if missing:
                os.fsync(file)
        return b"".join([row[:TOKEN_SIZE] for row in found])

    def forget(self, number: int) -> None:
        """Remove a subject's token, durably. Raises WorkspaceError.

        Who has the key can compute it again; of a key that is destroyed the file goes too.
        """
        forget(self._path, number)

    def _computed(
        self, missing: Sequence[int], accounts: Sequence[str], threads: int
    ) -> Iterator[tuple[Sequence[int], list[bytes]]]:
        """Yield places in `accounts` and their rows, in any order."""
        batches = [missing[n : n + BATCH] for n in range(0, len(missing), BATCH)]
        with ThreadPoolExecutor(threads) as pool:
            try:
                jobs = {
                    pool.submit(self._batch, [accounts[n] for n in batch]): batch
                    for batch in batches
                }
                for job in as_completed(jobs):
                    yield jobs[job], job.result()
            finally:
                pool.shutdown(cancel_futures=True)

    def _batch(self, accounts: Sequence[str]) -> list[bytes]:
        return [
            _row(self._key.token(memberset.alpha(self._origin, account)), account)
            for account in accounts
        ]

    def _open(self, how: int) -> AbstractContextManager[int]:
        return _open(self._path, how)


def forget(path: Path, number: int) -> None:
    """Remove a subject's token from a file, durably; no key is needed. Raises WorkspaceError."""
    with _open(path, os.O_RDWR) as file:
        place = HEADER_SIZE + ROW_SIZE * number
        if place < os.fstat(file).st_size:
            os.pwrite(file, bytes(ROW_SIZE), place)
            os.fsync(file)


@contextmanager
def _open(path: Path, how: int) -> Iterator[int]:
    try:
        file = os.open(path, how)
        try:
            yield file
        finally:
            os.close(file)
    except OSError as error:
        raise WorkspaceError(f"the tokens in {path}: {error.strerror}") from error


def _rows(file: int, numbers: npt.NDArray[np.int64]) -> list[bytes]:
    """Return the rows of `numbers`; of what lies behind the end, zeros."""
    there = max(0, os.fstat(file).st_size - HEADER_SIZE) // ROW_SIZE
    found = np.zeros((len(numbers), ROW_SIZE), np.uint8)
    if there:
        inside = numbers < there
        with open(file, "rb", closefd=False) as stream:
            table = np.memmap(stream, np.uint8, "r", HEADER_SIZE, (there, ROW_SIZE))
            found[inside] = table[numbers[inside]]
    data = found.tobytes()
    return [data[n : n + ROW_SIZE] for n in range(0, len(data), ROW_SIZE)]


def _row(token: bytes, account: str) -> bytes:
    return token + sha256(token + account.encode()).digest()[:CHECK_SIZE]


def _holds(row: bytes, account: str) -> bool:
    """Say whether a row is this account's: a row of zeros, torn or of a lost ledger is nobody's."""
    return row == _row(row[:TOKEN_SIZE], account)
