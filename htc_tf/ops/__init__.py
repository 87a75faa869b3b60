"""Array math without weights."""
