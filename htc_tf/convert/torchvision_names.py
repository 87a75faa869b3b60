"""Names of the ImageNet classifiers of torchvision and mmcls, which initialize backbones.

Classifiers with a deep stem or scales (ResNet-D, Res2Net) have mmdetection's names, with or without
the prefix of mmcls. The classifiers that HRNet's authors publish have names like torchvision's,
without a prefix.
"""

from htc_tf.convert.hrnet_names import CLASSIFIER, hrnet_rows
from htc_tf.convert.mmdet_names import BATCH_COUNTERS, backbone_rows
from htc_tf.convert.name_map import NameMap

# What detectors add to the layers of a classifier; `classifier_start` sets the moments of kernels.
_ADDED = (
  r'.*/conv_offset/.*',
  r'.*/conv2/(switch|pre_context|post_context|offset_s|offset_l)/.*',
  r'.*/weight_(gamma|beta|diff)',
)

TORCHVISION = NameMap(
  'torchvision',
  (*backbone_rows(), *hrnet_rows()),
  ignored=(BATCH_COUNTERS, r'fc\..*', CLASSIFIER),
  parts=('backbone',),
  optional=_ADDED,
)
MMCLS = NameMap(
  'mmcls',
  (*backbone_rows('backbone.'), *hrnet_rows('backbone.')),
  ignored=(BATCH_COUNTERS, r'(head|neck)\..*'),
  parts=('backbone',),
  optional=_ADDED,
)
