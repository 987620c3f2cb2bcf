"""A training whose model is known: what it read becomes what the model came of.

`with training(folder, name=…, owner=…) as run:` and `run.open_release(…)`: when the block ends, the
digest of all files in `folder` and the sources are added to models.jsonl beside each release that
was opened. A training that is interrupted leaves the record of its reads, and no model.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from letterlock.errors import UsageError, WorkspaceError
from letterlock.handover import reads
from letterlock.handover.admission import Clock, real_time
from letterlock.handover.reader import OnDrop, ReleaseReader
from letterlock.handover.received import recipient_of
from letterlock.lineage import events
from letterlock.lineage.digest import digest_of
from letterlock.lineage.events import HOWS


class Training:
    """A training that runs: what it was opened for and what it comes of."""

    def __init__(self, folder: Path, name: str, owner: str, now: Clock | None) -> None:
        """Begin without sources; `id` is what the records of its reads say."""
        self.id = secrets.token_hex(8)
        self._folder, self._name, self._owner, self._now = folder, name, owner, now
        self._opened: dict[Path, str] = {}
        self._models: dict[str, str] = {}
        self._externals: dict[str, dict[str, str]] = {}

    @property
    def opened(self) -> tuple[Path, ...]:
        """Return the folders of the releases that the model comes of."""
        return tuple(self._opened)

    def open_release(
        self,
        path: str | Path,
        *,
        purpose: str,
        feed: str | Path | None = None,
        on_drop: OnDrop = "drop",
    ) -> ReleaseReader:
        """Open a release as `letterlock.open_release` does; the model comes of it from now on.

        Raises also UsageError if the release was not handed over to the owner of the model.
        """
        recipient = recipient_of(Path(path).absolute())
        if recipient != self._owner:
            raise UsageError(
                f"{path} was handed over to {recipient!r}: a model of {self._owner!r} is not made "
                "of it"
            )
        reader = ReleaseReader(
            path, purpose=purpose, feed=feed, now=self._now, on_drop=on_drop, run=self.id
        )
        self._opened[reader.folder] = reader.release
        self._check_known()
        return reader

    def comes_of(self, model: str, how: str, *, external: str = "") -> None:
        """Say that the model also comes of another one, by its digest (SHA-256).

        `external`: the name or address of one that is not of this inbox, such as a public one.
        Raises UsageError, here or when a release is opened, if no inbox of those knows another one:
        the platform would refuse every inventory that tells of it.
        """
        if external:
            self._externals[model] = events.external(f"{model}:{how}:{external}")
            return
        if how not in HOWS:
            raise UsageError(f"{how!r} is none of {', '.join(HOWS)}")
        self._models[model] = how
        self._check_known()

    def _check_known(self) -> None:
        if not (self._models and self._opened):
            return
        known = {model for folder in self._opened for model in _models(folder.parent.parent)}
        if unknown := self._models.keys() - known:
            raise UsageError(
                f"no model {', '.join(sorted(unknown))} is registered in this inbox, so nothing "
                "can come of it: `letterlock model register --inbox` registers it first; of "
                "somebody else's model say what it is called: external=NAME"
            )

    def record(self) -> str:
        """Record the model that is in the folder now; returns its digest.

        Raises InputError if the folder holds none, WorkspaceError if it cannot be recorded.
        """
        weights, now = digest_of(self._folder), (self._now or real_time)()
        model = {
            "at": now, "run": self.id, "model": weights.digest, "name": self._name,
            "owner": self._owner, "sources": [*self._sources()],
            "files": weights.files, "bytes": weights.size,
        }  # fmt: skip
        # Each line names all sources, so one of them is enough for whoever asks what came of what.
        for folder in self._opened:
            reads.append(folder / reads.MODELS, model)
        return weights.digest

    def _sources(self) -> Iterator[dict[str, Any]]:
        """Yield what the model comes of.

        Of a release, the oldest list that anything was read under: whoever came onto a later one
        may be in the model.
        """
        versions: dict[str, int] = {}
        for folder, release in self._opened.items():
            lists = [read.list for read in reads.reads(folder) if read.run == self.id]
            if not lists:
                raise WorkspaceError(f"{folder / reads.READS}: what this training read is gone")
            versions[release] = min(*lists, versions.get(release, lists[0]))
        for release, version in sorted(versions.items()):
            yield {"release": release, "version": version}
        for model, how in sorted(self._models.items()):
            yield {"model": model, "how": how}
        yield from (said for _, said in sorted(self._externals.items()))


def _models(inbox: Path) -> Iterator[str]:
    """Yield the digests of the models of an inbox, those of copies that are gone too."""
    for path in (*inbox.glob(f"received/*/{reads.MODELS}"), *inbox.glob(f"past/*/{reads.MODELS}")):
        yield from (line["model"] for line in reads.lines(path) if "model" in line)


@contextmanager
def training(
    folder: str | Path, *, name: str, owner: str, now: Clock | None = None
) -> Iterator[Training]:
    """Train a model into `folder`, and record it when the block ends without an error.

    Args:
        folder: where all files of the model, and nothing else, are when the block ends.
        name: what its owner calls the model.
        owner: the recipient whose model it is, and in whose inbox the releases are.
        now: a clock, µs since 1970, for a simulated inbox; this machine's by default.

    Raises UsageError if no release was opened; what `Training.record` raises.
    """
    if not name or not owner:
        raise UsageError("a model has a name and an owner")
    run = Training(Path(folder), name, owner, now)
    yield run
    if not run.opened:
        raise UsageError("nothing was opened by run.open_release: the model comes of no release")
    run.record()
