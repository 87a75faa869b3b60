"""Comparison with the published implementations, level by level, on stored reference arrays."""
