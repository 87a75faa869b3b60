"""Measurements of time, memory and accuracy, each a command; none asserts a time."""
