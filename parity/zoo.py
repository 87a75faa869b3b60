"""The families around HTC that are compared with stored outputs of the original implementations."""

from parity.mmdet_image import Variant

# What mmdetection 3.3.0 returns, by the mask ensemble that gives the same.
_ONLY_MASKS = {'mean': 'detections_masks_packed'}

VARIANTS = (
  Variant(
    'mask-rcnn_r50_fpn_1x_coco',
    'mask_rcnn_resnet50fpn_1x_coco',
    has_semantic=False,
    masks=_ONLY_MASKS,
    of_zoo=True,
  ),
  Variant(
    'cascade-mask-rcnn_r50_fpn_1x_coco',
    'cascade_mask_rcnn_resnet50fpn_1x_coco',
    has_semantic=False,
    masks=_ONLY_MASKS,
    of_zoo=True,
  ),
)
