"""Tests of the protection of inputs in the output folder of a prediction."""

import numpy as np
import pytest
from PIL import Image

from htc_tf.data import mask_codec
from htc_tf.errors import InputError
from htc_tf.serving import predict_files, result_files
from htc_tf.serving.instances import Instances
from htc_tf.serving.outputs import registry


def test_images_in_the_output_folder_are_not_replaced(tmp_path):
  folder = tmp_path / 'images'
  folder.mkdir()
  for name in ('a.png', 'b.png'):
    Image.new('RGB', (4, 4)).save(folder / name)
  before = {path.name: path.read_bytes() for path in folder.iterdir()}
  paths = predict_files.list_images([str(folder)])
  (folder.parent / 'link').symlink_to(folder)
  for output in (folder, folder.parent / 'link', folder / '..' / folder.name):
    with pytest.raises(InputError, match=r'holds images to predict on.*Got: 2 images'):
      predict_files.predict_files(None, paths, str(output))
  assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


def test_an_image_behind_a_link_into_the_output_folder_is_not_replaced(tmp_path):
  (tmp_path / 'a').mkdir()
  (tmp_path / 'out').mkdir()
  Image.new('RGB', (4, 4)).save(tmp_path / 'out' / 'image.png')
  before = (tmp_path / 'out' / 'image.png').read_bytes()
  (tmp_path / 'a' / 'image.png').symlink_to(tmp_path / 'out' / 'image.png')
  with pytest.raises(InputError, match=r'holds images to predict on'):
    predict_files.predict_files(None, [str(tmp_path / 'a/image.png')], str(tmp_path / 'out'))
  assert (tmp_path / 'out' / 'image.png').read_bytes() == before


@pytest.mark.parametrize('name', ['masks', 'cutouts', 'labelme'])
def test_an_image_in_a_folder_of_results_is_not_replaced(tmp_path, name):
  path = tmp_path / 'out' / name / 'a.png'
  path.parent.mkdir(parents=True)
  Image.new('RGB', (4, 4)).save(path)
  before = path.read_bytes()
  for save in (('masks', 'labelme', 'cutouts'), ('overlay',)):
    with pytest.raises(InputError, match=r'holds images to predict on.*results of an earlier run'):
      predict_files.predict_files(None, [str(path)], str(tmp_path / 'out'), save=save)
  assert path.read_bytes() == before


def test_every_output_writes_to_a_protected_place(tmp_path):
  """Otherwise an image or annotations at that place could be replaced."""
  rles = [mask_codec.encode(np.ones([4, 4], np.uint8))]
  found = Instances(np.array([[0, 0, 4, 4]], np.float32), np.ones([1], int), np.ones([1]), rles)
  detector = predict_files.Detector(lambda images: [found] * len(images), ['cat', 'dog'], [1, 2])
  Image.new('RGB', (4, 4)).save(tmp_path / 'a.png')
  output = tmp_path / 'out'
  predict_files.predict_files(detector, [str(tmp_path / 'a.png')], str(output), save=registry.NAMES)
  folders = {path.name for path in output.iterdir() if path.is_dir()}
  assert folders == set(registry.FOLDERS)
  files = {path.name for path in output.iterdir() if path.is_file()}
  assert files == {'a.png', *result_files.NAMES, *registry.FILES}


@pytest.mark.parametrize(
  'name', ['images.json', 'predictions.json', 'annotations.json', 'measurements.csv']
)
def test_the_annotations_are_not_replaced_by_a_result(tmp_path, name):
  annotations = tmp_path / 'out' / name
  annotations.parent.mkdir()
  annotations.write_text('mine')
  with pytest.raises(InputError, match=f'would replace .*{name}.*another output folder'):
    predict_files.predict_files(
      None, [str(tmp_path / 'a.png')], str(annotations.parent), annotations=str(annotations)
    )
  assert annotations.read_text() == 'mine'
