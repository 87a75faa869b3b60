"""Tests of the end of all outputs of a prediction."""

import json

import pytest
from PIL import Image

from htc_tf.data.sample_format import RGB
from htc_tf.errors import InputError
from htc_tf.serving.input_files import InputImage
from htc_tf.serving.outputs import registry
from htc_tf.serving.outputs.chosen import ChosenOutputs
from tests.serving.outputs import detected

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


@pytest.mark.parametrize('name', ['masks', 'cutouts'])
def test_without_masks_nothing_is_written_where_an_output_needs_them(tmp_path, name):
  Image.new('RGB', (64, 48)).save(tmp_path / 'a.png')
  output = tmp_path / 'out'
  output.mkdir()
  with (
    pytest.raises(InputError, match='There are no masks'),
    ChosenOutputs(['overlay', 'labelme', name, 'csv'], str(output), [], RGB) as chosen,
  ):
    chosen.write(detected.image(with_masks=False), InputImage('a.png', 1, 'a.png', 'a.png'))
  assert not list(output.iterdir())


def test_every_output_either_writes_without_masks_or_needs_them(tmp_path):
  for name in registry.NAMES:
    folder = tmp_path / name
    folder.mkdir()
    (output,) = registry.build([name], str(folder), [], RGB)
    try:
      output.write(detected.image(with_masks=False), 'a')
      needs_masks = False
    except InputError:
      needs_masks = True
    output.discard()
    assert needs_masks == (name in registry.NEED_MASKS)


def test_cutouts_of_earlier_runs_are_counted(tmp_path, caplog):
  def write(image):
    with ChosenOutputs(['cutouts'], str(tmp_path), [], RGB) as chosen:
      chosen.write(image, InputImage('a.png', 1, 'a.png', 'a.png'))

  write(detected.image())
  assert not caplog.text
  write(detected.image().filtered(0.85))
  assert 'cutouts holds 2 files of earlier runs, such as a_002_' in caplog.text
  assert len(list((tmp_path / 'cutouts').iterdir())) == 3
