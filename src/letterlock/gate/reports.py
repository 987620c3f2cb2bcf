"""Reports from the live registry: sidecars of a release, and the pages that laws ask for."""

from __future__ import annotations

from pathlib import Path

from letterlock.errors import UsageError, WorkspaceError
from letterlock.gate.proofs import Proofs
from letterlock.handover import sidecars
from letterlock.release import manifest
from letterlock.store import files


class Reports(Proofs):
    """The verbs that report."""

    def sidecars(self, release: str, out: Path | None = None) -> Path:
        """Write what goes along with a release for the tools of others; returns the folder.

        It takes the log's key. `out`: another folder than the release's own. Raises UsageError for
        a release that is not here, VerificationError for one that is not what was sealed,
        WorkspaceError if it cannot be written.
        """
        folder = self.folder / "releases" / release
        if not (folder / manifest.OUTGOING).is_dir() or release not in self.lineage().releases:
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
