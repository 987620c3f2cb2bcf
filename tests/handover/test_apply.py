"""A recipient applies a drop list to its copy: the platform's own bytes, or nothing changes."""

from __future__ import annotations

import shutil
import socket
import threading
import time
from contextlib import closing, suppress
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from letterlock.domain import DAY, Time
from letterlock.errors import (
    GateClosed,
    InputError,
    StaleDrops,
    UsageError,
    VerificationError,
)
from letterlock.gate import Gate
from letterlock.gate.handover import key_body
from letterlock.handover import feed, fetch
from letterlock.inbox import Inbox
from letterlock.inbox import drops as applying
from letterlock.inbox.drops import Applied, apply_drops
from letterlock.ledger import Draft
from letterlock.lineage import inventory
from letterlock.record import note
from letterlock.record.note import Kind, SecretSigner
from letterlock.release import manifest
from letterlock.release.verify import verify
from letterlock.store.keys import ED25519
from letterlock.web import log as web
from receiving import names_of
from witnessing import running, witness_keys
from workspaces import NOW, PURPOSE, RECIPIENT, approved, refusal, rows_of, workspace

LATER = NOW + DAY


@dataclass
class Pair:
    """A platform and a recipient, each in its folder; the release is at both."""

    platform: Path
    inbox: Path
    release: str

    def gate(self, now: Time = LATER) -> closing[Gate]:
        """Open the platform's workspace."""
        return closing(Gate(self.platform, now=now))

    @property
    def copy(self) -> Path:
        """Where the recipient has the release."""
        return self.inbox / "received" / self.release

    @property
    def feed(self) -> Path:
        """Where the platform has the release's drop lists."""
        return self.platform / "log" / "drops" / self.release

    def drop(self, *subjects: str, now: Time = LATER) -> None:
        """Let people withdraw, and publish."""
        with self.gate(now) as gate:
            gate.load_choices(rows_of([refusal(subject) for subject in subjects]))
            gate.publish_drops()

    def apply(self, feed: Path | str | None = None, *, now: Time = LATER, **how) -> Applied:
        """Apply the newest list at the recipient."""
        inbox = Inbox(self.inbox, now=now)
        return apply_drops(inbox, self.release, str(feed or self.feed), **how)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Hand a release over, and receive it."""
    folder = tmp_path_factory.mktemp("apply")
    inbox = Inbox.create(folder / "inbox", RECIPIENT, simulated=True)
    with closing(workspace(folder / "w")) as gate:
        release = gate.build(PURPOSE, RECIPIENT).release
        gate.approve_release(
            release, approved("release.approved", **gate.approval_body(release, b"")), terms=b""
        )
        card = inbox.card()
        gate.register_recipient_key(card, approved("recipient.keyed", **key_body(card)))
        sent = gate.deliver(release, folder / "post")
        policy = (gate.folder / "log.policy").read_bytes()
        Inbox(folder / "inbox", now=NOW).receive(sent.package, sent.letter, policy)
        gate.acknowledge(Inbox(folder / "inbox", now=NOW).inventory(release))
        gate.publish_drops()
    return Pair(folder / "w", folder / "inbox", release)


@pytest.fixture
def pair(made, tmp_path):
    """Give copies of both folders."""
    shutil.copytree(made.platform, tmp_path / "w")
    shutil.copytree(made.inbox, tmp_path / "inbox")
    return Pair(tmp_path / "w", tmp_path / "inbox", made.release)


def files_of(folder: Path) -> dict[str, bytes]:
    """Return every file below a folder."""
    paths = (path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in paths}


def test_what_is_applied_is_what_the_platform_superseded(pair):
    """The same bytes at both; the inventory closes the duty, and no other duty is left."""
    pair.drop("ann")
    (pair.copy / "sidecars").mkdir()
    done = pair.apply()
    assert (done.before, done.version) == (0, 1)
    assert not (pair.copy / "sidecars").exists()  # they describe the version before
    with pair.gate() as gate:
        assert {duty.duty for duty in gate.lineage().open()} == {"supersede", "apply"}
        gate.supersede(pair.release)
        gate.acknowledge(done.inventory)
        assert not list(gate.lineage().open())
        place = gate.folder / "releases" / pair.release
    assert files_of(pair.copy / "outgoing") == files_of(place / "outgoing")
    assert verify(pair.copy).members == done.people
    said = inventory.parse(done.inventory)
    assert (said.version, said.rows) == (1, done.rows)


def test_a_recipient_may_be_ahead_of_the_platform(pair):
    """The list alone says what must be left: nobody waits for the platform's own copy."""
    pair.drop("ann")
    pair.drop("bob")
    done = pair.apply()
    assert (done.before, done.version) == (0, 2)
    with pair.gate() as gate:
        gate.acknowledge(done.inventory)
        assert {duty.duty for duty in gate.lineage().open()} == {"supersede"}


def test_applying_again_refreshes_the_feed_alone(pair):
    """Nothing is rewritten where nobody more has to be dropped; the newest head is kept."""
    before = files_of(pair.copy / "outgoing")
    done = pair.apply(now=NOW)
    assert (done.before, done.version) == (0, 0)
    assert files_of(pair.copy / "outgoing") == before
    assert (pair.copy / "feed" / "head").read_bytes() == (pair.feed / "head").read_bytes()


def test_a_recipient_who_only_claims_it_is_found_out(pair):
    """An inventory that says the list was applied, of a copy in which it was not, is refused."""
    pair.drop("ann")
    inbox = Inbox(pair.inbox, now=LATER)
    told = inventory.parse(inbox.inventory(pair.release))
    secret = inbox.keys.secret(ED25519, inbox.card().signing)
    signed = replace(told, version=1).sign(SecretSigner(RECIPIENT, Kind.ED25519, secret))
    with pair.gate() as gate:
        head = gate.store.head().index
        with pytest.raises(VerificationError, match="is false"):
            gate.acknowledge(signed)
        assert gate.store.head().index == head


def signed_by_recipient(pair, said):
    """Return an inventory as the recipient's own key signs it, whatever it says."""
    inbox = Inbox(pair.inbox, now=LATER)
    secret = inbox.keys.secret(ED25519, inbox.card().signing)
    return said.sign(SecretSigner(RECIPIENT, Kind.ED25519, secret))


def with_the_logs_figures(pair):
    """Return an inventory of a copy to which nothing was applied, with list 1's public figures."""
    told = inventory.parse(Inbox(pair.inbox, now=LATER).inventory(pair.release))
    with pair.gate() as gate:
        (left,) = gate.lineage().releases[pair.release].lists
    return replace(
        told, version=1, members=left.members, depth=left.depth, root=left.root, rows=left.rows
    )


@pytest.mark.parametrize("platform", ["not superseded", "superseded"])
def test_the_figures_of_the_log_alone_are_no_inventory(pair, platform):
    """A recipient that applied nothing has not the files that the list leaves, and is found out."""
    pair.drop("ann")
    false = with_the_logs_figures(pair)
    with pair.gate() as gate:
        if platform == "superseded":
            gate.supersede(pair.release)
        for said in (false, replace(false, manifest="0" * 64), replace(false, files=())):
            with pytest.raises(VerificationError, match=r"is false: (manifest|files)"):
                gate.acknowledge(signed_by_recipient(pair, said))
        assert "apply" in {duty.duty for duty in gate.lineage().open()}
        assert {path.name for path in (gate.folder / "releases").iterdir()} == {
            pair.release, ".lock",
        }  # fmt: skip
    applied = pair.apply().inventory
    with pair.gate() as gate:
        gate.acknowledge(applied)
        assert "apply" not in {duty.duty for duty in gate.lineage().open()}


def test_without_a_copy_of_its_own_the_platform_takes_a_word_that_could_be_true(pair):
    """Of its files it then knows the names, and which manifests are of other versions."""
    pair.drop("ann")
    false = with_the_logs_figures(pair)
    shutil.rmtree(pair.platform / "releases" / pair.release)
    with pair.gate() as gate:
        with pytest.raises(VerificationError, match="manifest is not that of version 1"):
            gate.acknowledge(signed_by_recipient(pair, false))
        other = replace(false, manifest="0" * 64)
        more = (*false.files, ("data/x/shard-00000.parquet", "0" * 64))
        for files in ((), false.files[:-1], more):
            with pytest.raises(VerificationError, match="is false: names of files"):
                gate.acknowledge(signed_by_recipient(pair, replace(other, files=files)))
        gate.acknowledge(signed_by_recipient(pair, other))
        assert "apply" not in {duty.duty for duty in gate.lineage().open()}


def test_lists_come_over_http_as_any_web_server_shows_them(pair):
    """The log's own server shows heads, lists and proofs; what is no such file is not shown."""
    pair.drop("ann")
    with running(web.app(pair.platform / "log")) as url:
        assert pair.apply(f"{url.rstrip('/')}/drops/{pair.release}").version == 1
        with pytest.raises(StaleDrops, match="has no head"):
            pair.apply(f"{url.rstrip('/')}/drops/{'0' * 16}")
    with pytest.raises(StaleDrops, match="cannot be fetched"):
        pair.apply("http://127.0.0.1:9/drops")
    for address in ("ftp://x/y", "http://", "http://u:p@x/y", "http://x/y?z"):
        with pytest.raises(InputError, match="no address"):
            pair.apply(address)


@pytest.mark.parametrize("case", ["lost list", "lost head", "old", "rolled back", "other log"])
def test_a_feed_that_does_not_hold_changes_nothing(case, pair, tmp_path):
    """A list or head that is lost, a head that is old, rolled back, or another log's."""
    before = shutil.copytree(pair.feed, tmp_path / "before")
    pair.drop("ann")
    if case == "rolled back":
        pair.apply()
    feed, now = shutil.copytree(pair.feed, tmp_path / "feed"), LATER
    if case == "lost list":
        (feed / "1.json").unlink()
    elif case == "lost head":
        (feed / "head").unlink()
    elif case == "old":
        now = LATER + 2 * DAY
    elif case == "rolled back":
        feed, now = before, NOW + DAY // 2
    else:
        with closing(workspace(tmp_path / "other")) as other:
            head = (pair.feed / "head").read_bytes()
            text = head.decode().split("\n\n")[0] + "\n"
            forged = note.sign(text, other.plain_signers()).encode()
        (feed / "head").write_bytes(forged)
    files = files_of(pair.copy)
    with pytest.raises(StaleDrops):
        pair.apply(feed, now=now)
    assert files_of(pair.copy) == files


def test_a_policy_that_asks_for_witnesses_wants_the_proof(pair, tmp_path):
    """With a quorum, a list whose proof is missing or unseen is not believed."""
    pair.drop("ann")
    policy = (pair.copy / "log.policy").read_bytes()
    witness = witness_keys("w.example")[0].verifier.vkey.encode()
    asking = policy.replace(b"quorum none", b"witness w " + witness + b"\nquorum w")
    feed = shutil.copytree(pair.feed, tmp_path / "feed")
    with pytest.raises(StaleDrops, match="did not see"):
        pair.apply(feed, policy=asking)
    (feed / "1.proof").unlink()
    with pytest.raises(StaleDrops, match="asks for witnesses"):
        pair.apply(feed, policy=asking)
    assert pair.apply(feed).version == 1


def test_a_recalled_release_is_to_be_destroyed(pair):
    """A head that says so ends it: nothing is applied, and the head is kept for its readers."""
    with pair.gate() as gate:
        gate.record_linked(Draft("release.recalled", {"release": pair.release, "order": "a court"}))
        gate.publish_drops()
    with pytest.raises(GateClosed, match="was recalled"):
        pair.apply()
    assert b"recalled" in (pair.copy / "feed" / "head").read_bytes()


def test_an_edited_copy_is_not_rewritten(pair):
    """What is not what its manifest says gets no new manifest."""
    pair.drop("ann")
    path = next((pair.copy / "outgoing" / "data").rglob("*.parquet"))
    path.write_bytes(path.read_bytes()[:-1] + b"?")
    files = files_of(pair.copy / "outgoing")
    with pytest.raises(VerificationError):
        pair.apply()
    assert files_of(pair.copy / "outgoing") == files


class Stop(BaseException):
    """The power goes."""


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("step", ["rewrite", "verify", "first rename", "second", "rmdir", "rmtree"])
def test_a_crash_while_a_list_is_applied_leaves_one_copy_or_the_other(
    step, when, pair, monkeypatch
):
    """Cut off at any step, with nobody to clean up: the next call finishes it."""
    pair.drop("ann")
    old, count = files_of(pair.copy / "outgoing"), 0
    at = {"verify": 2, "second": 2}.get(step, 1)

    def cut(do):
        def done(*said, **more):
            nonlocal count
            named = [str(each) for each in said]
            counts = step not in {"first rename", "second"} or "outgoing" in named[0]
            count += counts
            if counts and count == at and when == "before":
                raise Stop
            found = do(*said, **more)
            if counts and count == at:
                raise Stop
            return found

        return done

    with monkeypatch.context() as patch:
        if step in {"rewrite", "verify"}:
            patch.setattr(applying, step, cut(getattr(applying, step)))
            patch.setattr(applying.shutil, "rmtree", lambda *_, **__: None)
        elif step == "rmtree":
            patch.setattr(applying.shutil, "rmtree", cut(shutil.rmtree))
        else:
            patch.setattr(Path, "rmdir" if step == "rmdir" else "rename", cut(
                Path.rmdir if step == "rmdir" else Path.rename
            ))  # fmt: skip
        with pytest.raises(Stop):
            pair.apply()
    if (pair.copy / "outgoing").exists():
        there = files_of(pair.copy / "outgoing")
        assert there == old or manifest.version_of(verify(pair.copy).record) == 1
    assert pair.apply().version == 1
    assert manifest.version_of(verify(pair.copy).record) == 1
    left = sorted(path.name for path in pair.copy.iterdir())
    assert ".new" not in left
    assert ".old" not in left


@pytest.mark.parametrize("cut", ["between the renames", "before the old one is gone"])
def test_nothing_is_countersigned_beside_a_version_that_should_be_gone(cut, pair):
    """Killed in a swap: an inventory, or a destruction, first does away with what is left of it."""
    pair.drop("ann")
    whole = shutil.copytree(pair.copy / "outgoing", pair.copy / ".old")
    if cut == "between the renames":
        shutil.rmtree(pair.copy / "outgoing")
        (pair.copy / ".new").mkdir()
    inbox = Inbox(pair.inbox, now=LATER)
    assert not inventory.parse(inbox.inventory(pair.release)).destroyed
    assert not whole.exists()
    (pair.copy / "outgoing").rename(whole)
    inbox.destroy(pair.release)
    assert inventory.parse(inbox.inventory(pair.release)).destroyed
    assert not list(pair.copy.rglob("*.parquet"))


def test_a_recall_that_was_seen_is_not_taken_back_by_an_older_head(pair, tmp_path):
    """A mirror that shows the head of an hour ago, fresh and live, changes nothing here."""
    before = shutil.copytree(pair.feed, tmp_path / "before")
    with pair.gate() as gate:
        gate.recall(pair.release, "a court")
        gate.publish_drops()
    for shown in (pair.feed, before):
        with pytest.raises(GateClosed, match="was recalled"):
            pair.apply(shown, now=NOW + DAY // 2 if shown == before else LATER)
        assert b"recalled" in (pair.copy / "feed" / "head").read_bytes()


@pytest.mark.parametrize("answer", ["headers", "trailers"])
def test_a_server_that_never_ends_is_cut_off(answer, pair, monkeypatch):
    """A line now and then, for ever: each comes in time, and all of them never do."""
    monkeypatch.setattr(fetch, "PATIENCE", 0.3)
    start = b"HTTP/1.1 200 OK\r\n"
    if answer == "trailers":
        start += b"Transfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n"

    def serve() -> None:
        asked, _ = listening.accept()
        with asked, suppress(OSError):
            asked.sendall(start)
            for _ in range(90):
                asked.sendall(b"A: b\r\n")
                time.sleep(0.05)

    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        with pytest.raises(StaleDrops, match="within"):
            pair.apply(f"http://127.0.0.1:{listening.getsockname()[1]}/drops")
        thread.join()


def test_a_list_that_names_fewer_than_before_is_not_believed(pair, tmp_path):
    """By whoever saw the one before, though the log has signed and published it."""
    pair.drop("ann")
    with pair.gate() as gate:
        (first,) = gate.lineage().releases[pair.release].lists
        keys, names = gate.plain_signers(), feed.parse_list((pair.feed / "1.json").read_bytes())
        others = set(names_of(pair.copy)) - {names.pseudonyms}
        less = feed.DropList(gate.origin, pair.release, 2, b"".join(sorted(others)[:2]))
        head = feed.Head(gate.origin, pair.release, 2, less.digest, LATER // 10**6, first.index)
    shutil.copytree(pair.feed, tmp_path / "less")
    (tmp_path / "less" / "2.json").write_bytes(less.encode())
    (tmp_path / "less" / "head").write_bytes(feed.sign_head(head, keys))
    pair.apply()
    with pytest.raises(StaleDrops, match="leaves out 1 that list 1 names"):
        pair.apply(tmp_path / "less")
    known = fetch.Current(head, names, {})
    with pair.gate() as gate, pytest.raises(StaleDrops, match="a list only grows"):
        fetch.current(
            fetch.reader_of(str(tmp_path / "less")), gate.trust(), origin=gate.origin,
            release=pair.release, known=replace(known, head=replace(head, number=1)), now=LATER,
        )  # fmt: skip


def test_what_is_not_ours_to_say_is_refused(pair):
    """A copy that is destroyed, a release that never came, no address at all."""
    inbox = Inbox(pair.inbox, now=LATER)
    with pytest.raises(UsageError, match="was not received"):
        apply_drops(inbox, "0" * 16)
    with pytest.raises(UsageError, match="--feed"):
        apply_drops(inbox, pair.release)
    inbox.destroy(pair.release)
    with pytest.raises(UsageError, match="was destroyed"):
        pair.apply()
