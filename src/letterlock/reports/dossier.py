"""A trace with its proofs in one signed file, for the person herself (GDPR Art. 15).

A ZIP archive, so that she can open it without us: `index`, which the log's key signs, names every
other file by its hash; `trace.json` and `trace.txt` are the answer; the others are evidence files
as `letterlock prove` makes them, and public events with their proofs. Each can be checked alone, by
every verifier; together they are checked here. An archive is read in the one way it is written.
Spec: docs/trace.md.
"""

from __future__ import annotations

import io
import json
import re
import zipfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from letterlock.domain import Time, canonical, counted, sha256, text_of
from letterlock.errors import InputError, LetterlockError, ProofError
from letterlock.evidence import bundle, entries, strict, verify
from letterlock.evidence.bundle import Member, Receipt
from letterlock.evidence.checked import Checked
from letterlock.evidence.finding import OUTSIDE, OWN_TIMES, Finding, compare, one_each, word
from letterlock.handover import logged
from letterlock.lineage import events
from letterlock.record import note as notes
from letterlock.record.note import Signer
from letterlock.record.quorum import Policy
from letterlock.reports.trace import lines

LABEL: Final = "letterlock/trace/v1"
INDEX: Final = "index"
ANSWER: Final = "trace.json"
TEXT: Final = "trace.txt"
MAX_SIZE: Final = 2**28
"""Bytes of an archive."""
MAGIC: Final = b"PK\x03\x04"
_NAME: Final = re.compile(r"(?:receipt|member|event)-[0-9a-f]{1,20}\.json|trace\.json|trace\.txt")
_MAX_VALUES: Final = 2**22
_EPOCH: Final = (1980, 1, 1, 0, 0, 0)
_INDEX: Final[strict.Shape] = {"account": str, "as_of": int, "files": list}
_FILE: Final[strict.Shape] = {"name": str, "bytes": int, "sha256": str}

_NOT_PROVED: Final = (
    "That the answer is whole: rows and obligations are the platform's word, which it signed here.",
    "Anything about a release that has no file here.",
    "That this account is hers, or her only one: whoever hands the file over says so.",
    OUTSIDE,
)


def member_name(release: str) -> str:
    """Return the name of the file that shows whether she is in a release."""
    return f"member-{release}.json"


def receipt_name(index: int) -> str:
    """Return the name of the file with the receipt of a choice."""
    return f"receipt-{index}.json"


def event_name(index: int) -> str:
    """Return the name of the file with a public event and its proof."""
    return f"event-{index}.json"


# ── writing ─────────────────────────────────────────────────────────────────────────────────


def write(  # noqa: PLR0913, PLR0917 - whose, of which log, as of when, what, and who signs
    origin: str,
    account: str,
    as_of: Time,
    record: Mapping[str, Any],
    evidence: Mapping[str, bytes],
    signers: Sequence[Signer],
) -> bytes:
    """Return the archive of a trace `record`; `evidence` are its other files by their names.

    Raises InputError for what would not be read as it is, SignatureError.
    """
    found = {**answer(record), **evidence}
    listed = [
        {"name": name, "bytes": len(data), "sha256": sha256(data)}
        for name, data in sorted(found.items())
    ]
    said = canonical({"account": account, "as_of": as_of, "files": listed}).decode()
    index = notes.sign(f"{LABEL}\n{origin}\n{said}\n", signers).encode()
    data = pack({INDEX: index, **found})
    parse(data)
    return data


def answer(record: Mapping[str, Any]) -> dict[str, bytes]:
    """Return the two files that say a trace: to programs, and to people."""
    return {
        ANSWER: json.dumps(record, ensure_ascii=False, indent=2).encode() + b"\n",
        TEXT: "".join(f"{line}\n" for line in lines(record)).encode(),
    }


def pack(found: Mapping[str, bytes]) -> bytes:
    """Write an archive in the one way there is: in order, nothing compressed, at no time."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_STORED, allowZip64=False) as archive:
        for name in sorted(found):
            info = zipfile.ZipInfo(name, _EPOCH)
            info.create_system = 3  # wherever it is made
            archive.writestr(info, found[name])
    return out.getvalue()


# ── reading ─────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True)
class Dossier:
    """An archive as it was read; nothing in it is checked yet but its form and hashes."""

    index: notes.Note
    origin: str
    account: str
    as_of: Time
    files: Mapping[str, bytes]


def parse(data: bytes) -> Dossier:
    """Read an archive: every file that its index names, as it is named there, and no other.

    Raises InputError.
    """
    if len(data) > MAX_SIZE:
        raise InputError(f"a trace has at most {MAX_SIZE:,} bytes")
    found = _unpack(data)
    if INDEX not in found:
        raise InputError("the archive has no index: it is no trace")
    index = notes.parse(found.pop(INDEX))
    label, _, rest = index.text.partition("\n")
    origin, _, said = rest.partition("\n")
    if label != LABEL or not said.endswith("\n"):
        raise InputError(f"the index is none of {LABEL}")
    value = strict.parse_canonical(
        said[:-1].encode(), "index", limit=notes.MAX_SIZE, values=_MAX_VALUES
    )
    strict.shaped(value, _INDEX, "index")
    listed = {}
    for each in value["files"]:
        entry = strict.shaped(each, _FILE, "index: files")
        listed[entry["name"]] = (entry["bytes"], entry["sha256"])
    if list(listed) != sorted(found) or len(listed) != len(value["files"]):
        raise InputError("the archive does not hold the files that its index names")
    for name, content in found.items():
        if not _NAME.fullmatch(name):
            raise InputError(f"{word(name)}: no name of a file in a trace")
        if listed[name] != (len(content), sha256(content)):
            raise InputError(f"{name}: not the file that the index names")
    if not {ANSWER, TEXT} <= set(found):
        raise InputError(f"the archive has no {ANSWER} or no {TEXT}")
    return Dossier(index, origin, value["account"], value["as_of"], found)


def _unpack(data: bytes) -> dict[str, bytes]:
    """Return the files of an archive that says nothing twice and hides nothing between."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            infos = archive.infolist()
            if any(i.compress_type != zipfile.ZIP_STORED or i.file_size > len(data) for i in infos):
                raise InputError("a file in the archive is compressed: none of ours is")
            if sum(info.file_size for info in infos) > len(data):
                raise InputError("the archive holds more than its bytes")
            found = {info.filename: archive.read(info) for info in infos}
    except (zipfile.BadZipFile, OSError, ValueError, RuntimeError, NotImplementedError) as error:
        raise InputError(f"not an archive that can be read: {error}") from error
    if pack(found) != data:
        raise InputError("the archive is not written as we write one: something was changed")
    return found


# ── checking ────────────────────────────────────────────────────────────────────────────────


def check(data: bytes, policy: Policy, now: int) -> Finding:
    """Check an archive, offline: who signed it, every file in it, and that they are of one account.

    Raises InputError, SignatureError, ProofError, each beginning with the file's name.
    """
    found = parse(data)
    keys = notes.signers_of(found.index, Checked(policy, now).log_keys())
    if any(key.name != found.origin for key in keys):
        raise ProofError(f"a trace of {word(found.origin)} is not another log's to sign")
    record = _answer(found)
    findings, events_shown = [], Checked(policy, now)
    kinds = {"member": 0, "receipt": 0, "event": 0}
    claims: dict[str, bool] = {}
    for name, content in found.files.items():
        kind = name.partition("-")[0]
        try:
            if kind == "event":
                _check_event(name, content, events_shown)
            elif kind in kinds:
                evidence = bundle.parse(content)
                findings.append(verify.verify(evidence, policy, now))
                _check_hers(found.account, name, evidence, claims)
        except LetterlockError as error:
            raise type(error)(f"{name}: {error}") from error
        if kind in kinds:
            kinds[kind] += 1
    _check_claims(record, claims)
    vouched = [each for one in findings for each in one.vouched] + list(
        one_each(events_shown.trusted)
    )
    compare(each.checkpoint for each in vouched)
    if any(each.checkpoint.origin != found.origin for each in vouched):
        raise ProofError("a file in the archive is of another log")
    bounds = [line for one in findings for line in one.as_of if line != OWN_TIMES]
    missing = [line for one in findings for line in one.not_proved]
    return Finding(
        "trace",
        tuple(_told(found, claims, kinds)),
        tuple(dict.fromkeys(vouched)),
        (*dict.fromkeys(bounds), OWN_TIMES),
        tuple(dict.fromkeys([*_NOT_PROVED, *missing])),
        keys,
    )


def _answer(found: Dossier) -> Mapping[str, Any]:
    """Return trace.json, if trace.txt and the index say the same."""
    content = found.files[ANSWER]
    record = strict.parse(content, ANSWER, limit=MAX_SIZE, values=_MAX_VALUES)
    try:
        if record["subject"] != found.account or record["as_of"] != text_of(found.as_of):
            raise ProofError(f"{ANSWER} is of another account or time than the index")
        if answer(record) != {ANSWER: content, TEXT: found.files[TEXT]}:
            raise ProofError(f"{TEXT} does not say what {ANSWER} says")
        claimed: Mapping[str, Any] = record
    except (LookupError, TypeError, ValueError, AttributeError) as error:
        raise InputError(f"{ANSWER}: not a trace: {error!r}") from error
    return claimed


def _check_event(name: str, content: bytes, checked: Checked) -> None:
    given = logged.parse(content, name)
    checked.entry(given, name)
    found = entries.read(given.entry)
    if not isinstance(found, entries.Public) or found.kind not in events.KINDS:
        raise ProofError("no public event of what left the gate")
    events.read(found.kind, found.body)
    if found.index != given.index or name != event_name(given.index):
        raise ProofError(f"entry {given.index} says that it is entry {found.index}")


def _check_hers(
    account: str, name: str, evidence: bundle.Evidence, claims: dict[str, bool]
) -> None:
    """Check that a file is about the account; notes what it claims of which seal."""
    if isinstance(evidence, Member) and evidence.account == account:
        opened = entries.read(evidence.opened.entry)
        if isinstance(opened, entries.Public):
            release = str(opened.body.get("release"))
            if name == member_name(release):
                claims[release] = evidence.present
                return
    if isinstance(evidence, Receipt):
        event = json.loads(evidence.event)
        if (event["body"].get("subject"), name) == (account, receipt_name(event["index"])):
            return
    raise ProofError("it is not about this account, or has another's name")


def _check_claims(record: Mapping[str, Any], claims: Mapping[str, bool]) -> None:
    """Check that the answer says of each release what its proof says of the newest seal."""
    try:
        said = {
            each["release"]: each["versions"][-1]["names_her"] is True
            for each in record["releases"]
        }
    except (LookupError, TypeError) as error:
        raise InputError(f"{ANSWER}: not a trace: {error!r}") from error
    for release, present in claims.items():
        if said.get(release, False) != present:
            raise ProofError(
                f"{ANSWER} says otherwise of release {release} than {member_name(release)}"
            )


def _told(found: Dossier, claims: Mapping[str, bool], kinds: Mapping[str, int]) -> Iterable[str]:
    inside = [release for release, present in claims.items() if present]
    yield (
        f"{found.origin} signed this answer to account {word(found.account)}, as of "
        f"{text_of(found.as_of)}; nothing in it was changed since."
    )
    listed = f" ({', '.join(sorted(inside))})" if inside else ""
    yield f"Releases here whose newest version names the account: {len(inside):,}{listed}."
    yield f"Releases here whose newest version does not: {len(claims) - len(inside):,}."
    yield f"With their receipts: {counted(kinds['receipt'], 'choices')} of hers."
    yield f"In the log, as told here: {counted(kinds['event'], 'public events')} of what left."
