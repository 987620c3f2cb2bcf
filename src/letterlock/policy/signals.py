"""What a platform publishes about itself for machines, from the policy version in force. Pure.

No signal stands in for a consent, and none widens anything. What is said, and by which text:

    /.well-known/gpc.json     `gpc`, `lastUpdate`: Global Privacy Control, W3C Privacy Working Group
                              draft of April 2026 (no `version` member any more)
    Content-Usage             `train-ai=n`, as a header field and as a robots.txt rule:
                              draft-ietf-aipref-vocab-08 (13 September 2026) and
                              draft-ietf-aipref-attach-05 (18 August 2026)
    /.well-known/tdmrep.json  `tdm-reservation` 1 for everything, and as header fields: TDM
                              Reservation Protocol, W3C Community Group Final Report (2024)

AIPREF is a draft whose own text says that there is no consensus yet; a later one may change it.
`train-ai` is always `n`: it speaks to everybody who can fetch a page, and no policy here can let
anybody train without a grant to a recipient that it names (the floor of docs/spec/decision.md §3).
Nothing is said of `search`: no purpose of ours means it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from letterlock.domain import PolicyVersion, Rulebook, canonical, text_of
from letterlock.errors import UsageError

GPC_PATH: Final = "/.well-known/gpc.json"
TDMREP_PATH: Final = "/.well-known/tdmrep.json"
CONTENT_USAGE: Final = "train-ai=n"

# Printable ASCII only: the address goes into a header field.
_ADDRESS: Final = re.compile(r"https://[!-~]+")
_DATE: Final = len("2026-11-22")


@dataclass(frozen=True, slots=True)
class Signals:
    """`files` by their path on the platform's host; `headers` for every response; `robots` lines.

    The platform has a robots.txt of its own: the lines are a group to add to it (RFC 9309 joins
    groups for the same crawler). A crawler that has a group of its own reads that one only: the
    second line belongs into each of them.
    """

    files: Mapping[str, bytes]
    headers: tuple[str, ...]
    robots: tuple[str, ...]

    def record(self) -> dict[str, Any]:
        """Write it as JSON."""
        files = {path: content.decode() for path, content in self.files.items()}
        return {"files": files, "headers": list(self.headers), "robots": list(self.robots)}


def current(rules: Rulebook) -> PolicyVersion:
    """Return the newest version that has taken effect. Raises UsageError if none has.

    Notices and objections do not matter here: a signal is addressed to nobody in particular.
    """
    effective = [v for v in rules.policies if v.effective_at <= rules.as_of]
    if not effective:
        raise UsageError("no policy has taken effect: there is nothing to publish signals of yet")
    return effective[-1]


def signals(version: PolicyVersion, policy_url: str = "") -> Signals:
    """Say what to publish while `version` is in force; `policy_url` is where people read it.

    Raises UsageError for an address that is not https or has blanks in it.
    """
    if policy_url and not _ADDRESS.fullmatch(policy_url):
        raise UsageError(f"{policy_url!r:.200} is no address for a policy: it starts with https://")
    reservation: dict[str, Any] = {"location": "/", "tdm-reservation": 1}
    headers = [f"Content-Usage: {CONTENT_USAGE}", "tdm-reservation: 1"]
    if policy_url:
        reservation["tdm-policy"] = policy_url
        headers.append(f"tdm-policy: {policy_url}")
    # The day of the statement, so that a later meaning of the standard is not read into it.
    support = {"gpc": True, "lastUpdate": text_of(version.published_at)[:_DATE]}
    return Signals(
        {GPC_PATH: canonical(support), TDMREP_PATH: canonical([reservation])},
        tuple(headers),
        ("User-agent: *", f"Content-Usage: {CONTENT_USAGE}"),
    )
