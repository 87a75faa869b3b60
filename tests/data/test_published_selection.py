"""Tests of the published selection of images and annotations.

The expected choice is the one that mmdetection 3.3.0 made from the same annotation file
(`CocoDataset` with `filter_cfg=dict(filter_empty_gt=True, min_size=32)`).
"""

import dataclasses

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from htc_tf.data import coco_annotations, skipped
from htc_tf.data.check_report import CheckReport
from htc_tf.data.example_decoder import ExampleDecoder
from htc_tf.data.left_out import LEFT_OUT, Rule
from htc_tf.data.published_selection import check_selected, select_images, select_instances
from htc_tf.data.skipped import SkipCounter
from htc_tf.data.tolerant_reading import RECORD_KEY, as_element
from htc_tf.errors import DataError
from tests.data.conftest import annotation

# Height and width by image id: with objects; crowd only; without annotations; a short side; only an
# annotation without area, outside, or to be ignored; the smallest image; a short side and no
# annotation.
SIZES_HW = {1: (40, 50), 2: (40, 50), 3: (40, 50), 4: (31, 50), 5: (40, 50), 6: (40, 50)}
SIZES_HW.update({7: (40, 50), 8: (32, 32), 9: (50, 31)})
BOX = (8, 8, 12, 10)
ANNOTATIONS = [
  annotation(11, 1, 3, (5, 5, 20, 10)),
  annotation(12, 1, 3, (5, 5, 20, 10), ignore=1),
  annotation(13, 1, 3, BOX, area=0),
  annotation(14, 1, 3, (60, 5, 10, 10)),
  annotation(15, 1, 3, (10, 10, 0.99, 10)),
  annotation(16, 1, 3, (10, 10, 10, 1.0)),
  annotation(17, 1, 3, (-10, 4, 10.4, 10)),
  annotation(18, 1, 8, (3, 3, 9, 9), iscrowd=1),
  annotation(21, 2, 3, (3, 3, 9, 9), iscrowd=1),
  annotation(41, 4, 3, (3, 3, 9, 9)),
  annotation(51, 5, 3, BOX, area=0),
  annotation(61, 6, 3, (60, 5, 10, 10)),
  annotation(71, 7, 3, BOX, ignore=1),
  annotation(81, 8, 3, BOX),
]
# Boxes left, top, right, bottom, clipped to the image, and whether they are crowd regions.
PUBLISHED = {
  1: [(5, 5, 25, 15, 0), (10, 10, 20, 11, 0), (0, 4, 0.4, 14, 0), (3, 3, 12, 12, 1)],
  2: [(3, 3, 12, 12, 1)],
  5: [],
  6: [],
  7: [],
  8: [(8, 8, 20, 18, 0)],
}


def converted(coco, sizes=SIZES_HW, annotations=ANNOTATIONS, **options):
  """Serialized records of the images."""
  coco.content['images'] = []
  for id_, (height, width) in sizes.items():
    Image.fromarray(np.full([height, width, 3], 90, np.uint8)).save(coco.images / f'{id_}.png')
    entry = {'id': id_, 'file_name': f'{id_}.png', 'height': height, 'width': width}
    coco.content['images'].append(entry)
  coco.content['annotations'] = [item for item in annotations if item['image_id'] in sizes]
  info, _ = coco.convert(semantic='none', **options)
  paths = sorted(map(str, coco.output.glob('*.tfrecord')))
  return info, list(tf.data.TFRecordDataset(paths).as_numpy_iterator())


def chosen(records, counter, include_mask=False):
  """Boxes as in `PUBLISHED`, by image id in ascending order, in a pipeline."""
  decoder = ExampleDecoder(include_mask, include_semantic=False)

  def select(element):
    record = element[RECORD_KEY]
    return select_instances(decoder.decode(record), record, counter)

  dataset = tf.data.Dataset.from_tensor_slices(records).map(as_element)
  found = {}
  for item in select_images(counter)(dataset).map(select).as_numpy_iterator():
    top, left, bottom, right = (
      item['boxes_normalized'] * np.tile([item['height'], item['width']], 2)
    ).T
    found[int(item['source_id'])] = np.stack([left, top, right, bottom, item['is_crowd']], -1)
  return dict(sorted(found.items()))


def check(found, expected):
  assert list(found) == list(expected)
  for number, rows in expected.items():
    np.testing.assert_allclose(found[number], np.reshape(rows, [-1, 5]), rtol=0, atol=1e-4)


def test_images_and_annotations_are_those_of_mmdetection(coco):
  info, records = converted(coco, include_masks=False)
  counter = SkipCounter()
  check(chosen(records, counter), PUBLISHED)
  left_out = {f'image id {number}': 1 for number in (3, 4, 9)}
  assert counter.counts()[skipped.LEFT_OUT_IMAGES] == left_out
  assert counter.counts()[skipped.LEFT_OUT_INSTANCES] == {
    'image id 1': 3,
    'image id 5': 1,
    'image id 7': 1,
  }
  assert info.num_training_images(published_selection=True) == len(PUBLISHED)
  assert info.num_training_images(published_selection=False) == len(SIZES_HW)


def test_the_images_of_an_epoch_are_estimated_for_records_of_earlier_versions(coco):
  """Image 6 has no annotation in its record, and image 9 has both faults."""
  info, _ = converted(coco, include_masks=False)
  earlier = dataclasses.replace(info.statistics, num_selected_images=None)
  info = dataclasses.replace(info, statistics=earlier)
  assert info.num_training_images(published_selection=True) == len(PUBLISHED) - 2


def test_masks_follow_their_boxes(coco):
  """A record cannot have the sliver of annotation 17, whose mask has no pixel."""
  _, records = converted(coco)
  check(chosen(records, SkipCounter(), True), {**PUBLISHED, 1: np.delete(PUBLISHED[1], 2, 0)})


def test_eager_selection_is_that_of_a_pipeline(coco):
  _, records = converted(coco, include_masks=False)
  decoder = ExampleDecoder(include_mask=False, include_semantic=False)
  for record in records:
    decoded = decoder.decode(tf.constant(record))
    found = select_instances(decoded, tf.constant(record), SkipCounter())
    if int(found['source_id']) in PUBLISHED:
      assert len(found['classes']) == len(PUBLISHED[int(found['source_id'])])


def test_records_of_earlier_versions_are_judged_by_what_they_have(coco):
  """They have the visible part of a box, and the area of a mask where the file had none."""
  _, records = converted(coco, include_masks=False)
  earlier = []
  for record in records:
    example = tf.train.Example.FromString(record)
    for key in ('image/object/is_left_out', 'image/is_annotated'):
      example.features.feature.pop(key, None)
    earlier.append(example.SerializeToString())
  found = chosen(earlier, SkipCounter())
  # The annotations 12 and 13 stay; 15 and the sliver 17 are left out. Image 6 seems to have none.
  lefts = np.sort(found[1][:, 0])
  np.testing.assert_allclose(lefts, [3, 5, 5, 8, 10], atol=1e-4)
  assert list(found) == [1, 2, 5, 7, 8]


def test_a_record_that_cannot_be_parsed_is_passed_on():
  dataset = tf.data.Dataset.from_tensor_slices([b'broken']).map(as_element)
  selected = select_images(SkipCounter())(dataset)
  assert [item[RECORD_KEY] for item in selected.as_numpy_iterator()] == [b'broken']


def test_data_without_an_image_to_train_on_are_refused(coco):
  _, records = converted(coco, {1: (40, 50), 3: (40, 50), 4: (31, 50)}, num_shards=1)
  counter = SkipCounter()
  check_selected(tf.data.Dataset.from_tensor_slices(records), counter)
  empty = [record for record in records if b'1.png' not in record]
  with pytest.raises(DataError, match='No image is left to train on') as caught:
    check_selected(tf.data.Dataset.from_tensor_slices(empty), counter)
  assert '2 images that are left out' in str(caught.value)
  assert 'published_selection=false' in str(caught.value)


def test_an_endless_share_without_images_ends_with_an_error(coco, monkeypatch):
  monkeypatch.setattr('htc_tf.data.published_selection._MAX_IN_A_ROW', 5)
  _, records = converted(coco, {1: (40, 50), 3: (40, 50)}, num_shards=1)
  empty = [record for record in records if b'3.png' in record]
  dataset = tf.data.Dataset.from_tensor_slices(empty).map(as_element).repeat()
  with pytest.raises(tf.errors.InvalidArgumentError, match='6 records in a row'):
    next(iter(select_images(SkipCounter())(dataset)))


@pytest.mark.parametrize(
  'changes, expected',
  [
    ({}, False),
    ({'ignore': 1}, True),
    ({'ignore': 'false'}, False),
    ({'ignore': 0}, False),
    ({'area': -1}, True),
    ({'area': '0'}, True),
    ({'area': None}, False),
    ({'bbox': [-5, 0, 5, 5]}, True),
    ({'bbox': [49.5, 0, 5, 5]}, False),
    ({'bbox': [0, 40, 5, 5]}, True),
    ({'bbox': [0, 0, 5, 0.5]}, True),
    ({'bbox': [0, 0, 1, 1]}, False),
    ({'bbox': ['1', '1', '5', 'x']}, False),
    ({'bbox': None}, False),
    ({'iscrowd': 1}, False),
  ],
)
def test_the_rule_for_annotations(changes, expected):
  entry = annotation(1, 1, 3, BOX, **changes)
  rule = Rule([entry, annotation(2, 1, 3, BOX)])
  assert rule.leaves_out(entry, {'height': 40, 'width': 50}) == expected


@pytest.mark.parametrize(
  'changes', [{'area': 0}, {'bbox': [0, 0, 0, 0]}, {'bbox': [9, 9, -4, -4]}], ids=str
)
def test_what_a_file_does_not_know_is_no_reason(changes):
  entries = [annotation(number, 1, 3, BOX, **changes) for number in range(1, 4)]
  image = {'height': 40, 'width': 50}
  assert not any(Rule(entries).leaves_out(entry, image) for entry in entries)
  # One annotation of many is a fault of its own.
  rule = Rule([*entries, annotation(4, 1, 3, BOX)])
  assert all(rule.leaves_out(entry, image) for entry in entries)


@pytest.mark.parametrize('for_evaluation, marked', [(False, {12, 13}), (True, set())])
def test_annotations_are_marked_for_training_alone(for_evaluation, marked):
  content = {
    'images': [{'id': 1, 'file_name': '1.png', 'height': 40, 'width': 50}],
    'annotations': ANNOTATIONS[:3],
    'categories': [{'id': 3, 'name': 'cat'}],
  }
  cleaned = coco_annotations.clean_content(
    content, 'x.json', CheckReport(), for_evaluation=for_evaluation
  )
  assert {item['id'] for item in cleaned.annotations[1] if item.get(LEFT_OUT)} == marked
