"""Fuzzer that gives annotation files with one changed value to conversion and evaluation.

python -m tests.data.annotation_fuzzer --files=5000 --seed=1

It prints one JSON object: the number of files converted and refused, and the failures. A failure is
an exception other than HTCError, an image or annotation that is lost without being counted, a value
that was mended without being counted, or a written file that contradicts its records.
"""

import argparse
import collections
import contextlib
import io
import json
import pathlib
import random
import sys
import tempfile
import time

import numpy as np
import tensorflow as tf
from absl import logging
from PIL import Image
from pycocotools import coco
from pycocotools import mask as coco_mask

from htc_tf.data import coco_to_tfrecord, example_decoder
from htc_tf.data.conversion_options import ConversionOptions
from htc_tf.errors import HTCError
from htc_tf.evaluation import ground_truth
from tests.data.annotation_mutations import SIZES_HW, bases, changed

_MAX_FAILURES = 20
_SECTIONS = ('images', 'annotations', 'categories')
# The checks that drop entries, stated again: a check that the report forgets has to be noticed.
_DROPPED_IMAGES = (
  'bad_image',
  'image_without_size',
  'duplicate_image',
  'missing_image',
  'unreadable_image',
  'image_size_mismatch',
)
_DROPPED_ANNOTATIONS = (
  'bad_annotation',
  'image_dropped',
  'unknown_image_id',
  'unknown_category_id',
  'duplicate_annotation',
  'bad_box',
  'box_outside',
  'empty_segmentation',
  'bad_rle',
  'empty_mask',
)
_NO_FINDINGS = ('images_without_instances', 'crowd_regions', 'category_ids_mapped')


class Trial:
  """Conversion and evaluation of annotation files for the same images.

  Args:
    folder: folder for images, annotations and records.
  """

  def __init__(self, folder):
    self._folder = pathlib.Path(folder)
    self._images = self._folder / 'images'
    self._images.mkdir()
    rng = np.random.default_rng(0)
    for number, size in enumerate(SIZES_HW, 1):
      pixels = rng.integers(0, 256, [*size, 3], dtype=np.uint8)
      Image.fromarray(pixels).save(self._images / f'{number}.png')
    signature = [tf.TensorSpec([], tf.string)]
    self._decoders = {
      has_masks: tf.function(
        example_decoder.ExampleDecoder(has_masks, has_masks).decode, signature, autograph=False
      )
      for has_masks in (True, False)
    }

  def convert(self, content, has_masks):
    """The metadata, the summary, the decoded records and the written annotations of a file."""
    path = self._folder / 'annotations.json'
    path.write_text(json.dumps(content), encoding='utf-8')
    lines = []
    options = ConversionOptions(
      str(path),
      str(self._images),
      str(self._folder / 'records'),
      num_shards=1,
      semantic='instances' if has_masks else 'none',
      include_masks=has_masks,
      skip_missing_images=True,
      overwrite=True,
    )
    with contextlib.redirect_stderr(io.StringIO()):  # The progress bar.
      info = coco_to_tfrecord.convert(options, lines.append)
    decode = self._decoders[has_masks]
    shards = sorted(str(shard) for shard in (self._folder / 'records').glob('*.tfrecord'))
    records = []
    for record in tf.data.TFRecordDataset(shards).as_numpy_iterator():
      feature = tf.train.Example.FromString(record).features.feature['image/object/area']
      decoded = {key: value.numpy() for key, value in decode(tf.constant(record)).items()}
      records.append({**decoded, 'areas': np.array(feature.float_list.value)})
    return info, '\n'.join(lines), records, info.annotation_path

  def evaluate(self, has_masks):
    """The annotations for evaluation from the file that was converted last."""
    loaded = ground_truth.load_ground_truth(self._folder / 'annotations.json', has_masks)
    if has_masks:
      for entry in loaded.anns.values():
        loaded.annToRLE(entry)
    return loaded


def failure(trial, content, has_masks, base_checks):
  """What is wrong with the conversion or evaluation of a file; '' if nothing is wrong.

  Args:
    trial: the trial.
    content: content of the annotation file.
    has_masks: whether it is converted and evaluated with masks.
    base_checks: counts of the findings in the file before the change, by check.

  Returns:
    The failure, and whether the file was converted.
  """
  try:
    info, summary, records, path = trial.convert(content, has_masks)
  except HTCError as error:
    str(error).encode(errors='backslashreplace')
    info = None
  loaded = None
  try:
    loaded = trial.evaluate(has_masks)
  except HTCError as error:
    if info is not None:
      return f'the evaluation refuses what is converted: {error}', True
  if info is None:
    return '', False
  with contextlib.redirect_stdout(io.StringIO()):
    written = coco.COCO(path)
  summary.encode()
  found = (
    _loss(content, info)
    or _uncounted(content, written.dataset, info.checks, base_checks)
    or _contradiction(records, written, info, has_masks)
    or _misfit(written, loaded)
  )
  return found, True


def _loss(content, info):
  for section, number, checks in (
    ('images', info.num_images, _DROPPED_IMAGES),
    ('annotations', info.num_instances, _DROPPED_ANNOTATIONS),
  ):
    counted = sum(info.checks.get(check, 0) for check in checks)
    if len(content[section]) != number + counted:
      return f'{len(content[section])} {section}, {number} written, {counted} counted as dropped'
  return ''


def findings(checks):
  """The counts of a report that tell of a fault of the file."""
  return {check: count for check, count in checks.items() if check not in _NO_FINDINGS}


def _uncounted(content, written, checks, base_checks):
  """A value that differs between the file and the written annotations without being counted."""
  if findings(checks) != base_checks:
    return ''
  mended = {'area', 'iscrowd', 'height', 'width'} if base_checks else set()
  renumbered = {'id', 'image_id', 'category_id', 'original_id'} if base_checks else set()
  for section in _SECTIONS:
    kept_entries = written[section]
    if section == 'annotations':  # They are written in the order of their images.
      order = {json.dumps(entry.get('id')): number for number, entry in enumerate(content[section])}
      kept_entries = sorted(kept_entries, key=lambda entry: order.get(str(entry['id']), -1))
    for given, kept in zip(content[section], kept_entries):
      skipped = mended | renumbered | ({'segmentation'} if 'segmentation' not in kept else set())
      for key in (given.keys() | kept.keys()) - skipped:
        if json.dumps(given.get(key)) != json.dumps(kept.get(key)):
          return f'{key} {given.get(key)!r} became {kept.get(key)!r}, and nothing was counted'
  return ''


def _contradiction(records, written, info, has_masks):
  """A difference between the records and the written annotations."""
  if sorted(int(record['source_id']) for record in records) != sorted(written.imgs):
    return 'the images of the records are not those of the written annotations'
  labels = {category.id: category.label for category in info.categories}
  for record in records:
    image = written.imgs[int(record['source_id'])]
    entries = written.imgToAnns[image['id']]
    same = {
      'size': record['image'].shape[:2] == (image['height'], image['width']),
      'classes': record['classes'].tolist() == [labels[entry['category_id']] for entry in entries],
      'crowds': record['is_crowd'].tolist() == [bool(entry['iscrowd']) for entry in entries],
      'boxes': _same_boxes(record, entries),
      'areas': _same_areas(record, entries),
      'masks': not has_masks or _same_masks(record, entries, written),
    }
    if not all(same.values()):
      return f'{[name for name in same if not same[name]]} of an image differ in its record'
  return ''


def _same_boxes(record, entries):
  """Whether the boxes are those of the annotations, and inside the image."""
  height, width = record['image'].shape[:2]
  boxes = np.array([entry['bbox'] for entry in entries], np.float64).reshape(-1, 4)
  corners = np.concatenate([boxes[:, :2], boxes[:, :2] + boxes[:, 2:]], axis=1)
  expected = corners[:, [1, 0, 3, 2]] / [height, width, height, width]
  is_inside = (expected >= 0).all() and (expected <= 1 + 1e-9).all()
  return is_inside and np.allclose(record['boxes_normalized'], expected, atol=1e-5)


def _same_areas(record, entries):
  """Whether the areas are those of the annotations, and finite."""
  areas = np.array([entry['area'] for entry in entries], np.float64)
  is_finite = np.isfinite(record['areas']).all() and (areas > 0).all()
  return is_finite and np.allclose(record['areas'], areas, rtol=1e-6, atol=1e-40)


def _same_masks(record, entries, written):
  masks = [
    example_decoder.decode_label_png(tf.constant(encoded)).numpy()
    for encoded in record['masks_png']
  ]
  encoded = [coco_mask.encode(np.asfortranarray(mask)) for mask in masks]
  return len(masks) == len(entries) and all(
    coco_mask.iou([mask], [written.annToRLE(entry)], [0]) == 1
    for mask, entry in zip(encoded, entries)
  )


def _misfit(written, loaded):
  """A record that cannot be evaluated with the file that it was made from."""
  for id_, image in written.imgs.items():
    other = loaded.imgs.get(id_)
    if other is None:
      return f'the evaluation has no image {id_}'
    sizes = [(entry['height'], entry['width']) for entry in (image, other)]
    if sizes[0] != sizes[1] and not other.get('size_unknown'):
      return f'size of image {id_} in the evaluation: {sizes}'
  if len(loaded.anns) < len(written.anns):
    return f'{len(loaded.anns)} of {len(written.anns)} annotations in the evaluation'
  return ''


def run(num_files, seed, folder, show=lambda line: None, until_failure=False):
  """The report of converting and evaluating changed files.

  Args:
    num_files: number of files.
    seed: seed of the changes.
    folder: empty folder for images, annotations and records.
    show: function that receives lines on the progress.
    until_failure: whether to stop at the first failure.
  """
  trial, generator = Trial(folder), random.Random(seed)
  report = {'files': 0, 'converted': 0, 'refused': 0, 'failures': []}
  kinds = collections.Counter()
  sources = [
    (name, content, has_masks, findings(trial.convert(content, has_masks)[0].checks))
    for name, (content, has_masks) in bases().items()
  ]
  start = time.monotonic()
  for number in range(1, num_files + 1):
    name, content, has_masks, base_checks = generator.choice(sources)
    content, description = changed(content, generator)
    found = _observe(trial, content, has_masks, base_checks, report)
    if found:
      kinds[found[:60]] += 1
      if kinds[found[:60]] == 1 and len(report['failures']) < _MAX_FAILURES:
        report['failures'].append(f'file {number} of {name}, {description}: {found[:300]}')
    if found and until_failure:
      break
    if number % 250 == 0:
      rate = number / (time.monotonic() - start)
      show(
        f'{number} of {num_files} files, {rate:.0f} per second, '
        f'{(num_files - number) / rate:.0f} s left, {sum(kinds.values())} failures'
      )
  report['num_failures'] = sum(kinds.values())
  return report


def _observe(trial, content, has_masks, base_checks, report):
  """The failure of one file, which is counted in the report; empty if there is none."""
  report['files'] += 1
  try:
    found, converted = failure(trial, content, has_masks, base_checks)
  except Exception as error:
    return f'{type(error).__name__}: {error}'
  report['converted' if converted else 'refused'] += 1
  return found


def main():
  parser = argparse.ArgumentParser(description=__doc__)
  parser.add_argument('--files', type=int, default=1000)
  parser.add_argument('--seed', type=int, default=1)
  args = parser.parse_args()
  logging.set_verbosity(logging.ERROR)
  with tempfile.TemporaryDirectory() as folder:
    report = run(
      args.files, args.seed, folder, lambda line: print(line, file=sys.stderr, flush=True)
    )
  print(json.dumps(report, indent=2))
  return bool(report['failures'])


if __name__ == '__main__':
  sys.exit(main())
