"""Tests of the speed of a prediction on a folder."""

import numpy as np
import pytest
from PIL import Image

from benchmarks import folder
from htc_tf.serving import overlap, predict_files
from htc_tf.serving.instances import Instances


@pytest.fixture(name='paths')
def _paths(tmp_path):
  paths = [str(tmp_path / f'{number}.png') for number in range(5)]
  for path in paths:
    Image.fromarray(np.zeros((20, 30, 3), np.uint8)).save(path)
  return paths


def test_both_ways_predict_all_images_in_batches(paths):
  batches = []

  def detect(sources):
    batches.append(len(sources))
    empty = Instances(np.zeros([0, 4], np.float32), np.zeros(0, int), np.zeros(0), [])
    return [empty for _ in sources]

  detector = predict_files.Detector(detect, ['cat'], [1])
  rows = folder.measure(detector, paths, [1, 2], 1, ['overlay'])
  # Two runs, of which one counts, in each of the two ways.
  assert batches == [1] * 5 * 4 + [2, 2, 1] * 4
  assert [row.batch_size for row in rows] == [1, 2]
  assert all(row.overlapping > 0 and row.in_turn > 0 for row in rows)
  assert overlap.Ahead.__module__ == overlap.Behind.__module__ == 'htc_tf.serving.overlap'


def test_an_unread_image_is_an_error(paths):
  with open(paths[2], 'wb') as file:
    file.write(b'no image')
  found = [Instances(np.zeros([0, 4], np.float32), np.zeros(0, int), np.zeros(0), [])]
  detector = predict_files.Detector(lambda _: found, ['cat'], [1])
  with pytest.raises(ValueError, match='1 of 5 images could not be read'):
    folder.measure(detector, paths, [1], 1, ['overlay'])


def test_the_ratio_is_that_of_the_rates():
  lines = folder.table([folder.Row(1, 6.0, 4.0), folder.Row(8, 10.0, 10.0)]).splitlines()
  assert lines[2:] == ['| 1 | 6.00 | 4.00 | 1.50 |', '| 8 | 10.00 | 10.00 | 1.00 |']
