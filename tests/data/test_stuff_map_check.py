"""Tests of the report on stuff maps."""

import numpy as np
import pytest
from PIL import Image

from htc_tf.data import stuff_map_check
from htc_tf.errors import DataError, InputError

SIZE_HW = (10, 20)


def write(folder, name, array):
  folder.mkdir(exist_ok=True)
  Image.fromarray(array).save(folder / name)


@pytest.fixture
def folders(tmp_path):
  images, maps = tmp_path / 'images', tmp_path / 'maps'
  for name in 'abcdef':
    write(images, f'{name}.png', np.zeros([*SIZE_HW, 3], np.uint8))
  labels = np.zeros(SIZE_HW, np.uint8)
  labels[:5] = 3
  labels[5, :10] = 7
  labels[6, :10] = 255
  write(maps, 'a.png', labels)
  write(maps, 'b.png', np.zeros([*SIZE_HW, 3], np.uint8))
  write(maps, 'c.png', np.where(labels > 0, 255, 0).astype(np.uint8))
  write(maps, 'd.png', np.zeros([4, 4], np.uint8))
  (maps / 'e.png').write_bytes(b'no image')
  write(maps, 'other.png', labels)
  return str(images), str(maps)


def test_labels_and_faults_are_counted(folders):
  report = stuff_map_check.check(*folders, num_classes=5)
  assert report.num_maps == 2  # a and c
  assert report.pixels == {0: 160, 3: 100, 7: 10, 255: 10 + 120} | {0: 80 + 80}
  assert report.maps == {0: 2, 3: 1, 7: 1, 255: 2}
  assert report.unknown_labels == [7]
  assert report.ignored_share == (10 + 10 + 120) / 400
  assert report.faults == {
    'maps with colors instead of labels': ['b.png'],
    'maps with only 0 and 255 (255 is ignored)': ['c.png'],
    'maps of another size than their image': ['d.png'],
    'maps that cannot be read': ['e.png'],
    'images without a map': ['f.png'],
    'maps without an image (not used)': ['other.png'],
  }


def test_the_report_names_unknown_labels_and_examples(folders):
  text = '\n'.join(stuff_map_check.check(*folders, num_classes=5).lines())
  assert text.startswith('2 stuff maps, 35.0% of the pixels ignored\n')
  assert 'labels from 5 on are ignored: 7\n' in text
  assert '       1 images without a map: e.g. f.png' in text
  assert '       3         1    25.00%' in text


def test_most_pixels_ignored_is_a_warning(folders):
  report = stuff_map_check.check(*folders, num_classes=5, names=['c.png'])
  assert 'is 255 the label of an object?' in '\n'.join(report.lines())


def test_without_images_nothing_is_checked(tmp_path):
  with pytest.raises(DataError, match='has no images'):
    stuff_map_check.check(str(tmp_path), str(tmp_path), 5)


def test_a_remote_folder_is_refused(tmp_path):
  with pytest.raises(InputError, match='stuff_folder'):
    stuff_map_check.check(str(tmp_path), 'gs://bucket/maps', 5)
