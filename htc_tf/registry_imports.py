"""Imports that register htc_tf with Model Garden: task, experiments, backbone and decoder."""

from official.vision import registry_imports  # noqa: F401

from htc_tf.configs import experiments  # noqa: F401
from htc_tf.modeling.backbones import published_resnet  # noqa: F401
from htc_tf.modeling.decoders import published_fpn  # noqa: F401
from htc_tf.tasks import htc  # noqa: F401
