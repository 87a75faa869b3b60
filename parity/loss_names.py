"""Names of the losses of HTC, ours and those of mmdetection. This module needs no other package."""

LOSSES = {
  'rpn_class_loss': 'loss_rpn_cls',
  'rpn_box_loss': 'loss_rpn_bbox',
  'semantic_loss': 'loss_semantic_seg',
  **{
    f'stage{stage}_{ours}_loss': f's{stage}.loss_{theirs}'
    for stage in range(3)
    for ours, theirs in (('class', 'cls'), ('box', 'bbox'), ('mask', 'mask'))
  },
}
TOTAL = 'total'  # The name of their sum on both sides.
