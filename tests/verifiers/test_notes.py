"""The verifiers accept the same notes, policies and proofs as we do.

Each case is a receipt's proof under a policy, changed in one place. Ours is asked, too: nobody may
accept what another refuses, but for ML-DSA-44 (type 06), which the one in Go does not know; what it
has to answer there stands in the case.
"""

import base64
import hashlib
import json
import struct
from dataclasses import dataclass, replace

import pytest

from letterlock.domain import canonical
from letterlock.errors import LetterlockError
from letterlock.record import checkpoint, merkle, prooffile, quorum
from letterlock.record.checkpoint import Checkpoint
from letterlock.record.note import Kind, SecretSigner, SignatureLine

ORIGIN = "log.example/1"
LOG = SecretSigner(ORIGIN, Kind.ED25519, bytes(range(32)))
LOG_ML = SecretSigner(ORIGIN, Kind.MLDSA44, bytes(range(32, 64)))
W1 = SecretSigner("w1.example", Kind.COSIGNATURE, bytes(range(64, 96)))
W2 = SecretSigner("w2.example/ü", Kind.COSIGNATURE, bytes(range(96, 128)))
W3 = SecretSigner("w3.example", Kind.MLDSA44, bytes(range(128, 160)))
STRANGER = SecretSigner("stranger.example", Kind.COSIGNATURE, bytes(range(160, 192)))
TIME = 1_700_000_000
SIZE, INDEX = 7, 4

SALT = bytes(range(32))
EVENT = canonical(
    {
        "body": {"subject": "ä-1", "act": "grant", "lines": [], "evidence": {}},
        "index": INDEX,
        "kind": "choice.made",
        "time": 1,
        "v": 1,
    }
)
COMMITMENT = hashlib.sha256(b"letterlock/commitment/v1\0" + SALT + EVENT).hexdigest()
ENTRY = b'{"commitment":"' + COMMITMENT.encode() + b'"}'
TREE = merkle.Tree(
    [merkle.leaf_hash(ENTRY if n == INDEX else b"entry %d" % n) for n in range(SIZE)]
)


def policy_of(*lines: str) -> bytes:
    """Return a policy file."""
    return "".join(f"{line}\n" for line in lines).encode()


LOGS = f"log {LOG.verifier.vkey}", f"log {LOG_ML.verifier.vkey} https://log.example/1/"
WITNESSES = (
    f"witness one {W1.verifier.vkey} https://w1.example",
    f"witness two {W2.verifier.vkey}",
    f"witness three {W3.verifier.vkey}",
)
POINT = Checkpoint(ORIGIN, SIZE, TREE.root)


def signed(point: Checkpoint = POINT, logs=(LOG, LOG_ML), witnesses=(W1, W2, W3)) -> bytes:
    """Return a checkpoint with signatures of logs and witnesses."""
    note = checkpoint.sign(point, logs, TIME)
    lines = [checkpoint.cosign(note, each, TIME + n) for n, each in enumerate(witnesses)]
    return note.signed_by(lines).encode()


def by_hand(text: str, *lines: tuple[str, bytes]) -> bytes:
    """Return a note of any text and lines, without a check."""
    made = [f"— {name} {base64.b64encode(blob).decode()}\n" for name, blob in lines]
    return (text + "\n" + "".join(made)).encode()


def plain(text: str, signer: SecretSigner = LOG, name: str = "") -> tuple[str, bytes]:
    """Return a line of type 01 over any text."""
    return name or signer.verifier.name, signer.verifier.key_id + signer.sign(text.encode())


def cosigned(text: str, signer: SecretSigner, seconds: int) -> tuple[str, bytes]:
    """Return a line of type 04 over any text and time."""
    time = struct.pack(">Q", seconds)
    message = f"cosignature/v1\ntime {seconds}\n{text}".encode()
    return signer.verifier.name, signer.verifier.key_id + time + signer.sign(message)


def with_last_bit_flipped(line: tuple[str, bytes]) -> tuple[str, bytes]:
    """Return a line whose signature is false, and its form as good as before."""
    name, blob = line
    return name, blob[:-1] + bytes([blob[-1] ^ 1])


@dataclass(frozen=True)
class Case:
    """A proof's note under a policy; `go` is what the one in Go says if it is not what we say."""

    policy: bytes = policy_of(*LOGS, *WITNESSES, "group all all one two three", "quorum none")
    note: bytes = b""
    path: tuple[bytes, ...] = tuple(TREE.inclusion(INDEX))
    index: str = str(INDEX)
    head: str = "c2sp.org/tlog-proof@v1\n"
    go: str = ""

    @property
    def proof(self) -> str:
        """The text of the proof file."""
        path = "".join(f"{base64.b64encode(each).decode()}\n" for each in self.path)
        return f"{self.head}index {self.index}\n{path}\n" + self.note.decode(errors="replace")

    def ours(self) -> str:
        """Say yes or no, by our own code."""
        try:
            policy = quorum.parse(self.policy)
            found = prooffile.parse(self.proof.encode())
            found.check(merkle.leaf_hash(ENTRY), policy)
        except LetterlockError:
            return "no"
        return "yes" if found.index == INDEX else "no"

    def evidence(self) -> dict[str, object]:
        """Return the receipt whose proof this is."""
        place = {"ll:origin": ORIGIN, "ll:index": INDEX, "ll:commitment": COMMITMENT}
        return {
            "format": "letterlock/evidence/v1",
            "kind": "receipt",
            "receipt": {"dpv:hasDataSubject": {"dct:identifier": "ä-1"}, "ll:log": place},
            "event": EVENT.decode(),
            "salt": SALT.hex(),
            "signed": None,
            "proof": self.proof,
        }


GOOD = Case(note=signed())
TEXT = POINT.text()
ONLY_LOG = by_hand(TEXT, plain(TEXT))


def with_policy(*lines: str, go: str = "") -> Case:
    """Return the good note under another policy."""
    return replace(GOOD, policy=policy_of(*lines), go=go)


def with_text(text: str) -> Case:
    """Return another text, truly signed by the log and a witness."""
    return replace(GOOD, note=by_hand(text, plain(text), cosigned(text, W1, TIME)))


def quorum_of(*lines: str, go: str = "", note: bytes = GOOD.note) -> Case:
    """Return the good note, or another, under a policy whose quorum is asked for."""
    return replace(GOOD, policy=policy_of(*LOGS, *WITNESSES, *lines), go=go, note=note)


def key_of(public: bytes, name: str = ORIGIN, kind: int = 1) -> str:
    """Return the vkey of any bytes."""
    data = bytes([kind]) + public
    key_id = hashlib.sha256(name.encode() + b"\n" + data).hexdigest()[:8]
    return f"{name}+{key_id}+{base64.b64encode(data).decode()}"


def notes() -> dict[str, Case]:
    """Return notes under the one policy that asks for no witness."""
    one, two = SignatureLine(*line_of(W1, TIME)), SignatureLine(*line_of(W1, TIME + 5))
    flipped = with_last_bit_flipped(plain(TEXT))
    witness = with_last_bit_flipped(cosigned(TEXT, W1, TIME))
    *_, ml_line = signed(logs=[LOG], witnesses=[W3]).decode().splitlines()
    _, name, blob = ml_line.split(" ")
    ml_witness = with_last_bit_flipped((name, base64.b64decode(blob)))
    late = cosigned(TEXT, W1, 2**63 - 1)
    too_late = cosigned(TEXT, W1, 2**63)
    dirty = base64.b64encode(plain(TEXT)[1]).decode()
    return {
        "good": GOOD,
        "only the log's line": replace(GOOD, note=ONLY_LOG),
        "only the log's ML-DSA-44 line": replace(GOOD, note=signed(logs=[LOG_ML]), go="no"),
        "no log": replace(GOOD, note=by_hand(TEXT, cosigned(TEXT, W1, TIME))),
        "nobody known": replace(GOOD, note=by_hand(TEXT, cosigned(TEXT, STRANGER, TIME))),
        "a stranger beside": replace(
            GOOD, note=by_hand(TEXT, plain(TEXT), cosigned(TEXT, STRANGER, TIME))
        ),
        "a stranger's false line": replace(
            GOOD, note=by_hand(TEXT, plain(TEXT), (STRANGER.verifier.name, bytes(76)))
        ),
        "a known name with another key id": replace(
            GOOD, note=by_hand(TEXT, plain(TEXT), (W1.verifier.name, bytes(76)))
        ),
        "the log's line false": replace(GOOD, note=by_hand(TEXT, flipped)),
        "a true and a false line of one key": replace(
            GOOD, note=by_hand(TEXT, plain(TEXT), flipped)
        ),
        "a false and a true line of one key": replace(
            GOOD, note=by_hand(TEXT, flipped, plain(TEXT))
        ),
        "two true lines of one key": replace(GOOD, note=by_hand(TEXT, plain(TEXT), plain(TEXT))),
        "two times of one witness": replace(
            GOOD, note=by_hand(TEXT, plain(TEXT)) + one.encode() + two.encode()
        ),
        "a witness's line false": replace(GOOD, note=by_hand(TEXT, plain(TEXT), witness)),
        "a witness's ML-DSA-44 line false": replace(
            GOOD, note=by_hand(TEXT, plain(TEXT), ml_witness), go="yes"
        ),
        "a witness's time changed": replace(
            GOOD, note=by_hand(TEXT, plain(TEXT), moved(cosigned(TEXT, W1, TIME)))
        ),
        "a witness's line without time": replace(
            GOOD, note=by_hand(TEXT, plain(TEXT), (W1.verifier.name, W1.verifier.key_id + b"1234"))
        ),
        "the last time": replace(GOOD, note=by_hand(TEXT, plain(TEXT), late)),
        "a time after the last": replace(GOOD, note=by_hand(TEXT, plain(TEXT), too_late)),
        "a witness's key signs plainly": replace(
            GOOD,
            note=by_hand(
                TEXT,
                plain(TEXT),
                (W1.verifier.name, W1.verifier.key_id + W1.sign(TEXT.encode())),
            ),
        ),
        "signature without padding": replace(
            GOOD, note=f"{TEXT}\n— {ORIGIN} {dirty.rstrip('=')}\n".encode()
        ),
        "signature in another alphabet": replace(
            GOOD, note=f"{TEXT}\n— {ORIGIN} {dirty.replace('/', '_')}\n".encode()
        ),
        "signature with a stray bit": replace(
            GOOD, note=f"{TEXT}\n— {ORIGIN} {stray(dirty)}\n".encode()
        ),
        "a space after a signature": replace(GOOD, note=ONLY_LOG[:-1] + b" \n"),
        "two spaces": replace(GOOD, note=f"{TEXT}\n— {ORIGIN}  {dirty}\n".encode()),
        "a hyphen for the dash": replace(GOOD, note=f"{TEXT}\n- {ORIGIN} {dirty}\n".encode()),
        "no last newline": replace(GOOD, note=ONLY_LOG[:-1]),
        "carriage returns": replace(GOOD, note=ONLY_LOG.replace(b"\n", b"\r\n")),
        "a text after the signatures": replace(GOOD, note=ONLY_LOG + b"more\n"),
        "an empty line after the signatures": replace(GOOD, note=ONLY_LOG + b"\n"),
        "no signature": replace(GOOD, note=f"{TEXT}\n".encode()),
        "no empty line": replace(GOOD, note=TEXT.encode()),
        "another's key id and name": replace(
            GOOD, note=by_hand(TEXT, (W1.verifier.name, LOG.verifier.key_id + bytes(64)))
        ),
        "a name with a space of Unicode": replace(
            GOOD, note=by_hand(TEXT, plain(TEXT), ("a\u0085b", bytes(76)))
        ),
        "a name with another space of Unicode": replace(
            GOOD, note=by_hand(TEXT, plain(TEXT), ("a\u3000b", bytes(76)))
        ),
        "a name with what looks like a space": replace(
            GOOD, note=by_hand(TEXT, plain(TEXT), ("a\ufeffb", bytes(76)))
        ),
        "a name with a plus": replace(GOOD, note=by_hand(TEXT, plain(TEXT), ("a+b", bytes(76)))),
        "an empty name": replace(GOOD, note=by_hand(TEXT, plain(TEXT), ("", bytes(76)))),
        "a name of 255 bytes": replace(
            GOOD, note=by_hand(TEXT, plain(TEXT), ("n" * 255, bytes(76)))
        ),
        "a name of 256 bytes": replace(
            GOOD, note=by_hand(TEXT, plain(TEXT), ("n" * 256, bytes(76)))
        ),
        "a line with a key id alone": replace(
            GOOD, note=by_hand(TEXT, plain(TEXT), ("n", bytes(4)))
        ),
        "100 lines": replace(GOOD, note=by_hand(TEXT, plain(TEXT), *strangers(99))),
        "101 lines": replace(GOOD, note=by_hand(TEXT, plain(TEXT), *strangers(100))),
        "signed as a cosignature": replace(
            GOOD, note=by_hand(TEXT, plain(f"cosignature/v1\ntime {TIME}\n{TEXT}"))
        ),
    }


def line_of(signer: SecretSigner, seconds: int) -> tuple[str, bytes, bytes]:
    """Return what a cosignature's line holds."""
    name, blob = cosigned(TEXT, signer, seconds)
    return name, blob[:4], blob[4:]


def moved(line: tuple[str, bytes]) -> tuple[str, bytes]:
    """Return a cosignature that says a second later than it signed."""
    name, blob = line
    return name, blob[:11] + bytes([blob[11] ^ 1]) + blob[12:]


def stray(text: str) -> str:
    """Return base64 of the same bytes, spelled another way: unused bits are set."""
    letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
    body = text.rstrip("=")
    return body[:-1] + letters[letters.index(body[-1]) + 1] + "=" * (len(text) - len(body))


def strangers(count: int) -> list[tuple[str, bytes]]:
    """Return lines that nobody knows."""
    return [(f"s{n}", bytes(76)) for n in range(count)]


def texts() -> dict[str, Case]:
    """Return texts of checkpoints, each truly signed."""
    root = base64.b64encode(TREE.root).decode()
    return {
        "an extension line": with_text(TEXT + "more\n"),
        "a second extension line": with_text(TEXT + "more\nand more\n"),
        "an empty extension line": with_text(TEXT + "\n"),
        "two lines": with_text(f"{ORIGIN}\n{SIZE}\n"),
        "another origin": with_text(f"other.example\n{SIZE}\n{root}\n"),
        "no origin": with_text(f"\n{SIZE}\n{root}\n"),
        "a size with a zero in front": with_text(f"{ORIGIN}\n0{SIZE}\n{root}\n"),
        "a size with a sign": with_text(f"{ORIGIN}\n+{SIZE}\n{root}\n"),
        "a size with a space": with_text(f"{ORIGIN}\n {SIZE}\n{root}\n"),
        "a size in other digits": with_text(f"{ORIGIN}\n\u0667\n{root}\n"),
        "a size that is negative": with_text(f"{ORIGIN}\n-{SIZE}\n{root}\n"),
        "the next size": with_text(f"{ORIGIN}\n{SIZE + 1}\n{root}\n"),
        "a smaller size": with_text(f"{ORIGIN}\n{INDEX}\n{root}\n"),
        "the size 0": with_text(f"{ORIGIN}\n0\n{root}\n"),
        "a size that Go's library counts to": with_text(f"{ORIGIN}\n{2**62}\n{root}\n"),
        "the largest size": with_text(f"{ORIGIN}\n{2**63 - 1}\n{root}\n"),
        "a size beyond": with_text(f"{ORIGIN}\n{2**63}\n{root}\n"),
        "a root cut short": with_text(
            f"{ORIGIN}\n{SIZE}\n{base64.b64encode(TREE.root[:31]).decode()}\n"
        ),
        "a root without padding": with_text(f"{ORIGIN}\n{SIZE}\n{root.rstrip('=')}\n"),
        "a root with a stray bit": with_text(f"{ORIGIN}\n{SIZE}\n{stray(root)}\n"),
        "a root of something else": with_text(
            f"{ORIGIN}\n{SIZE}\n{base64.b64encode(bytes(32)).decode()}\n"
        ),
        "extension lines and the log's ML-DSA-44 line alone": replace(
            GOOD,
            note=by_hand(
                TEXT + "more\n",
                cosigned(TEXT + "more\n", W1, TIME),
                (ORIGIN, ml_line(checkpoint.sign(POINT, [LOG_ML], TIME).signatures[0])),
            ),
        ),
        "extension lines and both of the log's lines": replace(
            GOOD,
            note=by_hand(
                TEXT + "more\n",
                plain(TEXT + "more\n"),
                (ORIGIN, ml_line(checkpoint.sign(POINT, [LOG_ML], TIME).signatures[0])),
            ),
        ),
        "an ML-DSA-44 line over another size": replace(
            GOOD,
            note=by_hand(
                TEXT,
                plain(TEXT),
                (
                    ORIGIN,
                    ml_line(checkpoint.sign(replace(POINT, size=8), [LOG_ML], 1).signatures[0]),
                ),
            ),
            go="yes",
        ),
    }


def ml_line(line: SignatureLine) -> bytes:
    """Return a line's key id and signature."""
    return line.key_id + line.blob


def proofs() -> dict[str, Case]:
    """Return proof files about one note."""
    path = GOOD.path
    return {
        "extra data": replace(GOOD, head=GOOD.head + "extra aGVsbG8=\n"),
        "extra data that are none": replace(GOOD, head=GOOD.head + "extra aGVsbG8\n"),
        "extra data twice": replace(GOOD, head=GOOD.head + "extra aGk=\nextra aGk=\n"),
        "another version": replace(GOOD, head="c2sp.org/tlog-proof@v2\n"),
        "no version": replace(GOOD, head=""),
        "another index": replace(GOOD, index=str(INDEX + 1)),
        "an index with a zero in front": replace(GOOD, index=f"0{INDEX}"),
        "an index beyond": replace(GOOD, index=str(2**63)),
        "an index out of the log": replace(GOOD, index=str(SIZE)),
        "no path": replace(GOOD, path=()),
        "a hash fewer": replace(GOOD, path=path[:-1]),
        "a hash more": replace(GOOD, path=(*path, bytes(32))),
        "64 hashes": replace(GOOD, path=(bytes(32),) * 64),
        "hashes exchanged": replace(GOOD, path=(path[1], path[0], *path[2:])),
        "a hash cut short": replace(GOOD, path=(path[0][:31], *path[1:])),
        **{
            f"hash {n} changed": replace(
                GOOD, path=(*path[:n], bytes([path[n][0] ^ 1]) + path[n][1:], *path[n + 1 :])
            )
            for n in range(len(path))
        },
    }


def policies() -> dict[str, Case]:
    """Return policies for one note."""
    identity, order_4 = bytes([1]) + bytes(31), bytes(32)
    no_canonical = (2**255 - 19 + 1).to_bytes(32, "little")
    short = by_hand(TEXT, plain(TEXT), cosigned(TEXT, W1, TIME))
    no_log = policy_of(*LOGS, "quorum none").replace(b"log ", b"# log ")
    return {
        "only the quorum": replace(GOOD, policy=b"quorum none\n"),
        "both logs commented out": replace(GOOD, policy=no_log),
        "no quorum": with_policy(*LOGS),
        "two quorums": with_policy(*LOGS, "quorum none", "quorum none"),
        "the Ed25519 key alone": with_policy(LOGS[0], "quorum none"),
        "the ML-DSA-44 key alone": with_policy(LOGS[1], "quorum none", go="no"),
        "a tab, spaces and comments": with_policy(
            f" log\t {LOG.verifier.vkey} ", "", " \t", "  # quorum one", "quorum  none\t"
        ),
        "an unknown word": with_policy(*LOGS, "quorum none", "wish luck"),
        "a form feed": with_policy(*LOGS, "quorum\fnone"),
        "no last newline": replace(GOOD, policy=policy_of(*LOGS, "quorum none")[:-1]),
        "carriage returns": replace(
            GOOD, policy=policy_of(*LOGS, "quorum none").replace(b"\n", b"\r\n")
        ),
        "octets that are no UTF-8, in a comment": replace(
            GOOD, policy=b"# \xff\n" + policy_of(*LOGS, "quorum none")
        ),
        "octets that are no UTF-8, in a name": replace(
            GOOD,
            policy=policy_of(*LOGS, WITNESSES[0], "quorum one").replace(b" one", b" \xff"),
        ),
        "a key listed twice": with_policy(*LOGS, LOGS[0], "quorum none"),
        "a log's key as its witness": with_policy(
            *LOGS, f"witness self {key_of(LOG.verifier.public, 'self', 4)}", "quorum none"
        ),
        "a witness's key as a log's": with_policy(*LOGS, f"log {W1.verifier.vkey}", "quorum none"),
        "a log's type as a witness's": with_policy(
            *LOGS, f"witness w {key_of(W1.verifier.public, 'w', 1)}", "quorum none"
        ),
        "an unknown type": with_policy(*LOGS, f"log {key_of(bytes(32), 'x', 2)}", "quorum none"),
        "a key id that is wrong": with_policy(
            LOGS[0].replace(LOG.verifier.key_id.hex(), "00000000"), "quorum none"
        ),
        "a key id in capitals": with_policy(
            LOGS[0].replace(LOG.verifier.key_id.hex(), LOG.verifier.key_id.hex().upper()),
            "quorum none",
        ),
        "a key too short": with_policy(*LOGS, f"log {key_of(bytes(31), 'x')}", "quorum none"),
        "the neutral point": with_policy(*LOGS, f"log {key_of(identity, 'x')}", "quorum none"),
        "a key of order 4": with_policy(*LOGS, f"log {key_of(order_4, 'x')}", "quorum none"),
        "a key written another way": with_policy(
            *LOGS, f"log {key_of(no_canonical, 'x')}", "quorum none"
        ),
        "another name than the origin": with_policy(
            f"log {key_of(LOG.verifier.public, 'other')}", "quorum none"
        ),
        "another log beside": with_policy(
            *LOGS, f"log {key_of(STRANGER.verifier.public, 'other')}", "quorum none"
        ),
        "quorum one": quorum_of("quorum one"),
        "quorum three, ML-DSA-44": quorum_of("quorum three", go="no"),
        "quorum unknown": quorum_of("quorum four"),
        "quorum before its witness": with_policy(LOGS[0], "quorum one", *WITNESSES),
        "quorum one, not there": quorum_of("quorum one", note=ONLY_LOG),
        "quorum two, not there": quorum_of("quorum two", note=short),
        "any of three": quorum_of("group g any one two three", "quorum g", note=short),
        "all of three, ML-DSA-44 among them": quorum_of(
            "group g all one two three", "quorum g", go="no"
        ),
        "two of three": quorum_of("group g 2 one two three", "quorum g"),
        "two of three, one there": quorum_of("group g 2 one two three", "quorum g", note=short),
        "all of two": quorum_of("group g all one two", "quorum g"),
        "a group of groups": quorum_of("group g any one three", "group h all g two", "quorum h"),
        "none of a group": quorum_of("group g 0 one", "quorum g"),
        "more than a group has": quorum_of("group g 2 one", "quorum g"),
        "a group of nobody": quorum_of("group g any", "quorum g"),
        "a number with a zero in front": quorum_of("group g 01 one", "quorum g"),
        "a number with a sign": quorum_of("group g +1 one", "quorum g"),
        "a member twice": quorum_of("group g any one one", "quorum g"),
        "a member of two groups": quorum_of("group g any one", "group h any one", "quorum g"),
        "a group of itself": quorum_of("group g any g one", "quorum g"),
        "a member that is none": quorum_of("group g any none", "quorum g"),
        "a group named none": quorum_of("group none any one", "quorum none"),
        "a witness named none": with_policy(
            *LOGS, WITNESSES[0].replace("one", "none"), "quorum none"
        ),
        "two of one name": with_policy(
            *LOGS, WITNESSES[0], WITNESSES[1].replace("two", "one"), "quorum one"
        ),
        "a group named as a witness": quorum_of("group one any two", "quorum one"),
        "a member of a group as quorum": quorum_of("group g any one two", "quorum one"),
        "words too many": quorum_of("quorum one two"),
        "an address too many": with_policy(f"{LOGS[0]} a b", "quorum none"),
        "50 witnesses": with_policy(*LOGS, *many(50), "quorum none"),
        "51 witnesses": with_policy(*LOGS, *many(51), "quorum none"),
    }


def many(count: int) -> list[str]:
    """Return lines of as many witnesses."""
    signers = [SecretSigner(f"w{n}", Kind.COSIGNATURE, bytes([n]) * 32) for n in range(count)]
    return [f"witness w{n} {each.verifier.vkey}" for n, each in enumerate(signers)]


@pytest.mark.parametrize(
    "made", [notes, texts, proofs, pytest.param(policies, marks=pytest.mark.slow)]
)
def test_the_verifiers_answer_as_we_do(outsider, tmp_path, made) -> None:
    """Everybody accepts the same notes, and refuses the same."""
    cases = made()
    expected = {name: case.ours() for name, case in cases.items()}
    if outsider.name == "go":
        expected |= {name: case.go for name, case in cases.items() if case.go}
    found = {}
    for number, policy in enumerate(sorted({case.policy for case in cases.values()})):
        # A file's name is not the case's: that has spaces and signs.
        names = {f"{n}.json": name for n, name in enumerate(cases) if cases[name].policy == policy}
        files = {file: json.dumps(cases[name].evidence()).encode() for file, name in names.items()}
        said = outsider.answers(tmp_path / str(number), policy, files)
        found |= {names[file]: "yes" if word == "yes" else "no" for file, word in said.items()}
    assert found == expected
    assert set(found.values()) == {"yes", "no"}
