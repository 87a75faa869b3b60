"""Heads of the region proposal network, the stages and the semantic branch."""
