"""Build script of the package; pyproject.toml has the metadata."""

import setuptools  # type: ignore[import-untyped]  # It has no types.

setuptools.setup()
