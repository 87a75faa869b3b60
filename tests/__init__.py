"""Tests; the package exists so that tests share helpers by `from tests import ...`."""
