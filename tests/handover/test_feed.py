"""A drop list and its head read back as they were written, and in no other way."""

import json
import random

import pytest

from letterlock.domain import canonical, sha256
from letterlock.errors import InputError, LetterlockError, SignatureError
from letterlock.handover import feed
from letterlock.handover.feed import DropList, Head
from letterlock.record.note import Kind, SecretSigner
from letterlock.record.quorum import LogKey, Policy

ORIGIN, RELEASE = "log.example", "0123456789abcdef"
LOG = SecretSigner(ORIGIN, Kind.ED25519, bytes([7]) * 32)
OTHER = SecretSigner("other.example", Kind.ED25519, bytes([8]) * 32)
POLICY = Policy((LogKey(LOG.verifier), LogKey(OTHER.verifier)))
NAMES = [bytes([n]) * 32 for n in (3, 5, 250)]
LIST = DropList(ORIGIN, RELEASE, 2, b"".join(NAMES))
NOW = 1_700_000_000
TOLD = Head(ORIGIN, RELEASE, 2, LIST.digest, NOW, 99)


def test_a_list_is_canonical_json():
    """Its hash is that of the file, which a stranger writes the same."""
    said = {
        "format": "letterlock/drops/v1", "origin": ORIGIN, "release": RELEASE, "number": 2,
        "pseudonyms": [name.hex() for name in NAMES],
    }  # fmt: skip
    assert LIST.encode() == canonical(said)
    assert LIST.digest == sha256(canonical(said))
    assert feed.parse_list(LIST.encode()) == LIST
    assert LIST.count == 3


@pytest.mark.parametrize(
    "change",
    [
        {"format": "letterlock/drops/v2"}, {"number": 0}, {"number": "2"}, {"release": "x"},
        {"pseudonyms": []}, {"pseudonyms": ["ab"]}, {"pseudonyms": [1]}, {"more": 1},
        {"pseudonyms": [name.hex() for name in reversed(NAMES)]},
        {"pseudonyms": [NAMES[0].hex()] * 2}, {"pseudonyms": [NAMES[2].hex().upper()]},
    ],
)  # fmt: skip
def test_what_is_no_list_is_refused(change):
    """Names ascend, each once, so that equal lists are equal files."""
    with pytest.raises(InputError):
        feed.parse_list(canonical(json.loads(LIST.encode()) | change))


def test_a_list_is_written_in_one_way():
    """Another spelling of the same list has another hash, so it is none."""
    with pytest.raises(InputError):
        feed.parse_list(LIST.encode() + b"\n")
    with pytest.raises(InputError):
        feed.parse_list(json.dumps(json.loads(LIST.encode())).encode())


def test_a_head_is_signed_by_the_log():
    """What the log signed reads back; what another log of the same policy signed does not."""
    assert feed.check_head(feed.sign_head(TOLD, [LOG]), POLICY) == TOLD
    empty = Head(ORIGIN, RELEASE, 0, "", NOW, 99, recalled=True)
    assert feed.check_head(feed.sign_head(empty, [LOG]), POLICY) == empty
    with pytest.raises(SignatureError, match="no key of the log"):
        feed.check_head(feed.sign_head(TOLD, [OTHER]), POLICY)
    stranger = SecretSigner(ORIGIN, Kind.ED25519, bytes([9]) * 32)
    with pytest.raises(SignatureError):
        feed.check_head(feed.sign_head(TOLD, [stranger]), POLICY)


def test_a_head_has_a_number_and_a_hash_or_neither():
    """A list without its hash could be any list."""
    for head in (Head(ORIGIN, RELEASE, 1, "", NOW, 9), Head(ORIGIN, RELEASE, 0, "a" * 64, NOW, 9)):
        with pytest.raises(InputError):
            feed.sign_head(head, [LOG])


def test_a_head_is_fresh_for_a_day():
    """Its own second counts, so does a clock a little ahead; a head of tomorrow does not."""
    fresh = {0: True, 86_400: True, 86_401: False, -300: True, -301: False}
    assert {late: TOLD.fresh(NOW + late) for late in fresh} == fresh


def test_any_damage_ends_in_one_of_our_errors():
    """Bytes changed, cut off and put in: never another exception, and never another head."""
    rng = random.Random(2)
    for data, read in (
        (feed.sign_head(TOLD, [LOG]), lambda d: feed.check_head(d, POLICY)),
        (LIST.encode(), feed.parse_list),
    ):
        expected = read(data)
        for _ in range(600):
            damaged = bytearray(data)
            for _ in range(rng.randint(1, 3)):
                place = rng.randrange(len(damaged))
                match rng.randrange(3):
                    case 0:
                        damaged[place] = rng.randrange(256)
                    case 1:
                        del damaged[place : place + rng.randint(1, 40)]
                    case _:
                        damaged[place:place] = rng.randbytes(rng.randint(1, 4))
            try:
                found = read(bytes(damaged))
            except LetterlockError:
                continue
            # A list is bound by its hash; a head by its signature.
            assert found == expected or isinstance(found, DropList)
            assert not isinstance(found, DropList) or found.encode() == bytes(damaged)
