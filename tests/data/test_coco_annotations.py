"""Tests of reading and cleaning annotations: error messages and counts of findings."""

import json
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


@pytest.mark.parametrize(
  'content, name',
  [
    ([{'image_id': 1, 'category_id': 1, 'bbox': [1, 2, 3, 4], 'score': 0.5}], 'a list of COCO res'),
    ({'images': [], 'annotations': [{'segments_info': []}], 'categories': []}, 'COCO panoptic'),
    ({'images': [], 'annotations': [{'caption': 'A cat.'}]}, 'COCO captions'),
    ({'version': '5', 'shapes': [], 'imagePath': 'a.png'}, 'a LabelMe file of one image'),
    ({'a.png123': {'filename': 'a.png', 'regions': []}}, 'a project of VGG Image Annotator'),
    ({'_via_img_metadata': {}}, 'a project of VGG Image Annotator'),
    ({'frames': []}, r"an object with \['frames'\]"),
    ('text', 'a str'),
  ],
)
def test_other_formats_are_named(coco, content, name):
  coco.content = content
  check_fails(coco, f'is not a COCO instances file.*Got: {name}')


@pytest.mark.parametrize('encoding', ['utf-8-sig', 'utf-16', 'utf-32'])
def test_a_byte_order_mark_is_skipped(coco, encoding):
  path = pathlib.Path(coco.annotation_file)
  path.write_text(json.dumps(coco.content), encoding=encoding)
  result = coco_annotations.read_annotations(str(path))
  assert len(result.images) == 3 and not result.report.counts['bad_image']


@pytest.mark.parametrize(
  'change, check',
  [
    ({'height': None}, 'image_without_size'),
    ({'width': 0}, 'image_without_size'),
    ({'width': -1}, 'image_without_size'),
    ({'file_name': 3}, 'bad_image'),
    ({'file_name': ''}, 'bad_image'),
  ],
)
def test_a_bad_image_entry_is_dropped_with_its_annotations(coco, change, check):
  coco.content['images'][0].update(change)
  result = read(coco)
  assert [image['id'] for image in result.images] == [9, 12]
  assert result.report.counts[check] == 1
  assert result.report.counts['image_dropped'] == 3


@pytest.mark.parametrize('id_', [7.5, None, True, 'seven', [7]])
def test_an_image_with_a_bad_id_is_dropped_with_its_annotations(coco, id_):
  coco.content['images'][0]['id'] = id_
  result = read(coco)
  assert [image['id'] for image in result.images] == [9, 12]
  assert result.report.counts['bad_image'] == 1
  assert result.report.counts['unknown_image_id'] == 3


def test_a_missing_size_is_read_from_the_image(coco):
  coco.content['images'][0].update(height=-1)
  del coco.content['images'][1]['width']
  result = read(coco, size_of=lambda image: {7: (24, 40), 9: (40, 24)}[image['id']])
  assert [(image['height'], image['width']) for image in result.images[:2]] == [(24, 40), (40, 24)]
  assert result.report.counts['size_read_from_image'] == 2


def test_a_missing_file_name_is_taken_from_the_url(coco):
  del coco.content['images'][0]['file_name']
  coco.content['images'][0]['coco_url'] = 'http://images.cocodataset.org/val2017/7.png?size=1'
  assert read(coco).images[0]['file_name'] == '7.png'


def test_a_category_without_id_is_dropped_and_one_without_name_gets_its_id(coco):
  coco.content['categories'] += [{'name': 'bird'}, {'id': 9}]
  result = read(coco)
  assert [c.name for c in result.classes] == ['cat', 'dog', '9']
  assert result.report.counts['bad_category'] == 1
  assert result.report.counts['category_without_name'] == 1


def test_entries_that_are_no_objects_are_dropped(coco):
  coco.content['annotations'] += [None, 'x', [1]]
  coco.content['images'] += ['7.png', None]
  coco.content['categories'].append('cat')
  result = read(coco)
  checks = ('bad_annotation', 'bad_image', 'bad_category')
  assert [result.report.counts[check] for check in checks] == [3, 2, 1]
  assert result.num_annotations == 7


@pytest.mark.parametrize(
  'text', [str, lambda value: f'{value}.0', float, lambda value: f' {value}']
)
def test_numbers_as_text_or_float_are_read(coco, text):
  expected = read(coco)
  for category in coco.content['categories']:
    category['id'] = text(category['id'])
  for image in coco.content['images']:
    image.update({key: text(image[key]) for key in ('id', 'height', 'width')})
  for entry in coco.content['annotations']:
    entry.update({key: text(entry[key]) for key in ('id', 'image_id', 'category_id')})
    entry['bbox'] = [text(value) for value in entry['bbox']]
  found = read(coco)
  assert found.classes == expected.classes
  assert found.images == expected.images
  assert found.annotations == expected.annotations


def test_categories_with_text_ids_get_the_same_numbers_in_any_order(coco):
  """Otherwise training and validation data with the same categories would contradict each other."""
  categories = [{'id': name, 'name': name} for name in ('zebra', 'ant', 'cat')]
  coco.content['annotations'] = [
    {**entry, 'category_id': 'cat'} for entry in coco.content['annotations']
  ]
  found = []
  for order in (categories, categories[::-1]):
    coco.content['categories'] = order
    found.append([(entry.id, entry.name) for entry in read(coco).classes])
  assert found == [[(1, 'ant'), (2, 'cat'), (3, 'zebra')]] * 2


def test_text_ids_are_numbered(coco):
  expected = read(coco)
  for image in coco.content['images']:
    image['id'] = f'image {image["id"]}'
  for entry in coco.content['annotations']:
    entry['image_id'] = f'image {entry["image_id"]}'
  found = read(coco)
  assert [image['id'] for image in found.images] == [1, 2, 3]
  assert list(map(len, found.annotations.values())) == list(map(len, expected.annotations.values()))
  assert found.report.counts['text_ids_numbered'] == 1


def test_ids_of_more_than_64_bits_are_numbered(coco):
  for image in coco.content['images']:
    image['id'] += 2**100
  for entry in coco.content['annotations']:
    entry['image_id'] += 2**100
  found = read(coco)
  assert [image['id'] for image in found.images] == [1, 2, 3]
  assert sum(map(len, found.annotations.values())) == 4


@pytest.mark.parametrize(
  'value, expected',
  [
    *((value, 0) for value in ('0', 'false', 'False', '', ' no ', False, 0.0, '0.0')),
    *((value, 1) for value in ('1', 'true', True, 1.0, 'yes', 2)),
  ],
)
def test_iscrowd_is_read_as_it_is_meant(coco, value, expected):
  coco.content['annotations'] = [annotation(1, 7, 3, (1, 1, 4, 4), iscrowd=value)]
  (entry,) = read(coco).annotations[7]
  assert entry['iscrowd'] == expected and type(entry['iscrowd']) is int


@pytest.mark.parametrize('value', ['perhaps', [], {}])
def test_an_unclear_iscrowd_is_counted(coco, value):
  coco.content['annotations'] = [annotation(1, 7, 3, (1, 1, 4, 4), iscrowd=value)]
  result = read(coco)
  assert result.annotations[7][0]['iscrowd'] == 0
  assert result.report.counts['bad_iscrowd'] == 1


SQUARE = [1, 1, 5, 1, 5, 5, 1, 5]
PAIRS = [[1, 1], [5, 1], [5, 5], [1, 5]]


@pytest.mark.parametrize(
  'form, checks',
  [
    (SQUARE, ['segmentation_flat']),
    (PAIRS, ['segmentation_pairs']),
    ([PAIRS], ['segmentation_pairs']),
    ([[PAIRS]], ['segmentation_wrapped', 'segmentation_pairs']),
    ([[SQUARE]], ['segmentation_wrapped']),
    ([[[SQUARE]]], ['segmentation_wrapped']),
    ([[str(value) for value in SQUARE]], ['number_as_text']),
    ([str(x) for x in SQUARE], ['segmentation_flat', 'number_as_text']),
  ],
)
def test_other_forms_of_a_polygon_are_read(coco, form, checks):
  coco.content['annotations'] = [annotation(1, 7, 3, (1, 1, 4, 4), segmentation=form)]
  result = read(coco)
  assert result.annotations[7][0]['segmentation'] == [SQUARE]
  mended = {**result.report.counts}
  assert [mended.pop(check) for check in checks] == [1] * len(checks)
  assert set(mended) == {'category_ids_mapped'}


def test_two_polygons_each_in_a_list_too_many_are_read(coco):
  other = [20, 1, 25, 1, 25, 5]
  form = [[SQUARE], [other]]
  coco.content['annotations'] = [annotation(1, 7, 3, (1, 1, 24, 4), segmentation=form)]
  result = read(coco)
  assert result.annotations[7][0]['segmentation'] == [SQUARE, other]
  assert result.report.counts['segmentation_wrapped'] == 1


def test_run_lengths_in_a_list_and_with_a_size_of_floats_are_read(coco):
  counts = [24 * 40 - 10, 10]
  form = [{'size': [24.0, '40'], 'counts': [float(count) for count in counts]}]
  coco.content['annotations'] = [annotation(1, 7, 3, (39, 14, 1, 10), segmentation=form)]
  result = read(coco)
  assert result.annotations[7][0]['segmentation'] == {'size': [24, 40], 'counts': counts}
  checks = ('segmentation_wrapped', 'number_as_text', 'integer_as_float')
  assert [result.report.counts[check] for check in checks] == [1, 1, 1]


@pytest.mark.parametrize(
  'box', [None, [3, 3, 0, 4], [3, 3, -2, 4], [1, 2, 3], [1, 2, 3, float('nan')], [70, 1, 4, 4], 'x']
)
def test_a_missing_or_degenerate_box_is_taken_from_the_mask(coco, box):
  coco.content['annotations'] = [annotation(1, 7, 3, (1, 1, 4, 4), bbox=box)]
  result = read(coco)
  assert result.annotations[7][0]['bbox'] == [1, 1, 4, 4]
  assert result.report.counts['box_from_mask'] == 1


@pytest.mark.parametrize(
  'box, check',
  [
    ([20, 10, 30, 20], 'box_is_xyxy'),
    ([20, 10, 30, 19], 'box_is_xyxy'),
    ([19, 9, 30, 20], 'box_is_xyxy'),
    ([0.5, 10 / 24, 0.25, 10 / 24], 'box_is_relative'),
    ([0, 0, 5, 5], 'box_unlike_mask'),
    ([19, 9, 12, 12], None),
  ],
)
def test_boxes_that_do_not_fit_their_masks_are_counted(coco, box, check):
  coco.content['annotations'] = [annotation(1, 7, 3, (20, 10, 10, 10), bbox=box)]
  counts = read(coco).report.counts
  checks = ('box_is_xyxy', 'box_is_relative', 'box_unlike_mask')
  assert [name for name in checks if counts[name]] == ([check] if check else [])


def test_a_polygon_far_over_the_border_is_kept(coco):
  far = [-300, -300, 500, -300, 500, 500, -300, 500]
  coco.content['annotations'] = [annotation(1, 7, 3, (0, 0, 40, 24), segmentation=[far])]
  result = read(coco)
  assert result.annotations[7][0]['segmentation'] == [far]
  assert result.report.counts['polygon_outside'] == 1
  assert not result.report.counts['box_unlike_mask']


def test_a_box_far_over_the_border_fits_its_mask(coco):
  far = [-300, 5, 500, 5, 500, 15, -300, 15]
  coco.content['annotations'] = [
    annotation(1, 7, 3, (-300, 5, 800, 10), segmentation=[far], area=8000)
  ]
  result = read(coco)
  assert result.annotations[7][0]['bbox'] == [0, 5, 40, 10]
  assert not result.report.counts['box_unlike_mask']


def test_a_small_box_at_the_origin_of_a_mask_that_it_fits_is_not_taken_for_corners(coco):
  coco.content['annotations'] = [annotation(1, 7, 3, (0, 0, 10, 10), bbox=[0.5, 0.5, 9, 9])]
  assert not read(coco).report.counts['box_is_xyxy']


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
    (annotation(1, 'seven', 3, (1, 1, 4, 4)), 'unknown_image_id', 4),
    (annotation(1, 7, 5, (1, 1, 4, 4)), 'unknown_category_id', 4),
    (annotation(1, 7, None, (1, 1, 4, 4)), 'unknown_category_id', 4),
    (annotation(1, 7, 3, (40, 1, 4, 4)), 'box_outside', 4),
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


@pytest.mark.parametrize(
  'box, check', [(None, 'bad_box'), ([1, 2, 3], 'bad_box'), ([3, 3, 0, 4], 'box_outside')]
)
def test_without_box_and_mask_an_annotation_is_dropped(coco, box, check):
  coco.content['annotations'] = [annotation(1, 7, 3, (1, 1, 4, 4), segmentation=None, bbox=box)]
  result = read(coco, include_masks=False)
  assert not result.annotations[7] and result.report.counts[check] == 1
