"""Tests of the conversion to records: round trip, options, and data sets that are refused."""

import json
import os

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image
from pycocotools import mask as coco_mask
from pycocotools.coco import COCO

from htc_tf.data import example_decoder
from htc_tf.data.dataset_info import DatasetInfo
from htc_tf.errors import ConfigError
from tests.data import conversions


def test_records_hold_the_images_and_annotations(coco):
  info, summary = coco.convert()
  assert (info.num_images, info.num_instances, info.num_shards) == (3, 4, 2)
  assert info.checks == {
    'images_without_instances': 1,
    'crowd_regions': 1,
    'category_ids_mapped': 2,
  }
  assert 'train: 3 images, 4 instances, 2 shards' in summary
  assert '1 images without any instance (kept): e.g. 12.png' in summary
  assert DatasetInfo.find(str(coco.output / 'train-*.tfrecord')) == info
  found = coco.records()
  assert sorted(found) == [7, 9, 12]
  for image in coco.content['images']:
    record = found[image['id']]
    pixels = np.asarray(Image.open(coco.images / image['file_name']))
    np.testing.assert_array_equal(record['image'], pixels)
    assert (record['height'], record['width']) == pixels.shape[:2]
    entries = [e for e in coco.content['annotations'] if e['image_id'] == image['id']]
    check_instances(record, entries)


def check_instances(record, entries):
  """Compare a record with the annotations; pycocotools gives the expected masks."""
  height, width = record['image'].shape[:2]
  assert record['classes'].tolist() == [{3: 1, 8: 2}[entry['category_id']] for entry in entries]
  assert record['is_crowd'].tolist() == [bool(entry['iscrowd']) for entry in entries]
  assert len(record['masks_png']) == len(entries)
  boxes = record['boxes_normalized'] * [height, width, height, width]
  for box, encoded, entry in zip(boxes, record['masks_png'], entries):
    x, y, box_width, box_height = entry['bbox']
    np.testing.assert_allclose(box, [y, x, y + box_height, x + box_width], atol=1e-4)
    mask = example_decoder.decode_label_png(encoded).numpy()
    expected = coco_mask.frPyObjects(entry['segmentation'], height, width)
    expected = coco_mask.merge(expected) if isinstance(expected, list) else expected
    assert coco_mask.encode(np.asfortranarray(mask))['counts'] == expected['counts']


def test_pycocotools_loads_the_annotations_of_the_written_instances(coco):
  coco.content['annotations'].append(
    {**coco.content['annotations'][0], 'id': 200, 'segmentation': []}
  )
  info, _ = coco.convert()
  loaded = COCO(os.path.join(str(coco.output), info.annotation_file))
  assert sorted(loaded.getAnnIds()) == [101, 102, 103, 104]
  assert sorted(loaded.getImgIds()) == [7, 9, 12]
  assert [c['id'] for c in loaded.dataset['categories']] == [8, 3]
  assert loaded.dataset['info'] == {'description': 'test'}


def test_an_annotation_with_an_empty_mask_is_counted_and_dropped(coco):
  coco.content['annotations'][0]['segmentation'] = [[-9, -9, -5, -9, -5, -5]]
  info, summary = coco.convert()
  assert '1 annotations whose mask covers no pixel (dropped): e.g. annotation 101' in summary
  assert info.num_instances == 3
  assert sorted(COCO(os.path.join(coco.output, info.annotation_file)).getAnnIds()) == [
    102,
    103,
    104,
  ]


def test_records_without_masks(coco):
  for entry in coco.content['annotations']:
    del entry['segmentation']
  info, _ = coco.convert(include_masks=False)
  assert not info.include_masks
  assert len(coco.records(include_mask=False)[7]['classes']) == 3
  with pytest.raises(tf.errors.InvalidArgumentError, match='holds no instance masks'):
    coco.records(include_mask=True)


@pytest.mark.parametrize(
  'change,message',
  [
    ({'semantic': 'stuff'}, 'semantic is unknown'),
    ({'semantic': 'stuff_maps'}, 'stuff_folder and semantic do not match'),
    ({'num_shards': 0}, 'at least 1 of each'),
    ({'prefix': '../x'}, 'prefix cannot be the first part of a file name'),
    ({'num_semantic_classes': 256}, '1 to 255 classes'),
  ],
)
def test_options_are_checked(coco, change, message):
  with pytest.raises(ConfigError, match=message):
    coco.options(**change)


def test_two_splits_share_a_folder(coco):
  coco.convert()
  first = coco.shard_bytes()
  info, _ = coco.convert(prefix='train-2', num_shards=1)
  assert first.items() <= coco.shard_bytes().items()
  assert DatasetInfo.find(str(coco.output / 'train-2-*.tfrecord')) == info


def test_the_metadata_file_is_json(coco):
  coco.convert()
  content = json.loads((coco.output / 'train.json').read_text(encoding='utf-8'))
  assert content['version'] == 1
  assert content['categories'] == [
    {'id': 3, 'name': 'cat', 'label': 1},
    {'id': 8, 'name': 'dog', 'label': 2},
  ]
  assert content['semantic'] == {'source': 'instances', 'num_classes': 3}
  assert content['annotation_file'] == 'train_annotations.json'


@pytest.mark.parametrize(
  'changes, found, cause',
  [
    ({'segmentation': None}, '4 annotations without a usable polygon', '--no_masks'),
    ({'iscrowd': 1}, '4 crowd regions', 'CVAT'),
    ({'image_id': 99}, '4 annotations with an unknown image id', 'image_id .* of image 99'),
    (
      {'category_id': 99},
      '4 annotations with an unknown category id',
      'category_id .* of category 99',
    ),
  ],
)
def test_a_data_set_without_a_trainable_instance_is_refused(coco, changes, found, cause):
  for entry in coco.content['annotations']:
    entry.update(changes)
  conversions.check_fails(coco, f'No trainable instance.*Got: 4 annotations; {found}.*{cause}')
  assert conversions.nothing_is_written(coco)


def test_a_data_set_without_annotations_is_refused(coco):
  coco.content['annotations'] = []
  conversions.check_fails(
    coco, 'No trainable instance.*Got: 0 annotations; none of them in an image'
  )


def test_masks_that_cover_no_pixel_are_no_instances(coco):
  for entry in coco.content['annotations']:
    entry['segmentation'] = [[1.1, 1.1, 1.2, 1.1, 1.2, 1.2]]
  conversions.check_fails(coco, 'No trainable instance.*4 annotations whose mask covers no pixel')
  assert conversions.nothing_is_written(coco)


def test_many_dropped_annotations_are_the_first_line(coco):
  coco.content['annotations'][0]['segmentation'] = []
  coco.content['annotations'].append({**coco.content['annotations'][1], 'id': 9, 'image_id': 99})
  _, summary = coco.convert()
  assert summary.startswith(
    '2 of 5 annotations dropped: 1 annotations with an unknown image id, '
    '1 annotations without a usable polygon'
  )


def test_few_dropped_annotations_are_not_the_first_line(coco):
  good = coco.content['annotations'][1]
  coco.content['annotations'] += [{**good, 'id': 300 + number} for number in range(20)]
  coco.content['annotations'][0]['segmentation'] = []
  _, summary = coco.convert()
  assert summary.startswith('train: ') and '1 annotations without a usable polygon' in summary
