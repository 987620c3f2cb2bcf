"""The fourth act: a hand-over taken back, to the end of every duty."""

import shlex
from pathlib import Path

import pytest

from letterlock.cli import replay as screen
from letterlock.domain import DAY
from letterlock.errors import InputError
from letterlock.gate import Gate
from letterlock.gate.offline import check_evidence
from letterlock.handover.reader import open_release
from letterlock.inbox.folder import Inbox
from letterlock.lineage import inventory
from letterlock.release import manifest
from letterlock.release.verify import verify
from letterlock.replay.handed import INBOXES, MODELS, WORKSPACE, act_four
from letterlock.replay.public import POLICY

CASE = Path(__file__).resolve().parents[2] / "examples" / "case-2024"
COLUMNS, LINES = 100, 50


@pytest.fixture
def demo(case):
    """Look at the case."""
    return case


@pytest.fixture
def gate(demo):
    """Open the workspace as the act left it."""
    found = Gate(demo.out / WORKSPACE)
    yield found
    found.close()


def test_every_stated_latency_is_kept_and_named(demo):
    """Each thing that a policy promises in a time is seen, and took no longer."""
    found = demo.act_four.latencies
    assert [each.what for each in found] == [
        "online check", "running build", "drop list", "reader", "own copy", "reader, no news",
        "recipient", "model",
    ]  # fmt: skip
    assert all(each.kept for each in found)
    assert found[-1].stated == 30 * DAY  # by the policy of the example


def test_every_duty_of_the_act_ends_in_evidence(demo, gate):
    """Nothing is owed any more, and each duty names the event that shows it."""
    owed = gate.obligations()
    assert len(owed) == demo.act_four.met > 0 == demo.act_four.open
    events = {e.index: e for e in gate.store.events(upto=gate.store.head().index)}
    kinds = {each.duty.duty: events[each.evidence].kind for each in owed}
    assert kinds == {
        "drop": "drops.published",
        "supersede": "release.superseded",
        "apply": "release.acknowledged",
        "forget": "model.destroyed",
        "destroy": kinds["destroy"],
        "erase": "erasure.certified",
    }
    assert kinds["destroy"] in {"release.acknowledged", "model.destroyed"}


def test_the_gate_was_closed_by_the_duty_left_lying(demo, gate):
    """The refusal names a duty to apply, of the recipient who did nothing, which is met since."""
    act = demo.act_four
    name = next(word for word in act.closed.split() if word.startswith("O-"))
    owed = gate.obligation(name)
    assert (owed.duty.duty, owed.duty.owner, owed.state) == ("apply", act.recipient, "met")


def test_an_order_deletes_the_right_models(demo):
    """No model came of InMail; all that came of posts is gone, and what came of none stays."""
    inmail, posts = demo.act_four.answers
    assert (inmail.releases, inmail.destroy, inmail.owed) == (0, (), 0)
    assert posts.releases > 0 < posts.copies
    assert posts.owed == posts.met > 0
    assert posts.destroy == ("tern-writer-3",)
    kept = {each.name for each in demo.act_four.models if each.fate == "in use"}
    assert kept == {"northmail-profiles-3"}
    assert kept == {path.name for path in (demo.out / MODELS).iterdir()}


def test_whoever_left_is_in_no_copy_that_is_left(demo, gate, tmp_path):
    """The copy inside the company holds, is smaller, and proves that she is not in it."""
    act = demo.act_four
    inbox = Inbox(demo.out / INBOXES / "northmail")
    (release,) = inbox.releases()
    said = inventory.parse(inbox.inventory(release))
    copy = manifest.read(inbox.path(release))
    assert said.root == copy["member_set"]["root"]
    assert said.version == manifest.version_of(copy) > 0
    assert verify(inbox.path(release)).rows == said.rows
    proof = tmp_path / "gone.json"
    for member in (act.member, act.late):
        proof.write_bytes(gate.member_proof(member, release))
        (found,) = check_evidence([proof], demo.out / WORKSPACE / POLICY)
        assert "is not among" in found.proved[0]


def test_the_recipient_outside_can_read_nothing_any_more(demo):
    """Its copy is destroyed, and the reader says so."""
    act = demo.act_four
    place = Inbox(demo.out / INBOXES / act.recipient).path(act.release)
    with pytest.raises(Exception, match=r"destroyed|recalled"):
        open_release(place, purpose="train.generative")


def test_the_screen_fits_and_its_commands_are_words_of_ours(demo):
    """At most fifty lines of a hundred columns, which end in commands that name this demo."""
    lines = list(screen.handed_lines(demo))
    assert 0 < len(lines) <= LINES
    assert max(map(len, lines)) <= COLUMNS
    for words in demo.act_four.commands(demo.out):
        assert shlex.join(words) in " ".join(line.strip(" \\") for line in lines)


def test_a_world_without_a_handover_has_no_fourth_act(demo, posts):
    """The other examples have none, and a release of nobody makes none."""
    assert posts.act_four is None
    assert list(screen.handed_lines(posts)) == []
    with pytest.raises(InputError, match="handover"):
        act_four(posts.world, _network(demo), demo.act_four.release, demo.out, lambda *_: None)


def _network(demo):
    from letterlock.policy.document import read  # noqa: PLC0415
    from letterlock.replay.world import draw  # noqa: PLC0415
    from letterlock.sources.folder import policy_files  # noqa: PLC0415

    return draw(demo.world, read(policy_files(CASE), str(CASE)))
