"""Tests of images that are too large to be held in memory, with the tiny model."""

import csv
import json
import resource
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image
from pycocotools import mask as coco_mask

from htc_tf.cli import predict
from htc_tf.data import image_limits, mask_codec, tiff_windows
from htc_tf.errors import InputError
from htc_tf.serving import overview
from htc_tf.serving.outputs import index_masks, measurements
from tests.serving import large_tiff

_OUTPUTS = '--save=overlay,masks,cutouts,csv,coco,labelme'
_MAX_BYTES = 3 * 2**30
_COMMAND = 'import sys; from htc_tf.cli import predict; sys.exit(predict.main(sys.argv[1:]))'


def _arguments(model_dir, output, image, tile_size):
  return [
    f'--model={model_dir}',
    f'--output={output}',
    f'--tile_size={tile_size}',
    '--score_threshold=0',
    _OUTPUTS,
    str(image),
  ]


def _check(output, stem, image_hw, overlay_hw):
  """The files fit each other: sizes, numbers of objects, and label maps by the masks."""
  (entry,) = json.loads((output / 'images.json').read_text())['images']
  assert (entry['height'], entry['width']) == image_hw
  results = json.loads((output / 'predictions.json').read_text())
  assert results
  with open(output / 'measurements.csv', newline='') as file:
    rows = list(csv.DictReader(file))
  areas = [coco_mask.area(result['segmentation']) for result in results]
  assert [int(row['area']) for row in rows] == areas
  assert len(json.loads((output / 'annotations.json').read_text())['annotations']) == len(rows)
  boxes = [coco_mask.toBbox(result['segmentation']) for result in results]
  sizes = [box[2] * box[3] for box in boxes]
  cut_out = [0 < size <= image_limits.MAX_PIXELS for size in sizes]
  assert len(list((output / 'cutouts').iterdir())) == sum(cut_out)
  with Image.open(output / f'{stem}.png') as overlay:
    assert overlay.size[::-1] == overlay_hw
  return results, sum(size > image_limits.MAX_PIXELS for size in sizes)


@pytest.fixture(name='unlimited')
def _unlimited(monkeypatch):
  """Pillow's limit of pixels is off, to read label maps of large images."""
  monkeypatch.setattr(Image, 'MAX_IMAGE_PIXELS', None)


@pytest.mark.parametrize('tile', [pytest.param(0, marks=pytest.mark.slow), 256])
def test_all_outputs_of_an_image_above_every_limit(
  model_dir, tmp_path, monkeypatch, unlimited, caplog, tile
):
  """The limits are lowered, so that neither the image nor an object needs to fit into memory."""
  monkeypatch.setattr(image_limits, 'MAX_PIXELS', 2_000_000)
  monkeypatch.setattr(overview, 'MAX_SIDE', 1000)
  monkeypatch.setattr(tiff_windows, '_CACHED_BYTES', 2**23)
  monkeypatch.setattr(index_masks, '_BAND_PIXELS', 2**18)
  monkeypatch.setattr(measurements, '_BAND_PIXELS', 2**18)
  path = tmp_path / 'a.tif'
  large_tiff.write(path, 2000, 3000, tile)
  output = tmp_path / 'out'
  assert predict.main(_arguments(model_dir, output, path, 512)) == 0
  results, num_large = _check(output, 'a', (2000, 3000), (667, 1000))
  assert num_large > 0 and caplog.text.count('has no cut-out') == num_large
  with Image.open(output / 'masks' / 'a.png') as labels:
    found = np.asarray(labels)
  expected = np.zeros((2000, 3000), int)
  for number, result in reversed(list(enumerate(results, 1))):
    expected[mask_codec.decode(result['segmentation'])] = number
  np.testing.assert_array_equal(found, expected)


def test_pixels_of_a_large_image_are_refused_and_windows_are_not(predictor, tmp_path, monkeypatch):
  path = tmp_path / 'a.tif'
  large_tiff.write(path, 300, 400, 128)
  monkeypatch.setattr(image_limits, 'MAX_PIXELS', 70_000)
  (image,) = predictor.detect(path, 0, tile_size=256, tile_overlap=64)
  with pytest.raises(InputError, match=r'too large to be held in memory.*window'):
    _ = image.pixels
  assert image.draw().shape == (600, 800, 3)  # Enlarged, as small images are.
  with pytest.raises(InputError, match=r'too many pixels.*--tile_size TIFF files of any size'):
    next(predictor.detect(path))


@pytest.mark.slow
def test_20000_by_20000_pixels_need_less_than_3_gb(model_dir, tmp_path, unlimited):
  path = tmp_path / 'a.tif'
  large_tiff.write(path, 20_000, 20_000, 512)
  output = tmp_path / 'out'
  arguments = _arguments(model_dir, output, path, 1024)
  subprocess.run([sys.executable, '-c', _COMMAND, *arguments], check=True)
  # Of the largest process that this one has started so far, in kilobytes.
  assert resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024 < _MAX_BYTES
  _check(output, 'a', (20_000, 20_000), (4000, 4000))
  with Image.open(output / 'masks' / 'a.png') as labels:
    assert labels.size == (20_000, 20_000)
