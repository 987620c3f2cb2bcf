"""After a hand-over: who says no is listed within the next sweep, and goes out of the release."""

from __future__ import annotations

import shutil
from contextlib import closing
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from letterlock.domain import DAY
from letterlock.errors import (
    GateClosed,
    LogError,
    ReleaseError,
    StaleDrops,
    UsageError,
    VerificationError,
    WorkspaceError,
)
from letterlock.evidence import bundle
from letterlock.evidence import verify as evidences
from letterlock.gate import Gate
from letterlock.gate import drops as dropping
from letterlock.gate.offline import release_files
from letterlock.handover import feed, fetch
from letterlock.ledger import Draft
from letterlock.record import note
from letterlock.release import manifest
from letterlock.release.verify import pseudonyms, verify
from workspaces import (
    NOW,
    PURPOSE,
    RECIPIENT,
    SCHEMA,
    SILENT,
    at,
    columns,
    messages,
    refusal,
    rows_of,
    withdraw,
    workspace,
    write,
)

LATER = NOW + DAY


def delivered(gate: Gate, release: str) -> str:
    """Record a hand-over of a release's newest version; returns its grant."""
    found = gate.lineage().releases[release]
    grant = f"{len(gate.lineage().deliveries):032x}"
    gate.record_linked(
        Draft("release.delivered", {
            "release": release, "recipient": found.recipient, "purpose": found.purpose,
            "version": found.current.number, "manifest": found.current.manifest, "grant": grant,
            "key": "age1", "terms": "", "feed": "", "expires": NOW + 999 * DAY,
        })
    )  # fmt: skip
    return grant


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Make a workspace with a release that was handed over, and its log published."""
    folder = tmp_path_factory.mktemp("drops") / "w"
    with closing(workspace(folder)) as gate:
        delivered(gate, gate.build(PURPOSE, RECIPIENT).release)
        gate.publish_drops()
    return folder


@pytest.fixture
def gate(made, tmp_path):
    """Yield a copy of it, open a day later."""
    folder = shutil.copytree(made, tmp_path / "w")
    with closing(Gate(folder, now=LATER)) as gate:
        yield gate


def only(gate: Gate):
    """Return the one release."""
    (release,) = gate.lineage().releases.values()
    return release


def no(gate: Gate, subject: str, **more) -> None:
    """Let somebody withdraw."""
    gate.load_choices(rows_of([refusal(subject, **more)]))


def current(gate: Gate, *, seen: int = 0, now: int = LATER, feed: Path | None = None):
    """Read the release's feed as its recipient does."""
    folder = feed or gate.folder / "log" / "drops" / only(gate).id
    return fetch.current(
        fetch.reader_of(str(folder)), gate.trust(), origin=gate.origin, release=only(gate).id,
        seen=seen, now=now,
    )  # fmt: skip


def test_nobody_says_no_and_nothing_is_recorded(gate):
    """A sweep of a release in which nobody is denied leaves the ledger as it was."""
    head = gate.store.head().index
    assert gate.sweep() == []
    assert gate.stale(only(gate).id) == 0
    assert gate.store.head().index == head


def test_without_a_delivery_nothing_is_judged(tmp_path, monkeypatch):
    """A workspace that has handed nothing over has nothing to sweep."""
    with closing(workspace(tmp_path / "w")) as gate:
        gate.build(PURPOSE, RECIPIENT)
        monkeypatch.setattr(Gate, "denied_in", None)
        withdraw(gate.folder, "ann")
        assert gate.sweep() == []
        assert gate.publish_drops() == []
        assert not (gate.folder / "log" / "drops").exists()


def test_a_model_of_a_release_that_was_not_handed_over_is_owed_for_too(tmp_path):
    """Who trains from the platform's own folder leaves no delivery, and a no reaches the model."""
    with closing(workspace(tmp_path / "w")) as gate:
        release = gate.build(PURPOSE, RECIPIENT).release
        (tmp_path / "weights").mkdir()
        (tmp_path / "weights" / "model").write_bytes(b"1")
        model = gate.register_model(tmp_path / "weights", "m", releases=[release]).model
        withdraw(gate.folder, "ann")
        assert [head.number for head in gate.publish_drops()] == [1]
        owed = [duty for duty in gate.lineage().open() if duty.duty == "forget"]
        assert [duty.model for duty in owed] == [model.digest]


def test_whoever_withdraws_is_on_the_next_list(gate):
    """One person, her pseudonym, why and since when; and the duties that follow."""
    no(gate, "ann")
    withdrawn = gate.store.head()
    (swept,) = gate.sweep()
    assert {r.name: n for r, n in swept.reasons.items()} == {"WITHDRAWN": 1}
    assert swept.since == withdrawn.time
    release = only(gate)
    assert [each.number for each in release.lists] == [1]
    owed = gate.lineage().duties.values()
    assert {d.duty for d in owed} == {"drop", "supersede", "apply"}
    assert {d.cause for d in owed} == {"withdrawal"}
    assert {d.duty for d in gate.lineage().open()} == {"drop", "supersede", "apply"}
    assert gate.stale(release.id) == 1
    assert gate.sweep() == []
    heads = gate.publish_drops()
    assert {d.duty for d in gate.lineage().open()} == {"supersede", "apply"}
    assert [(h.number, h.digest) for h in heads] == [(1, release.lists[0].digest)]
    found = current(gate)
    assert len(found.dropped) == 1
    assert found.published is not None
    assert found.published["rows"] == swept.rows
    assert found.dropped < {
        pseudonyms(gate.folder / "releases" / release.id)[n : n + 32]
        for n in range(0, 32 * release.versions[0].members, 32)
    }


def test_the_newest_version_is_what_the_list_leaves(gate):
    """Superseding rewrites the release, closes its duty, and keeps who was in it before."""
    for n, subject in enumerate(("ann", "bob"), 1):
        no(gate, subject)
        gate.sweep()
        done = gate.supersede(only(gate).id)
        release, folder = only(gate), gate.folder / "releases" / only(gate).id
        assert (done.version, release.current.number) == (n, n)
        checked = verify(folder)
        assert checked.members == release.lists[-1].members
        assert manifest.version_of(checked.record) == n
        assert gate.stale(release.id) == 0
        assert {d.duty for d in gate.lineage().open()} == {"drop", "apply"}
        assert (folder / "private" / f"members-{n - 1}.parquet").exists()
    with pytest.raises(UsageError, match="nobody more"):
        gate.supersede(release.id)
    assert sorted(p.name for p in (gate.folder / "releases").iterdir()) == [".lock", release.id]


def test_building_for_the_same_recipient_sweeps_first(gate):
    """Whoever said no is listed before anything more is made for that purpose and recipient."""
    no(gate, "ann")
    gate.build(PURPOSE, RECIPIENT)
    assert len(next(iter(gate.lineage().releases.values())).lists) == 1


def test_a_list_that_nobody_can_read_is_owed_still(gate):
    """A build makes the list; only a head that bears it meets the duty, which can be overdue.

    Published a day late, it is met late, and says so.
    """
    no(gate, "ann")
    gate.build(PURPOSE, RECIPIENT)
    release = only_used(gate)
    assert release.dropped_to == 1
    assert feed.parse_head(note.parse(head_of(gate, release).read_bytes()).text).number == 0
    (owed,) = [each for each in gate.obligations() if each.duty.duty == "drop"]
    assert (owed.state, owed.evidence) == ("open", None)
    with closing(Gate(gate.folder, now=LATER + DAY)) as later:
        with pytest.raises(GateClosed, match=r"publish drop list 1 .*letterlock drops publish"):
            later.build(PURPOSE, RECIPIENT)
        later.publish_drops()
        met = later.obligation(owed.duty.id)
        assert (met.state, met.late) == ("met", True)
        assert met.evidence == release.lists[0].index
        later.check_open(PURPOSE, RECIPIENT)


def test_a_list_whose_head_was_not_written_is_owed_still(gate, monkeypatch):
    """A publication that is stopped after the log meets nothing; the next one does."""
    no(gate, "ann")
    with monkeypatch.context() as broken:
        broken.setattr(Gate, "_publish_head", refused)
        with pytest.raises(WorkspaceError):
            gate.publish_drops()
    assert "drop" in {d.duty for d in gate.lineage().open()}
    gate.publish_drops()
    assert "drop" not in {d.duty for d in gate.lineage().open()}


def refused(*_: object) -> None:
    """Stand for a folder that cannot be written."""
    raise WorkspaceError("cannot be written")


def only_used(gate: Gate):
    """Return the one release that was handed over."""
    (release,) = [each for each in gate.lineage().releases.values() if each.deliveries]
    return release


def head_of(gate: Gate, release) -> Path:
    """Return where the head of a release's lists is."""
    return gate.folder / "log" / "drops" / release.id / feed.HEAD


# ── what nobody has judged yet ──────────────────────────────────────────────────────────────


def test_a_no_that_nobody_judged_is_told(gate):
    """Since when, of what release, and overdue after fifteen minutes; until the next sweep."""
    assert gate.unjudged() is None
    no(gate, "ann")
    no(gate, SILENT)
    found = gate.unjudged()
    assert (found.events, found.since) == (2, LATER)
    assert found.releases == (only(gate).id,)
    assert not found.overdue
    assert gate.unjudged("bob") is None
    assert gate.unjudged("ann").events == 1
    with closing(Gate(gate.folder, now=LATER + DAY)) as later:
        assert later.unjudged().overdue
        assert "2 events that may narrow are not judged since 2024-06-02" in later.unjudged().told()
        later.publish_drops()
        assert later.unjudged() is None
        withdraw(gate.folder, "bob")
        assert later.unjudged().events == 1


def test_what_does_not_narrow_waits_for_no_judgement(gate):
    """A yes, a release and a drop list take nobody out."""
    events = gate.store.events(upto=gate.store.head().index, subjects=["ann"])
    (said, *_) = [e.body for e in events if e.kind == "choice.made"]
    gate.record([Draft("choice.made", {**said, "subject": "ann"})])
    gate.build(PURPOSE, RECIPIENT)
    assert gate.unjudged() is None


def test_an_empty_sweep_is_remembered_by_the_signed_head_alone(gate):
    """A head that is gone, altered, or another release's is no look at all."""
    no(gate, "zoe")
    gate.publish_drops()
    assert gate.unjudged() is None
    head = head_of(gate, only(gate))
    signed = head.read_bytes()
    for other in (
        None,
        signed.replace(b"\n0\n-\n", b"\n0\n-\n9", 1),
        b"",
    ):
        head.unlink(missing_ok=True)
        if other is not None:
            head.write_bytes(other)
        assert gate.unjudged() is not None
    head.write_bytes(signed)
    assert gate.unjudged() is None


def test_a_release_that_was_never_handed_over_is_judged_when_asked(tmp_path):
    """No sweep judges it; whoever supersedes it learns who may not be in it, and it is owed."""
    with closing(workspace(tmp_path / "w")) as gate:
        release = gate.build(PURPOSE, RECIPIENT).release
        with pytest.raises(UsageError, match="nobody more is to be dropped"):
            gate.supersede(release)
        withdraw(gate.folder, "ann")
        assert gate.sweep() == []
        assert gate.supersede(release).version == 1
        assert gate.stale(release) == 0
        assert {d.duty for d in gate.lineage().open()} == {"drop"}
        gate.publish_drops()
        assert not list(gate.lineage().open())


def test_an_erased_person_is_dropped(gate):
    """Whom nothing is known of any more goes out, since the time of her erasure."""
    gate.erase("cem")
    erased = gate.store.head().time
    (swept,) = gate.sweep()
    assert {r.name: n for r, n in swept.reasons.items()} == {"UNKNOWN_PARTY": 1}
    assert swept.since == erased
    assert {d.cause for d in gate.lineage().duties.values()} == {"erasure"}


def test_time_alone_drops_whose_yes_has_run_out(tmp_path):
    """A yes that expires after the hand-over is a cause without an event, at its own time."""
    folder, end = tmp_path / "w", NOW + 2 * DAY
    with closing(workspace(folder)) as gate:
        events = gate.store.events(upto=gate.store.head().index, subjects=["ann"])
        for said in [e.body for e in events if e.kind == "choice.made" and e.subject == "ann"]:
            lines = [line | {"expires": end} for line in said["lines"]]
            gate.record([Draft("choice.made", {**said, "subject": SILENT, "lines": lines})])
        delivered(gate, gate.build(PURPOSE, RECIPIENT).release)
        assert gate.sweep() == []
    with closing(Gate(folder, now=NOW + 30 * DAY)) as gate:
        (swept,) = gate.sweep()
        assert sum(swept.reasons.values()) == 1
        assert swept.since == end
        assert {d.cause for d in gate.lineage().duties.values()} == {"time"}


# ── the feed at its reader ──────────────────────────────────────────────────────────────────


def test_a_feed_that_does_not_hold_is_refused(gate, tmp_path):
    """A lost list, an old head, one rolled back, another log's: each says what it is."""
    first = shutil.copytree(gate.folder / "log" / "drops" / only(gate).id, tmp_path / "before")
    no(gate, "ann")
    gate.publish_drops()
    feed = gate.folder / "log" / "drops" / only(gate).id
    assert current(gate).head.number == 1
    with pytest.raises(StaleDrops, match="last 24 hours"):
        current(gate, now=LATER + DAY + 2_000_000)
    with pytest.raises(StaleDrops, match="rolled back"):
        current(gate, seen=1, now=NOW, feed=first)
    lost = shutil.copytree(feed, tmp_path / "lost")
    (lost / "1.json").unlink()
    with pytest.raises(StaleDrops, match=r"has no 1\.json"):
        current(gate, feed=lost)
    (lost / "head").unlink()
    with pytest.raises(StaleDrops, match="has no head"):
        current(gate, feed=lost)
    changed = shutil.copytree(feed, tmp_path / "changed")
    (changed / "1.json").write_bytes((feed / "1.json").read_bytes().replace(b'"1"', b'"2"') + b" ")
    with pytest.raises(StaleDrops, match="not the list that the head names"):
        current(gate, feed=changed)
    with closing(workspace(tmp_path / "other")) as other:
        delivered(other, other.build(PURPOSE, RECIPIENT).release)
        other.publish_drops()
        with pytest.raises(StaleDrops, match="does not hold"):
            current(gate, now=NOW, feed=other.folder / "log" / "drops" / only(other).id)


def test_a_lost_list_is_not_vouched_for(gate):
    """The platform signs no head for a list that is gone or altered."""
    no(gate, "ann")
    gate.sweep()
    (gate.folder / "log" / "drops" / only(gate).id / "1.json").write_bytes(b"{}")
    with pytest.raises(LogError, match="restore it"):
        gate.publish_drops()
    with pytest.raises(LogError, match="restore it"):
        gate.supersede(only(gate).id)


def test_an_index_that_is_gone_stops_the_head(gate):
    """Where nobody can tell who has to be dropped, that is an error and no fresh head."""
    head = gate.folder / "log" / "drops" / only(gate).id / "head"
    before = head.read_bytes()
    shutil.rmtree(gate.folder / "index" / "mail")
    with pytest.raises(ReleaseError, match="index of source mail is gone"):
        gate.publish_drops()
    assert head.read_bytes() == before
    with pytest.raises(ReleaseError):
        gate.stale(only(gate).id)


def test_one_release_that_cannot_be_judged_does_not_stop_the_others(gate, tmp_path):
    """The others are listed and get their heads; then the error is told."""
    first = only(gate).id
    gate.add_table("more", write(tmp_path / "more.parquet", messages(30)), columns())
    second = gate.build(PURPOSE, RECIPIENT, names=["more"]).release
    delivered(gate, second)
    shutil.rmtree(gate.folder / "index" / "mail")
    no(gate, "ann")
    with pytest.raises(ReleaseError, match=first):
        gate.publish_drops()
    releases = gate.lineage().releases
    assert (releases[first].dropped_to, releases[second].dropped_to) == (0, 1)
    assert (gate.folder / "log" / "drops" / second / "head").exists()


@pytest.mark.parametrize("how", ["renamed", "cut off", "gone", "a shard gone"])
def test_a_release_that_was_altered_here_gets_no_fresh_head(gate, how):
    """Whoever is renamed in the members table would be on no list: that is found, and said."""
    place = gate.folder / "releases" / only(gate).id / "outgoing"
    head = (gate.folder / "log" / "drops" / only(gate).id / "head").read_bytes()
    path = place / "members.parquet"
    names = pq.read_table(path).column(0).to_pylist()
    if how == "renamed":
        others = [bytes(31) + bytes([n]) for n in range(len(names))]
        pq.write_table(pa.table({"pseudonym": pa.array(others, pa.binary(32))}), path)
    elif how == "cut off":
        path.write_bytes(path.read_bytes()[:-9])
    else:
        (path if how == "gone" else next((place / "data").rglob("*.parquet"))).unlink()
    no(gate, "ann")
    with pytest.raises(VerificationError):
        gate.publish_drops()
    assert (gate.folder / "log" / "drops" / only(gate).id / "head").read_bytes() == head


def test_a_list_that_is_lost_stops_the_head_of_its_release_alone(gate):
    """The others get theirs; then the error is told."""
    no(gate, "ann")
    gate.sweep()
    first, second = only(gate).id, gate.build(PURPOSE, RECIPIENT).release
    delivered(gate, second)
    (gate.folder / "log" / "drops" / first / "1.json").unlink()
    with pytest.raises(LogError, match="restore it"):
        gate.publish_drops()
    assert (gate.folder / "log" / "drops" / second / "head").exists()


def test_a_table_that_was_replaced_is_judged_by_its_kept_index(gate, tmp_path):
    """A source registered anew, the old table gone: whoever says no is still told from it."""
    new = write(tmp_path / "new.parquet", messages(10))
    gate.add_table("mail", new, columns())
    gate.add_table("mail", write(tmp_path / "newer.parquet", messages(20)), columns())
    no(gate, "ann")
    (swept,) = gate.sweep()
    assert sum(swept.reasons.values()) == 1
    assert [path.name for path in (gate.folder / "index").iterdir() if path.name[0] != "."] == [
        "mail"
    ]
    assert len(list((gate.folder / "index" / ".kept").iterdir())) == 1


@pytest.mark.parametrize("kind", [pa.int64(), pa.string()], ids=str)
def test_ids_that_are_numbers_are_told_apart_too(kind, tmp_path):
    """What stayed is found again by its key, of numbers and of texts that look like numbers."""
    table = pa.Table.from_pylist(messages(60), SCHEMA)
    ids = pa.array(range(60)).cast(kind)
    table = table.set_column(0, "id", ids)
    with closing(workspace(tmp_path / "w", table)) as gate:
        built = gate.build(PURPOSE, RECIPIENT)
        assert built.record["counts"]["withheld"]
        delivered(gate, built.release)
        assert gate.sweep() == []
        no(gate, "ann")
        (swept,) = gate.sweep()
        assert sum(swept.reasons.values()) == 1


# ── interruptions ───────────────────────────────────────────────────────────────────────────


class Stop(BaseException):
    """The power goes."""


STEPS = ("rewrite", "keep_private", "publish_blob", "append", "rename", "rename again", "rmtree")


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("before", [True, False], ids=["before", "after"])
def test_a_crash_while_superseding_leaves_one_version_or_the_other(step, before, gate, monkeypatch):
    """Cut off before or after each step, and without any clean-up: the next call finishes it."""
    no(gate, "ann")
    gate.sweep()
    release, folder = only(gate).id, gate.folder

    def cut(do, *, at: int = 1):
        count = 0

        def done(*said, **more):
            nonlocal count
            count += 1
            if count == at and before:
                raise Stop
            found = do(*said, **more)
            if count == at:
                raise Stop
            return found

        return done

    with monkeypatch.context() as patch:
        patch.setattr(Gate, "_recover", lambda *_: None)  # nobody cleans up when the power goes
        if step in {"rewrite", "keep_private"}:
            patch.setattr(dropping, step, cut(getattr(dropping, step)))
            patch.setattr(dropping.shutil, "rmtree", lambda *_, **__: None)
        elif step in {"rename", "rename again"}:
            patch.setattr(Path, "rename", cut(Path.rename, at=2 + (step == "rename again")))
        elif step == "rmtree":
            patch.setattr(dropping.shutil, "rmtree", cut(shutil.rmtree))
        else:
            owner = gate if step == "publish_blob" else gate.store
            patch.setattr(owner, step, cut(getattr(owner, step)), raising=False)
            patch.setattr(dropping.shutil, "rmtree", lambda *_, **__: None)
        with pytest.raises(Stop):
            gate.supersede(release)
    gate.close()
    with closing(Gate(folder, now=LATER)) as again:
        if again.lineage().releases[release].current.number == 0:
            again.supersede(release)
        else:
            with pytest.raises(UsageError, match="nobody more"):
                again.supersede(release)
        assert manifest.version_of(verify(folder / "releases" / release).record) == 1
        assert sorted(p.name for p in (folder / "releases").iterdir()) == [".lock", release]
        again.settle()
        assert {d.duty for d in again.lineage().open()} == {"drop", "apply"}
        again.publish_log()
        again.check_log()


def test_the_version_before_goes_with_the_next_sweep(gate):
    """A kill between the swap and the removal leaves it: with everybody who had to be dropped."""
    no(gate, "ann")
    gate.sweep()
    place = gate.folder / "releases" / only(gate).id
    old = place.with_name(f".{place.name}.old")
    before = shutil.copytree(place, gate.folder.parent / "before")
    gate.supersede(only(gate).id)
    shutil.copytree(before, old)
    gate.sweep()
    assert not old.exists()
    assert verify(place).record["supersedes"]["version"] == 1


def test_a_release_that_is_not_what_was_sealed_is_not_superseded(gate):
    """What somebody changed here is neither judged nor passed on."""
    no(gate, "ann")
    gate.sweep()
    path = gate.folder / "releases" / only(gate).id / "outgoing" / "manifest.json"
    path.write_bytes(path.read_bytes() + b" ")
    with pytest.raises((VerificationError, ReleaseError)):
        gate.supersede(only(gate).id)
    with pytest.raises(VerificationError, match="not what was sealed"):
        gate.sweep()


def test_what_is_recorded_meanwhile_is_looked_at(gate, monkeypatch):
    """Somebody who says no between the judgement and the record is on the same list."""
    no(gate, "ann")
    judge, once = Gate.denied_in, []

    def slow(self, *said, **more):
        found = judge(self, *said, **more)
        if not once:
            once.append(1)
            at(gate.folder, LATER, lambda other: no(other, "bob"))
        return found

    monkeypatch.setattr(Gate, "denied_in", slow)
    (swept,) = gate.sweep()
    assert sum(swept.reasons.values()) == 2
    assert len(only(gate).lists) == 1


# ── what is shown of each version ───────────────────────────────────────────────────────────


def test_each_version_stays_provable(gate):
    """Whoever was dropped is not in the newest version, and was in the one before it."""
    no(gate, "ann")
    gate.sweep()
    release = only(gate).id
    gate.supersede(release)
    gate.publish_log()
    policy = gate.trust()
    for version, present in ((0, True), (1, False), (None, False)):
        evidence = bundle.parse(gate.member_proof("ann", release, version=version))
        assert isinstance(evidence, bundle.Member)
        assert evidence.present == present
        told = " ".join(evidences.verify(evidence, policy).proved)
        assert ("What drop list 1 left of it" in told) == (version != 0)
    stays = bundle.parse(gate.member_proof("bob", release))
    assert isinstance(stays, bundle.Member)
    assert stays.present
    with pytest.raises(UsageError, match="no version 2"):
        gate.member_proof("ann", release, version=2)
    shown = bundle.parse(gate.release_proof(release))
    files = release_files(gate.folder / "releases" / release)
    found = evidences.verify(shown, policy, release=files)
    assert any("another version" in line for line in found.not_proved)


def test_a_destroyed_key_names_nobody(gate):
    """Where no pseudonym can be derived any more, that is an error; nobody is passed over."""
    no(gate, "ann")
    gate.rotate("vrf")
    gate.destroy(only(gate).key)
    with pytest.raises(WorkspaceError, match="destroyed"):
        gate.sweep()
