"""Imports that register htc_tf with Model Garden: task, experiments, backbone and decoder."""

from official.vision import registry_imports  # pylint: disable=unused-import

from htc_tf.configs import experiments  # pylint: disable=unused-import
from htc_tf.modeling.backbones import published_resnet  # pylint: disable=unused-import
from htc_tf.modeling.decoders import published_fpn  # pylint: disable=unused-import
from htc_tf.tasks import htc  # pylint: disable=unused-import
