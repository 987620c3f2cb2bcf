"""The golden vectors of evidence: what is true is accepted, what was tampered with is refused."""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from letterlock import errors
from letterlock.evidence import bundle, page
from letterlock.evidence.finding import Finding
from letterlock.evidence.verify import LogFiles, ReleaseFiles, verify
from letterlock.record import quorum

HERE = Path(__file__).parents[1] / "vectors" / "evidence"
INDEX = json.loads((HERE / "index.json").read_text())
VECTORS: list[dict[str, Any]] = INDEX["vectors"]
VALID = [vector for vector in VECTORS if vector["error"] is None]
TAMPERED = [vector for vector in VECTORS if vector["error"] is not None]


def checked(vector: dict[str, Any]) -> Finding:
    """Read a vector as its index says."""
    policy = quorum.parse((HERE / vector["policy"]).read_bytes())
    files: dict[str, Any] = {}
    if "files" in vector:
        read = json.loads((HERE / vector["files"]).read_text())
        if "manifest" in read:
            names = bytes.fromhex(read["pseudonyms"])
            files["release"] = ReleaseFiles(read["manifest"].encode(), names)
        else:
            beside = {name: blob.encode() for name, blob in read["blobs"].items()}
            entries = [entry.encode() for entry in read["entries"]]
            files["log"] = LogFiles(read["checkpoint"].encode(), entries, beside.get)
    evidence = bundle.parse((HERE / vector["file"]).read_bytes())
    return verify(evidence, policy, INDEX["now"], **files)


def name_of(vector: dict[str, Any]) -> str:
    """Name a vector by its file."""
    return Path(vector["file"]).stem


@pytest.mark.parametrize("vector", VALID, ids=name_of)
def test_a_valid_vector_is_accepted_and_told_on_a_page(vector):
    """Its page says what is shown and what is not, in lines that fit."""
    finding = checked(vector)
    text = page.text(finding)
    assert max(map(len, text.splitlines())) <= page.WIDTH
    assert finding.proved
    assert finding.not_proved
    assert json.loads(page.as_json(finding)) == finding.record()


@pytest.mark.parametrize("vector", TAMPERED, ids=name_of)
def test_a_tampered_vector_is_refused(vector):
    """The error says whether it cannot be read, is not signed, or is not true."""
    with pytest.raises(getattr(errors, vector["error"])) as caught:
        checked(vector)
    assert type(caught.value).__name__ == vector["error"]


@pytest.mark.parametrize(
    "vector", [v for v in VALID if "other-spacing" not in v["file"]], ids=name_of
)
def test_a_valid_vector_is_written_as_it_is_read(vector):
    """Reading and writing again gives the same bytes."""
    data = (HERE / vector["file"]).read_bytes()
    assert bundle.encode(bundle.parse(data)) == data


def test_every_file_is_in_the_index():
    """No vector lies there that nobody reads."""
    there = {
        p.relative_to(HERE).as_posix() for d in ("valid", "tampered") for p in HERE.glob(f"{d}/*")
    }
    assert there == {vector["file"] for vector in VECTORS}
    assert all(
        (vector["error"] is None) == vector["file"].startswith("valid/") for vector in VECTORS
    )


def loaded(name: str) -> ModuleType:
    """Load a script that lies beside the vectors."""
    spec = importlib.util.spec_from_file_location(name, HERE / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


def test_the_vectors_are_those_that_the_script_writes(tmp_path, monkeypatch):
    """The files are what the script beside them makes, and all of it."""
    monkeypatch.syspath_prepend(str(HERE))
    script = loaded("make")
    signed = sys.modules["world"].Kept
    try:
        script.main(tmp_path)
    finally:
        for name in ("make", "world"):
            del sys.modules[name]
    made = {p.relative_to(tmp_path): p.read_bytes() for p in tmp_path.rglob("*") if p.is_file()}
    parts = ("valid", "tampered", "policies", "files")
    there = {
        p.relative_to(HERE): p.read_bytes() for part in parts for p in (HERE / part).rglob("*")
    }
    there[Path("index.json")] = (HERE / "index.json").read_bytes()
    assert sorted(made) == sorted(there)
    assert {name for name, data in made.items() if data != there[name]} == set()
    assert signed.used == json.loads((HERE / "mldsa.json").read_text())
