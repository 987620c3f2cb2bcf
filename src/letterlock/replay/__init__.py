"""The case of 2024, replayed on a synthetic network."""
