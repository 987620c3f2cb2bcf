"""What goes along with a release is true, and the readers of others take it."""

from __future__ import annotations

import base64
import json
import shutil
from pathlib import Path

import jsonschema
import mlcroissant
import pyarrow.parquet as pq
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from securesystemslib.dsse import Envelope as TheirEnvelope
from securesystemslib.exceptions import VerificationError as TheirError
from securesystemslib.signer import SSlibKey

from letterlock.domain import canonical, sha256
from letterlock.errors import (
    InputError,
    LetterlockError,
    SignatureError,
    UsageError,
    VerificationError,
)
from letterlock.gate import Gate
from letterlock.gate.offline import check_statement
from letterlock.handover import attestation, sidecars
from letterlock.handover.sidecars import ATTESTATION, CROISSANT, FOLDER, OPENLINEAGE
from letterlock.record.note import Kind, SecretSigner
from letterlock.release import manifest
from letterlock.release.verify import verify
from workspaces import NOW, PURPOSE, RECIPIENT, workspace

SCHEMA = Path(__file__).parents[1] / "vectors" / "openlineage" / "RunEvent.json"
theirs = pytest.mark.filterwarnings(  # what mlcroissant asks of rdflib and pandas is its own
    "ignore:ConjunctiveGraph is deprecated:DeprecationWarning",
    "ignore:The inplace keyword in DataFrame:DeprecationWarning",
)
SIGNER = SecretSigner("somebody.example", Kind.ED25519, bytes(32))


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Make a workspace with one release and its sidecars; returns both folders."""
    folder = tmp_path_factory.mktemp("sidecars") / "w"
    gate = workspace(folder)
    built = gate.build(PURPOSE, RECIPIENT)
    gate.sidecars(built.release)
    gate.close()
    return folder, built.folder


@pytest.fixture
def release(made, tmp_path):
    """Copy the release, so that a test may alter it."""
    return Path(shutil.copytree(made[1], tmp_path / "release"))


@pytest.fixture(scope="module")
def policy(made):
    """Return the policy file of the log that signed."""
    return made[0] / "log.policy"


def statement_of(release: Path) -> dict:
    """Return the payload of a release's envelope."""
    envelope = json.loads((release / FOLDER / ATTESTATION).read_bytes())
    return json.loads(base64.b64decode(envelope["payload"]))


def put(release: Path, statement: object, signer: SecretSigner = SIGNER) -> None:
    """Put another statement beside a release, signed by somebody."""
    data = attestation.seal(canonical(statement), [signer])
    (release / FOLDER / ATTESTATION).write_bytes(data)


# ── in-toto and DSSE ────────────────────────────────────────────────────────────────────────


def test_the_subjects_are_the_files_that_lie_there(made):
    """Each file of outgoing is a subject with the hash of its bytes, and nothing else is one."""
    outgoing = made[1] / manifest.OUTGOING
    there = {
        path.relative_to(outgoing).as_posix(): sha256(path.read_bytes())
        for path in outgoing.rglob("*")
        if path.is_file()
    }
    said = statement_of(made[1])
    assert {s["name"]: s["digest"]["sha256"] for s in said["subject"]} == there
    assert said["_type"] == "https://in-toto.io/Statement/v1"


def test_the_predicate_says_what_manifest_and_log_say(made):
    """Counts and member set are the manifest's, place and time are those of the seal."""
    gate, record = Gate(made[0]), manifest.read(made[1])
    lineage = gate.lineage()
    origin, release = gate.origin, lineage.releases[record["release"]]
    gate.close()
    said = statement_of(made[1])["predicate"]
    assert said["counts"] == record["counts"]
    assert said["member_set"]["root"] == release.current.root
    assert said["member_set"]["members"] == record["members"] == 6
    assert said["log"]["origin"] == origin
    assert said["log"]["sealed"]["index"] == release.current.index
    assert said["log"]["opened"]["index"] == release.opened


def test_another_implementation_takes_the_signature(made, policy):
    """The library securesystemslib finds that the log's key signed, and that another did not."""
    found = check_statement(made[1], policy)
    (verifier,) = found.signers
    data = json.loads((made[1] / FOLDER / ATTESTATION).read_bytes())
    envelope = TheirEnvelope.from_dict(data)
    name = attestation.key_id(verifier)
    key = SSlibKey.from_crypto(Ed25519PublicKey.from_public_bytes(verifier.public), name)
    assert list(envelope.verify([key], 1)) == [name]
    wrong = Ed25519PublicKey.from_public_bytes(SIGNER.verifier.public)
    with pytest.raises(TheirError):
        envelope.verify([SSlibKey.from_crypto(wrong, name)], 1)


def test_what_is_signed_is_encoded_as_dsse_says():
    """The example of the specification is encoded byte for byte (dsse protocol.md, PAE)."""
    assert attestation.pae("http://example.com/HelloWorld", b"hello world") == (
        b"DSSEv1 29 http://example.com/HelloWorld 11 hello world"
    )


def test_a_policy_of_another_log_does_not_take_it(release, tmp_path):
    """Whoever relies on another log's key is told that nobody of theirs signed."""
    other = tmp_path / "other.policy"
    other.write_text(f"log {SIGNER.verifier.vkey}\nquorum none\n")
    with pytest.raises(SignatureError, match="none of the keys"):
        check_statement(release, other)


def test_a_statement_that_somebody_else_signed_is_not_the_logs(release, policy):
    """The same words under another key do not pass for the log's."""
    put(release, statement_of(release))
    assert check_statement(release).files == 18
    with pytest.raises(SignatureError):
        check_statement(release, policy)


def test_a_changed_word_breaks_the_signature(release, policy):
    """A payload that was altered is signed by nobody, whatever its keyid says."""
    path = release / FOLDER / ATTESTATION
    data = json.loads(path.read_bytes())
    payload = base64.b64decode(data["payload"]).replace(b"Tern Models", b"Bern Models")
    path.write_bytes(canonical({**data, "payload": base64.b64encode(payload).decode()}))
    with pytest.raises(SignatureError):
        check_statement(release, policy)


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (lambda s: s["subject"].pop(), "another file"),
        (lambda s: s["subject"].append({"name": "x", "digest": {"sha256": "0" * 64}}), "^x: "),
        (lambda s: s["subject"][3]["digest"].update(sha256="0" * 64), "shard-00003"),
        (lambda s: s["predicate"].update(purpose="evaluate"), "another purpose"),
        (lambda s: s["predicate"].update(release="0" * 16), "another release"),
        (lambda s: s["predicate"].update(version=1), "of version 1 of a release"),
        (lambda s: s["predicate"]["counts"].update(released=1), "another counts"),
        (lambda s: s["predicate"]["member_set"].update(depth=9), "another member_set"),
    ],
)
def test_a_statement_about_something_else_is_refused(release, change, named):
    """A statement that names other files, or says something else of them, does not hold."""
    said = statement_of(release)
    change(said)
    put(release, said)
    with pytest.raises(VerificationError, match=named):
        check_statement(release)


@pytest.mark.parametrize(
    "content",
    [
        b"", b"[]", b"{}", b"\xff", b"{" * 50,
        canonical({"payload": "", "payloadType": "text/plain", "signatures": []}),
        canonical({"payload": "e30", "payloadType": attestation.PAYLOAD_TYPE, "signatures": [1]}),
        canonical({"payload": "e30=", "payloadType": attestation.PAYLOAD_TYPE, "signatures": []}),
    ],
)  # fmt: skip
def test_what_is_no_envelope_ends_in_one_error(release, content):
    """Anything else in its place is refused as what cannot be read."""
    (release / FOLDER / ATTESTATION).write_bytes(content)
    with pytest.raises(InputError):
        check_statement(release)


def test_no_part_of_an_envelope_can_be_left_out(release):
    """Every key of envelope, statement and subject is asked for; none more is taken."""
    said = statement_of(release)
    for key in said:
        put(release, {k: v for k, v in said.items() if k != key})
        with pytest.raises(LetterlockError):
            check_statement(release)
    put(release, {**said, "more": 1})
    with pytest.raises(InputError, match="unknown 'more'"):
        check_statement(release)
    put(release, {**said, "subject": [*said["subject"], said["subject"][0]]})
    with pytest.raises(InputError, match="named twice"):
        check_statement(release)


def test_a_link_in_its_place_is_not_followed(release, made):
    """What strangers packed leads nowhere else."""
    path = release / FOLDER / ATTESTATION
    path.unlink()
    path.symlink_to(made[1] / FOLDER / ATTESTATION)
    with pytest.raises(VerificationError, match="no plain file"):
        check_statement(release)


def test_a_release_without_sidecars_is_checked_as_ever(release, policy):
    """None are asked for; but a policy that nothing is checked by is an error."""
    shutil.rmtree(release / FOLDER)
    assert check_statement(release) is None
    with pytest.raises(InputError, match="missing"):
        check_statement(release, policy)


# ── what they leave alone ───────────────────────────────────────────────────────────────────


def test_sidecars_change_nothing_and_come_out_the_same_again(made):
    """The release holds as before, and made anew every byte of them is the same."""
    folder, release = made
    before = {p: p.read_bytes() for p in release.rglob("*") if p.is_file()}
    gate = Gate(folder, now=NOW)
    head = gate.store.head()
    gate.sidecars(release.name)
    assert gate.store.head() == head
    gate.close()
    assert {p: p.read_bytes() for p in release.rglob("*") if p.is_file()} == before
    assert verify(release).rows == manifest.read(release)["counts"]["released"]


def test_sidecars_can_be_written_elsewhere(made, tmp_path):
    """Another folder gets the same three files."""
    gate = Gate(made[0], now=NOW)
    gate.sidecars(made[1].name, tmp_path / "out")
    gate.close()
    found = {p.name: p.read_bytes() for p in (tmp_path / "out").iterdir()}
    assert sorted(found) == sorted([ATTESTATION, CROISSANT, OPENLINEAGE])
    assert all((made[1] / FOLDER / name).read_bytes() == data for name, data in found.items())


@pytest.mark.parametrize("name", ["0" * 16, "..", "../releases", "", "/"])
def test_a_release_that_is_none_has_no_sidecars(made, name):
    """A name that is no release's, a path least of all, is a question that is off."""
    gate = Gate(made[0], now=NOW)
    with pytest.raises(UsageError):
        gate.sidecars(name)
    gate.close()


def test_files_that_were_never_sealed_get_no_statement(made, tmp_path):
    """A manifest that is not the sealed one is not signed, not even by mistake."""
    folder = Path(shutil.copytree(made[0], tmp_path / "w"))
    path = folder / "releases" / made[1].name / manifest.OUTGOING / manifest.NAME
    path.write_bytes(path.read_bytes().replace(b"Tern Models", b"Bern Models"))
    gate = Gate(folder, now=NOW)
    with pytest.raises(VerificationError, match="no such manifest was ever sealed"):
        gate.sidecars(made[1].name)
    gate.close()


# ── Croissant ───────────────────────────────────────────────────────────────────────────────


@theirs
def test_croissant_is_valid_and_makes_nothing_up(made):
    """The reader of MLCommons finds no error, and misses only what nobody told this registry."""
    dataset = mlcroissant.Dataset(str(made[1] / FOLDER / CROISSANT))
    issues = dataset.metadata.issues
    assert not issues.errors
    assert {w.split('"')[1].rpartition("/")[2] for w in issues.warnings} == {"license", "citeAs"}
    assert {f.id for f in dataset.metadata.distribution} == {
        manifest.NAME,
        *(entry["path"] for entry in manifest.read(made[1])["files"]),
    }


@theirs
def test_croissant_loads_every_row_of_every_shard(made):
    """The columns and rows that mlcroissant reads are those of the Parquet files."""
    dataset = mlcroissant.Dataset(str(made[1] / FOLDER / CROISSANT))
    outgoing = made[1] / manifest.OUTGOING
    loaded = 0
    for n in range(16):
        name = f"mail/shard-{n:05}"
        expected = pq.read_table(outgoing / "data" / f"{name}.parquet").to_pylist()
        found = list(dataset.records(name))
        for row, plain in zip(found, expected, strict=True):
            assert row.keys() == {f"{name}/{column}" for column in plain}
            assert row[f"{name}/payload.body"].decode() == plain["payload.body"]
            assert row[f"{name}/recipients"] == plain["recipients"]
            assert row[f"{name}/created_at"].to_pydatetime() == plain["created_at"]
        loaded += len(found)
    assert loaded == manifest.read(made[1])["counts"]["released"]
    names = {row["people/pseudonym"] for row in dataset.records("people")}
    table = pq.read_table(outgoing / manifest.MEMBERS)
    assert names == set(table.column("pseudonym").to_pylist())


# ── OpenLineage ─────────────────────────────────────────────────────────────────────────────


def events_of(folder: Path) -> list[dict]:
    """Read run events, and check each against the schema."""
    validator = jsonschema.Draft202012Validator(
        json.loads(SCHEMA.read_bytes()),
        format_checker=jsonschema.Draft202012Validator.FORMAT_CHECKER,
    )
    found = [json.loads(line) for line in (folder / OPENLINEAGE).read_bytes().splitlines()]
    for event in found:
        validator.validate(event)
    return found


def test_a_build_is_a_run_from_its_tables_to_the_release(made):
    """START at the opening, COMPLETE at the seal, one run; the figures are the manifest's."""
    start, complete = events_of(made[1] / FOLDER)
    assert (start["eventType"], complete["eventType"]) == ("START", "COMPLETE")
    assert start["run"] == complete["run"]
    assert [each["name"] for each in complete["inputs"]] == ["source/mail"]
    (output,) = complete["outputs"]
    record = manifest.read(made[1])
    assert output["name"] == f"release/{record['release']}"
    assert output["facets"]["version"]["datasetVersion"] == sha256(manifest.content(made[1]))
    figures = output["outputFacets"]["outputStatistics"]
    assert figures["rowCount"] == record["counts"]["released"]
    assert figures["fileCount"] == len(record["files"])
    assert figures["size"] == sum(each["bytes"] for each in record["files"])


def test_the_schema_would_find_an_event_that_is_none(made):
    """What the schema asks for is really asked for."""
    validator = jsonschema.Draft202012Validator(json.loads(SCHEMA.read_bytes()))
    event = events_of(made[1] / FOLDER)[0]
    for key in ("eventTime", "run", "job", "producer", "schemaURL"):
        assert not validator.is_valid({k: v for k, v in event.items() if k != key})
    assert sidecars.figures_of(manifest.read(made[1])).keys() == {"rowCount", "fileCount", "size"}
