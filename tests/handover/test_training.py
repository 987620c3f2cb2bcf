"""A training that the lineage knows: its model came of what it read, or there is no model."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import pytest

import letterlock
from letterlock.errors import GateClosed, InputError, StaleDrops, UsageError, WorkspaceError
from letterlock.handover.feed import DropList
from letterlock.handover.reads import lines, reads
from letterlock.inbox import Inbox
from letterlock.lineage import events, inventory
from letterlock.lineage.digest import digest_of
from receiving import copied, delivered, names_of
from workspaces import NOW, PURPOSE, RECIPIENT

made, copy = delivered, copied


def now() -> int:
    """Tell the time of these tests."""
    return NOW


def training(folder: Path, **how: Any) -> Any:
    """Begin a training of the recipient."""
    said = {"name": "reply-7b", "owner": RECIPIENT, "now": now}
    return letterlock.training(folder, **said | how)


def models(copy: Path) -> list[dict[str, Any]]:
    """Return what is recorded of models."""
    return [*lines(copy / "models.jsonl")]


def train(folder: Path, run: Any, copy: Path) -> int:
    """Learn from a release: the weights are the bytes of its rows; returns the rows read."""
    rows = 0
    folder.mkdir(exist_ok=True)
    with (folder / "model.safetensors").open("wb") as file:
        for batch in run.open_release(copy, purpose=PURPOSE).batches(["body"]):
            rows += batch.num_rows
            file.write("".join(batch.column(0).to_pylist()).encode())
    return rows


def test_the_model_is_recorded_with_its_sources(copy, tmp_path):
    """As the log will hold it: the body of model.trained, and when and by which run besides."""
    base, weights = tmp_path / "base", tmp_path / "weights"
    with training(base, name="base") as run:
        train(base, run, copy)
    with training(weights) as run:
        train(weights, run, copy)
        (weights / "head.safetensors").write_bytes(b"tuned")
        run.comes_of(digest_of(base).digest, "fine-tune")
    _, found = models(copy)
    expected = digest_of(weights)
    assert found["model"] == expected.digest
    assert found["sources"] == [
        {"release": copy.name, "version": 0},
        {"model": digest_of(base).digest, "how": "fine-tune"},
    ]
    assert {r.run for r in reads(copy)} == {each["run"] for each in models(copy)}
    assert found.pop("at") == NOW
    assert found.pop("run") == run.id
    events.read("model.trained", {**found, "note": ""})


def test_a_training_may_start_from_a_model_that_is_not_ours(made, copy, tmp_path):
    """It is told by name and digest, and counts as a source beside the release."""
    weights = tmp_path / "weights"
    with training(weights) as run:
        train(weights, run, copy)
        run.comes_of("ab" * 32, "fine-tune", external="https://models.example/base")
    (found,) = models(copy)
    assert found["sources"][1:] == [
        {"external": "https://models.example/base", "digest": "ab" * 32, "how": "fine-tune"}
    ]
    (told,) = inventory.parse(Inbox(tmp_path / "inbox", now=NOW).inventory(made.release)).models
    assert [*told.sources] == found["sources"]
    with pytest.raises(UsageError, match="DIGEST:HOW:NAME"), training(weights) as run:
        run.comes_of("base", "fine-tune", external="x")


def test_the_oldest_list_that_was_read_under_counts(made, copy, tmp_path):
    """Whoever came onto a later list, while it was trained, may be in the model."""
    names = names_of(copy)
    weights = tmp_path / "weights"

    def listed(number: int) -> None:
        drops = DropList(made.gate.origin, made.release, number, b"".join(names[:number]))
        (copy / "feed" / f"{number}.json").write_bytes(drops.encode())
        made.head(copy, drops)

    listed(1)
    with training(weights) as run:
        train(weights, run, copy)
        listed(2)
        train(weights, run, copy)
    listed(3)
    with training(weights, name="again") as again:
        train(weights, again, copy)
    found = [model["sources"] for model in models(copy)]
    assert found == [[{"release": copy.name, "version": n}] for n in (1, 3)]


def test_workers_of_other_processes_count_for_their_run(copy, tmp_path):
    """What a DataLoader's workers read is recorded under the training's run."""
    loading = pytest.importorskip("torch.utils.data")
    weights = tmp_path / "weights"
    weights.mkdir()
    with training(weights) as run:
        rows = run.open_release(copy, purpose=PURPOSE).torch(["body"])
        count = sum(1 for _ in loading.DataLoader(rows, batch_size=None, num_workers=2))
        (weights / "model.safetensors").write_bytes(b"%d" % count)
    done = [r for r in reads(copy) if r.state == "done" and r.run == run.id]
    assert sum(r.rows for r in done) == count
    assert len(models(copy)) == 1


def test_each_release_that_was_opened_has_the_model(copy, tmp_path):
    """Two inboxes of one recipient: both lines name the sources, and all of them."""
    other = tmp_path / "other" / "received" / copy.name
    shutil.copytree(copy.parents[1], tmp_path / "other")
    weights = tmp_path / "weights"
    with training(weights) as run:
        train(weights, run, copy)
        train(weights, run, other)
    assert models(copy) == models(other)
    assert len(models(copy)) == 1


def test_a_training_that_fails_leaves_its_reads_and_no_model(copy, tmp_path):
    """Whatever it fails by, a list that cannot be had included."""
    weights = tmp_path / "weights"

    def twice() -> None:
        with training(weights) as run:
            train(weights, run, copy)
            (copy / "feed" / "head").unlink()
            train(weights, run, copy)

    with pytest.raises(StaleDrops):
        twice()
    assert models(copy) == []
    assert [r.state for r in reads(copy)] == ["opened", "reading", "done"]


def test_a_training_that_is_killed_leaves_its_reads_and_no_model(copy, tmp_path):
    """In the middle of a pass, by a signal that nothing can catch."""
    code = f"""
        import os, signal, letterlock
        with letterlock.training("{tmp_path}/weights", name="m", owner="{RECIPIENT}",
                                 now=lambda: {NOW}) as run:
            reader = run.open_release("{copy}", purpose="{PURPOSE}")
            for n, batch in enumerate(reader.batches(batch_size=1)):
                if n == 3:
                    os.kill(os.getpid(), signal.SIGKILL)
    """
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(code)], check=False)
    assert done.returncode == -signal.SIGKILL
    assert models(copy) == []
    assert [r.state for r in reads(copy)] == ["opened", "reading"]


def test_what_makes_no_model_is_refused(copy, tmp_path):
    """Nothing read, nothing written, nobody's, or another's."""
    weights = tmp_path / "weights"
    weights.mkdir()
    with pytest.raises(UsageError, match="comes of no release"), training(weights):
        pass
    with pytest.raises(InputError, match="no file"), training(weights) as run:
        run.open_release(copy, purpose=PURPOSE)
    with pytest.raises(UsageError, match="name and an owner"), training(weights, name=""):
        pass
    with pytest.raises(UsageError, match="handed over to"), training(weights, owner="own") as run:
        run.open_release(copy, purpose=PURPOSE)
    with pytest.raises(GateClosed), training(weights) as run:
        run.open_release(copy, purpose="infer")
    with pytest.raises(UsageError, match="fine-tune"), training(weights) as run:
        run.comes_of("ab" * 32, "osmosis")
    assert models(copy) == []


def test_a_model_comes_of_those_that_its_inbox_knows(copy, tmp_path):
    """Of another one it is said at once, before it is trained; in whichever order."""
    weights = tmp_path / "weights"

    def tuned(*, late: bool) -> None:
        with training(weights) as run:
            if late:
                run.open_release(copy, purpose=PURPOSE)
            run.comes_of("ab" * 32, "fine-tune")
            run.open_release(copy, purpose=PURPOSE)

    for late in (True, False):
        with pytest.raises(UsageError, match=r"no model abab\w* is registered"):
            tuned(late=late)
    assert models(copy) == []


def test_a_record_of_reads_that_is_gone_makes_no_model(copy, tmp_path):
    """Which list a model was trained under is then not known."""
    weights = tmp_path / "weights"

    def forgetting() -> None:
        with training(weights) as run:
            train(weights, run, copy)
            (copy / "reads.jsonl").unlink()

    with pytest.raises(WorkspaceError, match="is gone"):
        forgetting()
    assert models(copy) == []


def test_a_model_that_cannot_be_recorded_is_said(copy, tmp_path):
    """And a line that could be written in part only is taken back."""
    weights = tmp_path / "weights"
    (copy / "models.jsonl").mkdir()
    with pytest.raises(WorkspaceError, match="recorded"), training(weights) as run:
        train(weights, run, copy)
    (copy / "models.jsonl").rmdir()
    before = json.dumps({"at": 1}).encode() + b"\n"
    (copy / "models.jsonl").write_bytes(before)
    code = f"""
        import resource, signal, sys
        from pathlib import Path
        from letterlock.handover import reads
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (20, 20))
        try:
            reads.append(Path("{copy}/models.jsonl"), {{"model": "ab" * 32}})
        except reads.WorkspaceError:
            sys.exit(7)
    """
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(code)], check=False)
    assert done.returncode == 7
    assert (copy / "models.jsonl").read_bytes() == before


def test_processes_that_append_at_once_lose_no_line(tmp_path):
    """Four of them, 25 lines each."""
    path = tmp_path / "reads.jsonl"
    children = []
    for n in range(4):
        child = os.fork()
        if not child:
            from letterlock.handover.reads import append  # noqa: PLC0415 - of the child

            for k in range(25):
                append(path, {"n": n, "k": k})
            os._exit(0)
        children.append(child)
    assert all(os.waitpid(child, 0)[1] == 0 for child in children)
    found = sorted((line["n"], line["k"]) for line in lines(path))
    assert found == [(n, k) for n in range(4) for k in range(25)]


def test_the_same_weights_of_two_runs_are_one_model_of_an_inventory(made, copy, tmp_path):
    """Trained again, bit for bit, from what a list leaves: one model, of the oldest version."""
    weights = tmp_path / "weights"

    def trained() -> None:
        with training(weights) as run:
            run.open_release(copy, purpose=PURPOSE)
            weights.mkdir(exist_ok=True)
            (weights / "model.safetensors").write_bytes(b"as ever")

    trained()
    drops = DropList(made.gate.origin, made.release, 1, names_of(copy)[0])
    (copy / "feed" / "1.json").write_bytes(drops.encode())
    made.head(copy, drops)
    trained()
    assert [line["sources"][0]["version"] for line in models(copy)] == [0, 1]
    said = inventory.parse(Inbox(tmp_path / "inbox", now=NOW).inventory(made.release))
    (model,) = said.models
    assert model.sources == ({"release": made.release, "version": 0},)
