"""Runtimes other than TensorFlow that exported models run in."""
