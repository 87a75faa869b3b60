"""Array maths without weights."""
