"""From the gate to a recipient and back: grants, packages, drop lists, and the gate before reading.

What is here needs nothing of the platform that made a release: its recipient runs it alone.
"""
