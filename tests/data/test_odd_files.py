"""Tests of conversions with files that are missing, unreadable, repeated, or have odd names."""

import json
import os
import shutil
import subprocess
import sys
import unicodedata

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image
from pycocotools.coco import COCO

from htc_tf.cli import create_coco_records
from htc_tf.data import record_pool, record_shards
from htc_tf.errors import DataError
from htc_tf.evaluation.ground_truth import load_ground_truth


def check_dropped(coco, finding):
  """The image 9 is dropped and named with its annotation; the others are converted."""
  info, summary = coco.convert(skip_missing_images=True)
  assert (info.num_images, info.num_instances) == (2, 3)
  assert f'1 {finding}' in summary and '9.png' in summary
  assert '1 annotations of dropped images (dropped): e.g. annotation 104' in summary
  assert summary.startswith('1 of 4 annotations dropped: 1 annotations of dropped images')
  assert sorted(coco.records()) == [7, 12]
  assert sorted(COCO(info.annotation_path).imgs) == [7, 12]


def check_refused_or_dropped(coco, message, finding):
  with pytest.raises(DataError, match=message):
    coco.convert()
  check_dropped(coco, finding)


def test_a_broken_link(coco):
  (coco.images / '9.png').unlink()
  (coco.images / '9.png').symlink_to('nowhere.png')
  check_refused_or_dropped(
    coco, r'no .*9\.png \(a broken link\)', 'images whose file is missing (dropped)'
  )


def test_a_link_to_itself(coco):
  (coco.images / '9.png').unlink()
  (coco.images / '9.png').symlink_to('9.png')
  check_refused_or_dropped(coco, r'no .*9\.png', 'images whose file is missing (dropped)')


@pytest.mark.parametrize('make', [os.mkdir, os.mkfifo])
def test_a_folder_or_pipe_in_place_of_a_file(coco, make):
  (coco.images / '9.png').unlink()
  make(coco.images / '9.png')
  check_refused_or_dropped(coco, r'no .*9\.png', 'images whose file is missing (dropped)')


def test_a_file_without_permission(coco, monkeypatch):
  read_image = record_shards.images.read_image

  def read(path, *arguments, **options):
    if path.endswith('9.png'):
      raise PermissionError(13, 'Permission denied', path)
    return read_image(path, *arguments, **options)

  monkeypatch.setattr(record_shards.images, 'read_image', read)
  message = r'9\.png cannot be read as an image.*Permission denied.*--skip_missing_images'
  check_refused_or_dropped(coco, message, 'images that are empty or cannot be decoded (dropped)')


@pytest.mark.skipif(not os.path.exists('/proc/self/mem'), reason='Linux has this file')
def test_a_file_whose_content_cannot_be_read(coco):
  (coco.images / '9.png').unlink()
  (coco.images / '9.png').symlink_to('/proc/self/mem')
  check_refused_or_dropped(
    coco,
    r'9\.png cannot be read as an image.*Input/output error',
    'images that are empty or cannot be decoded (dropped)',
  )


def test_a_file_that_vanishes_during_the_conversion(coco, monkeypatch):
  write_shard = record_shards.write_shard

  def write(task):
    (coco.images / '9.png').unlink(missing_ok=True)
    return write_shard(task)

  monkeypatch.setattr(record_shards, 'write_shard', write)
  check_dropped(coco, 'images that are empty or cannot be decoded (dropped): e.g. 9.png')


def test_a_file_that_vanishes_after_the_check(coco, monkeypatch):
  """It is found, but has no size and time when the inputs are compared."""
  stat = os.stat

  def stat_of(path, *arguments, **options):
    if str(path).endswith('9.png') and 'follow_symlinks' not in options:
      (coco.images / '9.png').unlink(missing_ok=True)
    return stat(path, *arguments, **options)

  isfile = os.path.isfile
  monkeypatch.setattr(os.path, 'isfile', lambda path: str(path).endswith('.png') or isfile(path))
  monkeypatch.setattr(os, 'stat', stat_of)
  check_dropped(coco, 'images that are empty or cannot be decoded (dropped): e.g. 9.png')


def rename(coco, name, on_disk=None):
  """Give image 9 another file name; `on_disk` may be bytes."""
  coco.content['images'][1]['file_name'] = name
  path = os.path.join(os.fsencode(coco.images), os.fsencode(on_disk or name))
  os.makedirs(os.path.dirname(path), exist_ok=True)
  os.rename(coco.images / '9.png', path)


def file_names(coco):
  """The bytes of the file names in the records, by image id."""
  names = {}
  for path in sorted(coco.output.glob('*.tfrecord')):
    for record in tf.data.TFRecordDataset(str(path)).as_numpy_iterator():
      feature = tf.train.Example.FromString(record).features.feature
      image_id = int(feature['image/source_id'].bytes_list.value[0])
      names[image_id] = feature['image/filename'].bytes_list.value[0]
  return names


@pytest.mark.parametrize(
  'name',
  [
    '2023-01-02T12:30:00.png',
    'x²³.png',
    '१२.png',
    'bäume.png',
    unicodedata.normalize('NFD', 'bäume.png'),
    'b\udce4ume.png',
    'folder\udcff/\udcfe.png',
    'name with spaces\nand lines.png',
    '🧬.png',
    '%s {0} \\u00e4.png'.replace('\\', ''),
  ],
)
def test_odd_names_are_found_and_stay_as_they_are(coco, name):
  coco.convert()
  expected = {id_: record['image'] for id_, record in coco.records().items()}
  rename(coco, name)
  info, summary = coco.convert()
  assert summary.encode().decode().startswith('train: 3 images, 4 instances')
  for id_, record in coco.records().items():
    np.testing.assert_array_equal(record['image'], expected[id_])
  assert file_names(coco) == {7: b'7.png', 9: os.fsencode(name), 12: b'12.png'}
  written = COCO(info.annotation_path)
  assert written.imgs[9]['file_name'] == name
  assert sorted(load_ground_truth(info.annotation_path, include_mask=True).imgs) == [7, 9, 12]


def test_bytes_of_a_name_that_are_not_utf_8_in_the_annotation_file(coco):
  rename(coco, 'b\udce4ume.png')
  coco.save()
  path = coco.root / 'annotations.json'
  path.write_bytes(path.read_bytes().replace(b'\\udce4', b'\xe4'))
  options = coco.options()
  assert (
    create_coco_records.main(
      [
        f'--annotations={path}',
        f'--image_folder={options.image_folder}',
        f'--output_folder={options.output_folder}',
        '--num_processes=1',
      ]
    )
    == 0
  )
  assert file_names(coco)[9] == b'b\xe4ume.png'


def test_the_parts_of_a_path_may_have_different_unicode_forms(coco):
  nfc, nfd = (unicodedata.normalize(form, 'ä') for form in ('NFC', 'NFD'))
  rename(coco, f'{nfc}/{nfc}.png', on_disk=f'{nfd}/{nfc}.png')
  _, summary = coco.convert()
  assert '1 file names with accents in another Unicode form (found): e.g. ä/ä.png' in summary
  assert len(coco.records()) == 3


@pytest.mark.parametrize('name', ['\ud800', chr(0xDCFE), 'x' * 300, 'a/9.png/b', '²'])
def test_a_name_that_no_file_has_is_named(coco, name):
  coco.content['images'][1]['file_name'] = f'{name}.png'
  with pytest.raises(DataError, match=r'1 of 3 files named by .* are missing'):
    coco.convert()
  info, summary = coco.convert(skip_missing_images=True)
  assert (info.num_images, info.num_instances) == (2, 3)
  assert '1 images whose file is missing (dropped)' in summary
  assert summary.encode()


def test_the_command_prints_names_of_any_bytes(coco):
  """A terminal takes only text that can be encoded."""
  coco.content['images'][1]['file_name'] = 'b\udce4\ud800.png'
  coco.content['categories'][0]['name'] = 'h\udcfcnd'
  coco.save()
  options = coco.options()
  arguments = [
    f'--annotations={options.annotation_file}',
    f'--image_folder={options.image_folder}',
    f'--output_folder={options.output_folder}',
    '--num_processes=1',
  ]
  for flags, status in (([], 2), (['--skip_missing_images'], 0)):
    finished = subprocess.run(
      [sys.executable, '-m', 'htc_tf.cli.create_coco_records', *arguments, *flags],
      capture_output=True,
      check=False,
      env={**os.environ, 'PYTHONUTF8': '1', 'TQDM_DISABLE': '1'},
    )
    output = finished.stdout.decode() + finished.stderr.decode()
    assert finished.returncode == status, output
    assert 'Traceback' not in output and 'b\\udce4\\ud800.png' in output
  assert 'names of categories that are numbers or not Unicode (read as text): e.g. h\\udcfcnd' in (
    finished.stdout.decode()
  )
  names = [
    entry['name'] for entry in json.loads((coco.output / 'train.json').read_text())['categories']
  ]
  assert names == ['cat', 'h\\udcfcnd']


def test_the_same_file_under_two_image_ids_is_kept_twice_and_named(coco):
  coco.content['images'].append({**coco.content['images'][0], 'id': 70})
  info, summary = coco.convert()
  assert info.num_images == 4
  finding = '1 image entries with the file of another entry (kept): e.g. 7.png of the image ids 7'
  assert finding in summary
  records = coco.records()
  assert sorted(records) == sorted(COCO(info.annotation_path).imgs) == [7, 9, 12, 70]
  np.testing.assert_array_equal(records[70]['image'], records[7]['image'])
  assert len(records[70]['classes']) == 0


def test_the_same_image_id_for_two_files_is_refused_and_for_one_file_counted(coco):
  coco.content['images'].append(dict(coco.content['images'][0]))
  info, summary = coco.convert()
  assert info.num_images == 3
  assert '1 repeated image entries (dropped): e.g. 7.png' in summary
  coco.content['images'][-1]['file_name'] = '9.png'
  with pytest.raises(DataError, match=r"Image id 7 is given twice .* Got: '7.png' and '9.png'"):
    coco.convert()


def test_two_folders_with_the_same_file_names(coco):
  for folder, id_ in (('a', 7), ('b', 9)):
    (coco.images / folder).mkdir()
    shutil.move(coco.images / f'{id_}.png', coco.images / folder / '1.png')
    entry = next(image for image in coco.content['images'] if image['id'] == id_)
    entry['file_name'] = f'{folder}/1.png'
  info, summary = coco.convert()
  assert file_names(coco) == {7: b'a/1.png', 9: b'b/1.png', 12: b'12.png'}
  assert 'with the file of another entry' not in summary
  sizes = {id_: record['image'].shape[:2] for id_, record in coco.records().items()}
  assert sizes == {7: (24, 40), 9: (40, 24), 12: (16, 16)}
  written = COCO(info.annotation_path)
  assert {id_: image['file_name'] for id_, image in written.imgs.items()} == {
    7: 'a/1.png',
    9: 'b/1.png',
    12: '12.png',
  }


def test_two_urls_with_the_same_file_name_are_two_files_of_one_name(coco):
  """The URLs contradict each other: the folder can hold only one of the files."""
  for entry, folder in zip(coco.content['images'][:2], 'ab'):
    del entry['file_name']
    entry['coco_url'] = f'http://host/{folder}/7.png'
  with pytest.raises(DataError, match=r"'7.png' .* Got: /a/7.png and /b/7.png"):
    coco.convert()


def test_numbered_ids_keep_the_ids_of_the_file(coco):
  for entry in (*coco.content['images'], *coco.content['annotations']):
    key = 'id' if 'file_name' in entry else 'image_id'
    entry[key] = f'scan/{entry[key]}'
  coco.content['annotations'][0]['id'] = 'first'
  info, _ = coco.convert()
  written = COCO(info.annotation_path)
  assert {id_: image['original_id'] for id_, image in written.imgs.items()} == {
    1: 'scan/7',
    2: 'scan/9',
    3: 'scan/12',
  }
  (renumbered,) = [entry for entry in written.anns.values() if 'original_id' in entry]
  assert renumbered['original_id'] == 'first' and renumbered['id'] not in (102, 103, 104)
  assert sorted(coco.records()) == [1, 2, 3]


def test_a_size_is_read_from_an_image_as_it_is_stored(coco):
  """With --exif=stored, a size that the file lacks is that of the stored image."""
  exif = Image.Exif()
  exif[0x0112] = 6
  image = Image.open(coco.images / '9.png')
  image.save(coco.images / '9.png', exif=exif)
  del coco.content['images'][1]['height']
  _, summary = coco.convert(exif='stored')
  assert coco.records()[9]['image'].shape == (40, 24, 3)
  assert '1 image entries without height and width (read from the image): e.g. 9.png' in summary


def test_many_dropped_images_are_the_first_lines(coco):
  (coco.images / '9.png').unlink()
  (coco.images / '12.png').write_bytes(b'')
  _, summary = coco.convert(skip_missing_images=True)
  first, second, third, *_ = summary.splitlines()
  assert first == '1 of 4 annotations dropped: 1 annotations of dropped images'
  assert second.startswith('2 of 3 images dropped: 1 images whose file is missing, 1 images that')
  assert third == 'train: 1 images, 3 instances, 2 shards'


def test_values_that_are_nested_deeply_are_kept_and_not_sent_to_workers(coco, monkeypatch):
  monkeypatch.setattr(record_pool, '_IMAGES_PER_WORKER', 1)
  deep = []
  for _ in range(900):
    deep = [deep]
  coco.content['images'][0]['meta'] = deep
  coco.content['annotations'][0]['attributes'] = deep
  info, _ = coco.convert(num_processes=2)
  assert info.num_instances == 4
  assert COCO(info.annotation_path).imgs[7]['meta'] == deep
