"""Share of padding in the network input, by padding rule: `python -m benchmarks.padding`.

The distribution of image sizes is an assumption: it is that of the first 464 images in the list of
5000 images of COCO val2014 whose widths and heights are in `data/5k.shapes` of the repository
github.com/ultralytics/yolov3. They are assumed to be distributed like those of train2017 and
val2017; with 464 images, the means below are uncertain by about half a percentage point. Images are
resized by the published rule: short side 800, long side at most 1333.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from htc_tf.configs.experiments import COCO_BUCKETS
from htc_tf.data import preprocess
from htc_tf.data.padding import PaddingRule, padding_rule

# Width x height, followed by a colon and the number of images if that is not 1.
IMAGE_SIZES = """
    640x480:96 640x427:52 480x640:38 640x426:21 427x640:20 500x375:20 426x640:12 612x612:11
    640x428:10 640x425:9 640x424:8 640x640:7 375x500:6 500x333:6 640x360:6 640x478:5 333x500:4
    424x640:4 425x640:4 459x640:3 500x500:3 512x640:3 640x415:3 478x640:2 481x640:2 640x319:2
    640x383:2 640x407:2 640x451:2 640x457:2 640x528:2 333x640 334x500 334x640 345x500 360x640
    379x640 400x338 400x515 425x500 428x640 457x640 458x640 461x640 465x640 472x640 473x640
    479x640 480x320 482x640 491x640 493x640 500x331 500x332 500x334 500x343 500x347 500x362
    500x372 500x374 500x378 500x379 500x395 500x403 500x413 500x426 500x476 500x480 513x640
    531x640 532x640 558x640 576x640 600x550 619x640 621x640 639x640 640x278 640x301 640x320
    640x322 640x337 640x338 640x346 640x347 640x359 640x361 640x362 640x364 640x365 640x368
    640x371 640x373 640x384 640x388 640x390 640x396 640x401 640x404 640x406 640x408 640x413
    640x414 640x418 640x419 640x430 640x431 640x437 640x440 640x443 640x446 640x448 640x470
    640x479 640x481 640x483 640x512 640x513 640x519 640x521 640x524 640x525 640x550 640x554
    640x572 640x574 640x624 640x626
"""
MIN_SIZE, MAX_SIZE = 800, 1333
_NUM_BATCHES = 4000


class PaddingShare(NamedTuple):
  """Padding as a share of the pixels of the network input.

  Attributes:
    rule: description of the rule.
    num_shapes: number of different shapes of the network input.
    mean: share over all images.
    worst: share of the image, or batch, with the most padding.
  """

  rule: str
  num_shapes: int
  mean: float
  worst: float


def image_counts() -> dict[tuple[int, int], int]:
  """Number of images by (height, width)."""
  counts = {}
  for word in IMAGE_SIZES.split():
    size, _, count = word.partition(':')
    width, height = map(int, size.split('x'))
    counts[height, width] = int(count or 1)
  return counts


def scaled_sizes() -> np.ndarray:
  """[num_images, 2] int height and width after resizing, by the published rule."""
  rows = []
  for size, count in image_counts().items():
    scaled = preprocess.scaled_size(tf.constant(size), MIN_SIZE, MAX_SIZE).numpy().tolist()
    rows += [scaled] * count
  return np.array(rows)


def share_of_rule(name: str, rule: PaddingRule, sizes: np.ndarray) -> PaddingShare:
  """Padding if each image is padded by a rule.

  Args:
    name: description of the rule.
    rule: rule whose buckets are large enough for every image.
    sizes: [num_images, 2] heights and widths after resizing.
  """
  padded_sizes: list[np.ndarray] = []
  for size in tf.constant(sizes, tf.int32):
    bound = rule.bound(size)
    padded_sizes.append(np.array(rule.padded_hw(size, bound)))
  padded = np.array(padded_sizes)
  if (padded < sizes).any():
    raise ValueError(f'An image is larger than its bucket in {name}: {rule.buckets}')
  return _share(name, sizes.prod(1), padded.prod(1), len(np.unique(padded, axis=0)))


def share_of_batches(batch_size: int, sizes: np.ndarray, divisor: int = 32) -> PaddingShare:
  """Padding if random batches of one orientation are padded to the largest sides in the batch."""
  generator = np.random.default_rng(0)
  portrait = sizes[:, 0] > sizes[:, 1]
  content, padded, shapes = [], [], set()
  for _ in range(_NUM_BATCHES):
    group = sizes[portrait] if generator.random() < portrait.mean() else sizes[~portrait]
    batch = generator.choice(group, batch_size, replace=False)
    largest = -(-batch.max(0) // divisor) * divisor
    shapes.add(tuple(largest))
    content.append(batch.prod(1).sum())
    padded.append(batch_size * largest.prod())
  name = f'largest sides in batches of {batch_size} with one orientation, multiples of {divisor}'
  return _share(name, np.array(content), np.array(padded), len(shapes))


def _share(name: str, content: np.ndarray, padded: np.ndarray, num_shapes: int) -> PaddingShare:
  return PaddingShare(
    name, num_shapes, 1 - content.sum() / padded.sum(), (1 - content / padded).max()
  )


def _landscape_and_portrait(widths: Sequence[int]) -> list[tuple[int, int]]:
  return sorted({(800, width) for width in widths} | {(width, 800) for width in widths})


def table() -> list[PaddingShare]:
  """One row per rule."""
  sizes, limit = scaled_sizes(), (1344, 1344)
  static = {
    'one square of 1344': [limit],
    '800x1344 and transposed': _landscape_and_portrait([1344]),
    '800 by 1088, 1344 and transposed': _landscape_and_portrait([1088, 1344]),
    '800 by 1088, 1216, 1344 and transposed (COCO_BUCKETS)': COCO_BUCKETS,
    'the same and 800x800': [*COCO_BUCKETS, (800, 800)],
    '800 by 832, 1088, 1216, 1344 and transposed': _landscape_and_portrait([832, 1088, 1216, 1344]),
  }
  rows = [
    share_of_rule(name, padding_rule(buckets, limit), sizes) for name, buckets in static.items()
  ]
  rows.append(share_of_rule('each image to a multiple of 32', padding_rule([], limit), sizes))
  return rows + [share_of_batches(batch_size, sizes) for batch_size in (2, 4, 8)]


def main() -> None:
  """Print the table."""
  print(f'{"padded to":56} {"shapes":>6} {"mean":>7} {"worst":>7}')
  for row in table():
    print(f'{row.rule:56} {row.num_shapes:6d} {row.mean:7.1%} {row.worst:7.1%}')


if __name__ == '__main__':
  main()
