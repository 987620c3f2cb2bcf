"""Notices: what to send to whom, that it was delivered, and who objects."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from letterlock.domain import DAY, END, PolicyVersion, sha256, text_of
from letterlock.errors import InputError, UsageError, WorkspaceError
from letterlock.gate.people import Loaded
from letterlock.gate.policies import document_of, version_of
from letterlock.gate.workspace import Workspace
from letterlock.ledger import Draft
from letterlock.policy.notice import texts
from letterlock.policy.texts import text_hash
from letterlock.release.reach import Reach
from letterlock.sources import notices
from letterlock.sources.records import Refused, Row

SUBJECTS: Final = "subjects.parquet"
MANIFEST: Final = "manifest.json"


@dataclass(frozen=True)
class Exported:
    """A folder of notices to send: to how many members, and the hash of each language's text."""

    folder: Path
    version: str
    members: int
    texts: Mapping[str, str]


class Notices(Workspace):
    """The verbs about notices and objections."""

    def export_notices(self, version: str, folder: Path) -> Exported:
        """Write whom to send a version's notice to, and the texts to send, into a new folder.

        Listed is every member of whom no notice of that version is recorded. The same ledger gives
        the same files. Raises UsageError for an unknown version, WorkspaceError if `folder` is not
        empty, PolicyError if the text would not be the published one.
        """
        rules, head = self.rules(), self.store.head()
        known = version_of(rules, version)
        texts_of_it = texts(document_of(known), known)
        reach = Reach(self.store, rules, head.index)
        waiting = np.flatnonzero(reach.members & ~reach.noticed(known))
        ids = pa.array(reach.ids, pa.string()).take(pa.array(waiting)).sort()

        try:
            if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
                raise WorkspaceError(f"{folder} is not empty: write to a folder of its own")
            folder.parent.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(dir=folder.parent, prefix=f".{folder.name}-") as made:
                new = Path(made) / "new"
                new.mkdir()
                _write(new, known, ids, texts_of_it)
                new.rename(folder)  # all of it or nothing
        except OSError as error:
            raise WorkspaceError(f"no notices were written to {folder}: {error}") from error
        hashes = {language: text_hash(text) for language, text in texts_of_it.items()}
        return Exported(folder, version, len(ids), hashes)

    def import_notices(self, rows: Iterable[Row]) -> Loaded:
        """Record what was delivered, each with its evidence; of a person and version only once."""
        now, rules = self.now(), self.rules()
        versions = {v.version: v for v in rules.policies}
        sent = {name: _hashes(version) for name, version in versions.items()}
        reading = notices.read(rows, versions, sent, now)
        loaded = Loaded(refused=reading.refused)
        if not reading.delivered:
            return loaded

        with self._writing():
            reach = Reach(self.store, rules, self.store.head().index)
            numbers = {name: n for n, name in enumerate(reach.ids)}
            said = {each.version for each in reading.delivered}
            noticed = {name: reach.noticed(versions[name]) for name in said}
            fresh = []
            for each in reading.delivered:
                number = numbers.get(each.subject, -1)
                if number < 0 or not reach.members[number]:
                    why = "is not a registered member"
                    loaded.refused.append(Refused(each.row, each.subject, why))
                elif noticed[each.version][number]:
                    loaded.already += 1
                else:
                    noticed[each.version][number] = True
                    fresh.append(each)
            drafts = (Draft("notice.delivered", each.body) for each in fresh)
            self.store.append(drafts, now=self.now())
        loaded.recorded = len(fresh)
        loaded.refused.sort()
        return loaded

    def object_to(self, subject: str, version: str, *, channel: str = "") -> bool:
        """Record that somebody objects to a version and all later ones; False if she does already.

        Raises InputError for a person nobody knows, UsageError for an unknown version.
        """
        return self._object("version.objected", subject, version, channel)

    def take_objection_back(self, subject: str, version: str, *, channel: str = "") -> bool:
        """Record that somebody takes an objection back; False if there is none.

        Raises as `object_to` does.
        """
        return self._object("version.objection_withdrawn", subject, version, channel)

    def _object(self, kind: str, subject: str, version: str, channel: str) -> bool:
        with self._writing():
            state = self.state([subject])
            version_of(state.rules, version)
            person = state.subjects.get(subject)
            if person is None:
                raise InputError(f"nobody is registered as {subject!r}")
            stands = any(o.version == version and o.span.end == END for o in person.objections)
            if stands == (kind == "version.objected"):
                return False
            body = {"subject": subject, "version": version}
            if channel:
                body["channel"] = channel
            self.store.append([Draft(kind, body)], now=self.now())
        return True


def _hashes(version: PolicyVersion) -> dict[str, str]:
    """Return the language of each text to send, by its hash; none if they cannot be rendered."""
    try:
        found = texts(document_of(version), version)
    except (InputError, UsageError):
        return {}
    return {text_hash(text): language for language, text in found.items()}


def _write(folder: Path, version: PolicyVersion, ids: pa.Array, found: Mapping[str, str]) -> None:
    pq.write_table(pa.table({"subject": ids}), folder / SUBJECTS, compression="zstd")
    listed: dict[str, Any] = {}
    for language, text in found.items():
        name = f"notice.{language}.txt"
        (folder / name).write_bytes(text.encode())
        listed[language] = {"file": name, "sha256": text_hash(text)}
    record = {
        "format": 1,
        "version": version.version,
        "published": text_of(version.published_at),
        "effective": text_of(version.effective_at),
        "window_days": version.window // DAY,
        "subjects": {
            "file": SUBJECTS,
            "rows": len(ids),
            "sha256": sha256((folder / SUBJECTS).read_bytes()),
        },
        "texts": listed,
    }
    text = json.dumps(record, indent=2, ensure_ascii=False) + "\n"
    (folder / MANIFEST).write_bytes(text.encode())
