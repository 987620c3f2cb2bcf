"""Reports from the live registry: who is affected, and what is to be told to whom."""
