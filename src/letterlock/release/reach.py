"""Whom the versions of a policy have reached: members, notices, objections, in columns.

The columnar twin of `versions_at` in policy/decide.py, for everybody at once and at T only; a test
compares the two. Arrays are (subjects,), by the subject's number.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from letterlock.domain import END, PolicyVersion, Rulebook
from letterlock.ledger import EventStore

Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]


class Reach:
    """What the ledger says as of `rules.as_of`, up to event `upto`."""

    def __init__(self, store: EventStore, rules: Rulebook, upto: int) -> None:
        """Read who is a member; nobody is of whom an event was erased."""
        self._store, self._rules, self._upto = store, rules, upto
        person, erased = self._read("person", "subject", "member"), self._read("erased", "subject")
        self._symbols: Mapping[str, int] = store.symbols()
        self.ids = store.subject_ids()
        self.members: Bools = np.zeros(len(self.ids), np.bool_)
        # Recorded order: the last one wins.
        self.members[_ints(person, "subject")] = _ints(person, "member").astype(np.bool_)
        self.members[_ints(erased, "subject")] = False

    def noticed(self, version: PolicyVersion) -> Bools:
        """Return of whom a notice of `version` is recorded since that was published."""
        number = self._symbols.get(version.version, -1)
        where = f"version = {number} AND idx > {version.index}"
        found = np.zeros(len(self.ids), np.bool_)
        found[_ints(self._read("notice", "subject", where=where), "subject")] = True
        return found

    def objecting(self) -> dict[int, Bools]:
        """Return who objects at T, by the order of the version (-1: one nobody published)."""
        rows = self._read("objection", "subject", "version", "taken_back")
        subject, version = _ints(rows, "subject"), _ints(rows, "version")
        # The last word on each version counts: an objection, or that it was taken back.
        _, last = np.unique((subject << 32 | version)[::-1], return_index=True)
        last = len(subject) - 1 - last
        last = last[_ints(rows, "taken_back")[last] == 0]
        order = self._orders()[version[last]]
        found = {}
        for n in np.unique(order).tolist():
            found[n] = np.zeros(len(self.ids), np.bool_)
            found[n][subject[last][order == n]] = True
        return found

    def in_force(self, objecting: Mapping[int, Bools]) -> Ints:
        """Return the order of the version in force for each subject at T (-1: none)."""
        policies, now = self._rules.policies, self._rules.as_of
        first_refused = np.full(len(self.ids), len(policies))
        for refused in sorted(objecting, reverse=True):
            first_refused[objecting[refused]] = refused
        rows = self._read("notice", "subject", "time", "version", "at_registration")
        subject, time = _ints(rows, "subject"), _ints(rows, "time")
        order = self._orders()[_ints(rows, "version")]
        # (One more of each, for order -1: a version that nobody published.)
        published = np.array([v.published_at for v in policies] + [END], np.int64)
        effective = np.array([v.effective_at for v in policies] + [END], np.int64)
        window = np.array([v.window for v in policies] + [0], np.int64)
        ran = time + np.where(_ints(rows, "at_registration") == 1, 0, window[order])
        counts = (order >= 0) & (time >= published[order]) & (ran <= now)
        counts &= (effective[order] <= now) & (order < first_refused[subject])
        found = np.full(len(self.ids), -1)
        np.maximum.at(found, subject[counts], order[counts])
        return found

    def _orders(self) -> Ints:
        """Return the order of each symbol's version: -1 for what is no published version."""
        found = np.full(len(self._symbols), -1)
        for order, version in enumerate(self._rules.policies):
            if version.version in self._symbols:
                found[self._symbols[version.version]] = order
        return found

    def _read(self, table: str, *names: str, where: str = "") -> pa.Table:
        as_of = self._rules.as_of
        return self._store.columns(table, names, as_of=as_of, upto=self._upto, where=where)


def _ints(table: pa.Table, name: str) -> Ints:
    found: Ints = table.column(name).to_numpy()
    return found
