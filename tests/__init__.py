"""The tests, as a package so that they share helpers with `from tests import ...`."""
