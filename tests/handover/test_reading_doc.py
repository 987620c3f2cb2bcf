"""The example of docs/reading.md does what the page says."""

import re
from pathlib import Path

import letterlock
from letterlock.handover.reads import lines
from receiving import left, platform

PAGE = Path(__file__).parents[2] / "docs" / "reading.md"


def test_the_example_trains_and_is_recorded(tmp_path, monkeypatch):
    """Run as it stands there, on a release that was handed over; its clock is the simulated one."""
    found = platform(tmp_path / "w")
    copy = found.deliver(tmp_path / "inbox")
    found.gate.publish_drops()
    learned, saved = [], []
    (tmp_path / "weights").mkdir()
    monkeypatch.chdir(tmp_path)
    for module in ("admission", "training"):
        monkeypatch.setattr(f"letterlock.handover.{module}.real_time", found.gate.now)

    def save(path):
        saved.append(path)
        Path(path).write_bytes(b"weights")

    (example,) = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)
    names = {
        "path": copy, "feed": found.gate.folder / "log" / "drops" / found.release,
        "learn": learned.append, "save": save,
    }  # fmt: skip
    exec(compile(example, PAGE.name, "exec"), names)  # noqa: S102 - our own page
    assert sum(batch.num_rows for batch in learned) == 2 * len(left(copy, []))
    assert saved == ["weights/model.safetensors"]
    (model,) = lines(copy / "models.jsonl")
    assert model["sources"] == [{"release": found.release, "version": 0}]
    assert letterlock.__doc__
    found.close()
