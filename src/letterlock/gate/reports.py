"""Reports from the live registry: sidecars of a release, and the pages that laws ask for.

What each report says is made in reports/, of what is read here. Spec: docs/reports.md.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

from letterlock.domain import Span, Time, text_of
from letterlock.errors import UsageError, WorkspaceError
from letterlock.gate.judged import Judged
from letterlock.gate.proofs import Proofs
from letterlock.handover import sidecars
from letterlock.policy.places import expand
from letterlock.release import manifest
from letterlock.reports import ab2013, counts, learned, regulator, ropa, training_summary
from letterlock.reports.form import Form
from letterlock.reports.learned import Told
from letterlock.store import files


class Reports(Proofs, Judged):
    """The verbs that report; they record nothing."""

    def sidecars(self, release: str, out: Path | None = None) -> Path:
        """Write what goes along with a release for the tools of others; returns the folder.

        It takes the log's key. `out`: another folder than the release's own. Raises UsageError for
        a release that is not here, VerificationError for one that is not what was sealed,
        WorkspaceError if it cannot be written.
        """
        folder = self.folder / "releases" / release
        if release not in self.lineage().releases or not (folder / manifest.OUTGOING).is_dir():
            raise UsageError(f"no release {release!r} is here: see {self.folder / 'releases'}")
        made = sidecars.make(folder, self.lineage(), self.origin, self.plain_signers())
        target = folder / sidecars.FOLDER if out is None else out
        try:
            target.mkdir(exist_ok=True)
            for name, data in made.items():
                files.write(target / name, data)
        except OSError as error:
            raise WorkspaceError(f"{target}: cannot be written: {error.strerror}") from error
        return target

    def record_of_processing(self) -> Form:
        """Return the record of processing activities (GDPR Art. 30), as of now."""
        rules, upto = self.rules(), self.store.head().index
        policy = self.trust()
        declared = [
            (event.body["requirement"], event.body["text"])
            for event in self.store.events(upto=upto)
            if event.kind == "declaration.made" and event.body is not None
        ]
        kept = ropa.Kept(
            people=counts.people_by_place(self.store, rules, upto),
            witnesses=tuple(w.name.decode(errors="replace") for w in policy.witnesses),
            declared=tuple(declared),
            keys=tuple(sorted(Counter(each.use for each in self.introduced()).items())),
            unjudged=0 if (waiting := self.unjudged()) is None else waiting.events,
        )
        return ropa.record(rules, self.lineage(upto), kept, self.origin, upto)

    def training_summary(self, model: str) -> Form:
        """Return the AI Act's public summary for a registered model (Art. 53(1)(d)).

        `model`: its digest, the beginning of it, or its name. Raises UsageError for no such model.
        """
        told, upto = self._learned(model)
        return training_summary.summary(told, self.rules(), self.origin, upto)

    def training_documentation(self, model: str) -> Form:
        """Return the documentation that AB 2013 asks for, of a model as `training_summary` does."""
        told, upto = self._learned(model)
        return ab2013.documentation(told, self.rules(), self.origin, upto)

    def _learned(self, model: str) -> tuple[Told, int]:
        lineage = self.lineage()
        releases = self.folder / "releases"
        told = learned.told(
            lineage, model, self.blob, lambda name: learned.made_between(releases / name)
        )
        return told, lineage.upto

    def regulator_export(self, region: str, start: Time, end: Time) -> dict[str, Any]:
        """Return what a regulator is given about a region (ISO 3166, or a group) and a period.

        Public events come with their proofs, as far as they are published. Raises UsageError for
        no region or no period.
        """
        regulator.check_region(region)
        if not start < end:
            raise UsageError(f"from {text_of(start)} to {text_of(end)} is no period")
        rules, upto, span = self.rules(), self.store.head().index, Span(start, end)
        public = self.published()
        published = 0 if public is None else public.size
        places, waiting = expand([region]), self.unjudged()
        export = regulator.Export(
            code=region,
            span=span,
            rules=rules,
            lineage=self.lineage(),
            events=list(self.store.events(upto=upto)),
            region=counts.Region(self.store, places, span, rules, upto),
            proved=lambda index: self.logged(index)[0] if index < published else None,
            figures=self._manifest_of,
            origin=self.origin,
            upto=upto,
            unjudged=None if waiting is None else waiting.record(),
        )
        return export.record()

    def _manifest_of(self, digest: str) -> dict[str, Any] | None:
        data = self.blob(digest)
        return None if data is None else manifest.parse(data, f"blobs/{digest}")
