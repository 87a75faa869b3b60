"""Tests of the semantic maps that a conversion to records makes or reads."""

import dataclasses

import numpy as np
import pytest
from PIL import Image

from htc_tf.errors import DataError
from tests.data import conversions


def test_semantic_map_from_instances(coco):
  info, _ = coco.convert(semantic='instances')
  assert dataclasses.astuple(info.semantic) == ('instances', 3)
  semantic = coco.records(include_semantic=True)[7]['semantic']
  expected = np.zeros([24, 40], np.uint8)
  expected[:, 30:] = 255
  expected[3:8, 2:12] = 2
  expected[6:15, 8:20] = 1  # The later annotation covers the earlier one.
  np.testing.assert_array_equal(semantic, expected)
  assert not coco.records(include_semantic=True)[12]['semantic'].any()


def test_semantic_map_from_stuff_maps(coco):
  folder = conversions.write_stuff_maps(coco)
  info, summary = coco.convert(semantic='stuff_maps', stuff_folder=str(folder))
  assert dataclasses.astuple(info.semantic) == ('stuff_maps', 183)
  assert 'stuff maps' not in summary
  for id_, record in coco.records(include_semantic=True).items():
    np.testing.assert_array_equal(record['semantic'], np.asarray(Image.open(folder / f'{id_}.png')))


def test_stuff_labels_out_of_range_are_counted_and_ignored(coco):
  folder = conversions.write_stuff_maps(coco, 180, 256)
  _, summary = coco.convert(semantic='stuff_maps', stuff_folder=str(folder))
  assert '3 stuff maps with labels out of range (those pixels ignored): e.g. 7.png' in summary
  semantic = coco.records(include_semantic=True)[7]['semantic']
  original = np.asarray(Image.open(folder / '7.png'))
  np.testing.assert_array_equal(semantic, np.where(original < 183, original, 255))


def test_a_stuff_map_of_another_size_is_counted_and_ignored(coco):
  folder = conversions.write_stuff_maps(coco)
  Image.fromarray(np.zeros([3, 4], np.uint8)).save(folder / '7.png')
  _, summary = coco.convert(semantic='stuff_maps', stuff_folder=str(folder))
  assert 'of another size (all pixels ignored): e.g. 7.png (size 4x3)' in summary
  assert (coco.records(include_semantic=True)[7]['semantic'] == 255).all()


def test_a_missing_stuff_map_is_an_error_unless_skipped(coco):
  folder = conversions.write_stuff_maps(coco)
  (folder / '9.png').unlink()
  conversions.check_fails(
    coco, '1 of 3 files named .* are missing', semantic='stuff_maps', stuff_folder=str(folder)
  )
  info, summary = coco.convert(
    semantic='stuff_maps', stuff_folder=str(folder), skip_missing_images=True
  )
  assert info.num_images == 2 and '1 images whose stuff map is missing (dropped)' in summary


def test_too_many_categories_for_a_semantic_map_are_refused(coco):
  coco.content['categories'] += [{'id': id_, 'name': str(id_)} for id_ in range(10, 264)]
  conversions.check_fails(
    coco, 'There are too many categories for a semantic map', semantic='instances'
  )


def test_semantic_maps_are_made_from_instances_where_there_are_masks(coco):
  assert coco.convert()[0].semantic.source == 'instances'
  assert coco.convert(semantic='none', overwrite=True)[0].semantic is None
  assert coco.convert(include_masks=False, overwrite=True)[0].semantic is None


def test_no_semantic_map_is_made_for_more_classes_than_it_has_labels(coco):
  coco.content['categories'] += [{'id': 100 + i, 'name': f'class {i}'} for i in range(252)]
  assert coco.convert()[0].semantic.num_classes == 255
  coco.content['categories'].append({'id': 99, 'name': 'one more'})
  assert coco.convert(overwrite=True)[0].semantic is None
  with pytest.raises(DataError, match='too many categories'):
    coco.convert(semantic='instances', overwrite=True)


@pytest.mark.parametrize(
  'make, message',
  [
    (lambda size: np.zeros((*size, 3), np.uint8), 'mode RGB.*colored maps'),
    (lambda size: np.zeros((5, 6), np.uint8), 'size 6x5.*other images'),
    (lambda size: np.tile(np.array([0, 255], np.uint8), (size[0], size[1] // 2)), 'only 0 and 255'),
  ],
)
def test_a_data_set_without_a_usable_stuff_map_is_refused(coco, make, message):
  folder = coco.root / 'stuff'
  folder.mkdir()
  for image in coco.content['images']:
    labels = make((image['height'], image['width']))
    Image.fromarray(labels).save(folder / f'{image["id"]}.png')
  options = {'semantic': 'stuff_maps', 'stuff_folder': str(folder)}
  conversions.check_fails(coco, f'No stuff map in .* is usable.*{message}', **options)
  assert conversions.nothing_is_written(coco)
