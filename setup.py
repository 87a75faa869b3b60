"""Builds the package; pyproject.toml holds its metadata."""

import setuptools

setuptools.setup()
