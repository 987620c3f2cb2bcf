"""The recipient's side: a folder that takes releases in, keeps them, and countersigns what is left.

An inbox has no account with the sender, and no verb that hands anything on: re-disclosure is a
release, an approval and a grant of its own, at the platform. docs/handover.md.
"""

from letterlock.inbox.folder import Inbox, Received

__all__ = ["Inbox", "Received"]
