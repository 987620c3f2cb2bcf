"""Exposure: which items and people of a class passed the gate, to whom, and when (R44, R45)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from letterlock.domain import ANY, RecipientClass, names, sha256
from letterlock.errors import InputError, UsageError, VerificationError
from letterlock.gate.releases import Releases
from letterlock.lineage.graph import Release
from letterlock.release import manifest
from letterlock.release.verify import check_hash
from letterlock.reports.class_query import ClassQuery, Count, Hits, Matching, released
from letterlock.reports.exposure import Disclosure, expose, total
from letterlock.reports.exposure import Exposure as Exposed
from letterlock.sources.index import Source, write_index
from letterlock.sources.mapping import Mapping
from letterlock.sources.table import Table


@dataclass(frozen=True)
class InRelease:
    """What of a class a release holds; `hits` of each source, by its name."""

    release: Release
    hits: dict[str, Hits]
    sources: dict[str, Source]
    count: Count


@dataclass
class Found:
    """The releases that hold items of a class, and those of which that cannot be told, and why.

    A release counts as disclosed once it is sealed: that it then stayed here cannot be shown.
    """

    query: ClassQuery
    matching: Matching
    within: dict[str, InRelease] = field(default_factory=dict)
    untold: dict[str, str] = field(default_factory=dict)

    @property
    def releases(self) -> tuple[str, ...]:
        """Return the ids of the releases that hold such items, in the order of their sealing."""
        return tuple(name for name, each in self.within.items() if each.count.items)

    def items_of(self, release: str) -> int:
        """Return how many such items a release holds; 0 for one that holds none."""
        return self.within[release].count.items if release in self.within else 0

    def people_of(self, release: str) -> int:
        """Return how many members of the class are in these items."""
        return self.within[release].count.people if release in self.within else 0


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
        hits: dict[str, Hits] = {}
        sources: dict[str, Source | str] = {}
        for release in self._disclosed(query):
            try:
                each = self._within(release, found.matching, sources, hits)
            except (VerificationError, InputError) as error:
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
        self,
        release: Release,
        matching: Matching,
        sources: dict[str, Source | str],
        hits: dict[str, Hits],
    ) -> InRelease:
        """Return what of the class a release holds; `sources` and `hits` are kept between them.

        Raises VerificationError or InputError, saying why that cannot be told.
        """
        withheld = self._withheld(release)
        within = {}
        for name, fingerprint in release.sources:
            source = sources.setdefault(name, self._source(name))
            if isinstance(source, str):
                raise VerificationError(source)
            if source.fingerprint != fingerprint:
                raise VerificationError(f"source {name} is not what it was made from")
            if name not in hits:
                hits[name] = matching.hits(source)
            within[name] = released(source, hits[name], withheld)
        mine = {name: source for name in within if isinstance(source := sources[name], Source)}
        return InRelease(release, within, mine, total(matching, within.values()))

    def _source(self, name: str) -> Source | str:
        """Return a registered source, or why there is none."""
        try:
            (source,) = self.sources([name])
        except (InputError, UsageError) as error:
            return str(error)
        return source

    def _withheld(self, release: Release) -> Path:
        """Return the list of what a release withheld, if it is as it was sealed."""
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
        return private / manifest.WITHHELD
