"""Tests of the end of all outputs of a prediction."""

import json

import pytest

from htc_tf.data.sample_format import RGB
from htc_tf.serving.outputs.chosen import ChosenOutputs

_OLD = 'of an earlier run'


def _end_without_an_image(folder, error=None):
  for name in ('annotations.json', 'measurements.csv'):
    (folder / name).write_text(_OLD)
  with ChosenOutputs(['coco', 'csv'], str(folder), [], RGB):
    if error is not None:
      raise error


def test_a_run_none_of_whose_images_can_be_read_leaves_files_without_images(tmp_path):
  _end_without_an_image(tmp_path)
  assert json.loads((tmp_path / 'annotations.json').read_text())['images'] == []
  assert len((tmp_path / 'measurements.csv').read_text().splitlines()) == 1
  assert not list(tmp_path.glob('.*'))


def test_an_error_before_the_first_image_leaves_the_files_of_an_earlier_run(tmp_path):
  with pytest.raises(OSError, match='no space'):
    _end_without_an_image(tmp_path, OSError('no space'))
  assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {
    'annotations.json': _OLD,
    'measurements.csv': _OLD,
  }
