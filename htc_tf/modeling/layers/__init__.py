"""Layers other than heads: RoI features, proposals, assignment, convolutions and norms."""
