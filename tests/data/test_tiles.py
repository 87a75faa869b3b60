"""Tests of tiles: their places, the objects they show, and the records made from them."""

import json
import pathlib

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image
from pycocotools import mask as coco_mask
from pycocotools.coco import COCO

from htc_tf.data import (
  coco_to_tfrecord,
  example_decoder,
  image_limits,
  images,
  mask_codec,
  mask_windows,
  tiles,
)
from htc_tf.data.check_report import CheckReport
from htc_tf.data.conversion_options import ConversionOptions
from htc_tf.errors import ConfigError, DataError
from tests.data.conftest import CocoFolder, annotation

OPTIONS = tiles.TileOptions(64, 16, 0.25, False, True)


@pytest.mark.parametrize(
  'length, expected',
  [(64, [0]), (40, [0]), (65, [0, 1]), (112, [0, 48]), (113, [0, 48, 49]), (160, [0, 48, 96])],
)
def test_tiles_overlap_and_end_with_the_image(length, expected):
  assert tiles.starts(length, 64, 16) == expected


def image(**changes):
  return {'id': 3, 'file_name': 'f/big.jpg', 'height': 64, 'width': 112, **changes}


def cut(entries, options=OPTIONS, **changes):
  report = CheckReport()
  images, annotations = tiles.cut([image(**changes)], {3: entries}, options, report)
  return images, annotations, report


def test_a_tile_keeps_the_name_and_place_of_its_image():
  images, _, report = cut([annotation(5, 3, 1, (2, 2, 10, 10))])
  assert [entry['file_name'] for entry in images] == [
    'f/big_y00000_x00000.jpg',
    'f/big_y00000_x00048.jpg',
  ]
  assert [entry['id'] for entry in images] == [4, 5]
  assert images[1]['tile'] == {
    'file_name': 'f/big.jpg',
    'image_id': 3,
    'height': 64,
    'width': 112,
    'top': 0,
    'left': 48,
  }
  assert images[1]['source_image'] == 'f/big.jpg'
  assert report.counts == {'image_tiled': 1, 'tile_empty': 1}


def test_an_image_of_the_size_of_a_tile_stays_whole():
  entries = [annotation(5, 3, 1, (2, 2, 10, 10))]
  images, annotations, report = cut(entries, width=64)
  assert images == [image(width=64)] and annotations == {3: entries} and not report.counts


def test_parts_below_the_share_are_ignored_and_others_are_cut():
  """The object has columns 40-59; the first tile ends at 64, the second one begins at 48."""
  whole = annotation(5, 3, 1, (40, 2, 20, 10))
  _, annotations, report = cut([whole])
  (first,), (second,) = annotations[4], annotations[5]
  assert first['bbox'] == [40, 2, 20, 10] and first['segmentation'] == whole['segmentation']
  assert second['bbox'] == [0, 2, 12, 10] and second['area'] == 120 and not second['iscrowd']
  assert second['source_id'] == 5 and second['id'] != first['id']
  assert report.counts['tile_part'] == 1
  _, annotations, report = cut([whole], OPTIONS._replace(min_visible=0.61))
  assert [entry['iscrowd'] for entry in annotations[5]] == [1]
  assert report.counts['tile_part_ignored'] == 1 and not report.counts['tile_part']


@pytest.mark.parametrize('min_visible, is_crowd', [(0.7, 0), (0.8, 1)])
def test_the_share_is_that_of_the_mask_and_not_of_the_box(min_visible, is_crowd):
  """The first tile shows half the box of a right triangle, and three quarters of its area."""
  triangle = annotation(5, 3, 1, (44, 0, 40, 40), segmentation=[[44, 0, 84, 0, 44, 40]])
  _, annotations, _ = cut([triangle], OPTIONS._replace(min_visible=min_visible))
  assert [entry['iscrowd'] for entry in annotations[4]] == [is_crowd]


def test_empty_tiles_are_dropped_on_request():
  images, annotations, report = cut(
    [annotation(5, 3, 1, (2, 2, 10, 10))], OPTIONS._replace(drop_empty=True)
  )
  assert [entry['id'] for entry in images] == [4] and list(annotations) == [4]
  assert report.counts['tile_dropped'] == 1


def test_boxes_alone_are_cut_by_their_area():
  entry = annotation(5, 3, 1, (40, 2, 20, 10), segmentation=None)
  _, annotations, _ = cut([entry], OPTIONS._replace(with_masks=False))
  assert annotations[4][0]['bbox'] == [40, 2, 20, 10]
  assert annotations[5][0]['bbox'] == [0, 2, 12, 10]
  assert annotations[5][0]['area'] == pytest.approx(120)


def test_crowds_stay_crowds():
  _, annotations, report = cut([annotation(5, 3, 1, (40, 2, 20, 10), iscrowd=1)])
  assert [entry['iscrowd'] for found in annotations.values() for entry in found] == [1, 1]
  assert not report.counts['tile_part_ignored']


def test_a_window_has_the_pixels_of_pycocotools():
  rng = np.random.default_rng(2)
  for _ in range(50):
    polygon = rng.uniform(-20, 120, [5, 2]).ravel().round(2).tolist()
    expected = mask_codec.decode(coco_mask.merge(coco_mask.frPyObjects([polygon], 90, 100)))
    window = mask_windows.window_of([polygon], 90, 100)
    np.testing.assert_array_equal(mask_windows.placed(window, 90, 100), expected)


@pytest.mark.parametrize('density', [0, 0.02, 0.5, 1])
def test_a_window_of_run_lengths_has_the_pixels_of_the_mask_and_no_more(density):
  rng = np.random.default_rng(8)
  for _ in range(20):
    mask = np.zeros([31, 23], bool)
    top, left = rng.integers(0, 20, 2)
    part = mask[top : top + 9, left : left + 7]
    part[:] = rng.random(part.shape) < density
    window = mask_windows.window_of(mask_codec.encode(mask), 31, 23)
    np.testing.assert_array_equal(mask_windows.placed(window, 31, 23), mask)
    if mask.any():
      assert window.bitmap.any(0)[[0, -1]].all() and window.bitmap.any(1)[[0, -1]].all()


def test_a_name_without_a_suffix_keeps_its_folder():
  image = {'id': 1, 'file_name': 'set.v2/scan', 'height': 64, 'width': 100}
  names = [tile['file_name'] for tile in tiles.cut([image], {1: []}, OPTIONS, CheckReport())[0]]
  assert names == ['set.v2/scan_y00000_x00000', 'set.v2/scan_y00000_x00036']


@pytest.mark.parametrize('size', [(100, 150), (10, 10)])
def test_a_picture_and_its_map_are_decoded_once_for_all_tiles(large, monkeypatch, size):
  """An unusable map is counted for every tile, of which it ignores the pixels."""
  folder, _ = large
  calls = []
  (folder.root / 'stuff').mkdir()
  Image.fromarray(np.ones(size, np.uint8)).save(folder.root / 'stuff' / 'big.png')
  for module, function in ((images, 'read_label_map'), (images.SourceImage, 'pixels')):
    real = getattr(module, function)
    monkeypatch.setattr(
      module, function, lambda *args, real=real, f=function: calls.append(f) or real(*args)
    )
  options = {'semantic': 'stuff_maps', 'stuff_folder': str(folder.root / 'stuff')}
  if size == (100, 150):
    folder.convert(tile_size=64, tile_overlap=20, num_shards=1, **options)
  else:
    with pytest.raises(DataError, match='6 stuff maps that are unreadable'):
      folder.convert(tile_size=64, tile_overlap=20, num_shards=1, **options)
  # The six tiles are encoded as images of their own.
  assert calls.count('read_label_map') == 1 and calls.count('pixels') == 1 + 6


@pytest.fixture
def large(tmp_path):
  """A picture of 100x150 pixels with polygons, run lengths and a crowd region."""
  (tmp_path / 'images').mkdir()
  rng = np.random.default_rng(4)
  pixels = rng.integers(0, 255, [100, 150, 3]).astype(np.uint8)
  Image.fromarray(pixels).save(tmp_path / 'images' / 'big.png')
  bitmap = np.zeros([100, 150], np.uint8)
  bitmap[30:80, 40:120:2] = 1
  runs = coco_mask.encode(np.asfortranarray(bitmap))
  runs['counts'] = runs['counts'].decode()
  content = {
    'images': [{'id': 9, 'file_name': 'big.png', 'height': 100, 'width': 150}],
    'annotations': [
      annotation(1, 9, 2, (50, 20, 40, 30)),
      annotation(2, 9, 2, (40, 30, 79, 50), segmentation=runs, area=2000.0),
      annotation(3, 9, 4, (5, 70, 100, 20), iscrowd=1),
    ],
    'categories': [{'id': 2, 'name': 'cat'}, {'id': 4, 'name': 'dog'}],
  }
  return CocoFolder(tmp_path, content).save(), pixels


def test_records_of_tiles_are_parts_of_the_picture(large):
  folder, pixels = large
  info, summary = folder.convert(tile_size=64, tile_overlap=20, semantic='instances')
  assert info.num_images == 6 and '1 images cut into tiles: e.g. big.png' in summary
  records = folder.records(include_semantic=True)
  written = COCO(info.annotation_path)
  original = COCO(folder.annotation_file)
  assert records.keys() == written.imgs.keys()
  for id_, record in records.items():
    entry = written.imgs[id_]
    top, left = entry['tile']['top'], entry['tile']['left']
    part = (slice(top, top + entry['height']), slice(left, left + entry['width']))
    np.testing.assert_array_equal(record['image'], pixels[part])
    entries = written.imgToAnns[id_]
    assert record['is_crowd'].tolist() == [bool(entry['iscrowd']) for entry in entries]
    for encoded, annotated in zip(record['masks_png'], entries):
      runs = original.annToRLE(original.anns[annotated['source_id']])
      expected = mask_codec.decode(runs)[part]
      np.testing.assert_array_equal(example_decoder.decode_label_png(encoded), expected)
      assert annotated['area'] == expected.sum() or annotated['area'] == 1200
      assert entry['source_image'] == 'big.png'


@pytest.mark.parametrize('channels', ['rgb', 'keep'])
def test_pictures_above_the_limit_are_read_if_they_are_cut(large, monkeypatch, channels):
  """The picture has 15,000 pixels and 45,000 samples; its size is read from the file."""
  folder, pixels = large
  monkeypatch.setattr(image_limits, 'MAX_PIXELS', 6000)
  monkeypatch.setattr(image_limits, 'MAX_SAMPLES', 18_000)
  monkeypatch.setattr(Image, 'MAX_IMAGE_PIXELS', 20_000)
  (folder.images / 'big.png').unlink()
  Image.fromarray(pixels).save(folder.images / 'big.tif')
  folder.content['images'][0] = {'id': 9, 'file_name': 'big.tif'}
  folder.save()
  with pytest.raises(DataError, match='image'):
    folder.convert(channels=channels)
  info, _ = folder.convert(channels=channels, tile_size=64, tile_overlap=20)
  assert info.num_images == 6 and 'image_reduced' not in info.checks
  written = COCO(info.annotation_path)
  for id_, record in folder.records(include_semantic=True).items():
    top, left = (written.imgs[id_]['tile'][key] for key in ('top', 'left'))
    np.testing.assert_array_equal(record['image'], pixels[top : top + 64, left : left + 64])
  monkeypatch.setattr(image_limits, 'MAX_PIXELS', 4999)
  with pytest.raises(DataError, match='image'):
    folder.convert(channels=channels, tile_size=72)


def test_the_tiles_of_a_picture_are_in_one_shard_if_there_are_enough_pictures(large):
  folder, _ = large
  for number in range(2):
    entry = {**folder.content['images'][0], 'id': 10 + number, 'file_name': f'{number}.png'}
    Image.fromarray(np.zeros([100, 150, 3], np.uint8)).save(folder.images / f'{number}.png')
    folder.content['images'].append(entry)
  folder.save()
  for num_shards, expected in ((2, [1, 2]), (3, [1, 1, 1]), (4, [3, 3, 3, 3])):
    folder.convert(tile_size=64, tile_overlap=20, num_shards=num_shards, overwrite=True)
    pictures = [
      {
        tf.train.Example.FromString(record.numpy())
        .features.feature['image/filename']
        .bytes_list.value[0][:3]
        for record in tf.data.TFRecordDataset(str(path))
      }
      for path in folder.output.glob('*.tfrecord')
    ]
    assert sorted(map(len, pictures)) == expected


def test_an_object_without_a_pixel_is_counted(large):
  folder, _ = large
  point = [[50.6, 20.6, 50.7, 20.6, 50.7, 20.7]]
  folder.content['annotations'].append(annotation(7, 9, 2, (50, 20, 1, 1), segmentation=point))
  info, _ = folder.save().convert(tile_size=64, tile_overlap=20)
  assert info.checks['empty_mask'] == 1
  folder.content['annotations'] = folder.content['annotations'][-1:]
  for drop_empty_tiles in (False, True):
    with pytest.raises(DataError, match=r'No trainable instance.*1 annotations whose mask covers'):
      folder.save().convert(tile_size=64, drop_empty_tiles=drop_empty_tiles, overwrite=True)


def test_tiles_that_are_too_small_for_every_object_are_named_as_the_cause(large):
  folder, _ = large
  folder.content['annotations'] = [annotation(1, 9, 2, (2, 2, 140, 90))]
  with pytest.raises(DataError, match=r'No trainable instance.*a larger --tile_size'):
    folder.save().convert(tile_size=64, tile_min_visible=0.9)


def test_tiles_of_a_picture_stay_in_one_part_of_a_division(large):
  from htc_tf.data import divided_conversion, split

  folder, _ = large
  second = {**folder.content['images'][0], 'id': 10, 'file_name': 'other.png'}
  Image.fromarray(np.zeros([100, 150, 3], np.uint8)).save(folder.images / 'other.png')
  folder.content['images'].append(second)
  folder.content['annotations'].append(annotation(7, 10, 2, (50, 20, 40, 30)))
  folder.save()
  options = folder.options(tile_size=64, tile_overlap=20)
  divided_conversion.convert(options, split.Division(0.5), lambda _: None)
  pictures = [
    {
      entry['source_image']
      for entry in json.loads((folder.output / f'{prefix}_annotations.json').read_text())['images']
    }
    for prefix in ('train', 'val')
  ]
  assert sorted(map(len, pictures)) == [1, 1] and pictures[0] != pictures[1]


def test_another_tile_size_makes_new_records_and_the_same_one_keeps_them(large):
  folder, _ = large
  first, _ = folder.convert(tile_size=64, tile_overlap=20)
  (shard, *_) = sorted(folder.output.glob('*.tfrecord'))
  before = pathlib.Path(shard).stat().st_mtime_ns
  assert folder.convert(tile_size=64, tile_overlap=20)[0].fingerprint == first.fingerprint
  assert pathlib.Path(shard).stat().st_mtime_ns == before
  assert folder.convert(tile_size=80, tile_overlap=20)[0].fingerprint != first.fingerprint


@pytest.mark.parametrize(
  'options, message',
  [
    ({'tile_size': 10}, 'tile_size is out of range'),
    ({'tile_size': 8000}, 'tile_size is out of range'),
    ({'tile_size': 64, 'tile_overlap': 64}, 'tile_overlap is out of range'),
    ({'tile_min_visible': 1.5}, 'tile_min_visible is out of range'),
    ({'semantic_background': 256}, 'semantic_background is out of range'),
    ({'semantic_order': 'random'}, 'semantic_order is unknown'),
    ({'annotation_format': 'xml'}, 'annotation_format is unknown'),
  ],
)
def test_options_out_of_range_are_refused(options, message):
  with pytest.raises(ConfigError, match=message):
    ConversionOptions('a', 'b', 'c', **options)


def test_stuff_maps_are_cut_like_their_image(large):
  folder, _ = large
  labels = np.random.default_rng(1).integers(0, 9, [100, 150]).astype(np.uint8)
  (folder.root / 'stuff').mkdir()
  Image.fromarray(labels).save(folder.root / 'stuff' / 'big.png')
  options = folder.options(
    tile_size=64, semantic='stuff_maps', stuff_folder=str(folder.root / 'stuff')
  )
  info = coco_to_tfrecord.convert(options, lambda _: None)
  tiles_by_id = COCO(info.annotation_path).imgs
  for id_, record in folder.records(include_semantic=True).items():
    place, entry = tiles_by_id[id_]['tile'], tiles_by_id[id_]
    expected = labels[place['top'] :, place['left'] :][: entry['height'], : entry['width']]
    np.testing.assert_array_equal(record['semantic'].reshape(expected.shape), expected)
