"""Train AI on messages only with the yes of everyone in them, and let anyone check."""
