"""The two pictures of the model: data through it in training and at inference."""

import itertools

from docs_pages.diagram import Arrow, Box, svg

_WIDTH = 1000
_NUM_STAGES = 3
_COLUMN = 320  # Distance of the columns of two stages.
_SIDE = 290  # Width of a box in the column of a stage.
_BAR = 930  # Width of a box over all columns.
_REFINED = 3  # Index of the refined boxes in a column.


def training() -> str:
  """The SVG of a training step."""
  boxes, arrows, pyramid, semantic = _features('images\n[batch, height, width, 3]')
  rpn = Box(40, 110, _SIDE, 40, 'RPN: proposals r0', 'branch')
  rpn_loss = Box(40, 170, _SIDE, 28, 'RPN class and box loss', 'loss')
  logits = Box(semantic.x, 170, 190, 28, 'semantic loss, times 0.2', 'loss')
  features = _roi_features(230)
  boxes += [rpn, rpn_loss, logits, features]
  arrows += _to_roi_features(pyramid, semantic, features)
  arrows += [
    _to_rpn(pyramid, rpn),
    Arrow([rpn.bottom, rpn_loss.top]),
    Arrow([(logits.top[0], semantic.at(0, 1)[1]), logits.top]),
  ]
  columns = [_training_stage(number) for number in range(1, _NUM_STAGES + 1)]
  sources = [rpn, *(column[_REFINED] for column in columns)]
  for source, column in zip(sources, columns):
    boxes += column
    arrows += [Arrow([upper.bottom, lower.top]) for upper, lower in itertools.pairwise(column)]
    arrows.append(_to_next(source, column[0]))
  title = (
    'HTC in training: backbone, pyramid, semantic branch, RPN, and three stages with box and mask '
    'branch'
  )
  return svg(title, _WIDTH, 730, boxes, arrows)


def _to_next(source: Box, target: Box) -> Arrow:
  """An arrow from the RPN, or from the column of a stage, to the column on its right."""
  is_below = source.x == target.x
  start = source.left if is_below else source.right
  x = target.x - (20 if is_below else (_COLUMN - _SIDE) / 2)
  return Arrow([start, (x, start[1]), (x, target.left[1]), target.left])


def inference() -> str:
  """The SVG of a detection."""
  boxes, arrows, pyramid, semantic = _features('image\nresized and padded')
  rpn = Box(40, 110, _SIDE, 40, 'RPN: 1000 proposals r0', 'branch')
  features = _roi_features(180)
  arrows += [_to_rpn(pyramid, rpn), *_to_roi_features(pyramid, semantic, features)]
  mean = Box(40, 380, _BAR, 40, 'mean of the class logits of the stages, softmax; boxes r3', 'step')
  nms = Box(40, 440, _BAR, 40, 'NMS by class: at most 100 detections', 'step')
  pooled = Box(40, 500, _BAR, 40, 'RoI features 14 x 14 of the detections', 'step')
  masks = Box(40, 630, _BAR, 40, 'mean of the mask probabilities of the stages, 28 x 28', 'step')
  result = Box(
    40, 690, _BAR, 40, 'boxes, classes, scores, and masks of the size of the image', 'data'
  )
  boxes += [rpn, features, mean, nms, pooled, masks, result]
  arrows += [Arrow([a.bottom, b.top]) for a, b in ((mean, nms), (nms, pooled), (masks, result))]
  source, before = rpn, None
  for number in range(1, _NUM_STAGES + 1):
    x = 40 + _COLUMN * (number - 1)
    rois = Box(x, 240, _SIDE, 40, f'RoI features 7 x 7 of r{number - 1}', 'step')
    head = Box(x, 300, _SIDE, 40, f'box head B{number}:\nclass logits, boxes r{number}', 'branch')
    mask = Box(x, 560, _SIDE, 40, f'mask head M{number}', 'branch')
    boxes += [rois, head, mask]
    arrows += [
      _to_next(source, rois),
      Arrow([rois.bottom, head.top]),
      Arrow([head.bottom, (head.bottom[0], mean.y)]),
      Arrow([(mask.top[0], pooled.at(0, 1)[1]), mask.top]),
      Arrow([mask.bottom, (mask.bottom[0], masks.y)]),
    ]
    if before is not None:
      arrows.append(Arrow([before.right, mask.left]))
    source, before = head, mask
  title = 'HTC at inference: three box stages, NMS, then three mask heads on the detections'
  return svg(title, _WIDTH, 750, boxes, arrows)


def _features(image: str) -> tuple[list[Box], list[Arrow], Box, Box]:
  """The parts before the RoIs, which both pictures have: boxes, arrows, pyramid, semantic head."""
  source = Box(40, 20, 170, 44, image, 'data')
  backbone = Box(250, 20, 170, 44, 'backbone\nC2 .. C5')
  pyramid = Box(460, 20, 170, 44, 'decoder (FPN)\nP2 .. P6')
  semantic = Box(680, 100, 290, 50, 'semantic head: all levels at stride 8,\nlogits and embedding')
  arrows = [
    Arrow([source.right, backbone.left]),
    Arrow([backbone.right, pyramid.left]),
    Arrow([pyramid.right, (semantic.top[0], pyramid.right[1]), semantic.top]),
  ]
  return [source, backbone, pyramid, semantic], arrows, pyramid, semantic


def _roi_features(y: float) -> Box:
  """The bar that says what RoI features are."""
  text = 'RoI features = RoIAlign of the pyramid + RoIAlign of the semantic embedding'
  return Box(40, y, _BAR, 28, text, 'data')


def _to_rpn(pyramid: Box, rpn: Box) -> Arrow:
  x = pyramid.at(0.35, 0)[0]
  return Arrow([(x, pyramid.bottom[1]), (x, 90), (rpn.top[0], 90), rpn.top])


def _to_roi_features(pyramid: Box, semantic: Box, features: Box) -> list[Arrow]:
  """The arrows from the pyramid and from the semantic head to the bar of RoI features."""
  left, right = pyramid.at(0.65, 0)[0], semantic.at(0.85, 0)[0]
  return [
    Arrow([(left, pyramid.bottom[1]), (left, features.y)]),
    Arrow([(right, semantic.bottom[1]), (right, features.y)]),
  ]


def _training_stage(number: int) -> list[Box]:
  """The boxes of a stage in training, from the sampling down to the mask loss."""
  x = 40 + _COLUMN * (number - 1)
  threshold, weight = ('0.5', '0.6', '0.7')[number - 1], ('1', '0.5', '0.25')[number - 1]
  chain = ', then '.join(f'M{stage}' for stage in range(1, number + 1))
  first = f'stage {number}: sample 512 RoIs of r{number - 1}'
  heads = 'head' if number == 1 else 'heads'
  rows = [
    (300, 40, f'{first}\npositive from IoU {threshold} on', 'step'),
    (355, 40, 'RoI features 7 x 7', 'step'),
    (410, 40, f'box head B{number}', 'branch'),
    (465, 40, f'refined boxes r{number}, without gradient', 'step'),
    (520, 40, f'sample again from r{number}', 'step'),
    (575, 40, 'RoI features 14 x 14 of the positives', 'step'),
    (630, 40, f'mask {heads} {chain}', 'branch'),
    (685, 28, f'class, box and mask loss, times {weight}', 'loss'),
  ]
  return [Box(x, y, _SIDE, height, text, kind) for y, height, text, kind in rows]
