"""May it go? What policies say, and the decision."""
