"""The registered Model Garden task."""
