"""The command line: parse, one call on the gate, print."""

from letterlock.cli.app import app, main

__all__ = ["app", "main"]
