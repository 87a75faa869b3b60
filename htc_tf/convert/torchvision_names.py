"""Names of the ImageNet classifiers of torchvision and mmcls, which initialize backbones.

Classifiers with a deep stem or scales (ResNet-D, Res2Net) have mmdetection's names, with or without
the prefix of mmcls.
"""

from htc_tf.convert.mmdet_names import BATCH_COUNTERS, backbone_rows
from htc_tf.convert.name_map import NameMap

TORCHVISION = NameMap(
  'torchvision', backbone_rows(), ignored=(BATCH_COUNTERS, r'fc\..*'), parts=('backbone',)
)
MMCLS = NameMap(
  'mmcls', backbone_rows('backbone.'), ignored=(BATCH_COUNTERS, r'head\..*'), parts=('backbone',)
)
