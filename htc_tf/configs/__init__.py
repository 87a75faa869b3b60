"""The configuration: its dataclasses, the rules across their fields, the registered experiments."""
