"""Exposure: which items and people of a class passed the gate, to whom, and when (R44, R45)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from letterlock.domain import ANY, RecipientClass, names, sha256
from letterlock.errors import InputError, ReleaseError, UsageError, VerificationError
from letterlock.gate.releases import Releases
from letterlock.lineage.graph import Release
from letterlock.release import manifest
from letterlock.release.affected import released_in
from letterlock.release.verify import check_hash
from letterlock.reports.class_query import ClassQuery, Count, Hits, Matching, released
from letterlock.reports.exposure import Disclosure, expose, total
from letterlock.reports.exposure import Exposure as Exposed
from letterlock.sources.index import Indexed, Source, item_keys, write_index
from letterlock.sources.mapping import Mapping
from letterlock.sources.table import Table


@dataclass(frozen=True)
class InRelease:
    """What of a class a release holds; `hits` of each source, by its name.

    A source whose table is gone or changed since is there as its index alone.
    """

    release: Release
    hits: dict[str, Hits]
    sources: dict[str, Indexed]
    count: Count


@dataclass
class Found:
    """The releases that hold items of a class, or may, and those of which it cannot be told.

    `untold` says of these why. A release counts as disclosed once it is sealed: that it then stayed
    here cannot be shown.
    """

    query: ClassQuery
    matching: Matching
    within: dict[str, InRelease] = field(default_factory=dict)
    untold: dict[str, str] = field(default_factory=dict)

    @property
    def releases(self) -> tuple[str, ...]:
        """Return the ids of the releases that hold such items, or items that may be of the class.

        In the order of their sealing. What is not known is not passed over: an order reaches it.
        """
        return tuple(
            name for name, each in self.within.items() if each.count.items or each.count.unclear
        )

    def count_of(self, release: str) -> Count:
        """Return how many such items and members a release holds; nothing for one not judged."""
        return self.within[release].count if release in self.within else Count(0, 0, 0, 0)


class Exposure(Releases):
    """The verbs about who is affected."""

    def matching(self, query: ClassQuery) -> Matching:
        """Hold a query against everybody, as of now."""
        head = self.store.head()
        return Matching(self.store, query, as_of=self._as_of(None), upto=head.index)

    def find_class(self, query: ClassQuery) -> Found:
        """Find what of a class the sealed releases hold.

        Raises UsageError for a recipient nobody registered.
        """
        return self._find(query, self.matching(query))

    def exposure(self, query: ClassQuery, *, per_head: int | None = None) -> Exposed:
        """Count what of a class passed the gate, to whom; raises as `find_class`."""
        matching = self.matching(query)
        found = self._find(query, matching)
        disclosures = [
            Disclosure(
                f"release {name}", each.release.recipient, each.release.versions[0].time,
                each.hits, each.sources,
            )
            for name, each in found.within.items()
        ]  # fmt: skip
        return expose(
            matching, disclosures, self.store.subject_ids(),
            as_of=self._as_of(None), per_head=per_head, untold=found.untold,
        )  # fmt: skip

    def exposure_of(
        self, path: Path, mapping: Mapping, query: ClassQuery, *, per_head: int | None = None
    ) -> Exposed:
        """Count what of a class is in a table, such as an export said to have gone elsewhere.

        Its recipient is shown as the table itself: that it reached anybody is not known here.
        Raises InputError if the table cannot be read as mapped.
        """
        with self._scratch() as folder:
            write_index(Table(path, mapping), folder, self.store)
            source = Source(path.name, folder)
            matching = self.matching(query)  # the table may name people nobody knew
            where = f"table {path.name}"
            hits = {source.name: matching.hits(source)}
            disclosed = Disclosure(where, where, None, hits, {source.name: source})
            return expose(
                matching, [disclosed], self.store.subject_ids(),
                as_of=self._as_of(None), per_head=per_head, untold={},
            )  # fmt: skip

    def check_recipients(self, query: ClassQuery) -> None:
        """Raise UsageError for a recipient of a query that nobody registered."""
        rules = self.rules()
        kinds = {kind.value for kind in RecipientClass}
        for name in query.recipients:
            if name not in {ANY, *kinds, *rules.recipients}:
                raise UsageError(
                    f"nobody is registered as recipient {name!r}; "
                    f"there is: {names(rules.recipients) or 'none yet'}"
                )

    def _find(self, query: ClassQuery, matching: Matching) -> Found:
        self.check_recipients(query)
        found = Found(query, matching)
        hits: dict[tuple[str, str], Hits] = {}
        for release in self._disclosed(query):
            try:
                each = self._within(release, found.matching, hits)
            except (VerificationError, InputError, ReleaseError) as error:
                found.untold[release.id] = str(error)
            else:
                found.within[release.id] = each
        return found

    def _disclosed(self, query: ClassQuery) -> Iterator[Release]:
        """Yield the releases sealed for the query's recipients, before its date."""
        recipients = self.rules().recipients
        for release in self.lineage().releases.values():
            if not release.versions or release.versions[0].time >= query.disclosed_before:
                continue
            known = recipients[release.recipient]
            if query.names(known.id, known.recipient_class.value):
                yield release

    def _within(
        self, release: Release, matching: Matching, hits: dict[tuple[str, str], Hits]
    ) -> InRelease:
        """Return what of the class a release holds; `hits` of each table are kept between them.

        Raises VerificationError, InputError or ReleaseError, saying why that cannot be told.
        """
        went = released_in(self._judged_place(release), item_keys)
        within, sources = {}, {}
        for index in self._sources_of(release):
            table = (index.name, index.fingerprint)
            if table not in hits:
                hits[table] = matching.hits(index)
            within[index.name] = released(index, hits[table], went)
            sources[index.name] = _with_table(index)
        return InRelease(release, within, sources, total(matching, within.values()))

    def _judged_place(self, release: Release) -> Path:
        """Return a release's folder, if the list in it of what was withheld is as it was sealed."""
        folder = self.folder / "releases" / release.id
        record = manifest.read(folder)
        digest = sha256(manifest.content(folder))
        if digest not in {version.manifest for version in release.versions}:
            raise VerificationError("its manifest is not the one that was sealed")
        entries = {each["path"]: each for each in record["private"]}
        if manifest.WITHHELD not in entries:
            raise VerificationError("its manifest names no list of what was withheld")
        private = folder / manifest.PRIVATE
        check_hash(private, manifest.WITHHELD, entries[manifest.WITHHELD])
        return folder


def _with_table(index: Indexed) -> Indexed:
    """Return the index with its table, which has the items' ids; alone, if that is another now."""
    try:
        return Source(index.name, index.folder)
    except InputError:
        return index
