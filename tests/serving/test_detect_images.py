"""Tests of detection in images of any kind, and of its results as objects."""

import numpy as np
import pytest
from PIL import Image
from pycocotools import mask as coco_mask
from pycocotools.coco import COCO

from htc_tf.data.images import image_from_pixels, read_image
from htc_tf.errors import InputError
from htc_tf.serving.detected_image import DetectedImage
from htc_tf.serving.instances import Instances

_PIXELS = np.random.default_rng(0).integers(0, 256, (40, 60, 3), np.uint8)


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
  """A folder with two pictures and another file."""
  path = tmp_path_factory.mktemp('pictures')
  Image.fromarray(_PIXELS).save(path / 'a.png')
  Image.fromarray(_PIXELS[:30]).save(path / 'b.png')
  (path / 'notes.txt').write_text('no picture')
  return path


def _same(found, expected):
  np.testing.assert_array_equal(found.boxes, expected.boxes)
  np.testing.assert_array_equal(found.scores, expected.scores)
  assert found.instances.rles == expected.instances.rles


def test_every_kind_of_image_gives_the_same_detections(predictor, folder):
  path = folder / 'a.png'
  with Image.open(path) as file:
    opened = file.copy()
    opened.format = file.format
  kinds = [
    str(path),
    path,
    _PIXELS,
    _PIXELS[np.newaxis],
    opened,
    read_image(str(path)),
    [path],
    (item for item in [_PIXELS]),
  ]
  found = [list(predictor.detect(kind)) for kind in kinds]
  assert all(len(images) == 1 for images in found)
  assert len(found[0][0]) > 0
  for (image,) in found[1:]:
    _same(image, found[0][0])
  assert found[0][0].path == str(path) and found[2][0].path is None
  np.testing.assert_array_equal(found[0][0].pixels, _PIXELS)


def test_a_folder_gives_its_images_in_order(predictor, folder):
  images = list(predictor.detect(folder))
  assert [image.size for image in images] == [(40, 60), (30, 60)]
  assert [image.path for image in images] == [str(folder / name) for name in ('a.png', 'b.png')]
  both = list(predictor.detect([folder, _PIXELS]))
  assert len(both) == 3
  _same(both[2], images[0])


def test_images_are_read_when_they_are_asked_for(predictor, folder):
  images = predictor.detect([folder / 'a.png', folder / 'missing.png'])
  assert next(images).size == (40, 60)
  with pytest.raises(InputError, match=r'missing\.png does not exist'):
    next(images)


def test_the_results_are_those_of_the_command(predictor, folder, tmp_path):
  (image,) = predictor.detect(folder / 'a.png', score_threshold=0)
  outputs = predictor.predict(_PIXELS[np.newaxis], verbose=0)
  count = int(outputs['num_detections'][0])
  np.testing.assert_array_equal(image.scores, outputs['detection_scores'][0, :count])
  np.testing.assert_array_equal(image.boxes_xyxy, image.boxes[:, [1, 0, 3, 2]])
  assert set(image.names) <= {'cat', 'dog'}
  assert image.masks.shape == (count, 40, 60) and image.masks.dtype == bool
  for mask, rle in zip(image.masks, image.instances.rles):
    assert mask.sum() == coco_mask.area(rle)
  entries = image.to_coco(7)
  assert {entry['category_id'] for entry in entries} <= {7, 30}
  truth = COCO()
  truth.dataset = {
    'images': [{'id': 7, 'height': 40, 'width': 60}],
    'annotations': [],
    'categories': [{'id': 7, 'name': 'cat'}, {'id': 30, 'name': 'dog'}],
  }
  truth.createIndex()
  assert len(truth.loadRes(entries).anns) == count
  drawn = image.draw(0.0)
  assert drawn.dtype == np.uint8 and drawn.shape[0] % 40 == 0
  assert np.any(drawn != image.draw(1.0))


def _image(names=('cat', 'dog'), rles=True):
  masks = np.zeros((3, 4, 6), bool)
  masks[0, :2], masks[1, 2:], masks[2, :, :3] = True, True, True
  encoded = [coco_mask.encode(np.asfortranarray(mask.astype(np.uint8))) for mask in masks]
  instances = Instances(
    np.array([[0, 0, 2, 6], [2, 0, 4, 6], [0, 0, 4, 3]], np.float32),
    np.array([1, 2, 1], np.int32),
    np.array([0.9, 0.6, 0.2], np.float32),
    encoded if rles else None,
  )
  ids = [5, 6] if names else []
  return DetectedImage(image_from_pixels(np.zeros((4, 6, 3), np.uint8)), instances, names, ids)


def test_detections_are_filtered_by_score_and_name():
  image = _image()
  assert len(image) == 3 and image.counts == {'cat': 2, 'dog': 1}
  assert repr(image) == 'DetectedImage(pixels, 6 x 4: 2 cat, 1 dog)'
  cats = image.filtered(names=['cat'])
  assert cats.names == ['cat', 'cat'] and cats.masks.sum() == 12 + 12
  best = image.filtered(0.5)
  np.testing.assert_allclose(best.scores, [0.9, 0.6])
  nothing = image.filtered(0.95)
  assert len(nothing) == 0 and nothing.masks.shape == (0, 4, 6) and nothing.to_coco() == []
  assert repr(nothing).endswith('6 x 4: nothing)')
  with pytest.raises(InputError, match=r'cannot be filtered.*cat, dog.*Got: cow'):
    image.filtered(names=['cow'])


@pytest.mark.parametrize(
  'limits, message',
  [
    (float('nan'), 'out of range.*Got: nan'),
    (30, 'out of range.*a percentage'),
    (None, 'no number.*Got: None'),
    ('0.5', "no number.*Got: '0.5'"),
    (True, 'no number'),
    ({'cat': float('nan')}, 'out of range'),
    ({'cat': None}, 'no number'),
    ({'cow': 0.5}, 'cannot be filtered.*Got: cow'),
  ],
)
def test_limits_that_are_no_scores_are_refused(limits, message):
  with pytest.raises(InputError, match=message):
    _image().filtered(limits)
  if not isinstance(limits, dict):
    with pytest.raises(InputError, match=message):
      _image().draw(limits)


@pytest.mark.parametrize('num_found', [0, 3])
def test_names_of_a_model_without_names_do_not_depend_on_what_is_found(num_found):
  image = _image(names=()).filtered(0.0 if num_found else 1.0)
  assert len(image) == num_found
  assert len(image.filtered(0.5, ['class 1', 'class 7'])) == min(num_found, 1)
  assert len(image.filtered({'class 2': 1.0})) == max(num_found - 1, 0)
  for wrong in ({'names': ['cat']}, {'min_score': {'cat': 0.5}}, {'names': ['class 0']}):
    with pytest.raises(InputError, match=r'class 1, class 2, .*without the file dataset.json'):
      image.filtered(**wrong)


def test_a_model_without_names_or_masks_has_numbers_and_boxes():
  image = _image(names=(), rles=False)
  assert image.names == ['class 1', 'class 2', 'class 1'] and image.masks is None
  assert [entry['category_id'] for entry in image.to_coco()] == [1, 2, 1]
  assert 'segmentation' not in image.to_coco()[0]
  assert image.filtered(0.5).masks is None


@pytest.mark.parametrize(
  'images, message',
  [
    (None, 'Got: NoneType'),
    (3, 'Expected: a path of an image'),
    (_PIXELS[..., 0], r'cannot read this array.*Got: \[40, 60\] uint8'),
    (_PIXELS.astype(np.float32), 'pixels already scaled to floats'),
    (np.zeros([0, 5, 3], np.uint8), 'cannot read this array'),
    (Image.new('RGB', (0, 5)), 'cannot read this picture.*Got: 0x5'),
    (Image.new('F', (5, 5)), 'cannot read this picture'),
    ('nowhere.png', 'does not exist'),
    ([_PIXELS, None], 'NoneType'),
  ],
)
def test_other_inputs_are_refused(predictor, images, message):
  with pytest.raises(InputError, match=message):
    list(predictor.detect(images))


@pytest.mark.parametrize('threshold', [-0.1, 50])
def test_a_threshold_out_of_range_is_refused(predictor, threshold):
  with pytest.raises(InputError, match='score threshold is out of range'):
    list(predictor.detect(_PIXELS, score_threshold=threshold))


@pytest.mark.parametrize(
  'arguments, message',
  [
    ({'score_threshold': '0.5'}, "no number.*Got: '0.5'"),
    ({'score_threshold': {'cat': 0.5}}, 'no number.*image.filtered'),
    ({'score_threshold': None}, 'no number'),
    ({'tile_size': '64'}, "whole numbers.*Got: '64'"),
    ({'tile_size': 64.5}, 'whole numbers.*64.5'),
    ({'tile_size': 64, 'tile_overlap': 1.5}, 'whole numbers.*1.5'),
    ({'batch_size': 1.5}, 'whole number.*1.5'),
  ],
)
def test_arguments_of_other_types_are_refused(predictor, arguments, message):
  with pytest.raises(InputError, match=message):
    list(predictor.detect(_PIXELS, **arguments))
