"""What the record shows of one choice, one person, one release, or a claim: evidence files.

Each is made from the ledger, the releases and the published log, and checked as its reader will
check it before it is handed out: nothing leaves here that does not hold.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from letterlock.domain import ANY, Act, Time
from letterlock.errors import LogError, UsageError, WorkspaceError
from letterlock.evidence import receipt, statement, verify
from letterlock.evidence.bundle import Evidence, Grants, Member, Receipt, Release, Statement, encode
from letterlock.evidence.statement import Claim
from letterlock.evidence.verify import ReleaseFiles
from letterlock.gate.log import SEALS, PublicLog
from letterlock.gate.offline import release_files
from letterlock.gate.workspace import silent
from letterlock.ledger import Draft, fold_rules, read_shape
from letterlock.record import memberset, merkle, note
from letterlock.record.memberset import NAME_SIZE, MemberSet
from letterlock.release import manifest
from letterlock.release.build import Progress
from letterlock.release.verify import pseudonyms, pseudonyms_in
from letterlock.store.keys import write_secret

Ints = npt.NDArray[np.int64]

GRANTS: Final = "grants"


class Proofs(PublicLog):
    """The verbs that make evidence; each returns an evidence file (docs/spec/evidence.md)."""

    # ── one choice ──────────────────────────────────────────────────────────────────────────

    def receipt_of(self, index: int, *, signed: bool = True) -> bytes:
        """Return the receipt of the choice recorded as event `index`, with its opening.

        `signed`: with the log's signature, which takes its key. It has a proof as soon as the log
        has published so far. Raises UsageError if there is no such choice, or it was erased.
        """
        found = list(self.store.openings(upto=index, only=[index]))
        if not found or found[0][0].kind != receipt.KIND:
            raise UsageError(f"event {index} is no choice, or was erased: nothing can be shown")
        ((event, salt, commitment),) = found
        rules = fold_rules(self.store.events(upto=index), event.time)
        known = receipt.known_of(event, rules)
        record = receipt.record(event, commitment, self.origin, known)
        promise = None
        if signed:
            text = receipt.signed_text(self.origin, index, commitment, record)
            promise = note.sign(text, self.plain_signers()).encode()
        public = self.published()
        proof = self.prove_entry(index) if public and index < public.size else None
        evidence = Receipt(record, event.canonical(), salt, promise, proof)
        if promise or proof:
            self._check(evidence)
        return encode(evidence)

    def choice_of(self, subject: str, index: int | None = None) -> int:
        """Return the event of somebody's newest choice, or check that `index` is one of hers.

        Raises UsageError if there is none.
        """
        found = [
            event.index
            for event in self._about(subject)
            if event.kind == receipt.KIND and event.body is not None
        ]
        if not found or (index is not None and index not in found):
            raise UsageError(f"no such choice of {subject!r} is recorded, or it was erased")
        return found[-1] if index is None else index

    # ── one person ──────────────────────────────────────────────────────────────────────────

    def member_proof(self, subject: str, release: str, *, version: int | None = None) -> bytes:
        """Return evidence that somebody is, or is not, among the people of a release.

        `version`: as drop list `version` left it, 0 as it was sealed (default: the newest). Nobody
        need be known here to be shown not to be in it. Raises UsageError for a release or version
        that is none, WorkspaceError if its key is destroyed, LogError if it is not published yet.
        """
        sealed = self._seal_of(release, version)
        opened, key = sealed["opened"], sealed["key"]
        names = self._names(release, sealed)
        proof, token = self._named(key, subject)
        introduced, opening, seal = self.logged(key, opened, sealed["index"])
        leaf = merkle.leaf_hash(opening.entry)
        name = memberset.pseudonym(memberset.scope(self.origin, opened, leaf), token)
        bucket, path = names.proof(name)
        present = memberset.verify(names.root, names.depth, name, bucket, path)
        evidence = Member(subject, present, introduced, opening, seal, proof, bucket, tuple(path))
        self._check(evidence)
        return encode(evidence)

    def seal_grants(self, progress: Progress = silent, *, threads: int = 2) -> int:
        """Seal the marks of all grants recorded so far; returns the event that does.

        A member's grants are numbered from 0, so whoever has none at 0 has none at all.
        """
        upto = self.store.head().index
        key, _ = self.vrf_key()
        subjects, numbers = self._grants(upto)
        people, place = np.unique(subjects, return_inverse=True)
        ids = self.store.subject_ids()
        tokens = self.tokens(key).of(
            people, [ids[n] for n in people.tolist()], threads=threads, progress=progress
        )
        tags = sorted(
            memberset.tag(tokens[NAME_SIZE * at : NAME_SIZE * (at + 1)], number)
            for at, number in zip(place.tolist(), numbers.tolist(), strict=True)
        )
        names = MemberSet(b"".join(tags))
        self._keep_names(names.root.hex(), b"".join(tags))
        body = {
            "upto": upto, "key": key, "count": names.count, "depth": names.depth,
            "root": names.root.hex(),
        }  # fmt: skip
        return self.record([Draft("grants.sealed", body)])

    def grants_proof(self, subject: str, number: int = 0) -> bytes:
        """Return evidence that grant `number` of somebody was, or was not, recorded.

        As of the newest sealing that is published. Raises UsageError if there is none, or if an
        event of hers was erased: what she granted is then not known any more.
        """
        self._check_whole(subject)
        public = self.published()
        sealed = [
            event
            for event in self.store.events(upto=public.size - 1 if public else -1)
            if event.kind == "grants.sealed" and event.body is not None
        ]
        if not sealed:
            raise UsageError(
                "no sealing of grants is published: letterlock log seal-grants, then checkpoint"
            )
        body: Any = sealed[-1].body
        names = MemberSet(self._kept_names(body["root"]))
        proof, token = self._named(body["key"], subject)
        name = memberset.tag(token, number)
        bucket, path = names.proof(name)
        introduced, seal = self.logged(body["key"], sealed[-1].index)
        present = memberset.verify(names.root, names.depth, name, bucket, path)
        evidence = Grants(subject, present, number, introduced, seal, proof, bucket, tuple(path))
        self._check(evidence)
        return encode(evidence)

    def _check_whole(self, subject: str) -> None:
        for event in self._about(subject):
            if event.body is None:
                raise UsageError(
                    f"event {event.index} about {subject!r} was erased: which grants there were "
                    "cannot be shown any more"
                )

    def _named(self, key: int, subject: str) -> tuple[bytes, bytes]:
        """Return the proof of somebody's token under a key, and the token."""
        secret, alpha = self.vrf_secret(key), memberset.alpha(self.origin, subject)
        return secret.prove(alpha), secret.token(alpha)

    def _grants(self, upto: int) -> tuple[Ints, Ints]:
        """Return each recorded grant's subject, and its number among the grants of that one."""
        time = self.store.head().time
        lines = self.store.columns("line", ("idx", "subject", "shape"), as_of=time, upto=upto)
        granting = [
            number
            for symbol, number in self.store.symbols().items()
            if (shape := read_shape(symbol)) is not None and shape.act is Act.GRANT
        ]
        index, subject, shape = (lines.column(n).to_numpy() for n in lines.column_names)
        grants = np.isin(shape, np.array(granting, np.int64))
        index, first = np.unique(index[grants], return_index=True)  # an event has many lines
        subject = subject[grants][first]
        order = np.lexsort((index, subject))
        subject = subject[order]
        starts = np.flatnonzero(np.diff(subject, prepend=-1))
        numbers = np.arange(len(subject)) - np.repeat(starts, np.diff(starts, append=len(subject)))
        return subject, numbers

    def _keep_names(self, root: str, names: bytes) -> None:
        """Keep what was sealed: after an erasure it cannot be made again from the ledger."""
        try:
            (self.folder / GRANTS).mkdir(mode=0o700, exist_ok=True)
            if not (self.folder / GRANTS / root).exists():
                write_secret(self.folder / GRANTS / root, names)
        except OSError as error:
            raise WorkspaceError(f"{self.folder / GRANTS}: {error.strerror}") from error

    def _kept_names(self, root: str) -> bytes:
        path = self.folder / GRANTS / root
        try:
            return path.read_bytes()
        except OSError as error:
            raise WorkspaceError(f"{path} is lost: {error.strerror}") from error

    # ── one release ─────────────────────────────────────────────────────────────────────────

    def release_proof(self, release: str) -> bytes:
        """Return what the log says of a release, to be held against its files."""
        sealed = self._seal_of(release)
        key, opened, seal = self.logged(sealed["key"], sealed["opened"], sealed["index"])
        evidence = Release(release, key, opened, seal)
        self._check(evidence, release_files(self.folder / "releases" / release))
        return encode(evidence)

    def _seal_of(self, release: str, version: int | None = None) -> dict[str, Any]:
        """Return what sealed a version (default: the newest), and the event's index.

        Raises UsageError.
        """
        found: dict[str, Any] | None = None
        for event in self.store.events(upto=self.store.head().index):
            body = event.body if event.kind in SEALS else None
            of_it = body is not None and body["release"] == release
            if body is not None and of_it and version in {None, body.get("version", 0)}:
                found = {**body, "index": event.index}
        if found is None:
            raise UsageError(
                f"no release {release} was sealed here"
                if version is None
                else f"no version {version} of release {release} was sealed here"
            )
        return found

    def _names(self, release: str, sealed: Mapping[str, Any]) -> MemberSet:
        """Return who was in a version; of those that were superseded the members are kept."""
        folder = self.folder / "releases" / release
        kept = folder / manifest.PRIVATE / manifest.members_of(sealed.get("version", 0))
        return MemberSet(pseudonyms_in(kept) if kept.exists() else pseudonyms(folder))

    # ── a claim ─────────────────────────────────────────────────────────────────────────────

    def make_statement(
        self, data_class: str, start: Time, end: Time, *, purposes: str, recipients: Sequence[str]
    ) -> bytes:
        """Sign that no release sealed between two times held a row of a class; record that it was.

        It is made of the published log, which has to hold everything that is recorded. Raises
        ProofError, which names release, class and rows, if it is not true; nothing is signed then.
        """
        reader, recorded = self.public_log(), self.store.head().index + 1
        if reader.size < recorded:
            raise LogError(
                f"{recorded} events are recorded and {reader.size} published: what is missing may "
                "make it untrue: letterlock log checkpoint"
            )
        named = tuple(sorted(set(recipients))) or (ANY,)
        root = reader.checkpoint.root
        claim = Claim(data_class, start, end, purposes, named, reader.size, root, self.now())
        statement.check(claim, reader.entries(0, reader.size), self.blob)
        evidence = Statement(statement.sign(self.origin, claim, self.plain_signers()).encode())
        self.record([Draft("statement.published", {"claim": claim.record()})])
        return encode(evidence)

    def _check(self, evidence: Evidence, release: ReleaseFiles | None = None) -> None:
        verify.verify(evidence, self.trust(), release=release)
