"""Comparison, level by level, with the published implementations on stored reference arrays."""
