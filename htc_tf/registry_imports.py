"""Imports that register htc_tf with Model Garden: task, experiments, backbone, optimizer."""

from official.vision import registry_imports  # noqa: F401

from htc_tf.configs import experiments, sizes  # noqa: F401
from htc_tf.optimization import registration  # noqa: F401
from htc_tf.tasks import htc  # noqa: F401
