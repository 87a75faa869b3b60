"""Names of ImageNet classifiers whose backbone detectors start from: torchvision and mmcls."""

from htc_tf.convert.mmdet_names import BATCH_COUNTERS, backbone_rows
from htc_tf.convert.name_map import NameMap

TORCHVISION = NameMap(
  'torchvision', backbone_rows(), ignored=(BATCH_COUNTERS, r'fc\..*'), parts=('backbone',)
)
MMCLS = NameMap(
  'mmcls', backbone_rows('backbone.'), ignored=(BATCH_COUNTERS, r'head\..*'), parts=('backbone',)
)
