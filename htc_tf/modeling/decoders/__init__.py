"""Feature pyramid in the layout of the published checkpoints."""
