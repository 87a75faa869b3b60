"""`scenes`, a generated benchmark: `python -m benchmarks.scenes --output=build/scenes`."""
