"""What is served over HTTP: a witness, and the public files of a log."""
