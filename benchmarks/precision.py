"""Number of float32 detections that 16-bit precisions, or float32 with input noise, find again.

The model with seeded weights is not trained, and its detections depend on differences that 16 bits
cannot resolve; the rows with noise on the input show how small these differences are.

--runs measures instead the time of detection with the seeded weights, the precisions in turn.

Example:
  python -m benchmarks.precision --size=256x320
  python -m benchmarks.precision --model=model --images=images/
  python -m benchmarks.precision --size=800x1344 --runs=3
"""

import argparse
import sys
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple, TypeAlias

import numpy as np

from benchmarks.arguments import at_least

MIN_MASK_IOU = 0.95
_NOISE = (1e-4, 1e-3, 1e-2)
_PRECISIONS = ('bfloat16', 'float16')
_TIMED = ('float32', 'bfloat16', 'bfloat16_features')


class Found(NamedTuple):
  """Detections of one image: classes [num], scores [num] and masks [num, height, width] bool."""

  classes: np.ndarray
  scores: np.ndarray
  masks: np.ndarray


# Name of a row, and per image the detections in float32 and those of the row.
Row: TypeAlias = tuple[str, Sequence[tuple[Found, Found]]]


def found_again(reference: Found, other: Found) -> np.ndarray:
  """Whether each reference detection is found again with its class and nearly the same mask.

  Args:
    reference: detections of one image.
    other: detections of the same image in another precision or with noise.

  Returns:
    [num] bool. A detection with an empty mask is found if `other` has an empty mask of its class.
  """
  again = np.zeros(len(reference.classes), bool)
  for row, (label, mask) in enumerate(zip(reference.classes, reference.masks)):
    masks = other.masks[other.classes == label]  # [candidates, height, width]
    unions = np.sum(masks | mask, axis=(1, 2))
    overlaps = np.where(unions > 0, np.sum(masks & mask, axis=(1, 2)) / np.maximum(unions, 1), 1.0)
    again[row] = np.any(overlaps >= MIN_MASK_IOU)
  return again


def seeded(size: str) -> list[Row]:
  """Rows of the seeded model on a synthetic image.

  Args:
    size: size of the network input, 'HEIGHTxWIDTH'.
  """
  from benchmarks import scene

  sizes = scene.SceneSizes.parse(size)
  image = scene.network_input(sizes)[np.newaxis]
  shape = np.array([sizes.image], np.float32)

  def run(precision: str, images: np.ndarray) -> Found:
    detections = _seeded_model(precision).detect({'images': images, 'image_shape': shape})
    return _pasted(detections.to_dict(), sizes.padded)

  exact = run('float32', image)
  rng = np.random.default_rng(0)
  rows: list[Row] = [(precision, [(exact, run(precision, image))]) for precision in _PRECISIONS]
  for noise in _NOISE:
    noisy = image + rng.normal(0, noise, image.shape).astype(np.float32)
    rows.append((f'float32, input noise {noise:g}', [(exact, run('float32', noisy))]))
  return rows


def trained(model: str, paths: list[str]) -> list[Row]:
  """Rows of a trained model on image files, as `seeded` returns them.

  Args:
    model: model directory.
    paths: image files or folders.
  """
  from htc_tf.serving import loading, predict_files

  images = [predict_files.read_image(path).pixels() for path in predict_files.list_images(paths)]

  def run(precision: str) -> list[Found]:
    predictor = loading.load_model(
      model, params_override=f'runtime.mixed_precision_dtype={precision}'
    )
    return [_pasted(predictor(image[np.newaxis]), image.shape[:2]) for image in images]

  exact = run('float32')
  return [(precision, list(zip(exact, run(precision)))) for precision in _PRECISIONS]


def times(size: str, repetitions: int) -> str:
  """A table of the times of detection in a synthetic image, in 32 bits and partly or all in 16.

  Args:
    size: size of the network input, 'HEIGHTxWIDTH'.
    repetitions: number of counted runs.
  """
  import tensorflow as tf

  from benchmarks import runtimes, scene

  sizes = scene.SceneSizes.parse(size)
  images = tf.constant(scene.network_input(sizes)[np.newaxis])
  shape = tf.constant([sizes.image], tf.float32)

  def detection(precision: str) -> Callable[[], int]:
    model = _seeded_model(precision)
    detect = tf.function(
      lambda images: model.detect({'images': images, 'image_shape': shape}).to_dict(),
      autograph=False,
    )
    return lambda: int(detect(images)['num_detections'][0])

  runs = {precision: detection(precision) for precision in _TIMED}
  return runtimes.table(runtimes.measure(runs, repetitions), 'precision')


def _seeded_model(precision: str):
  from benchmarks import scene
  from htc_tf.convert.checkpoint_file import Checkpoint
  from htc_tf.modeling.precision import computing_in
  from parity.forward import build_model

  def state():
    return Checkpoint(scene.Weights(), 'torch', 'seeded.pth', '')

  with computing_in(precision):
    return build_model('htc_resnet50fpn_1x_coco', {}, state)


def _pasted(outputs: dict[str, Any], size: tuple[int, int]) -> Found:
  """Detections of the only image of a batch, with masks pasted into an image of `size`."""
  from htc_tf.evaluation.mask_paste import paste_masks

  num = int(outputs['num_detections'][0])
  boxes, scores, classes, masks = (
    np.asarray(outputs[f'detection_{key}'][0])[:num]
    for key in ('boxes', 'scores', 'classes', 'masks')
  )
  return Found(classes, scores, paste_masks(masks, boxes, size))


def table(
  rows: Iterable[Row],
  min_scores: Sequence[float] = (0.0, 0.05, 0.3),
) -> str:
  """A Markdown table of the numbers of detections that are found again.

  Args:
    rows: rows of the table.
    min_scores: smallest scores of the detections in float32 that count, one column per score.
  """
  lines = [
    '| compared with float32 | ' + ' | '.join(f'score >= {score:g}' for score in min_scores) + ' |',
    '|---' * (len(min_scores) + 1) + '|',
  ]
  for name, pairs in rows:
    again = np.concatenate([found_again(exact, other) for exact, other in pairs])
    scores = np.concatenate([exact.scores for exact, _ in pairs])
    cells = [f'{np.sum(again[scores >= low])} of {np.sum(scores >= low)}' for low in min_scores]
    lines.append(f'| {name} | ' + ' | '.join(cells) + ' |')
  return '\n'.join(lines)


def main(argv: list[str] | None = None, log: Callable[[str], None] = print) -> int:
  """Run the command and return the exit status."""
  parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
  parser.add_argument('--size', default='800x1344', help='size of the synthetic image')
  parser.add_argument('--model', help='model directory to compare on --images instead')
  parser.add_argument('--images', nargs='*', default=[], help='image files or folders')
  parser.add_argument('--runs', type=at_least(1), help='measure the time, in so many runs')
  args = parser.parse_args(argv)
  if args.runs:
    log(times(args.size, args.runs))
    return 0
  log(table(trained(args.model, args.images) if args.model else seeded(args.size)))
  return 0


if __name__ == '__main__':
  sys.exit(main())
