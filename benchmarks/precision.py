"""How many detections of float32 other precisions find again, and float32 itself under noise.

With the seeded weights, which stand for a model that is not trained, detections hang on differences
far below what 16 bits resolve; the rows with noise on the input say how far.

Example:
  python -m benchmarks.precision --size=256x320
  python -m benchmarks.precision --model=model --pictures=pictures/
"""

import argparse
import sys
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np

MIN_MASK_IOU = 0.95
_NOISE = (1e-4, 1e-3, 1e-2)
_PRECISIONS = ('bfloat16', 'float16')


class Found(NamedTuple):
  """Detections of one image: classes [num], scores [num] and masks [num, height, width] bool."""

  classes: np.ndarray
  scores: np.ndarray
  masks: np.ndarray


def found_again(reference: Found, other: Found) -> np.ndarray:
  """Which of `reference` have one of their class, and a mask as good as theirs, in `other`.

  Args:
    reference: of one image.
    other: of the same image.

  Returns:
    [num] bool; a detection whose mask is empty counts where an empty one of its class is found.
  """
  again = np.zeros(len(reference.classes), bool)
  for row, (label, mask) in enumerate(zip(reference.classes, reference.masks)):
    masks = other.masks[other.classes == label]  # [candidates, height, width]
    unions = np.sum(masks | mask, axis=(1, 2))
    overlaps = np.where(unions > 0, np.sum(masks & mask, axis=(1, 2)) / np.maximum(unions, 1), 1.0)
    again[row] = np.any(overlaps >= MIN_MASK_IOU)
  return again


def seeded(size: str) -> list[tuple[str, list[tuple[Found, Found]]]]:
  """Rows (name, pairs of float32 and other detections) of the seeded model on a made-up picture."""
  from benchmarks import scene

  sizes = scene.SceneSizes.parse(size)
  image = scene.network_input(sizes)[np.newaxis]
  shape = np.array([sizes.image], np.float32)

  def run(precision: str, images: np.ndarray) -> Found:
    detections = _seeded_model(precision).detect({'images': images, 'image_shape': shape})
    return _clipped_to(detections.to_dict(), sizes.padded)

  exact = run('float32', image)
  rng = np.random.default_rng(0)
  rows = [(precision, [(exact, run(precision, image))]) for precision in _PRECISIONS]
  for noise in _NOISE:
    noisy = image + rng.normal(0, noise, image.shape).astype(np.float32)
    rows.append((f'float32, input noise {noise:g}', [(exact, run('float32', noisy))]))
  return rows


def trained(model: str, paths: list[str]) -> list[tuple[str, list[tuple[Found, Found]]]]:
  """Rows of a model directory on image files."""
  from htc_tf.serving import loading, predict_files

  images = [predict_files.read_image(path).pixels() for path in predict_files.list_images(paths)]

  def run(precision: str) -> list[Found]:
    predictor = loading.load_model(
      model, params_override=f'runtime.mixed_precision_dtype={precision}'
    )
    return [_clipped_to(predictor(image[np.newaxis]), image.shape[:2]) for image in images]

  exact = run('float32')
  return [(precision, list(zip(exact, run(precision)))) for precision in _PRECISIONS]


def _seeded_model(precision: str):
  from benchmarks import scene
  from htc_tf.convert.checkpoint_file import Checkpoint
  from htc_tf.modeling.precision import computing_in
  from parity.forward import build_model

  def state():
    return Checkpoint(scene.Weights(), 'torch', 'seeded.pth', '')

  with computing_in(precision):
    return build_model('htc_resnet50fpn_1x_coco', {}, state)


def _clipped_to(outputs: dict[str, Any], size: tuple[int, int]) -> Found:
  """Detections of the one image of a batch, masks pasted at `size`."""
  from htc_tf.evaluation.mask_paste import paste_masks

  num = int(outputs['num_detections'][0])
  boxes, scores, classes, masks = (
    np.asarray(outputs[f'detection_{key}'][0])[:num]
    for key in ('boxes', 'scores', 'classes', 'masks')
  )
  return Found(classes, scores, paste_masks(masks, boxes, size))


def table(
  rows: Iterable[tuple[str, Sequence[tuple[Found, Found]]]],
  min_scores: Sequence[float] = (0.0, 0.05, 0.3),
) -> str:
  """Lines of Markdown: found again of all detections from some scores on.

  Args:
    rows: name, and for each picture the detections compared with and those of the row.
    min_scores: one column each.
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
  """Runs the command; returns its exit status."""
  parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
  parser.add_argument('--size', default='800x1344', help='of the made-up picture')
  parser.add_argument('--model', help='model directory to compare on --pictures instead')
  parser.add_argument('--pictures', nargs='*', default=[], help='files or folders')
  args = parser.parse_args(argv)
  log(table(trained(args.model, args.pictures) if args.model else seeded(args.size)))
  return 0


if __name__ == '__main__':
  sys.exit(main())
