"""Tests of the conversion to records: round trip, semantic maps, missing and unusable files."""

import dataclasses
import json
import os

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image
from pycocotools import mask as coco_mask
from pycocotools.coco import COCO

from htc_tf.data import coco_to_tfrecord, example_decoder
from htc_tf.data.dataset_info import DatasetInfo
from htc_tf.errors import ConfigError, DataError


def write_stuff_maps(coco, low=0, high=183):
  folder = coco.root / 'stuff'
  folder.mkdir()
  rng = np.random.default_rng(5)
  for image in coco.content['images']:
    labels = rng.integers(low, high, [image['height'], image['width']]).astype(np.uint8)
    Image.fromarray(labels).save(folder / f'{image["id"]}.png')
  return folder


def check_fails(coco, message, **options):
  with pytest.raises(DataError, match=message):
    coco.convert(**options)


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
  folder = write_stuff_maps(coco)
  info, summary = coco.convert(semantic='stuff_maps', stuff_folder=str(folder))
  assert dataclasses.astuple(info.semantic) == ('stuff_maps', 183)
  assert 'stuff maps' not in summary
  for id_, record in coco.records(include_semantic=True).items():
    np.testing.assert_array_equal(record['semantic'], np.asarray(Image.open(folder / f'{id_}.png')))


def test_stuff_labels_out_of_range_are_counted_and_ignored(coco):
  folder = write_stuff_maps(coco, 180, 256)
  _, summary = coco.convert(semantic='stuff_maps', stuff_folder=str(folder))
  assert '3 stuff maps with labels out of range (those pixels ignored): e.g. 7.png' in summary
  semantic = coco.records(include_semantic=True)[7]['semantic']
  original = np.asarray(Image.open(folder / '7.png'))
  np.testing.assert_array_equal(semantic, np.where(original < 183, original, 255))


def test_a_stuff_map_of_another_size_is_counted_and_ignored(coco):
  folder = write_stuff_maps(coco)
  Image.fromarray(np.zeros([3, 4], np.uint8)).save(folder / '7.png')
  _, summary = coco.convert(semantic='stuff_maps', stuff_folder=str(folder))
  assert 'of another size (all pixels ignored): e.g. 7.png (size 4x3)' in summary
  assert (coco.records(include_semantic=True)[7]['semantic'] == 255).all()


def test_a_missing_stuff_map_is_an_error_unless_skipped(coco):
  folder = write_stuff_maps(coco)
  (folder / '9.png').unlink()
  check_fails(
    coco, '1 of 3 files named .* are missing', semantic='stuff_maps', stuff_folder=str(folder)
  )
  info, summary = coco.convert(
    semantic='stuff_maps', stuff_folder=str(folder), skip_missing_images=True
  )
  assert info.num_images == 2 and '1 images whose stuff map is missing (dropped)' in summary


def test_a_missing_image_is_an_error_unless_skipped(coco):
  (coco.images / '9.png').unlink()
  check_fails(coco, '1 of 3 files named by .* are missing.*no .*9.png.*--skip_missing_images')
  assert not coco.output.exists()
  info, summary = coco.convert(skip_missing_images=True)
  assert (info.num_images, info.num_instances) == (2, 3)
  assert '1 images whose file is missing (dropped)' in summary
  assert sorted(COCO(os.path.join(coco.output, info.annotation_file)).getAnnIds()) == [
    101,
    102,
    103,
  ]


def test_a_data_set_without_any_image_file_is_refused(coco):
  for path in coco.images.iterdir():
    path.unlink()
  check_fails(coco, 'No image is left', skip_missing_images=True)


@pytest.mark.parametrize(
  'content,reason', [(b'', 'The file is empty'), (b'hello', 'cannot identify')]
)
@pytest.mark.parametrize('num_processes', [1, 2])
def test_an_unreadable_image_is_an_error(coco, content, reason, num_processes):
  (coco.images / '9.png').write_bytes(content)
  check_fails(coco, f'9.png cannot be read as an image.*{reason}', num_processes=num_processes)
  assert not (coco.output / 'train.json').exists()


def test_an_unreadable_image_is_skipped_on_request(coco):
  (coco.images / '9.png').write_bytes(b'')
  info, summary = coco.convert(skip_missing_images=True)
  assert (info.num_images, info.num_instances) == (2, 3)
  assert '1 images that are empty or cannot be decoded (dropped): e.g. 9.png' in summary
  assert sorted(coco.records()) == [7, 12]


def test_a_data_set_of_unreadable_images_is_refused(coco):
  for path in coco.images.iterdir():
    path.write_bytes(b'')
  check_fails(coco, 'No image is left.*3 images that are empty', skip_missing_images=True)


def test_an_image_of_another_size_is_counted_and_dropped(coco):
  coco.content['images'][1]['height'] = 41
  _, summary = coco.convert()
  assert '(dropped): e.g. 9.png is 24x40, annotated as 24x41' in summary
  assert sorted(coco.records()) == [7, 12]


def test_an_image_name_that_leaves_the_folder_is_refused(coco):
  coco.content['images'][1]['file_name'] = '../9.png'
  check_fails(coco, "The file name '../9.png' in the annotations leaves the image folder")


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


def test_too_many_categories_for_a_semantic_map_are_refused(coco):
  coco.content['categories'] += [{'id': id_, 'name': str(id_)} for id_ in range(10, 264)]
  check_fails(coco, 'There are too many categories for a semantic map', semantic='instances')


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


def test_the_annotation_file_is_not_overwritten(coco):
  options = dataclasses.replace(coco.options(prefix='annotations'), output_folder=str(coco.root))
  with pytest.raises(ConfigError, match='would overwrite its annotation file'):
    coco_to_tfrecord.convert(options)


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


def nothing_is_written(coco):
  return not coco.output.exists() or not list(coco.output.iterdir())


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
  check_fails(coco, f'No trainable instance.*Got: 4 annotations; {found}.*{cause}')
  assert nothing_is_written(coco)


def test_a_data_set_without_annotations_is_refused(coco):
  coco.content['annotations'] = []
  check_fails(coco, 'No trainable instance.*Got: 0 annotations; none of them in an image')


def test_masks_that_cover_no_pixel_are_no_instances(coco):
  for entry in coco.content['annotations']:
    entry['segmentation'] = [[1.1, 1.1, 1.2, 1.1, 1.2, 1.2]]
  check_fails(coco, 'No trainable instance.*4 annotations whose mask covers no pixel')
  assert nothing_is_written(coco)


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
  check_fails(coco, f'No stuff map in .* is usable.*{message}', **options)
  assert nothing_is_written(coco)


def test_images_without_size_are_converted(coco):
  expected, _ = coco.convert()
  for image in coco.content['images']:
    del image['height'], image['width']
  info, summary = coco.convert()
  assert info.num_instances == expected.num_instances
  assert '3 image entries without height and width (read from the image)' in summary


def save_elsewhere(coco):
  """The data set's annotations in another file."""
  path = coco.root / 'other.json'
  path.write_text(json.dumps(coco.content), encoding='utf-8')
  return str(path)


def test_records_of_another_annotation_file_are_not_replaced(coco):
  coco.convert()
  before = {path.name: path.read_bytes() for path in coco.output.iterdir()}
  del coco.content['annotations'][0]
  options = coco.save().options()
  other = dataclasses.replace(options, annotation_file=save_elsewhere(coco))
  with pytest.raises(ConfigError, match=r'would overwrite .*train.json.*--prefix=val; --overwrite'):
    coco_to_tfrecord.convert(other, print)
  assert {path.name: path.read_bytes() for path in coco.output.iterdir()} == before
  info = coco_to_tfrecord.convert(dataclasses.replace(other, overwrite=True), print)
  assert info.num_instances == 3


def test_records_of_an_unknown_annotation_file_are_not_replaced(coco):
  """Metadata of earlier versions does not name the file."""
  coco.convert()
  path = coco.output / 'train.json'
  path.write_text(json.dumps({**json.loads(path.read_text()), 'source': ''}))
  before = {path.name: path.read_bytes() for path in coco.output.iterdir()}
  del coco.content['annotations'][0]
  with pytest.raises(ConfigError, match=r'would overwrite .*records of an unknown file'):
    coco_to_tfrecord.convert(coco.save().options(), print)
  assert {path.name: path.read_bytes() for path in coco.output.iterdir()} == before


def test_records_of_the_same_annotation_file_are_replaced(coco):
  coco.convert()
  del coco.content['annotations'][0]
  info, _ = coco.convert()
  assert info.num_instances == 3


@pytest.mark.parametrize('name', ['train_annotations.json', 'train-00000-of-00002.tfrecord'])
def test_a_file_of_another_program_is_not_replaced(coco, name):
  coco.output.mkdir()
  (coco.output / name).write_text('mine')
  with pytest.raises(ConfigError, match=f'would overwrite .*{name}'):
    coco.convert()
  assert (coco.output / name).read_text() == 'mine'
  info, _ = coco.convert(overwrite=True)
  assert info.num_instances == 4


def save_with_orientation(coco, name, orientation):
  """Store an image so that it looks the same once it is turned upright."""
  image = Image.open(coco.images / name)
  back = {3: Image.Transpose.ROTATE_180, 6: Image.Transpose.ROTATE_90}[orientation]
  exif = Image.Exif()
  exif[274] = orientation
  image.transpose(back).save(coco.images / name, exif=exif)


def stored_images(coco):
  return {id_: record['image'] for id_, record in coco.records().items()}


@pytest.mark.parametrize('exif', ['auto', 'upright'])
def test_images_are_turned_upright_as_annotation_tools_show_them(coco, exif):
  coco.convert()
  expected = stored_images(coco)
  save_with_orientation(coco, '7.png', 3)
  save_with_orientation(coco, '9.png', 6)
  _, summary = coco.convert(exif=exif)
  for id_, image in stored_images(coco).items():
    np.testing.assert_array_equal(image, expected[id_])
  assert '2 images turned upright by their EXIF orientation: e.g. 7.png, 9.png' in summary


def test_sizes_of_stored_images_decide_for_the_whole_data_set(coco):
  """The size of an image that is only turned by 180 degrees does not tell."""
  save_with_orientation(coco, '7.png', 3)
  save_with_orientation(coco, '9.png', 6)
  entry = coco.content['images'][1]
  entry['height'], entry['width'] = entry['width'], entry['height']
  _, summary = coco.convert()
  for id_, image in stored_images(coco).items():
    stored = Image.open(coco.images / f'{id_}.png')
    np.testing.assert_array_equal(image, np.asarray(stored.convert('RGB')))
  assert '2 images with an EXIF orientation that are not turned' in summary


def test_the_orientation_is_ignored_on_request(coco):
  save_with_orientation(coco, '7.png', 3)
  _, summary = coco.convert(exif='stored')
  stored = np.asarray(Image.open(coco.images / '7.png').convert('RGB'))
  np.testing.assert_array_equal(stored_images(coco)[7], stored)
  assert '1 images with an EXIF orientation that are not turned (see --exif): e.g. 7' in summary


@pytest.mark.parametrize('num_missing', [4, 12, 14])
def test_a_file_that_only_pillow_can_decode_is_encoded_again(coco, num_missing):
  expected = np.asarray(Image.open(coco.images / '7.png').convert('RGB'))
  content = (coco.images / '7.png').read_bytes()
  (coco.images / '7.png').write_bytes(content[:-num_missing])
  _, summary = coco.convert()
  np.testing.assert_array_equal(stored_images(coco)[7], expected)
  assert '1 images converted to 8-bit RGB PNG' in summary
