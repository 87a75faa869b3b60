"""Commands that measure time, memory and accuracy; none of them asserts a time."""
