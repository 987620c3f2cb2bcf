"""A recipient's side: what it received, what it made of it, and what it countersigns."""
