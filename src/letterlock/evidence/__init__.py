"""Evidence: what the public record shows of a choice, a release or a claim, and what it does not.

Pure: bytes in, values out. Spec: docs/spec/evidence.md.
"""
