"""The gate under stress: what is said while a release is built, crashes, full disks, two at once.

Crashes, interrupts and full disks are real: other processes, killed or denied by the system.
"""

from __future__ import annotations

import ctypes
import json
import os
import random
import resource
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from letterlock.domain import DAY, Reason, sha256, text_of
from letterlock.errors import (
    InputError,
    LedgerError,
    LetterlockError,
    PolicyError,
    ReleaseError,
    UsageError,
    WorkspaceError,
)
from letterlock.gate import ATTEMPTS, Gate
from letterlock.ledger import Draft
from letterlock.record import memberset, merkle, vrf
from letterlock.release.verify import verify
from letterlock.sources.records import rows
from workspaces import (
    CHOSE,
    GERMAN,
    JOINED,
    MAPPING,
    NO,
    NOW,
    POLICY,
    PUBLISHED,
    PURPOSE,
    RECIPIENT,
    SILENT,
    YES,
    approved,
    at,
    columns,
    copy,
    member,
    messages,
    publish,
    refusal,
    releases,
    rows_of,
    text_of_setting,
    traces,
    withdraw,
    workspace,
    write,
    yes,
)

ROOT = Path(__file__).resolve().parents[1]
ORIGIN = 'origin = "log.example/w"\n'
PASSPHRASE: Callable[[], str] = lambda: "sesame"  # noqa: E731 - said as it is asked for
ASKED = ["-p", PURPOSE, "-r", RECIPIENT]
PATIENCE = 60


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Give a workspace with a source, never to be changed."""
    folder = tmp_path_factory.mktemp("gate") / "w"
    workspace(folder).close()
    return folder


@pytest.fixture
def gate(made, tmp_path):
    """Give a copy of it."""
    gate = copy(Gate(made), tmp_path / "w")
    yield gate
    gate.close()


def events(gate: Gate, kind: str) -> list[Any]:
    """Return the recorded events of one kind."""
    return [e for e in gate.store.every_event(upto=gate.store.head().index) if e.kind == kind]


def accounts(gate: Gate, built: Any) -> set[str]:
    """Return who is in a release, by computing everybody's pseudonym."""
    opened = next(e for e in events(gate, "release.opened") if e.body["release"] == built.release)
    scope = memberset.scope(gate.origin, opened.index, merkle.leaf_hash(opened.canonical()))
    key = vrf.SecretKey(gate.vrf_key()[1])
    ids = gate.store.subject_ids()
    tokens = [key.token(memberset.alpha(gate.origin, account)) for account in ids]
    known = {memberset.pseudonym(scope, y): name for y, name in zip(tokens, ids, strict=True)}
    table = pq.ParquetFile(built.folder / "outgoing" / "members.parquet").read()
    return {known[name] for name in table["pseudonym"].to_pylist()}


class Once:
    """Does something the first time that a build gets to a stage; counts how often it does."""

    def __init__(
        self, do: Callable[[], Any], *, stage: str = "writing", again: bool = False
    ) -> None:
        """Prepare; `again`: at each attempt, not at the first alone."""
        self.do, self.stage, self.again = do, stage, again
        self.attempts, self.last = 0, ""

    def __call__(self, what: str, _done: int, _total: int) -> None:
        """Take in how far a build is."""
        if what == self.stage and self.last != what:
            self.attempts += 1
            if self.again or self.attempts == 1:
                self.do()
        self.last = what


# ── what is said meanwhile ────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("stage", ["folding", "judging", "naming", "writing"])
def test_a_withdrawal_meanwhile_is_honoured(stage, gate):
    """Whoever says no while a release is built, at whatever stage, is not in it: it starts over."""
    hook = Once(lambda: withdraw(gate.folder, YES[0]), stage=stage)
    built = gate.build(PURPOSE, RECIPIENT, progress=hook)
    assert accounts(gate, built) == set(YES[1:])
    assert len(events(gate, "release.opened")) == 2
    assert [e.body["release"] for e in events(gate, "release.sealed")] == [built.release]
    assert releases(gate.folder) == [built.folder]
    assert built.record["counts"] == gate.build(PURPOSE, RECIPIENT).record["counts"]
    verify(built.folder)


def test_a_key_introduced_meanwhile_is_not_mixed_with_the_one_before(gate, monkeypatch):
    """A key is in the log before the opening that uses it: if another one came, it opens again."""
    looked = []
    look = gate.vrf_key

    def meanwhile() -> tuple[int, bytes]:
        found = look()
        if not looked:
            at(gate.folder, NOW, lambda g: g.rotate("vrf"))
        looked.append(found[0])
        return found

    monkeypatch.setattr(gate, "vrf_key", meanwhile)
    built = gate.build(PURPOSE, RECIPIENT)
    first, second = gate.introduced("vrf")
    assert looked == [first.index, second.index]
    assert built.record["member_set"]["key"] == second.index
    (opened,) = events(gate, "release.opened")
    (sealed,) = events(gate, "release.sealed")
    assert second.index < opened.index == sealed.body["opened"]
    assert accounts(gate, built) == set(YES)


def by_events(*drafts: tuple[str, dict[str, Any]]) -> Callable[[Path], Any]:
    """Return a way to record events as they are."""
    return lambda folder: at(folder, NOW, lambda g: g.record([Draft(k, b) for k, b in drafts]))


def erase_choice(folder: Path) -> None:
    """Destroy one of somebody's choices."""
    gate = Gate(folder, now=NOW)
    head = gate.store.head()
    theirs = gate.store.events(upto=head.index, subjects=[YES[0]])
    index = next(e.index for e in list(theirs) if e.kind == "choice.made")
    gate.store.erase(index, now=NOW)
    gate.close()


def facts(**fact: Any) -> Callable[[Path], Any]:
    """Return a way to learn something of somebody."""
    row = {"subject": YES[0], **fact}
    return lambda folder: at(folder, NOW, lambda g: g.register_facts(rows_of([row])))


NEVER = {"id": "stop", "level": "never"}
NARROWING = {
    "an objection": lambda folder: at(
        folder, NOW, lambda g: g.load_choices(rows_of([refusal(YES[0], "object")]))
    ),
    "an objection to the version": by_events(
        ("version.objected", {"subject": YES[0], "version": "1"})
    ),
    "a move": facts(kind="jurisdiction", value="DE"),
    "a birthday": facts(kind="birth_year", value=2010),
    "an unknown age": facts(kind="birth_year"),
    "a contract": facts(kind="contract", value="unwritten"),
    "a hold": by_events(("hold.set", {"hold": "h", "clauses": [NEVER]})),
    "a region": by_events(("region.published", {"ages": {"DE": 0}, "clauses": []})),
    "a membership that ended": by_events(
        ("subject.registered", {"subject": YES[0], "member": False})
    ),
    "a stricter policy": lambda folder: at(
        folder, NOW, lambda g: publish(
            g, POLICY.replace(b'version = "1"', b'version = "2"').replace(
                b'level = "grant"', b'level = "explicit_grant"'))
    ),
    "an erasure": erase_choice,
}  # fmt: skip


@pytest.mark.parametrize("name", NARROWING)
def test_whatever_narrows_a_release_meanwhile_is_honoured(name, gate):
    """No event that takes an item out of a release is overtaken by its seal."""
    built = gate.build(PURPOSE, RECIPIENT, progress=Once(lambda: NARROWING[name](gate.folder)))
    assert YES[0] not in accounts(gate, built)
    assert len(events(gate, "release.opened")) == 2
    assert built.record["counts"]["released"] == gate.plan(PURPOSE, RECIPIENT).released


SISTER = ("sister", "Sister Ltd.", "affiliate")
OF = dict(zip(("recipient", "name", "class"), SISTER, strict=True))
WIDENING = {
    "a grant": lambda g: g.load_choices(rows_of(yes(SILENT, text_of_setting(g)))),
    "a stranger's refusal": lambda g: g.load_choices(rows_of([refusal("somebody")])),
    "a refusal of somebody who is not in it": lambda g: g.load_choices(rows_of([refusal(NO)])),
    "a refusal for something else": lambda g: g.load_choices(
        rows_of([refusal(YES[0], purpose="infer")])
    ),
    "a new member": lambda g: g.register_subjects(rows_of([member("new")])),
    "a new recipient": lambda g: g.register_recipient(
        *SISTER,
        approved(
            "recipient.registered", recipient=SISTER[0], name=SISTER[1], **{"class": SISTER[2]}
        ),
    ),
}


@pytest.mark.parametrize("name", WIDENING)
def test_what_narrows_nothing_does_not_matter(name, gate, made, tmp_path):
    """What takes nothing out of a release neither delays nor changes it."""
    other = copy(Gate(made), tmp_path / "other")
    expected = other.build(PURPOSE, RECIPIENT)
    other.close()
    hook = Once(lambda: at(gate.folder, NOW, WIDENING[name]))
    built = gate.build(PURPOSE, RECIPIENT, progress=hook)
    assert (built.release, built.record) == (expected.release, expected.record)
    assert len(events(gate, "release.opened")) == 1


def test_a_release_overtaken_each_time_is_given_up(gate):
    """If somebody in it says no during each attempt, nothing is sealed and nothing is left."""
    names = iter(YES)
    hook = Once(lambda: withdraw(gate.folder, next(names)), again=True)
    with pytest.raises(ReleaseError, match=f"{ATTEMPTS} times over; nothing was sealed"):
        gate.build(PURPOSE, RECIPIENT, progress=hook)
    assert hook.attempts == ATTEMPTS
    assert len(events(gate, "release.opened")) == ATTEMPTS
    assert not events(gate, "release.sealed")
    assert [p.name for p in (gate.folder / "releases").iterdir()] == [".lock"]
    assert accounts(gate, gate.build(PURPOSE, RECIPIENT)) == set(YES[ATTEMPTS:])


class Meanwhile:
    """A ledger to which something happens at the worst moment of a seal."""

    def __init__(self, store: Any, *, before_seal: Iterable[Callable[[], Any]] = (),
                 after_seal: Callable[[], Any] | None = None) -> None:  # fmt: skip
        """Wrap `store`; what happens before the seal happens once each, between look and append."""
        self.store, self.before, self.after = store, iter(before_seal), after_seal

    def __getattr__(self, name: str) -> Any:
        """Do everything else as the store does."""
        return getattr(self.store, name)

    def append(self, drafts: Iterable[Draft], **how: Any) -> Any:
        """Let something happen just before a seal is recorded, or just after."""
        drafts = list(drafts)
        seal = any(draft.kind == "release.sealed" for draft in drafts)
        if seal:
            next(self.before, lambda: None)()
        head = self.store.append(drafts, **how)
        if seal and self.after is not None:
            self.after()
        return head


def raw(gate: Gate, *drafts: Draft) -> Callable[[], Any]:
    """Return a way to record something past the gate, as another process would."""
    return lambda: gate.store.append(drafts, now=gate.store.head().time + 1)


def no(subject: str) -> Draft:
    """Return somebody's no."""
    evidence = {"time": NOW, "channel": "web"}
    return Draft(
        "choice.made", {"subject": subject, "act": "withdraw", "lines": [{}], "evidence": evidence}
    )


def test_what_is_recorded_between_the_last_look_and_the_seal_is_looked_at(made, tmp_path):
    """The seal compares the head it looked at: a no just before it makes the build start over."""
    gate, other = copy(Gate(made), tmp_path / "w"), Gate(tmp_path / "w", now=NOW)
    gate.store = Meanwhile(gate.store, before_seal=[raw(other, no(YES[2]))])
    built = gate.build(PURPOSE, RECIPIENT)
    assert accounts(gate, built) == set(YES) - {YES[2]}
    assert len(events(gate, "release.opened")) == 2
    (sealed,) = events(gate, "release.sealed")
    assert sealed.body["checked"] == sealed.index - 1


def test_what_does_not_matter_is_looked_at_as_often_as_it_comes(made, tmp_path):
    """Events that narrow nothing, recorded just before the seal, again and again, delay it only."""
    gate, other = copy(Gate(made), tmp_path / "w"), Gate(tmp_path / "w", now=NOW)
    gate.store = Meanwhile(gate.store, before_seal=[raw(other, no(f"s{n}")) for n in range(4)])
    gate.build(PURPOSE, RECIPIENT)
    assert len(events(gate, "release.opened")) == 1
    (sealed,) = events(gate, "release.sealed")
    assert sealed.body["checked"] == sealed.index - 1


def test_a_withdrawal_just_before_the_seal_each_time_gives_up(made, tmp_path):
    """Three such withdrawals end a build, and nothing is sealed."""
    gate, other = copy(Gate(made), tmp_path / "w"), Gate(tmp_path / "w", now=NOW)
    gate.store = Meanwhile(gate.store, before_seal=[raw(other, no(name)) for name in YES])
    with pytest.raises(ReleaseError, match="nothing was sealed"):
        gate.build(PURPOSE, RECIPIENT)
    assert not events(gate, "release.sealed")
    assert releases(gate.folder) == []


def test_an_event_while_a_release_is_opened_makes_it_look_again(made, tmp_path):
    """If the ledger moves between the first look and the opening, the look is repeated."""
    gate, other = copy(Gate(made), tmp_path / "w"), Gate(tmp_path / "w", now=NOW)

    class Moving(Meanwhile):
        def append(self, drafts: Iterable[Draft], **how: Any) -> Any:
            drafts = list(drafts)
            if drafts[0].kind == "release.opened":
                next(self.before, lambda: None)()
            return self.store.append(drafts, **how)

    gate.store = Moving(gate.store, before_seal=[raw(other, no(YES[2])), raw(other, no(YES[3]))])
    built = gate.build(PURPOSE, RECIPIENT)
    assert accounts(gate, built) == set(YES) - {YES[2], YES[3]}
    assert len(events(gate, "release.opened")) == 1


@pytest.mark.parametrize("what", [KeyboardInterrupt, OSError("the disk is gone")])
def test_what_comes_after_the_seal_cannot_undo_it(what, made, tmp_path):
    """A release whose seal was recorded is there, whatever comes between the seal and its move."""

    def stop() -> None:
        raise what

    gate = copy(Gate(made), tmp_path / "w")
    plain, gate.store = gate.store, Meanwhile(gate.store, after_seal=stop)
    with pytest.raises((KeyboardInterrupt, ReleaseError)):
        gate.build(PURPOSE, RECIPIENT)
    gate.store = plain
    (sealed,) = events(gate, "release.sealed")
    (folder,) = releases(gate.folder)
    assert folder.name == sealed.body["release"]
    assert sha256((folder / "outgoing" / "manifest.json").read_bytes()) == sealed.body["manifest"]
    verify(folder)


# ── as of ─────────────────────────────────────────────────────────────────────────────────────


def test_a_release_as_of_then_is_refused_if_somebody_said_no_since(gate):
    """A build as of a past T is not sealed against a consent that was withdrawn after it."""
    then = gate.now()
    later = Gate(gate.folder, now=NOW + DAY)
    later.load_choices(rows_of([refusal(YES[1], time=text_of(NOW + DAY))]))
    with pytest.raises(ReleaseError, match="people in it said no; nothing was sealed"):
        later.build(PURPOSE, RECIPIENT, as_of=then)
    assert not events(later, "release.sealed")
    assert releases(later.folder) == []
    assert (
        later.plan(PURPOSE, RECIPIENT, as_of=then).released
        > later.plan(PURPOSE, RECIPIENT).released
    )
    assert accounts(later, later.build(PURPOSE, RECIPIENT)) == set(YES) - {YES[1]}


def test_a_release_as_of_then_holds_what_was_said_by_then(gate):
    """A yes that was recorded after T does not count at T, in plan, build and explain alike."""
    then = gate.now()
    later = Gate(gate.folder, now=NOW + DAY)
    later.load_choices(rows_of(yes(SILENT, text_of_setting(later))))
    built = later.build(PURPOSE, RECIPIENT, as_of=then)
    assert built.record["as_of"] == text_of(then)
    assert SILENT not in accounts(later, built)
    assert SILENT in accounts(later, later.build(PURPOSE, RECIPIENT))
    counts = built.record["counts"]
    assert later.plan(PURPOSE, RECIPIENT, as_of=then).released == counts["released"]
    verify(built.folder)


@pytest.mark.parametrize("ask", ["plan", "build", "explain", "check"])
def test_the_future_is_not_known(ask, gate, tmp_path):
    """Nobody knows what will have been said: as of a future T is a usage error."""
    arguments: dict[str, tuple[Any, ...]] = {
        "explain": ("item-0001",),
        "check": (tmp_path / "t.parquet", columns()),
    }
    write(tmp_path / "t.parquet", messages(5))
    with pytest.raises(UsageError, match="lies in the future"):
        getattr(gate, ask)(*arguments.get(ask, ()), PURPOSE, RECIPIENT, as_of=NOW + 1)


def test_before_there_was_a_policy_nothing_may_go(gate):
    """As of a T before everything, recipients are unknown; before the choices, nobody said yes."""
    with pytest.raises(UsageError, match="unknown recipient"):
        gate.plan(PURPOSE, RECIPIENT, as_of=PUBLISHED - 1)
    assert gate.plan(PURPOSE, RECIPIENT, as_of=JOINED).released == 0
    assert gate.plan(PURPOSE, RECIPIENT, as_of=CHOSE + 1).items == 120


# ── one scenario, several questions ───────────────────────────────────────────────────────────


def test_plan_build_check_and_explain_agree(gate):
    """The same table gets the same answer from plan, build, check, and explain, item by item."""
    outcome = gate.plan(PURPOSE, RECIPIENT)
    built = gate.build(PURPOSE, RECIPIENT)
    table = gate.sources()[0].table.path
    found = gate.check(table, columns(), PURPOSE, RECIPIENT)
    assert found.outcome.withheld == outcome.withheld == gate.outcome_of(built).withheld
    denied = {item: (reason, role) for _, item, reason, role in found.denied}
    for n in range(120):
        item = f"item-{n:04}"
        ((_, _, decision),) = gate.explain(item, PURPOSE, RECIPIENT)
        if decision.allowed:
            assert item not in denied
        else:
            assert denied[item] == (decision.reason.name.lower(), decision.role.name.lower())
    assert [row for row, *_ in found.denied] == sorted(row for row, *_ in found.denied)
    assert found.denied[0][0] == 1 + min(int(item[-4:]) for item in denied)


def test_a_check_leaves_nothing_behind(gate, tmp_path):
    """Shadow mode registers no source, records no event and leaves no file."""
    before = traces(gate.folder)
    gate.check(write(tmp_path / "t.parquet", messages(9)), columns(), PURPOSE, RECIPIENT)
    assert traces(gate.folder) == before
    with pytest.raises(InputError):
        gate.check(tmp_path / "missing.parquet", columns(), PURPOSE, RECIPIENT)
    assert traces(gate.folder) == before


def test_looking_records_nothing(gate):
    """Plan, explain, rules and texts leave the ledger as it is."""
    before = traces(gate.folder)
    gate.plan(PURPOSE, RECIPIENT)
    gate.explain("item-0001", PURPOSE, RECIPIENT)
    gate.text("genai", "en")
    gate.rules()
    assert traces(gate.folder) == before


@pytest.mark.parametrize(
    ("ask", "why"),
    [
        (lambda g: g.plan("train.everything", RECIPIENT), "unknown purpose"),
        (lambda g: g.plan(PURPOSE, "nobody"), "unknown recipient"),
        (lambda g: g.build("train.everything", RECIPIENT), "unknown purpose"),
        (
            lambda g: g.build(PURPOSE, "nobody"),
            "unknown recipient 'nobody'; registered: maker, own",
        ),
        (lambda g: g.explain("item-9999", PURPOSE, RECIPIENT), "no registered source has an item"),
        (lambda g: g.explain("item-0001", PURPOSE, "nobody"), "unknown recipient"),
        (lambda g: g.text("nothing", "en"), "unknown setting 'nothing'; there is: genai"),
        (lambda g: g.plan(PURPOSE, RECIPIENT, names=["x"]), "no source 'x'; registered: mail"),
    ],
)
def test_a_question_that_is_off_is_a_usage_error(ask, why, gate):
    """Unknown purposes, recipients, items and settings are errors, not answers; nothing is left."""
    before = traces(gate.folder)
    with pytest.raises(UsageError, match=why):
        ask(gate)
    assert traces(gate.folder) == before


# ── workspaces ────────────────────────────────────────────────────────────────────────────────


def test_a_workspace_is_made_once(tmp_path):
    """A second workspace in the same folder is refused, and the first one stays as it is."""
    Gate.create(tmp_path / "w", passphrase=PASSPHRASE).close()
    files = {path.name: path.read_bytes() for path in (tmp_path / "w" / "keys").iterdir()}
    with pytest.raises(WorkspaceError, match="is a workspace already"):
        Gate.create(tmp_path / "w", passphrase=PASSPHRASE)
    assert len(files) == 4
    for path in (tmp_path / "w" / "keys").iterdir():
        assert path.read_bytes() == files[path.name]
        assert path.stat().st_mode & 0o777 == 0o600
    assert (tmp_path / "w" / "keys").stat().st_mode & 0o777 == 0o700
    assert len(files["browser.key"]) == 32


def test_what_is_about_people_is_for_the_owner_alone_to_read(tmp_path):
    """The ledger holds accounts and the salts of the public log; index and releases their rows."""
    before = os.umask(0o022)
    try:
        gate = Gate.create(tmp_path / "w", simulated=True, now=NOW)
        gate.record([Draft("subject.registered", {"subject": "ann", "member": True})])
    finally:
        os.umask(before)
    kept = [gate.folder / "index", gate.folder / "releases", *gate.folder.glob("ledger.db*")]
    assert not any(path.stat().st_mode & 0o077 for path in kept)
    assert (gate.folder / "log").stat().st_mode & 0o777 == 0o755
    gate.close()


@pytest.mark.parametrize(
    ("config", "why"),
    [
        (None, "is no workspace"),
        ("", "not of a format"),
        ("format = 1\nsimulated = true\n", "of format 1.*make a new one"),
        ("format = 3\nsimulated = true\n" + ORIGIN, "not of a format"),
        ("format = 2\nsimulated = true\n", "not of a format"),
        ('format = 2\nsimulated = "yes"\n' + ORIGIN, "not of a format"),
        ("format = 2\nsimulated = true\norigin = 1\n", "not of a format"),
        ('format = 2\nsimulated = true\norigin = "a b"\n', "not of a format"),
        ("format = 2\nsimulated = true\nsigner = 1\n" + ORIGIN, "not of a format"),
        ("format = 2\nsimulated = true\nsigner = []\n" + ORIGIN, "not of a format"),
        ("format = 2\nsimulated = true\nsigner = ['']\n" + ORIGIN, "not of a format"),
        ("format = 2\nsimulated = true\ncolour = 1\n" + ORIGIN, "unknown setting colour"),
        ("format = ", "cannot be read"),
        ("x = " + "1" * 5000, "cannot be read"),
        ("\udcff", "cannot be read"),
    ],
)
def test_what_is_no_workspace_is_not_opened(config, why, tmp_path):
    """A folder without a readable letterlock.toml of this format is no workspace."""
    Gate.create(tmp_path / "w", simulated=True).close()
    path = tmp_path / "w" / "letterlock.toml"
    path.unlink()
    if config is not None:
        path.write_bytes(config.encode(errors="surrogateescape"))
    with pytest.raises(WorkspaceError, match=why):
        Gate(tmp_path / "w")


@pytest.mark.parametrize(
    ("part", "why"),
    [
        ("ledger.db", "no ledger at .*letterlock init"),
        ("index", "no source is registered: letterlock source add"),
        ("keys", "No such file"),
    ],
)
def test_a_workspace_with_a_part_missing_says_so(part, why, gate):
    """A lost ledger, index or key is an error with a reason, never a traceback."""
    gate.close()
    path = gate.folder / part
    shutil.rmtree(path) if path.is_dir() else path.unlink()
    with pytest.raises(LetterlockError, match=why):
        Gate(gate.folder, now=NOW).build(PURPOSE, RECIPIENT)


def test_lost_releases_do_not_hinder_the_next(gate):
    """A backup may leave releases out: the folder is made anew, and what is built is whole."""
    gate.close()
    shutil.rmtree(gate.folder / "releases")
    built = Gate(gate.folder, now=NOW).build(PURPOSE, RECIPIENT)
    assert verify(built.folder).rows > 0


def test_only_a_simulated_workspace_has_its_clock_set(tmp_path):
    """A real workspace keeps real time; one refused for its clock is not made."""
    with pytest.raises(UsageError, match="--simulated"):
        Gate.create(tmp_path / "w", now=NOW)
    assert not (tmp_path / "w").exists()
    Gate.create(tmp_path / "w", passphrase=PASSPHRASE).close()
    with pytest.raises(UsageError, match="keeps real time"):
        Gate(tmp_path / "w", now=NOW)


def test_a_simulated_clock_never_goes_back(gate):
    """A simulated workspace opened at an earlier time is at its last event's."""
    head = gate.store.head().time
    assert Gate(gate.folder).now() == head
    assert Gate(gate.folder, now=head - DAY).now() == head
    assert Gate(gate.folder, now=head + DAY).now() == head + DAY


def test_a_policy_that_may_not_be_published_records_nothing(gate):
    """A policy with findings, a version that is there, and one too early record nothing."""
    before = traces(gate.folder)
    for data in (
        b"version = ",
        POLICY.replace(b'level = "grant"', b'level = "notice"'),
        POLICY,
        b"effective = 2024-06-01\n" + POLICY.replace(b'version = "1"', b'version = "2"'),
    ):
        with pytest.raises((PolicyError, InputError)):
            publish(gate, data)
        assert traces(gate.folder) == before


def test_a_new_version_says_anew_only_what_is_new(gate):
    """Recipients, regions and contracts that stand already are not published again."""
    head = gate.store.head().index
    assert publish(gate, POLICY.replace(b'version = "1"', b'version = "2"')) == "2"
    assert gate.store.head().index == head + 1
    text = b'version = "3"\n' + POLICY.partition(b"\n")[2].replace(b"DE = 0", b"DE = 0, FR = 0")
    publish(gate, text)
    assert gate.store.head().index == head + 3


def test_the_text_of_a_setting_is_what_its_hash_says(gate):
    """The text a member is shown hashes to what the version lists and a grant carries."""
    text = gate.text("genai", "en")
    assert sha256(text.encode()) == gate.text_hash("genai", "en")
    assert gate.rules().policies[-1].texts["genai", "en"] == sha256(text.encode())
    assert "Tern Models GmbH" in text
    with pytest.raises(LetterlockError):
        gate.text("genai", "xx")


def test_a_source_registered_again_takes_the_place_of_the_old(gate, tmp_path):
    """A name that is taken is given to the new table in one step; a failure leaves the old one."""
    gate.add_table("mail", write(tmp_path / "t.parquet", messages(7)), columns())
    assert gate.plan(PURPOSE, RECIPIENT).items == 7
    before = traces(gate.folder)
    (tmp_path / "bad.parquet").write_bytes(b"PAR1")
    with pytest.raises(InputError):
        gate.add_table("mail", tmp_path / "bad.parquet", columns())
    assert traces(gate.folder) == before
    assert gate.plan(PURPOSE, RECIPIENT).items == 7


def test_everything_recorded_is_seen_by_the_next_process(gate):
    """What one command records after planning, another reads: nothing stays in a cache."""
    for name in YES[:3]:
        before = gate.plan(PURPOSE, RECIPIENT)
        assert gate.load_choices(rows_of([refusal(name)])).recorded == 1
        after = Gate(gate.folder, now=NOW).plan(PURPOSE, RECIPIENT)
        assert after.released < before.released
        assert gate.plan(PURPOSE, RECIPIENT) == after


# ── other processes ───────────────────────────────────────────────────────────────────────────


def environment() -> dict[str, str]:
    """Return what our own processes start with: this source, and no half-written bytecode."""
    path = os.pathsep.join([str(ROOT / "src"), str(ROOT / "tests")])
    return {**os.environ, "PYTHONPATH": path, "PYTHONDONTWRITEBYTECODE": "1", "COLUMNS": "200"}


def start(folder: Path, *arguments: str, code: str = "", **how: Any) -> subprocess.Popen[str]:
    """Start the command line, or `code`, in `folder`."""
    what = ["-c", code] if code else ["-m", "letterlock"]
    return subprocess.Popen(
        [sys.executable, *what, *arguments], cwd=folder, env=environment(), text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, **how,
    )  # fmt: skip


def finish(process: subprocess.Popen[str]) -> tuple[int, str, str]:
    """Wait for a process; returns its exit code and what it said, none of it a traceback."""
    out, err = process.communicate(timeout=PATIENCE)
    assert "Traceback" not in out + err, err
    assert "Exception ignored" not in err, err
    return process.returncode, out, err


def wait(process: subprocess.Popen[str], until: Callable[[], bool]) -> bool:
    """Wait until something is the case, or the process has ended; says whether it is."""
    while process.poll() is None:
        if until():
            return True
        time.sleep(0.002)
    return until()


def stopped(process: subprocess.Popen[str]) -> bool:
    """Say whether a process stands still."""
    try:
        return Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()[0] == "T"
    except FileNotFoundError:
        return False


def standing(folder: Path, moment: str = "writing 1") -> subprocess.Popen[str]:
    """Start a build that stands still at a moment at which it holds nothing but its own lock."""
    process = start(folder, moment, "SIGSTOP", code=HALTED)
    assert wait(process, lambda: stopped(process))
    return process


def hidden(folder: Path) -> list[Path]:
    """Return the folders that a build or a registration is working in."""
    with suppress(FileNotFoundError):
        return [p for p in folder.iterdir() if p.name[0] == "." and p.is_dir()]
    return []


HALTED = """
import os, signal, sys
from pathlib import Path
from workspaces import NOW, PURPOSE, RECIPIENT
from letterlock.gate import Gate

moment, how = sys.argv[1], signal.Signals[sys.argv[2]]

def halt(where):
    if where == moment:
        os.kill(os.getpid(), how)

class Store:
    def __init__(self, store):
        self.store = store
    def __getattr__(self, name):
        return getattr(self.store, name)
    def append(self, drafts, **how):
        drafts = list(drafts)
        halt("before " + drafts[0].kind)
        head = self.store.append(drafts, **how)
        halt("after " + drafts[0].kind)
        return head

gate = Gate(Path(), now=NOW)
gate.store = Store(gate.store)
seen = []
def progress(what, done, total):
    seen.append(what)
    halt(f"{what} {seen.count(what)}")
built = gate.build(PURPOSE, RECIPIENT, progress=progress)
halt("the end")
print(built.release)
"""
MOMENTS = ["writing 2", "after release.sealed"]
MORE_MOMENTS = [
    "after release.opened", "before release.sealed",
    "before release.opened", "folding 1", "judging 1", "judging 3", "writing 1", "writing 3",
    "the end",
]  # fmt: skip


def killed_at(moment: str, folder: Path) -> None:
    """Kill a build at a moment, and assert that the next one finds everything in order."""
    process = start(folder, moment, "SIGKILL", code=HALTED)
    assert finish(process)[0] == -signal.SIGKILL
    there = releases(folder)
    assert len(there) == (moment == "the end")
    gate = Gate(folder, now=NOW)
    sealed = [e.body for e in events(gate, "release.sealed")]
    built = gate.build(PURPOSE, RECIPIENT)
    assert {p.name for p in releases(folder)} == {built.release, *(b["release"] for b in sealed)}
    for path in releases(folder):
        verify(path)
        digest = sha256((path / "outgoing" / "manifest.json").read_bytes())
        assert digest in [e.body["manifest"] for e in events(gate, "release.sealed")]
    assert not hidden(folder / "releases")
    assert accounts(gate, built) == set(YES)
    gate.close()


@pytest.mark.parametrize("moment", MOMENTS)
def test_a_killed_build_leaves_nothing_that_looks_like_a_release(moment, gate):
    """Killed anywhere, a build leaves no release, or one whose seal was recorded, finished next."""
    gate.close()
    killed_at(moment, gate.folder)


@pytest.mark.slow
@pytest.mark.parametrize("moment", MORE_MOMENTS)
def test_so_does_one_killed_at_other_moments(moment, gate):
    """The same at every other stage."""
    gate.close()
    killed_at(moment, gate.folder)


@pytest.mark.slow
def test_builds_killed_at_random_leave_nothing_that_looks_like_a_release(gate):
    """Killed twenty times after random delays, whatever they were doing, builds leave no half."""
    rng = random.Random(7)
    folder = gate.folder
    for _ in range(20):
        process = start(folder, "build", *ASKED, "--now", text_of(NOW))
        wait(process, lambda: bool(hidden(folder / "releases")))
        time.sleep(rng.random() * 0.3)
        process.kill()
        process.communicate(timeout=PATIENCE)
        for path in releases(folder):
            verify(path)
        sealed = {e.body["release"] for e in events(gate, "release.sealed")}
        assert {p.name for p in releases(folder)} <= sealed
    gate.build(PURPOSE, RECIPIENT)
    sealed = {e.body["release"] for e in events(gate, "release.sealed")}
    assert {p.name for p in releases(folder)} == sealed
    assert not hidden(folder / "releases")


@pytest.fixture(scope="module")
def large(tmp_path_factory):
    """Give a workspace with a table that takes a while, and its mapping, choices and table."""
    folder = tmp_path_factory.mktemp("large")
    rng = random.Random(4)
    count = 12_000
    few = messages(120)
    rows = [
        {**few[n % 120], "id": f"i{rng.getrandbits(64)}", "body": rng.randbytes(200).hex()}
        for n in range(count)
    ]
    workspace(folder / "w", rows, group=100).close()
    (folder / "mapping.toml").write_text(MAPPING)
    with (folder / "choices.jsonl").open("w") as file:
        file.writelines(json.dumps(refusal(f"u{n}")) + "\n" for n in range(4_000))
    return folder


@pytest.fixture
def work(large, tmp_path):
    """Give a copy of its workspace."""
    return Path(shutil.copytree(large / "w", tmp_path / "w"))


def commands(large: Path) -> dict[str, list[str]]:
    """Return the commands that write much."""
    table, mapping = str(large / "w.parquet"), str(large / "mapping.toml")
    clock = ["--now", text_of(NOW)]
    return {
        "source": ["source", "add", "x", table, "--mapping", mapping],
        "choose": ["choose", "--load", str(large / "choices.jsonl"), *clock],
        "build": ["build", *ASKED, *clock],
        "plan": ["plan", *ASKED, *clock],
        "check": ["check", table, "--mapping", mapping, *ASKED, *clock],
    }


INTERRUPTED = """
import os, signal
from contextlib import contextmanager
from letterlock.cli import main, show
from letterlock.store.sqlite import SqliteStore

append, progress = SqliteStore.append, show.progress

def interrupt(*_):
    os.kill(os.getpid(), signal.SIGINT)

def appending(store, drafts, **how):
    drafts = list(drafts)
    def interrupted():
        for n, draft in enumerate(drafts):
            if n > len(drafts) // 2:
                interrupt()
            yield draft
    return append(store, interrupted(), **how)

@contextmanager
def reporting(*, quiet):
    with progress(quiet=quiet):
        yield interrupt

SqliteStore.append, show.progress = appending, reporting
main()
"""


@pytest.mark.parametrize(
    "command",
    [
        "build",
        pytest.param("source", marks=pytest.mark.slow),
        pytest.param("choose", marks=pytest.mark.slow),
    ],
)
def test_an_interrupt_leaves_nothing_half_done(command, large, work):
    """Ctrl-C ends a build, a registration and a load with exit 130, and everything is as before."""
    before = traces(work)
    code, _, err = finish(start(work, *commands(large)[command], code=INTERRUPTED))
    assert (code, "interrupted: nothing was left half-done" in err) == (130, True)
    head, names = traces(work)
    opened = command == "build"
    assert (head - opened, names) == before
    assert not hidden(work / "releases") + hidden(work / "index")


@pytest.mark.slow
def test_interrupts_at_any_moment_leave_nothing_half_done(large, tmp_path):
    """Ctrl-C, twice in a row, at random moments of a build: no crash, no leftovers, no half."""
    rng = random.Random(9)
    for n in range(12):
        work = Path(shutil.copytree(large / "w", tmp_path / str(n)))
        process = start(work, "build", *ASKED, "--threads", "4", "--now", text_of(NOW))
        assert wait(process, lambda: bool(hidden(work / "releases")))  # noqa: B023 - awaited here
        time.sleep(rng.random() * 0.8)
        for _ in range(2):
            process.send_signal(signal.SIGINT)
        code, _, _ = finish(process)
        gate = Gate(work, now=NOW)
        sealed = {e.body["release"] for e in events(gate, "release.sealed")}
        gate.close()
        assert code in {0, 130}
        assert not hidden(work / "releases")
        assert {p.name for p in releases(work)} == sealed
        for path in releases(work):
            verify(path)


def test_two_builds_at_once_are_one_build_and_an_error(work):
    """While one build runs, another ends with a clear error; the first one holds."""
    first = standing(work)
    code, out, err = finish(start(work, "build", *ASKED))
    assert (code, out) == (1, "")
    assert "another build is running in this workspace: wait for it to end" in err
    first.send_signal(signal.SIGCONT)
    code, out, _ = finish(first)
    assert code == 0
    (folder,) = releases(work)
    assert out.strip() == folder.name
    verify(folder)


CHOOSING = """
import sys
from pathlib import Path
from letterlock.gate import Gate
from letterlock.sources.records import Row

gate = Gate(Path())
for n in range(25):
    row = Row(1, {"subject": f"{sys.argv[1]}-{n}", "act": "withdraw"})
    assert gate.load_choices([row]).recorded == 1
"""


def test_many_processes_record_at_once_and_nothing_is_lost(tmp_path):
    """Refusals from several processes at the same time are all recorded: none is told to wait."""
    Gate.create(tmp_path / "w", passphrase=PASSPHRASE).close()
    processes = [start(tmp_path / "w", str(n), code=CHOOSING) for n in range(2)]
    assert [finish(process)[0] for process in processes] == [0, 0]
    gate = Gate(tmp_path / "w")
    made = [e.body["subject"] for e in events(gate, "choice.made")]
    assert sorted(made) == sorted(f"{k}-{n}" for k in range(2) for n in range(25))
    assert gate.store.head().index == 101
    times = [e.time for e in gate.store.every_event(upto=101)]
    assert times == sorted(times)
    gate.close()


def test_choices_recorded_during_a_build_by_another_process_are_honoured(work):
    """A withdrawal by another process while a build stands still is not overtaken by its seal."""
    process = standing(work)
    withdraw(work, YES[0])
    process.send_signal(signal.SIGCONT)
    code, _, err = finish(process)
    assert (code, err) == (0, "")
    gate = Gate(work, now=NOW)
    (sealed,) = events(gate, "release.sealed")
    opened = [e.body["release"] for e in events(gate, "release.opened")]
    assert opened[-1] == sealed.body["release"]
    (folder,) = releases(work)
    assert verify(folder).members == len(YES) - 1
    gate.close()


# ── full disks ────────────────────────────────────────────────────────────────────────────────


def limited(size: int) -> Callable[[], None]:
    """Return what makes every file of a process end at `size` bytes, as on a full disk."""
    return lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))


def fails_for_want_of_room(command: str, large: Path, work: Path, **how: Any) -> None:
    """Assert that a command fails with an error in a line, and leaves everything as it was."""
    before = traces(work)
    code, out, err = finish(start(work, *commands(large)[command], **how))
    assert (code, out) == (1, "")
    assert err.startswith("error: ")
    head, names = traces(work)
    assert (head - (command == "build" and head > before[0]), names) == before


@pytest.mark.parametrize(
    ("command", "size"),
    [
        pytest.param("build", 100_000, marks=pytest.mark.slow),
        pytest.param("source", 100_000, marks=pytest.mark.slow),
        pytest.param("choose", 400_000, marks=pytest.mark.slow),
        pytest.param("build", 0, marks=pytest.mark.slow),
        pytest.param("choose", 0, marks=pytest.mark.slow),
    ],
)
def test_a_file_that_cannot_grow_is_an_error_in_a_line(command, size, large, work):
    """Where the system lets no file grow further, nothing is recorded, registered or released."""
    fails_for_want_of_room(command, large, work, preexec_fn=limited(size))
    code, _, _ = finish(start(work, *commands(large)[command]))
    assert code == 0
    for path in releases(work):
        verify(path)


@pytest.mark.slow
@pytest.mark.parametrize("command", ["source", "choose", "build"])
def test_so_it_is_at_any_size(command, large, tmp_path):
    """The same at many sizes, wherever among the writes the limit falls."""
    failed = 0
    for size in (10, 20_000, 40_000, 90_000, 140_000, 250_000, 600_000, 1_200_000):
        work = Path(shutil.copytree(large / "w", tmp_path / str(size)))
        before = traces(work)
        code, _, err = finish(start(work, *commands(large)[command], preexec_fn=limited(size)))
        if code:
            failed += 1
            assert err.startswith("error: ")
            head, names = traces(work)
            assert (head - (head > before[0]), names) == before
        for path in releases(work):
            verify(path)
        assert len(releases(work)) == (command == "build" and not code)
    assert failed > 3


@pytest.fixture
def small_disk(tmp_path):
    """Give a disk of little room, or None where nothing may be mounted."""
    disk = tmp_path / "disk"
    disk.mkdir()
    options = ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(disk)]
    mounted = shutil.which("mount") and not subprocess.run(options, check=False).returncode
    yield disk if mounted else None
    if mounted:
        subprocess.run(["umount", str(disk)], check=True)


@pytest.mark.parametrize(
    "command",
    [
        "source",
        pytest.param("choose", marks=pytest.mark.slow),
        pytest.param("build", marks=pytest.mark.slow),
    ],
)
def test_a_full_disk_is_an_error_in_a_line(command, large, small_disk, tmp_path):
    """On a disk without room nothing is recorded, registered or released; where none can be
    mounted, files that cannot grow take its place.
    """  # noqa: D205 - one sentence
    if small_disk is None:
        work = Path(shutil.copytree(large / "w", tmp_path / "w"))
        size = {"source": 100_000, "choose": 400_000, "build": 120_000}[command]
        fails_for_want_of_room(command, large, work, preexec_fn=limited(size))
        return
    work = Path(shutil.copytree(large / "w", small_disk / "w"))
    room = {"source": 100_000, "choose": 600_000, "build": 700_000}[command]
    status = os.statvfs(small_disk)
    filler = status.f_bavail * status.f_frsize - room
    (small_disk / "filler").write_bytes(b"\0" * max(0, filler))
    fails_for_want_of_room(command, large, work)
    (small_disk / "filler").unlink()
    if command == "source":
        assert finish(start(work, *commands(large)[command]))[0] == 0


# ── a workspace that cannot be written ────────────────────────────────────────────────────────


def humble() -> None:
    """Give up root's right to write where the permissions forbid it; without it nothing changes."""
    drop_from_bounding_set, dac_override, dac_read_search = 24, 1, 2
    for capability in (dac_override, dac_read_search):
        ctypes.CDLL(None).prctl(drop_from_bounding_set, capability, 0, 0, 0)


@pytest.mark.parametrize(
    ("part", "command"),
    [
        (".", "choose"),
        ("releases", "build"),
        pytest.param("index", "source", marks=pytest.mark.slow),
        pytest.param(".", "plan", marks=pytest.mark.slow),
        pytest.param(".", "check", marks=pytest.mark.slow),
    ],
)
def test_a_workspace_that_cannot_be_written_is_an_error_in_a_line(part, command, large, work):
    """A read-only workspace, or part of one, gives an error that names it, and stays as it is."""
    before = traces(work)
    paths = [work / part, *(work / part).rglob("*")]
    modes = {path: path.stat().st_mode for path in paths}
    for path in paths:
        path.chmod(0o555 if path.is_dir() else 0o444)
    arguments = commands(large)[command]
    code, out, err = finish(start(work, *arguments, preexec_fn=humble))
    for path, mode in modes.items():
        path.chmod(mode)
    assert (code, out) == (1, "")
    assert err.startswith("error: ")
    assert "ermission denied" in err or "readonly" in err
    assert traces(work) == before


def test_a_release_in_a_read_only_folder_verifies(gate):
    """Verification writes nothing."""
    built = gate.build(PURPOSE, RECIPIENT)
    for path in [built.folder, *built.folder.rglob("*")]:
        path.chmod(0o555 if path.is_dir() else 0o444)
    process = start(gate.folder, "verify", str(built.folder), preexec_fn=humble)
    assert finish(process)[0] == 0


def test_what_members_say_by_hand_counts(gate, tmp_path):
    """A member moves, another joins and says yes: plan and items follow; a choice file is read."""
    gate.register_facts(rows_of([{"subject": GERMAN, "kind": "jurisdiction", "value": "US"}]))
    before = gate.plan(PURPOSE, RECIPIENT)
    assert Reason.REGION not in {r for r, n in before.withheld.items() if n > 8}
    gate.register_subjects(rows_of([member("stranger")]))
    text = text_of_setting(gate)
    path = tmp_path / "choices.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in yes("stranger", text)))
    assert gate.load_choices(rows(path)).recorded == 4
    after = gate.plan(PURPOSE, RECIPIENT)
    assert after.released > before.released
    with pytest.raises(InputError, match="not a registered member"):
        gate.choose("nobody", "grant", purpose=PURPOSE, data_class="message.*",
                    recipient=RECIPIENT, channel="desk", text=text)  # fmt: skip
    with pytest.raises(LedgerError):
        gate.store.append([no(YES[0])], now=0)
