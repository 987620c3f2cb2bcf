"""Grants, letters, cards, inventories and packages from strangers: read in one way, or refused."""

from __future__ import annotations

import io
import random
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import companies
import workspaces as w
from letterlock.errors import InputError, LetterlockError, VerificationError
from letterlock.handover import age, card, grant, logged, package
from letterlock.handover.card import Card
from letterlock.handover.grant import Letter
from letterlock.inbox import Inbox
from letterlock.lineage import inventory
from letterlock.store.keys import AGE

BLOCK = 512


@dataclass
class Sent:
    """What one delivery consists of, decrypted: a package, its letter, and the rest."""

    tar: bytes
    letter: bytes
    card: bytes
    inventory: bytes
    manifest: str
    identity: str


@pytest.fixture(scope="module")
def sent(tmp_path_factory: pytest.TempPathFactory) -> Sent:
    """Deliver and receive once."""
    both = companies.found(tmp_path_factory.mktemp("fuzz"), rows=12)
    both.register()
    both.approve(b"terms\n")
    gate = both.gate()
    made = gate.deliver(both.release, both.post)
    gate.close()
    inbox = Inbox(both.inbox, now=w.NOW)
    identity = age.identity_of(inbox.keys.secret(AGE, inbox.card().encryption))
    letter = grant.opened(made.letter.read_bytes(), identity)
    inbox.receive(made.package, made.letter, both.policy.read_bytes())
    tar = io.BytesIO()
    with made.package.open("rb") as file:
        age.decrypt(file, tar, letter.identity, "package")
    note = inbox.inventory(both.release)
    manifest = inventory.parse(note).manifest
    shown = (both.inbox / "card.json").read_bytes()
    return Sent(tar.getvalue(), letter.encode(), shown, note, manifest, letter.identity)


def unpacked(
    data: bytes, folder: Path, manifest: str, *, at_once: int = 1 << 16
) -> dict[str, bytes]:
    """Unpack a tar file into a folder; returns every file of it."""
    folder.mkdir()
    unpacker = package.Unpacker(folder, manifest)
    for n in range(0, len(data), at_once):
        unpacker.write(data[n : n + at_once])
    unpacker.finish()
    return {
        p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()
    }


def test_a_package_reads_back_however_it_is_cut(sent: Sent, tmp_path: Path):
    """In pieces of any size it gives the same files."""
    whole = unpacked(sent.tar, tmp_path / "whole", sent.manifest)
    assert {"evidence.json", "terms", "outgoing/manifest.json"} <= whole.keys()
    for size in (511, 4097):
        assert unpacked(sent.tar, tmp_path / str(size), sent.manifest, at_once=size) == whole


def test_each_header_of_a_package_is_as_it_is_written(sent: Sent, tmp_path: Path):
    """Any bit of any header, and of what pads a file, is noticed: mode, owner, time, type, name."""
    draw = random.Random(5)
    places = headers(sent.tar)
    for n, start in enumerate([*places[:4], places[-1]]):
        for place in draw.sample(range(BLOCK), 40):
            broken = bytearray(sent.tar)
            broken[start + place] ^= 1 << draw.randrange(8)
            with pytest.raises(VerificationError):
                unpacked(bytes(broken), tmp_path / f"{n}-{place}", sent.manifest)


def headers(tar: bytes) -> list[int]:
    """Return where the headers of a tar file are."""
    found, at = [], 0
    while tar[at : at + BLOCK].strip(b"\0"):
        found.append(at)
        size = int(tar[at + 124 : at + 135], 8)
        at += BLOCK + -(-size // BLOCK) * BLOCK
    return found


ODD: dict[str, Callable[[package.tarfile.TarInfo], None]] = {
    "link": lambda t: setattr(t, "type", package.tarfile.SYMTYPE),
    "hard link": lambda t: setattr(t, "type", package.tarfile.LNKTYPE),
    "device": lambda t: setattr(t, "type", package.tarfile.CHRTYPE),
    "folder": lambda t: setattr(t, "type", package.tarfile.DIRTYPE),
    "absolute": lambda t: setattr(t, "name", "/etc/passwd"),
    "above": lambda t: setattr(t, "name", "../evidence.json"),
    "inside": lambda t: setattr(t, "name", "outgoing/../../x"),
    "set-user-id": lambda t: setattr(t, "mode", 0o4755),
}


@pytest.mark.parametrize("odd", ODD)
@pytest.mark.parametrize("which", [0, 2, -1])
def test_no_member_of_a_package_is_odd(sent: Sent, tmp_path: Path, odd: str, which: int):
    """Wherever it stands, nothing is written outside of the folder, and nothing but files."""
    start = headers(sent.tar)[which]
    entry = package.tarfile.TarInfo.frombuf(sent.tar[start : start + BLOCK], "ascii", "strict")
    ODD[odd](entry)
    if odd in {"link", "hard link"}:
        entry.linkname = "/etc/passwd"
    block = entry.tobuf(package.tarfile.USTAR_FORMAT)
    with pytest.raises(VerificationError):
        unpacked(
            sent.tar[:start] + block + sent.tar[start + BLOCK :], tmp_path / "x", sent.manifest
        )
    assert [path.name for path in tmp_path.iterdir()] == ["x"]
    assert not any(path.is_symlink() for path in tmp_path.rglob("*"))


def test_another_manifest_than_was_granted_is_not_followed(sent: Sent, tmp_path: Path):
    """It is compared with the grant before anything that it lists is written."""
    with pytest.raises(VerificationError, match="not the one that was granted"):
        unpacked(sent.tar, tmp_path / "x", "ab" * 32)
    assert not (tmp_path / "x" / "outgoing" / "members.parquet").exists()


def test_what_comes_after_the_end_or_is_missing_is_refused(sent: Sent, tmp_path: Path):
    """A package ends where its manifest's last file does."""
    for n, data in enumerate(
        (sent.tar + b"\0", sent.tar[:-1], sent.tar[:-BLOCK], b"", sent.tar * 2)
    ):
        with pytest.raises(VerificationError):
            unpacked(data, tmp_path / str(n), sent.manifest)


def test_a_sidecar_lies_beside_the_release(sent: Sent, tmp_path: Path):
    """Files that are no part of the release come along, by a plain name, and only so many."""
    at = headers(sent.tar)[3]

    def with_files(*names: str) -> bytes:
        block = b"".join(package._header(n, 3) + b"{}\n" + bytes(509) for n in names)  # noqa: SLF001
        return sent.tar[:at] + block + sent.tar[at:]

    found = unpacked(with_files("sidecars/croissant.json"), tmp_path / "one", sent.manifest)
    assert found["sidecars/croissant.json"] == b"{}\n"
    bad = [("sidecars/a", "sidecars/a"), ("sidecars/../a",), ("sidecars/.a",), ("sidecars/a/b",)]
    many = tuple(f"sidecars/{n}" for n in range(package.MAX_SIDECARS + 1))
    for n, names in enumerate([*bad, many]):
        with pytest.raises(VerificationError):
            unpacked(with_files(*names), tmp_path / f"bad{n}", sent.manifest)


def test_a_header_of_age_is_bounded(sent: Sent):
    """A header of very many lines, of which the library's reader takes the square, is none."""
    long = b"age-encryption.org/v1\n" + b"-> X25519 a\n" * 100_000
    for data in (long, b"", b"age", b"\0" * 10_000):
        with pytest.raises(InputError, match="no age file"):
            age.decrypt(io.BytesIO(data), io.BytesIO(), sent.identity, "package")


PIECES = [b"{}", b'"', b",", b"-1", b"[[", b"\n"]
READERS: dict[str, Callable[[bytes], object]] = {
    "letter": grant.parse,
    "card": card.parse,
    "inventory": inventory.parse,
    "logged": lambda data: logged.parse(data, "grant"),
}


def content(sent: Sent, kind: str) -> bytes:
    """Return a good file of a kind."""
    if kind == "logged":
        return logged.encode(grant.parse(sent.letter).logged)
    found: bytes = getattr(sent, kind)
    return found


def written(found: object) -> bytes:
    """Write again what was read."""
    match found:
        case Letter() | Card():
            return found.encode()
        case inventory.Inventory():
            return found.text().encode()
        case _:
            return logged.encode(found)  # type: ignore[arg-type]


@pytest.mark.parametrize("kind", READERS)
def test_what_is_read_is_what_is_written(sent: Sent, kind: str):
    """Each format reads back; of each there is one way to write it."""
    data = content(sent, kind)
    again = written(READERS[kind](data))
    assert data.startswith(again) if kind == "inventory" else data == again


@pytest.mark.parametrize("kind", READERS)
@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_what_is_garbled_is_refused_or_says_so(sent: Sent, kind: str, data: st.DataObject):
    """Bytes changed, cut or put in: nothing but an error of ours, or the same in its own words."""
    good = content(sent, kind)
    at = data.draw(st.integers(0, len(good)))
    cut = data.draw(st.integers(0, 3))
    put = data.draw(
        st.binary(max_size=3) | st.sampled_from([b"{}", b'"', b",", b"-1", b"[[", b"\n"])
    )
    garbled = good[:at] + put + good[at + cut :]
    try:
        found = READERS[kind](garbled)
    except LetterlockError:
        return
    assert garbled.startswith(written(found))


@settings(max_examples=200)
@given(st.binary(max_size=200), st.sampled_from(sorted(READERS)))
def test_noise_is_refused(data: bytes, kind: str):
    """Bytes from nowhere are none of these."""
    with pytest.raises(LetterlockError):
        READERS[kind](data)


def test_an_age_key_is_written_as_the_tool_does(sent: Sent):
    """Thirty-two bytes become the text that pyrage reads, whose public half is the same."""
    for n in range(50):
        secret = random.Random(n).randbytes(32)
        text = age.identity_of(secret)
        assert text.startswith("AGE-SECRET-KEY-1")
        assert age.public_of(text).startswith("age1")
        age.check_key(age.public_of(text))
    broken = age.identity_of(bytes(32))[:-1] + "Q"
    with pytest.raises(InputError):
        age.public_of(broken)
    for key in ("", "age1", age.public_of(sent.identity).upper(), "age1" + "q" * 58):
        with pytest.raises(InputError):
            age.check_key(key)
