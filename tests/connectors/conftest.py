"""The tiny model of the tests of serving."""

from tests.serving.conftest import model_dir, predictor  # noqa: F401
