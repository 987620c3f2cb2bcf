"""Run the command line as `python -m letterlock`."""

from letterlock.cli import main

main()
