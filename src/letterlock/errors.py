"""The one error tree of Letterlock. Each class says what to conclude from it.

LetterlockError            something that a person can act on; its text says how
├── UsageError             the question is off: fix the call (exit 2)
├── InputError             something handed to us cannot be read: fix the file, nothing was kept
│   └── PolicyError        a policy, contract or regional table; carries file and line
├── LedgerError            the ledger refuses: what was asked for was not recorded
│   ├── UnknownVersion     written by a newer Letterlock: upgrade, nothing was guessed
│   ├── HeadMoved          somebody recorded in between: look again, then repeat
│   └── ApprovalError      two operators have to sign this, and did not: nothing was recorded
├── WorkspaceError         the workspace is missing, damaged or in use
├── RecordError            the public record does not bear out what is asked of it
│   ├── ProofError         a proof does not lead where it says: keep it, distrust its maker (exit 3)
│   ├── SignatureError     it is not signed by whom it must be, or seen by too few (exit 3)
│   └── LogError           the log refuses, or its files are not what was signed: nothing was added
├── GateClosed             overdue duties, a stale or unapproved release: nothing left (exit 3)
└── ReleaseError           no release came of it, or one does not hold
    ├── VerificationError  the files are not what the manifest says: do not use them (exit 3)
    └── StaleDrops         who must be dropped is not known well enough: nothing was read (exit 3)
"""

from __future__ import annotations


class LetterlockError(Exception):
    """The root: every failure that Letterlock foresees."""


class UsageError(LetterlockError):
    """The question itself is off (an unknown purpose, recipient or name): nothing was judged."""


class InputError(LetterlockError):
    """A file or value handed to us cannot be read: nothing of it was kept."""


class PolicyError(InputError):
    """A policy, contract or regional table is malformed; `findings` name file, line and mend."""

    def __init__(self, message: str, *, file: str = "", line: int = 0) -> None:
        """Prefix `message` with `file:line` where they are known (line counts from 1)."""
        place = f"{file}:{line}: " if file and line else f"{file}: " if file else ""
        super().__init__(place + message)
        self.file, self.line = file, line


class LedgerError(LetterlockError):
    """The ledger refused: nothing of the call was recorded."""


class UnknownVersion(LedgerError):
    """An event of a version this program does not know: upgrade rather than guess."""


class HeadMoved(LedgerError):
    """Compare-and-set failed: something was recorded since the head that the caller saw."""


class ApprovalError(LedgerError):
    """Two registered operators have to approve this, each by a signature, and did not."""


class WorkspaceError(LetterlockError):
    """The workspace is missing, damaged, or in use by another build."""


class RecordError(LetterlockError):
    """The public record does not bear out what is asked of it."""


class ProofError(RecordError):
    """A proof does not lead where it says: keep it, and distrust its maker."""


class SignatureError(RecordError):
    """It is not signed by whom it must be, or too few witnesses saw it."""


class LogError(RecordError):
    """The log refuses, or its files are not what was signed: nothing was added."""


class GateClosed(LetterlockError):
    """Something owed is overdue, a release is stale or not approved: nothing left the gate."""


class ReleaseError(LetterlockError):
    """No release came of it: nothing that looks like one was left behind."""


class VerificationError(ReleaseError):
    """The files of a release are not what its manifest says: do not use them."""


class StaleDrops(ReleaseError):
    """The drop list is missing, too old or not the newest: nothing of the release was read."""


def reason(error: Exception) -> str:
    """Say why something failed, without the path that a failure of the system names once more."""
    return getattr(error, "strerror", None) or str(error)
