"""Connectors to other libraries, each of which is an optional extra."""
