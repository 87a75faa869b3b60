"""Tests of detection in tiles: a perfect detector, and the tiny model."""

import json

import numpy as np
import pytest
from PIL import Image

from htc_tf import progress
from htc_tf.data import image_limits, images, mask_codec, tiff_blocks
from htc_tf.data.sample_format import RGB, SampleFormat
from htc_tf.errors import InputError
from htc_tf.serving import large_images, predict_files
from htc_tf.serving.tiled_detection import detect_pictures
from htc_tf.serving.tiling import Tiling
from tests.data.tiff_writer import tiff
from tests.serving import color_detector

HW = (150, 230)
TILING = Tiling(64, 24)


def _detect(source, tiling=TILING, batch_size=1, calls=None, sample_format=RGB):
  detect = color_detector.detector(calls, sample_format).detect
  (found,) = detect_pictures(detect, [source], sample_format, tiling, batch_size)
  return found


def _check(found, masks):
  assert found.rles == [mask_codec.encode(mask) for mask in masks]
  np.testing.assert_allclose(found.scores, np.arange(250, 250 - len(masks), -1) / 256)


def test_objects_are_found_in_their_place():
  pixels, masks = color_detector.picture(HW)
  calls = []
  found = _detect(images.image_from_pixels(pixels), calls=calls, batch_size=4)
  _check(found, masks)
  places = TILING.places(HW)
  assert [size for call in calls for size in call] == [(64, 64)] * len(places)
  assert {len(call) for call in calls} == {4, len(places) % 4 or 4}


@pytest.mark.parametrize('image_hw', [(65, 64), (64, 65), (65, 300), (300, 65)])
def test_an_image_one_pixel_larger_than_a_tile(image_hw):
  pixels, _ = color_detector.picture(image_hw)
  calls = []
  whole = _detect(images.image_from_pixels(pixels), None)
  found = _detect(images.image_from_pixels(pixels), calls=calls)
  assert len(calls) >= 2 and {size for call in calls for size in call} == {(64, 64)}
  assert found.rles == whole.rles
  np.testing.assert_array_equal(found.boxes, whole.boxes)


@pytest.mark.parametrize('orientation', range(1, 9))
@pytest.mark.parametrize('tile', [0, 16])
def test_files_are_read_upright(tmp_path, orientation, tile):
  pixels, _ = color_detector.picture(HW)
  path = tmp_path / 'a.tif'
  path.write_bytes(tiff([pixels], tile=tile, photometric=2, extra_tags=[(274, orientation)]))
  large = large_images.open_large(str(path), RGB, TILING)
  expected = _detect(images.read_image(path), None)
  found = _detect(large)
  assert large.size == images.read_image(path).size
  assert found.rles == expected.rles and len(found.rles) == 5


@pytest.mark.parametrize('channels, dtype', [(1, np.uint16), (6, np.uint8), (5, np.uint16)])
def test_channels_and_depth_of_the_model(tmp_path, channels, dtype):
  pixels, masks = color_detector.picture(HW, dtype, channels)
  sample_format = SampleFormat(channels, 8 * pixels.itemsize)
  path = tmp_path / 'a.tif'
  path.write_bytes(tiff([pixels], deflate=True))
  large = large_images.open_large(str(path), sample_format, TILING)
  _check(_detect(large, sample_format=sample_format), masks)
  with pytest.raises(InputError, match=r'a\.tif cannot be read.*other channels'):
    large_images.open_large(str(path), SampleFormat(4, 16), TILING)


def test_small_files_and_other_formats_are_read_as_a_whole(tmp_path):
  pixels, _ = color_detector.picture((64, 64))
  for name in ('a.tif', 'a.png'):
    Image.fromarray(pixels).save(tmp_path / name)
    assert large_images.open_large(str(tmp_path / name), RGB, TILING) is None
  Image.fromarray(np.tile(pixels, (2, 2, 1))).save(tmp_path / 'b.png')
  assert large_images.open_large(str(tmp_path / 'b.png'), RGB, TILING) is None
  assert large_images.open_large(str(tmp_path), RGB, TILING) is None


@pytest.mark.parametrize('size', [60, 61, 1000])
def test_an_image_that_fits_one_tile_gives_the_same_bits(predictor, size):
  pixels = np.random.default_rng(0).integers(0, 256, (40, 60, 3), np.uint8)
  (whole,) = predictor.detect(pixels, 0)
  (tiled,) = predictor.detect(pixels, 0, tile_size=size, tile_overlap=8)
  assert len(whole) > 0 and tiled.instances.rles == whole.instances.rles
  np.testing.assert_array_equal(tiled.boxes, whole.boxes)
  np.testing.assert_array_equal(tiled.scores, whole.scores)


def test_the_tiles_of_a_model_are_those_of_its_own_detections(predictor, tmp_path):
  """Tiles without overlap, so that nothing is joined: each has what the model finds in it."""
  pixels = np.random.default_rng(0).integers(0, 256, (60, 80, 3), np.uint8)
  path = tmp_path / 'a.tif'
  path.write_bytes(tiff([pixels], photometric=2))
  (tiled,) = predictor.detect(path, 0, tile_size=40, tile_overlap=0)
  expected = []
  for top, left in [(0, 0), (0, 40), (20, 0), (20, 40)]:
    (part,) = predictor.detect(pixels[top : top + 40, left : left + 40], 0)
    expected += [(score, *(box + [top, left] * 2)) for score, box in zip(part.scores, part.boxes)]
  kept = [tuple(row) for row in np.column_stack([tiled.scores, tiled.boxes]).tolist()]
  assert set(kept) <= {tuple(np.float32(row).tolist()) for row in expected} | {
    row for row in kept if not _is_single(row, expected)
  }
  assert tiled.scores.max() == max(row[0] for row in expected)
  assert tiled.scores.tolist() == sorted(tiled.scores.tolist(), reverse=True)


def _is_single(row, expected):
  return any(np.allclose(row, other, atol=1e-4) for other in expected)


def test_options_are_checked_before_anything_is_read(predictor):
  with pytest.raises(InputError, match='less than the tile size 100'):
    predictor.detect('missing.tif', tile_size=100)
  with pytest.raises(InputError, match='batch size'):
    next(predictor.detect('missing.tif', batch_size=0))


def _predict(folder, output, **options):
  detector = color_detector.detector(tiling=TILING)
  paths = predict_files.list_images([str(folder)])
  failed = predict_files.predict_files(detector, paths, str(output), **options)
  return failed, json.loads((output / 'predictions.json').read_text())


@pytest.fixture(name='limited')
def _limited(monkeypatch):
  _limit_pixels(monkeypatch)


def _limit_pixels(monkeypatch):
  """Let images have so few pixels that those of the tests can only be read in windows."""
  monkeypatch.setattr(image_limits, 'MAX_PIXELS', HW[0] * HW[1] // 2)
  monkeypatch.setattr(tiff_blocks, '_MIN_SIDE', 32)


OUTPUTS = ('overlay', 'masks', 'cutouts', 'csv', 'coco', 'labelme')


def test_every_output_of_a_file_in_tiles_is_that_of_the_whole(tmp_path, monkeypatch):
  """The whole image is a PNG file; the TIFF file is above the limit of pixels."""
  pixels, masks = color_detector.picture(HW)
  for name in ('whole', 'tiled'):
    (tmp_path / name).mkdir()
  Image.fromarray(pixels).save(tmp_path / 'whole' / 'a.png')
  (tmp_path / 'tiled' / 'a.tif').write_bytes(tiff([pixels], photometric=2, tile=32))
  _predict(tmp_path / 'whole', tmp_path / 'out_whole', save=OUTPUTS)
  _limit_pixels(monkeypatch)
  failed, results = _predict(tmp_path / 'tiled', tmp_path / 'out_tiled', save=OUTPUTS)
  assert not failed and len(results) == len(masks)
  whole = tmp_path / 'out_whole'
  names = [path.relative_to(whole) for path in whole.rglob('*.*')]
  assert len(names) == 13
  for name in names:
    expected = (whole / name).read_bytes().replace(b'a.png', b'a.tif')
    found = (tmp_path / 'out_tiled' / name).read_bytes()
    if name.name == 'images.json':
      found = found.replace(b'"overlay":"a.png"', b'"overlay":"a.tif"')
    assert found.replace(b'../tiled', b'../whole').replace(b'/tiled/', b'/whole/') == expected, name


def test_a_damaged_file_is_named_and_the_others_are_predicted(tmp_path, limited, caplog):
  pixels, masks = color_detector.picture(HW)
  folder = tmp_path / 'images'
  folder.mkdir()
  content = bytearray(tiff([pixels], photometric=2, tile=32, deflate=True))
  (folder / 'a.tif').write_bytes(content)
  start = content.rindex(b'\x78\x9c')  # Of the data of the last tile.
  content[start : start + 2] = bytes(2)
  (folder / 'b.tif').write_bytes(content)
  failed, results = _predict(folder, tmp_path / 'out')
  assert failed == [str(folder / 'b.tif')] and 'b.tif cannot be read' in caplog.text
  assert len(results) == len(masks)


def test_an_error_of_a_server_in_a_tile_is_that_of_the_image():
  pixels, _ = color_detector.picture(HW)
  calls = []

  def detect(tiles):
    calls.append(1)
    return [InputError('no') for _ in tiles] if len(calls) == 2 else color_detector.detect(tiles)

  (found,) = detect_pictures(detect, [images.image_from_pixels(pixels)], RGB, TILING)
  assert isinstance(found, InputError) and len(calls) == 2


def test_large_and_small_images_keep_their_order(tmp_path, capfd, monkeypatch):
  monkeypatch.setattr(progress, '_LOG_SECONDS', 1e-9)  # A line for each step.
  folder = tmp_path / 'images'
  folder.mkdir()
  for name, image_hw in [('a', (40, 50)), ('b', HW), ('c', (30, 60))]:
    Image.fromarray(color_detector.picture(image_hw)[0]).save(folder / f'{name}.png')
  _, results = _predict(folder, tmp_path / 'out', batch_size=3)
  entries = json.loads((tmp_path / 'out' / 'images.json').read_text())['images']
  assert [(entry['height'], entry['width']) for entry in entries] == [(40, 50), HW, (30, 60)]
  for result in results:
    assert result['segmentation']['size'] == [
      entries[result['image_id'] - 1][key] for key in ('height', 'width')
    ]
  assert f' of {len(TILING.places(HW))} (' in capfd.readouterr().err  # The lines about tiles.
