"""Tests of the converter: round trip, checks on files, resuming, same bytes from any process count."""

import dataclasses
import hashlib
import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
from PIL import Image
from pycocotools import mask as coco_mask
from pycocotools.coco import COCO
import pytest
import tensorflow as tf

from htc_tf.data import coco_to_tfrecord
from htc_tf.data import example_decoder
from htc_tf.data import record_shards
from htc_tf.data.dataset_info import DatasetInfo
from htc_tf.errors import ConfigError, DataError


def convert(coco, **options):
  """Converts and returns the metadata and the summary."""
  lines = []
  info = coco_to_tfrecord.convert(coco.save().options(**options), lines.append)
  return info, '\n'.join(lines)


def records(coco, include_mask=True, include_semantic=False):
  """Decoded records by image id."""
  decoder = example_decoder.ExampleDecoder(include_mask, include_semantic)
  paths = sorted(str(path) for path in coco.output.glob('train-*.tfrecord'))
  dataset = tf.data.TFRecordDataset(paths).map(decoder.decode)
  return {int(record['source_id']): record for record in dataset.as_numpy_iterator()}


def shard_bytes(coco):
  return {path.name: path.read_bytes() for path in coco.output.glob('*.tfrecord')}


def stuff_folder(coco, low=0, high=183):
  folder = coco.root / 'stuff'
  folder.mkdir()
  rng = np.random.default_rng(5)
  for image in coco.content['images']:
    labels = rng.integers(low, high, [image['height'], image['width']]).astype(np.uint8)
    Image.fromarray(labels).save(folder / f'{image["id"]}.png')
  return folder


def fails(coco, message, **options):
  with pytest.raises(DataError, match=message):
    convert(coco, **options)


def test_round_trip(coco):
  info, summary = convert(coco)
  assert (info.num_images, info.num_instances, info.num_shards) == (3, 4, 2)
  assert info.checks == {
      'images_without_instances': 1, 'crowd_regions': 1, 'category_ids_mapped': 2
  }
  assert 'train: 3 images, 4 instances, 2 shards' in summary
  assert '1 images without any instance (kept): e.g. 12.png' in summary
  assert DatasetInfo.find(str(coco.output / 'train-*.tfrecord')) == info
  found = records(coco)
  assert sorted(found) == [7, 9, 12]
  for image in coco.content['images']:
    record = found[image['id']]
    pixels = np.asarray(Image.open(coco.images / image['file_name']))
    np.testing.assert_array_equal(record['image'], pixels)
    assert (record['height'], record['width']) == pixels.shape[:2]
    entries = [e for e in coco.content['annotations'] if e['image_id'] == image['id']]
    check_instances(record, entries)


def check_instances(record, entries):
  """Compares a record with the annotations, masks by pycocotools."""
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


def test_the_cleaned_annotations_load_in_pycocotools_and_hold_what_was_written(coco):
  coco.content['annotations'].append(
      {**coco.content['annotations'][0], 'id': 200, 'bbox': [60, 0, 1, 1]})
  info, _ = convert(coco)
  loaded = COCO(os.path.join(str(coco.output), info.annotation_file))
  assert sorted(loaded.getAnnIds()) == [101, 102, 103, 104]
  assert sorted(loaded.getImgIds()) == [7, 9, 12]
  assert [c['id'] for c in loaded.dataset['categories']] == [8, 3]
  assert loaded.dataset['info'] == {'description': 'test'}


def test_semantic_map_from_instances(coco):
  info, _ = convert(coco, semantic='instances')
  assert dataclasses.astuple(info.semantic) == ('instances', 3)
  semantic = records(coco, include_semantic=True)[7]['semantic']
  expected = np.zeros([24, 40], np.uint8)
  expected[:, 30:] = 255
  expected[3:8, 2:12] = 2
  expected[6:15, 8:20] = 1  # painted later
  np.testing.assert_array_equal(semantic, expected)
  assert not records(coco, include_semantic=True)[12]['semantic'].any()


def test_semantic_map_from_stuff_maps(coco):
  folder = stuff_folder(coco)
  info, summary = convert(coco, semantic='stuff_maps', stuff_folder=str(folder))
  assert dataclasses.astuple(info.semantic) == ('stuff_maps', 183)
  assert 'stuff maps' not in summary
  for id_, record in records(coco, include_semantic=True).items():
    np.testing.assert_array_equal(record['semantic'], np.asarray(Image.open(folder / f'{id_}.png')))


def test_stuff_labels_out_of_range_are_counted_and_ignored(coco):
  folder = stuff_folder(coco, 180, 256)
  _, summary = convert(coco, semantic='stuff_maps', stuff_folder=str(folder))
  assert '3 stuff maps with labels out of range (those pixels ignored): e.g. 7.png (up to' in summary
  semantic = records(coco, include_semantic=True)[7]['semantic']
  original = np.asarray(Image.open(folder / '7.png'))
  np.testing.assert_array_equal(semantic, np.where(original < 183, original, 255))


def test_stuff_map_of_another_size_is_counted_and_ignored(coco):
  folder = stuff_folder(coco)
  Image.fromarray(np.zeros([3, 4], np.uint8)).save(folder / '7.png')
  _, summary = convert(coco, semantic='stuff_maps', stuff_folder=str(folder))
  assert 'of another size (all pixels ignored): e.g. 7.png (size 4x3)' in summary
  assert (records(coco, include_semantic=True)[7]['semantic'] == 255).all()


def test_missing_stuff_map(coco):
  folder = stuff_folder(coco)
  (folder / '9.png').unlink()
  fails(coco, '1 of 3 files named .* are missing', semantic='stuff_maps', stuff_folder=str(folder))
  info, summary = convert(coco,
                          semantic='stuff_maps',
                          stuff_folder=str(folder),
                          skip_missing_images=True)
  assert info.num_images == 2 and '1 images whose stuff map is missing (dropped)' in summary


def test_missing_image_is_fatal_unless_skipped(coco):
  (coco.images / '9.png').unlink()
  fails(coco, '1 of 3 files named by .* are missing.*no .*9.png.*--skip_missing_images')
  assert not coco.output.exists()
  info, summary = convert(coco, skip_missing_images=True)
  assert (info.num_images, info.num_instances) == (2, 3)
  assert '1 images whose file is missing (dropped)' in summary
  assert sorted(COCO(os.path.join(coco.output,
                                  info.annotation_file)).getAnnIds()) == [101, 102, 103]


def test_no_image_file_at_all(coco):
  for path in coco.images.iterdir():
    path.unlink()
  fails(coco, 'no image is left', skip_missing_images=True)


@pytest.mark.parametrize('content,reason', [(b'', 'the file is empty'),
                                            (b'hello', 'cannot identify')])
@pytest.mark.parametrize('num_processes', [1, 2])
def test_unreadable_image_is_fatal(coco, content, reason, num_processes):
  (coco.images / '9.png').write_bytes(content)
  fails(coco, f'9.png cannot be read as an image.*{reason}', num_processes=num_processes)
  assert not (coco.output / 'train.json').exists()


def test_unreadable_image_is_skipped_on_request(coco):
  (coco.images / '9.png').write_bytes(b'')
  info, summary = convert(coco, skip_missing_images=True)
  assert (info.num_images, info.num_instances) == (2, 3)
  assert '1 images that are empty or cannot be decoded (dropped): e.g. 9.png' in summary
  assert sorted(records(coco)) == [7, 12]


def test_only_unreadable_images(coco):
  for path in coco.images.iterdir():
    path.write_bytes(b'')
  fails(coco, 'no image is left.*3 images that are empty', skip_missing_images=True)


def test_image_of_another_size_is_counted_and_dropped(coco):
  coco.content['images'][1]['height'] = 41
  _, summary = convert(coco)
  assert 'size differs from the annotation (dropped): e.g. 9.png is 24x40, annotated as 24x41' in summary
  assert sorted(records(coco)) == [7, 12]


def test_image_name_that_leaves_the_folder(coco):
  coco.content['images'][1]['file_name'] = '../9.png'
  fails(coco, "file name '../9.png' in the annotations leaves the image folder")


def test_annotation_whose_mask_covers_no_pixel_is_counted_and_dropped(coco):
  coco.content['annotations'][0]['segmentation'] = [[-9, -9, -5, -9, -5, -5]]
  info, summary = convert(coco)
  assert '1 annotations whose mask covers no pixel (dropped): e.g. annotation 101' in summary
  assert info.num_instances == 3
  assert sorted(COCO(os.path.join(coco.output,
                                  info.annotation_file)).getAnnIds()) == [102, 103, 104]


def test_boxes_only(coco):
  for entry in coco.content['annotations']:
    del entry['segmentation']
  info, _ = convert(coco, include_masks=False)
  assert not info.include_masks
  assert len(records(coco, include_mask=False)[7]['classes']) == 3
  with pytest.raises(tf.errors.InvalidArgumentError, match='holds no instance masks'):
    records(coco, include_mask=True)


def test_too_many_categories_for_a_map_from_instances(coco):
  coco.content['categories'] += [{'id': id_, 'name': str(id_)} for id_ in range(10, 264)]
  fails(coco, 'too many categories for a semantic map', semantic='instances')


@pytest.mark.parametrize('change,message', [
    ({'semantic': 'stuff'}, 'unknown source of semantic maps'),
    ({'semantic': 'stuff_maps'}, 'stuff_folder goes with'),
    ({'num_shards': 0}, 'at least 1 of each'),
    ({'prefix': '../x'}, 'prefix cannot begin a file name'),
    ({'num_semantic_classes': 256}, '1 to 255 classes'),
])
def test_options_are_checked(coco, change, message):
  with pytest.raises(ConfigError, match=message):
    coco.options(**change)


def test_the_annotation_file_is_not_overwritten(coco):
  options = dataclasses.replace(coco.options(prefix='annotations'), output_folder=str(coco.root))
  with pytest.raises(ConfigError, match='would overwrite its own annotation file'):
    coco_to_tfrecord.convert(options)


def test_two_splits_share_a_folder(coco):
  convert(coco)
  first = shard_bytes(coco)
  info, _ = convert(coco, prefix='train-2', num_shards=1)
  assert first.items() <= shard_bytes(coco).items()
  assert DatasetInfo.find(str(coco.output / 'train-2-*.tfrecord')) == info


def test_one_and_two_processes_give_the_same_bytes(coco):
  convert(coco, semantic='instances')
  alone = shard_bytes(coco)
  for path in coco.output.iterdir():
    path.unlink()
  convert(coco, semantic='instances', num_processes=2)
  assert shard_bytes(coco) == alone
  assert sorted(path.name for path in coco.output.iterdir()) == [
      'train-00000-of-00002.tfrecord', 'train-00001-of-00002.tfrecord', 'train.json',
      'train_annotations.json'
  ]


def test_a_finished_conversion_is_not_done_again(coco, monkeypatch):
  first, _ = convert(coco)
  monkeypatch.setattr(record_shards, 'write_shard', None)
  second, summary = convert(coco)
  assert second == first and '1 crowd regions' in summary


def test_changed_inputs_convert_again_and_remove_stale_shards(coco):
  convert(coco)
  coco.content['annotations'].pop()
  info, _ = convert(coco, num_shards=3)
  assert info.num_instances == 3
  assert sorted(shard_bytes(coco)) == [f'train-0000{shard}-of-00003.tfrecord' for shard in range(3)]
  Image.fromarray(np.zeros([16, 16, 3], np.uint8)).save(coco.images / '12.png')
  convert(coco, num_shards=3)
  assert not records(coco)[12]['image'].any()


def test_an_interrupted_conversion_continues(coco, monkeypatch):
  whole = uninterrupted_bytes(coco)
  real, written = record_shards.write_shard, []

  def write(task, advance):
    if written:
      raise KeyboardInterrupt
    written.append(task.path)
    return real(task, advance)

  monkeypatch.setattr(record_shards, 'write_shard', write)
  with pytest.raises(KeyboardInterrupt):
    convert(coco)
  assert not (coco.output / 'train.json').exists()
  monkeypatch.setattr(record_shards, 'write_shard',
                      lambda task, advance: written.append(task.path) or real(task, advance))
  info, summary = convert(coco)
  assert len(written) == len(set(written)) == 2
  assert info.num_instances == 4 and '1 crowd regions' in summary
  assert shard_bytes(coco) == whole


def uninterrupted_bytes(coco):
  convert(coco)
  whole = shard_bytes(coco)
  for path in coco.output.iterdir():
    path.unlink()
  return whole


def test_a_killed_conversion_leaves_nothing_half_written_and_continues(coco):
  """Kills the command in the middle of a shard; its workers must end with it."""
  whole = uninterrupted_bytes(coco)
  code = ('import os, sys, time\n'
          'from htc_tf.data import coco_to_tfrecord as c, record_example\n'
          'real, count = record_example.serialize, []\n'
          'def slow(features):\n'
          '  count.append(1)\n'
          '  if len(count) == 3:\n'
          '    print("stuck", flush=True)\n'
          '    time.sleep(60)\n'
          '  return real(features)\n'
          'record_example.serialize = slow\n'
          f'c.convert(c.{coco.options()!r})\n')
  process = subprocess.Popen([sys.executable, '-c', code],
                             stdout=subprocess.PIPE,
                             stderr=subprocess.DEVNULL)
  assert process.stdout.readline() == b'stuck\n'
  process.send_signal(signal.SIGKILL)
  process.communicate()
  names = [path.name for path in coco.output.iterdir()]
  assert 'train-00000-of-00002.tfrecord' in names
  assert 'train-00001-of-00002.tfrecord' not in names and 'train.json' not in names
  convert(coco)
  assert shard_bytes(coco) == whole
  assert not [path.name for path in coco.output.iterdir() if path.name.startswith('.')]


def test_workers_end_with_a_killed_parent(tmp_path):
  script = tmp_path / 'script.py'
  script.write_text(
      'import concurrent.futures, multiprocessing, os, time\n'
      'from htc_tf.data import record_pool\n'
      'if __name__ == "__main__":\n'
      '  context = multiprocessing.get_context("spawn")\n'
      '  pool = concurrent.futures.ProcessPoolExecutor(1, context, record_pool._start_worker, (None,))\n'
      '  print(pool.submit(os.getpid).result(), flush=True)\n'
      '  time.sleep(60)\n',
      encoding='utf-8')
  environment = {**os.environ, 'PYTHONPATH': os.pathsep.join(sys.path)}
  process = subprocess.Popen([sys.executable, str(script)], stdout=subprocess.PIPE, env=environment)
  worker = int(process.stdout.readline())
  process.kill()
  process.communicate()
  deadline = time.monotonic() + 20
  while alive(worker) and time.monotonic() < deadline:
    time.sleep(0.05)
  assert not alive(worker)


def alive(pid):
  """Whether a process runs; one that has ended but was not reaped does not."""
  try:
    with open(f'/proc/{pid}/stat', encoding='utf-8') as file:
      return file.read().rsplit(')', 1)[1].split()[0] != 'Z'
  except FileNotFoundError:
    return False


def test_serialized_examples_do_not_depend_on_the_process():
  """Feature maps are hashed differently in each process; the bytes must not be."""
  code = ('import hashlib\nfrom htc_tf.data import record_example\n'
          'features = {f"image/{n}": [n] for n in range(40)}\n'
          'print(hashlib.sha256(record_example.serialize(features)).hexdigest())')
  from htc_tf.data import record_example
  here = hashlib.sha256(record_example.serialize({f'image/{n}': [n] for n in range(40)})).hexdigest()
  there = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True, check=True)
  assert there.stdout.strip() == here


def test_metadata_is_plain_json(coco):
  convert(coco)
  content = json.loads((coco.output / 'train.json').read_text(encoding='utf-8'))
  assert content['version'] == 1
  assert content['categories'] == [{'id': 3, 'name': 'cat', 'label': 1},
                                   {'id': 8, 'name': 'dog', 'label': 2}]
  assert content['semantic'] is None and content['annotation_file'] == 'train_annotations.json'
