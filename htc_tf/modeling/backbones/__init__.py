"""Backbones in the layout of the published checkpoints."""
