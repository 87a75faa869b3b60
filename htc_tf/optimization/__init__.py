"""Optimizers of the published trainings, which Keras does not have."""
