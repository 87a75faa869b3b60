"""Names of the ImageNet classifiers of torchvision and mmcls, which initialize backbones.

The published classifiers of HRNet have names like torchvision's, without a prefix.
"""

from htc_tf.convert.hrnet_names import CLASSIFIER, hrnet_rows
from htc_tf.convert.mmdet_names import BATCH_COUNTERS, backbone_rows
from htc_tf.convert.name_map import NameMap

TORCHVISION = NameMap(
  'torchvision',
  (*backbone_rows(), *hrnet_rows()),
  ignored=(BATCH_COUNTERS, r'fc\..*', CLASSIFIER),
  parts=('backbone',),
)
MMCLS = NameMap(
  'mmcls', backbone_rows('backbone.'), ignored=(BATCH_COUNTERS, r'head\..*'), parts=('backbone',)
)
