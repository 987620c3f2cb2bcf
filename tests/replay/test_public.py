"""The third act: a denial that anybody can check, and one member's own proof."""

import re
import shlex
import sys
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from letterlock.cli import main
from letterlock.cli import replay as screen
from letterlock.domain import text_of
from letterlock.errors import InputError, ProofError, SignatureError
from letterlock.evidence import bundle
from letterlock.evidence.bundle import Member, Receipt
from letterlock.gate.offline import check_evidence
from letterlock.record import quorum
from letterlock.release import manifest
from letterlock.replay.public import ABSENCE, POLICY, PROOFS, RECEIPT, STATEMENT, WORKSPACE

CASE = Path(__file__).resolve().parents[2] / "examples" / "case-2024"
COLUMNS, LINES = 100, 50


@pytest.fixture
def demo(case):
    """Look at the case."""
    return case


@pytest.fixture
def proofs(demo):
    """Return where the evidence lies."""
    return demo.out / PROOFS


def run(capsys, words):
    """Run the program in this process; return its exit code and what it printed."""
    before, sys.argv = sys.argv, ["letterlock", *words]
    try:
        with pytest.raises(SystemExit) as stopped:
            main()
    finally:
        sys.argv = before
    return stopped.value.code, capsys.readouterr().out


def test_what_is_said_of_the_class_is_recounted_from_the_tables(demo):
    """None of the messages that the statement is about went; some of the other class did."""
    act = demo.act_three
    items = {
        row["item"]: row for row in pq.read_table(demo.out / "world" / "items.parquet").to_pylist()
    }
    release = demo.out / "workspace" / "releases" / act.release
    private = release / manifest.PRIVATE / manifest.WITHHELD
    stayed = set(pq.read_table(private).column("item").to_pylist())
    went = [row["data_class"] for item, row in items.items() if item not in stayed]
    assert went.count(act.data_class) == 0 == demo.act_one.gated.by_class[act.data_class]
    assert went.count(act.other) > 0
    assert f"{went.count(act.other):,} rows of {act.other}" in act.refused


def test_the_member_refused_and_is_in_no_released_row(demo):
    """Counted from the tables: she said no, and nothing that she wrote or was sent went."""
    act = demo.act_three
    said = pq.read_table(demo.out / "world" / "choices.parquet").to_pylist()
    assert {"object", "withdraw"} & {row["act"] for row in said if row["subject"] == act.member}
    release = demo.out / "workspace" / "releases" / act.release
    private = release / manifest.PRIVATE / manifest.WITHHELD
    stayed = set(pq.read_table(private).column("item").to_pylist())
    for row in pq.read_table(demo.out / "world" / "items.parquet").to_pylist():
        people = [row["author"], *(row["recipients"] or ()), *(row["members"] or ())]
        assert row["item"] in stayed or act.member not in people


def test_two_witnesses_are_needed_and_have_seen_it(demo, proofs):
    """Whoever relies on the policy relies on both of them, and on neither alone."""
    policy = quorum.parse((proofs / POLICY).read_bytes())
    note = (demo.out / WORKSPACE / "log" / "checkpoint").read_bytes()
    seen = policy.check(note)
    assert {name.split("/")[0] for name, _ in seen.witnesses} == set(demo.act_three.witnesses)
    lines = note.decode().splitlines(keepends=True)
    for name in demo.act_three.witnesses:
        less = "".join(line for line in lines if not line.startswith(f"— {name} "))
        with pytest.raises(SignatureError):
            policy.check(less.encode())


def test_the_evidence_is_what_the_act_says(demo, proofs):
    """Her receipt is of a no of hers, her proof is of her absence from this release."""
    receipt = bundle.parse((proofs / RECEIPT).read_bytes())
    absence = bundle.parse((proofs / ABSENCE).read_bytes())
    assert isinstance(receipt, Receipt)
    assert isinstance(absence, Member)
    assert f'"subject":"{demo.act_three.member}"'.encode() in receipt.event
    assert (absence.account, absence.present) == (demo.act_three.member, False)


@pytest.mark.parametrize("name", [STATEMENT, RECEIPT, ABSENCE])
def test_a_stranger_finds_what_was_changed(demo, proofs, tmp_path, name):
    """A character of a signed or hashed part changed: the file says no."""
    data = (proofs / name).read_text()
    log = demo.out / WORKSPACE / "log"
    places = [found.start(1) for found in re.finditer(r'(?:\\n|"|:)([0-9a-zA-Z+/]{24,})', data)]
    for place in places[:: max(1, len(places) // 8)]:
        changed = "A" if data[place] != "A" else "B"
        (tmp_path / name).write_text(data[:place] + changed + data[place + 1 :])
        with pytest.raises((InputError, ProofError, SignatureError)):
            check_evidence([tmp_path / name], proofs / POLICY, log=log)


def test_the_third_screen_fits_and_its_commands_run_as_printed(capsys, demo):
    """At most 50 lines of 100 columns but for the folder's name; every command answers yes."""
    act = demo.act_three
    short = type(demo)(Path("demo"), demo.world, demo.act_one, demo.days, act)
    lines = list(screen.public_lines(short))
    assert len(lines) <= LINES
    assert max(map(len, lines)) <= COLUMNS
    text = "\n".join(screen.public_lines(demo)).replace("\\\n", " ")
    commands = [shlex.split(line)[1:] for line in text.splitlines() if "letterlock verify" in line]
    assert len(commands) == 2
    printed = [run(capsys, words) for words in commands]
    assert [code for code, _ in printed] == [0, 0]
    assert act.data_class in printed[0][1]
    assert f"{act.member} is not among the" in printed[1][1]
    assert demo.record()["record"]["at"] == text_of(act.at)


def test_a_world_without_a_record_has_no_third_act(posts):
    """The smaller examples publish nothing, and say nothing of it."""
    assert posts.act_three is None
    assert list(screen.public_lines(posts)) == []
    assert not (posts.out / PROOFS).exists()
