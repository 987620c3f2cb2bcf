"""The public record: trees, notes, the tiled log, witnesses, and who is in a release."""
