"""Layers between the heads: RoI features, proposals, assignment, convolutions and norms."""
