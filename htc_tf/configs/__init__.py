"""Configuration: dataclasses, checks of their values, registered experiments."""
