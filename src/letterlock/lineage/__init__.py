"""Where it went: which release reached whom, which model learned from it, and what is owed since.

Everything here follows from the public events of the ledger (`events`), folded into one graph
(`graph`): what left, what came of it, what has to be done by when, and what shows that it was done.
"""
