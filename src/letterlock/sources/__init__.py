"""Where items come from: mailboxes and platform tables."""
