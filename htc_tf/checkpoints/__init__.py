"""Model directories: checkpoints, configuration and classes."""
