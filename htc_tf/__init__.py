"""Hybrid Task Cascade for TensorFlow, as a Model Garden project."""

__version__ = '0.1.0'
