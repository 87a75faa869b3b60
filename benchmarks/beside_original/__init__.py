"""The same small HTC trained here and by mmdetection: `python -m benchmarks.beside_original`."""
