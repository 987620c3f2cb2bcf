"""The file of tokens: computed once, kept whatever happens, and never another account's."""

from __future__ import annotations

import os
import random
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from letterlock.errors import WorkspaceError
from letterlock.record import memberset
from letterlock.record.vrf import SecretKey
from letterlock.store import tokens as module
from letterlock.store.tokens import HEADER_SIZE, ROW_SIZE, Tokens

ORIGIN = "log.example/w"
KEY = SecretKey(bytes(range(32)))
ACCOUNTS = [f"acct-{n}" for n in range(40)]


def token(account: str, origin: str = ORIGIN, key: SecretKey = KEY) -> bytes:
    """Return an account's token, computed anew."""
    return key.token(memberset.alpha(origin, account))


def asked(
    tokens: Tokens, numbers: list[int], accounts: list[str] = ACCOUNTS, progress: Any = None
) -> list[bytes]:
    """Ask for tokens, and return them one by one; `accounts` are all there are."""
    found = tokens.of(
        np.array(numbers, np.int64),
        [accounts[n] for n in numbers],
        threads=2,
        progress=progress or (lambda *_: None),
    )
    return [found[n : n + 32] for n in range(0, len(found), 32)]


def computed(tokens: Tokens, numbers: list[int], accounts: list[str] = ACCOUNTS) -> int:
    """Ask for tokens, and return how many of them had to be computed."""
    told = []
    asked(tokens, numbers, accounts, lambda what, done, total: told.append((what, done, total)))
    if told:
        assert {what for what, _, _ in told} == {"naming"}
        assert told[-1][1] == told[-1][2]
    return told[-1][2] if told else 0


@pytest.fixture
def path(tmp_path) -> Path:
    """Give where the tokens of these tests are kept."""
    return tmp_path / "vrf-1.tokens"


@pytest.fixture
def tokens(path) -> Tokens:
    """Give an empty file of tokens."""
    return Tokens(path, KEY, ORIGIN)


def test_tokens_are_those_of_the_random_function(tokens):
    """Each number's token is its account's, in the order of asking, also if asked for twice."""
    for numbers in ([], [3], [0, 1, 2], [39, 5, 3, 5], list(range(40))):
        assert asked(tokens, numbers) == [token(ACCOUNTS[n]) for n in numbers]


def test_what_was_computed_is_kept(tokens, path):
    """Only what is missing is computed, also by whoever opens the file later."""
    assert [computed(tokens, ns) for ns in ([7, 8], [8, 9], [7, 8, 9], [30], [])] == [2, 1, 0, 1, 0]
    again = Tokens(path, KEY, ORIGIN)
    assert computed(again, [7, 8, 9, 30]) == 0
    assert asked(again, list(range(40))) == [token(account) for account in ACCOUNTS]
    assert computed(tokens, list(range(40))) == 0


def test_the_file_is_for_its_owner_only(tokens, path):
    """Like the key's: mode 600, and as large as it has to be."""
    asked(tokens, [39])
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.stat().st_size == HEADER_SIZE + 40 * ROW_SIZE
    assert [p.name for p in path.parent.iterdir()] == [path.name]


@pytest.mark.parametrize("key", [KEY, SecretKey(bytes(32))])
def test_a_file_of_another_key_or_log_is_never_used(key, tokens, path):
    """The header says whose tokens they are; of anything else nothing is read and none written."""
    asked(tokens, [1, 2])
    before = path.read_bytes()
    with pytest.raises(WorkspaceError, match="another key"):
        Tokens(path, key, "log.example/other")
    if key is not KEY:
        with pytest.raises(WorkspaceError, match="another key"):
            Tokens(path, key, ORIGIN)
    assert path.read_bytes() == before


@pytest.mark.parametrize("size", [0, 1, HEADER_SIZE - 1])
def test_a_file_without_its_header_is_not_used(size, tokens, path):
    """A header cut short is no header."""
    asked(tokens, [1])
    os.truncate(path, size)
    with pytest.raises(WorkspaceError, match="another key"):
        Tokens(path, KEY, ORIGIN)


def test_a_number_that_became_another_accounts_is_computed_anew(tokens):
    """After a ledger was restored a number may be somebody else's: their token is theirs."""
    asked(tokens, [0, 1, 2])
    accounts = ["somebody", "else", ACCOUNTS[2]]
    assert computed(tokens, [0, 1, 2], accounts) == 2
    assert asked(tokens, [0, 1, 2], accounts) == [token(account) for account in accounts]


def test_no_torn_or_damaged_row_passes_for_a_token(tokens, path):
    """Whatever bytes of a row are lost or changed, the token is computed again, and is right."""
    everyone = list(range(40))
    asked(tokens, everyone)
    rng = random.Random(1)
    good = path.read_bytes()
    for n in range(ROW_SIZE):
        data = bytearray(good)
        first = HEADER_SIZE + 5 * ROW_SIZE
        if n:  # the row was written up to here, or from here on
            data[first + n : first + ROW_SIZE] = bytes(ROW_SIZE - n)
            data[first + ROW_SIZE : first + ROW_SIZE + n] = bytes(n)
        data[first + 9 * ROW_SIZE + n] ^= 1 << rng.randrange(8)
        path.write_bytes(data)
        assert computed(tokens, everyone) == (3 if n else 1)
        assert path.read_bytes() == good


def test_a_file_cut_short_is_made_whole(tokens, path):
    """What was behind the cut, and the row it went through, are computed again."""
    everyone = list(range(40))
    asked(tokens, everyone)
    good = path.read_bytes()
    for size in (HEADER_SIZE, HEADER_SIZE + 1, HEADER_SIZE + 7 * ROW_SIZE + 39, len(good) - 1):
        os.truncate(path, size)
        assert asked(tokens, everyone) == [token(account) for account in ACCOUNTS]
        assert path.read_bytes() == good


def test_a_forgotten_token_is_gone_from_the_file(tokens, path):
    """Of a subject that is forgotten nothing is left there, and nobody else's token is touched."""
    everyone = list(range(40))
    asked(tokens, everyone)
    tokens.forget(5)
    assert token(ACCOUNTS[5]) not in path.read_bytes()
    assert all(token(a) in path.read_bytes() for n, a in enumerate(ACCOUNTS) if n != 5)
    tokens.forget(5)
    size = path.stat().st_size
    tokens.forget(10**9)
    assert path.stat().st_size == size
    assert computed(tokens, everyone) == 1


def test_an_interrupt_loses_little(tokens, monkeypatch):
    """What was computed before an interrupt is there the next time."""
    monkeypatch.setattr(module, "BATCH", 4)

    def stop(_what: str, done: int, _total: int) -> None:
        if done >= 12:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        asked(tokens, list(range(40)), progress=stop)
    assert computed(tokens, list(range(40))) == 28
    assert computed(tokens, list(range(40))) == 0


def test_several_at_once_have_the_same_tokens(path):
    """Two processes or threads may fill one file: they write the same bytes."""

    def work(n: int) -> list[bytes]:
        return asked(Tokens(path, KEY, ORIGIN), list(range(n, 40)))

    Tokens(path, KEY, ORIGIN)
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(work, (0, 0, 7, 20)))
    expected = [token(account) for account in ACCOUNTS]
    assert found == [expected, expected, expected[7:], expected[20:]]
    assert computed(Tokens(path, KEY, ORIGIN), list(range(40))) == 0


def test_what_cannot_be_read_is_said(tokens, path):
    """A file that went away, or that is a folder, is reported as such."""
    path.unlink()
    with pytest.raises(WorkspaceError, match="No such file"):
        asked(tokens, [1])
    with pytest.raises(WorkspaceError, match="No such file"):
        tokens.forget(1)
    path.mkdir()
    with pytest.raises(WorkspaceError, match="Is a directory"):
        Tokens(path, KEY, ORIGIN)
