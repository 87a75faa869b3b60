"""Prediction with trained models: loading, files, export, and clients of a server."""
