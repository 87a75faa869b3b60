"""Trained models at work: loading, prediction on files, export, the client of a server."""
