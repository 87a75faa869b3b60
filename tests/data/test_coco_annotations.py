"""Tests of reading and cleaning annotations: error messages and counts of findings."""

import pathlib

import pytest

from htc_tf.data import coco_annotations
from htc_tf.errors import DataError
from tests.data.conftest import annotation


def read(coco, **options):
  return coco_annotations.read_annotations(coco.save().annotation_file, **options)


def check_fails(coco, message):
  with pytest.raises(DataError, match=message):
    read(coco)


def test_categories_that_are_not_contiguous_are_mapped_in_order_of_their_ids(coco):
  result = read(coco)
  assert [(c.id, c.name, c.label) for c in result.classes] == [(3, 'cat', 1), (8, 'dog', 2)]
  assert result.report.to_json() == {'category_ids_mapped': 2}
  assert '3 (cat) -> 1' in '\n'.join(result.report.lines())


def test_good_annotations_are_not_changed(coco):
  result = read(coco)
  kept = [entry for image in result.images for entry in result.annotations[image['id']]]
  assert kept == coco.content['annotations']
  assert result.annotations[12] == []


@pytest.mark.parametrize('content', ['{"images": [', '[' * 100_000], ids=['truncated', 'deep'])
def test_a_file_that_is_not_json_is_refused(coco, content):
  pathlib.Path(coco.annotation_file).write_text(content, encoding='utf-8')
  with pytest.raises(DataError, match='is not JSON'):
    coco_annotations.read_annotations(coco.annotation_file)


def test_a_missing_annotation_file_is_named():
  with pytest.raises(DataError, match=r'The annotation file /nowhere.json cannot be read'):
    coco_annotations.read_annotations('/nowhere.json')


def test_a_results_file_is_not_an_annotation_file(coco):
  coco.content = []
  check_fails(coco, 'Expected: an object with images, annotations, categories. Got: a list')


@pytest.mark.parametrize('key', ['images', 'categories'])
def test_an_empty_data_set_is_refused(coco, key):
  coco.content[key] = []
  check_fails(coco, f'has no {key}')


def test_a_malformed_list_is_refused(coco):
  coco.content['annotations'] = {'id': 1}
  check_fails(
    coco, 'The entry "annotations" in .* is malformed. Expected: a list of objects. Got: dict'
  )


@pytest.mark.parametrize('change', [{'height': None}, {'width': 0}, {'id': '7'}, {'file_name': 3}])
def test_a_malformed_image_entry_is_refused(coco, change):
  coco.content['images'][0].update(change)
  check_fails(coco, 'An image entry in .* is malformed')


def test_a_malformed_category_is_refused(coco):
  del coco.content['categories'][0]['name']
  check_fails(coco, 'A category in .* is malformed')


def test_an_unknown_category_id_is_named(coco):
  coco.content['annotations'][1]['category_id'] = 5
  check_fails(coco, r'Annotation 102 has the unknown category id 5. Expected: .*3, 8')


def test_a_category_id_given_twice_is_refused(coco):
  coco.content['categories'][1]['id'] = 8
  check_fails(coco, "Category id 8 is given twice in .* Got: 'dog' and 'cat'")


def test_an_image_id_given_twice_for_two_files_is_refused(coco):
  coco.content['images'][1]['id'] = 7
  check_fails(coco, "Image id 7 is given twice in .* Got: '7.png' and '9.png'")


def test_the_same_image_given_twice_is_kept_once(coco):
  coco.content['images'].append(dict(coco.content['images'][0]))
  result = read(coco)
  assert len(result.images) == 3
  assert result.report.counts['duplicate_image'] == 1


@pytest.mark.parametrize(
  'entry,check,num_kept',
  [
    (annotation(1, 99, 3, (1, 1, 4, 4)), 'unknown_image_id', 4),
    (annotation(1, '7', 3, (1, 1, 4, 4)), 'unknown_image_id', 4),
    (annotation(1, 7, 3, (40, 1, 4, 4)), 'box_outside', 4),
    (annotation(1, 7, 3, (3, 3, 0, 4)), 'box_outside', 4),
    (annotation(1, 7, 3, (3, 3, -2, 4)), 'box_outside', 4),
    (annotation(1, 7, 3, (1, 1, 4, 4), bbox=[1, 2, 3]), 'bad_box', 4),
    (annotation(1, 7, 3, (1, 1, 4, 4), bbox=[1, 2, 3, float('nan')]), 'bad_box', 4),
    (annotation(1, 7, 3, (1, 1, 4, 4), bbox=None), 'bad_box', 4),
    (annotation(1, 7, 3, (1, 1, 4, 4), segmentation=[]), 'empty_segmentation', 4),
    (annotation(1, 7, 3, (1, 1, 4, 4), segmentation=None), 'empty_segmentation', 4),
    (
      annotation(1, 7, 3, (1, 1, 4, 4), segmentation={'size': [24, 40], 'counts': [5]}),
      'bad_rle',
      4,
    ),
    (annotation(1, 7, 3, (36, 20, 9, 9)), 'box_clipped', 5),
    (annotation(1, 7, 3, (1, 1, 4, 4), area=None), 'area_filled', 5),
    (annotation(101, 7, 3, (1, 1, 4, 4)), 'annotation_id_renumbered', 5),
    (annotation(0, 7, 3, (1, 1, 4, 4)), 'annotation_id_renumbered', 5),
    (annotation(None, 7, 3, (1, 1, 4, 4)), 'annotation_id_renumbered', 5),
    (annotation(101, 7, 8, (2, 3, 10, 5)), 'duplicate_annotation', 4),
  ],
)
def test_bad_annotations_are_counted_and_dropped_or_repaired(coco, entry, check, num_kept):
  coco.content['annotations'].append(entry)
  result = read(coco)
  assert result.report.counts[check] == 1
  kept = [entry for entries in result.annotations.values() for entry in entries]
  assert len(kept) == num_kept
  ids = [entry['id'] for entry in kept]
  assert len(set(ids)) == len(ids) and min(ids) > 0


def test_boxes_are_clipped_and_missing_areas_are_computed(coco):
  coco.content['annotations'] = [annotation(1, 7, 3, (36, -2, 9, 9), area=None)]
  (entry,) = read(coco).annotations[7]
  assert entry['bbox'] == [36, 0, 4, 7]
  assert entry['area'] == 28


def test_without_masks_annotations_need_no_segmentation(coco):
  coco.content['annotations'] = [annotation(1, 7, 3, (1, 1, 4, 4), segmentation=None, area=None)]
  (entry,) = read(coco, include_masks=False).annotations[7]
  assert entry['area'] == 16
