"""Tests of the demo data set."""

import json
import os

import numpy as np
import pytest
from PIL import Image
from pycocotools import mask as coco_mask
from pycocotools.coco import COCO

from htc_tf.data import nuclei, segmentation
from htc_tf.errors import InputError


@pytest.fixture(scope='module')
def splits(tmp_path_factory):
  return nuclei.write_nuclei_coco(str(tmp_path_factory.mktemp('nuclei')))


def test_numbers_of_tiles_and_crowds(splits):
  train, val = (COCO(splits[name].annotation_file) for name in ('train', 'val'))
  assert (len(train.imgs), len(val.imgs)) == (35, 4)
  assert [c['name'] for c in train.dataset['categories']] == ['nucleus']
  for image in list(train.imgs.values()) + list(val.imgs.values()):
    assert (image['height'], image['width']) == (128, 128)
  assert not any(entry['iscrowd'] for entry in val.anns.values())
  assert any(entry['iscrowd'] for entry in train.anns.values())


@pytest.mark.parametrize('split,first_column', [('train', 0), ('val', 384)])
def test_masks_and_images_are_those_of_the_field(splits, split, first_column):
  field, instances = nuclei.load_field()
  loaded = COCO(splits[split].annotation_file)
  for image in loaded.imgs.values():
    top, left = int(image['file_name'][1:4]), int(image['file_name'][6:9]) + first_column
    part = (slice(top, top + 128), slice(left, left + 128))
    path = os.path.join(splits[split].image_folder, image['file_name'])
    np.testing.assert_array_equal(np.asarray(Image.open(path)), field[part])
    covered = np.zeros([128, 128], int)
    for entry in loaded.imgToAnns[image['id']]:
      mask = segmentation.to_bitmap(entry['segmentation'], 128, 128)
      covered += mask
      assert entry['area'] == mask.sum()
      rle = coco_mask.encode(np.asfortranarray(mask))
      assert entry['bbox'] == coco_mask.toBbox(rle).tolist()
    np.testing.assert_array_equal(covered, instances[part] > 0)


def test_training_tiles_have_no_validation_columns(splits):
  train = COCO(splits['train'].annotation_file)
  assert max(int(image['file_name'][6:9]) for image in train.imgs.values()) + 128 == 384


def test_without_a_smallest_visible_part_there_are_no_crowds(tmp_path):
  splits = nuclei.write_nuclei_coco(str(tmp_path), min_visible=0.0)
  with open(splits['train'].annotation_file, encoding='utf-8') as file:
    assert not any(entry['iscrowd'] for entry in json.load(file)['annotations'])


def test_files_that_are_up_to_date_are_not_written_again(tmp_path):
  first = nuclei.write_nuclei_coco(str(tmp_path))
  paths = [
    first['train'].annotation_file,
    os.path.join(first['train'].image_folder, 'y000_x000.png'),
  ]
  for path in paths:
    os.utime(path, (1, 1))
  assert nuclei.write_nuclei_coco(str(tmp_path)) == first
  assert [os.stat(path).st_mtime for path in paths] == [1, 1]


@pytest.mark.parametrize('tile_size,stride', [(0, 1), (129, 64), (64, 65), (64, 0)])
def test_tiles_that_do_not_fit_are_refused(tmp_path, tile_size, stride):
  with pytest.raises(InputError, match='tiles do not fit'):
    nuclei.write_nuclei_coco(str(tmp_path), tile_size, stride)
