"""Tests of the pictures of validation images for TensorBoard."""

import logging
import shutil

import numpy as np
import pytest
import tensorflow as tf

from htc_tf.data.sample_format import RGB, SampleFormat
from htc_tf.evaluation.coco_evaluator import COCOEvaluator
from htc_tf.training.validation_pictures import ValidationPictures
from tests import tiny_records
from tests.reports import shown_records

_GAP = 8
# A box without an object on the first image: x, y, width and height.
_FREE_BOX = [6, 46, 20, 14]
_OBJECT = (slice(6, 36), slice(4, 28))  # Rows and columns of the first object of the first image.


@pytest.fixture(scope='module', name='records')
def _records(tmp_path_factory):
  """A function from a sample format to the folder of records and the path of annotations."""
  folders = {}

  def write(sample_format):
    if sample_format not in folders:
      folder = tmp_path_factory.mktemp('pictures')
      kept = None if sample_format == RGB else sample_format
      shown_records.write(folder, sample_format=kept)
      folders[sample_format] = folder
    folder = folders[sample_format]
    return str(folder / 'records' / 'train-*.tfrecord'), folder / 'train_changed.json'

  return write


def _evaluator(annotations, results=(), images=(1, 2, 3, 4), include_mask=False):
  evaluator = COCOEvaluator(annotations, tiny_records.CATEGORY_IDS, include_mask, num_workers=1)
  evaluator.merge({'images': list(images), 'results': list(results)})
  return evaluator


def _result(box, score=0.9, image_id=1):
  return {'image_id': image_id, 'category_id': 8, 'bbox': box, 'score': score}


def _written(folder, pictures, *evaluators):
  """Pictures by tag and step, as the event file in a folder has them."""
  writer = tf.summary.create_file_writer(folder)
  with writer.as_default():
    for step, evaluator in enumerate(evaluators):
      pictures.write(evaluator, step)
  writer.close()
  found = {}
  for path in tf.io.gfile.glob(f'{folder}/events*'):
    for record in tf.data.TFRecordDataset(path).as_numpy_iterator():
      event = tf.compat.v1.Event.FromString(record)
      for value in event.summary.value:
        _, _, *encoded = tf.make_ndarray(value.tensor)  # Width, height, and the images.
        found[value.tag, event.step] = tf.io.decode_png(encoded[0]).numpy()
  return found


def _panels(picture):
  """Truth and prediction as drawn, [64, 64, blocks] of the pixels of each stored pixel."""
  side = (picture.shape[1] - 3 * _GAP) // 2
  factor = side // 64
  drawn = [picture[-side:, start : start + side] for start in (_GAP, 2 * _GAP + side)]
  blocks = [panel.reshape(64, factor, 64, factor, 3).swapaxes(1, 2) for panel in drawn]
  return [block.reshape(64, 64, -1, 3).astype(int) for block in blocks]


def _changed(panel, other):
  """[64, 64] whether a stored pixel looks different somewhere."""
  return np.abs(panel - other).max(axis=(2, 3)) > 20


@pytest.mark.parametrize('sample_format', [RGB, SampleFormat(1, 8), (2, 8), (4, 8), (3, 16)])
def test_the_truth_is_beside_the_prediction_for_every_kind_of_image(
  records, sample_format, tmp_path
):
  sample_format = SampleFormat(*sample_format)
  pattern, annotations = records(sample_format)
  evaluators = (_evaluator(annotations), _evaluator(annotations, [_result(_FREE_BOX)]))
  pictures = ValidationPictures(pattern, 1, sample_format)
  found = _written(str(tmp_path), pictures, *evaluators)
  assert list(found) == [('validation/1', 0), ('validation/1', 1)]
  (truth, nothing), (again, prediction) = (_panels(picture) for picture in found.values())
  np.testing.assert_array_equal(truth, again)
  assert _changed(truth, nothing)[_OBJECT].any() and not _changed(truth, nothing)[44:, :30].any()
  found_box = _changed(prediction, nothing)
  left, top, width, height = _FREE_BOX
  rows, columns = np.nonzero(found_box)
  extent = [columns.min(), columns.max() + 1, rows.max() + 1]
  np.testing.assert_allclose(extent, [left, left + width, top + height], atol=1)
  # Inside, the image is seen. The name of the class is above the box.
  assert not found_box[top + 2 : top + height - 2, left + 2 : left + width - 2].any()
  assert found_box[top - 2, left + 1] and not found_box[: top - 4].any()


def test_deep_samples_are_shown_with_contrast(records, tmp_path):
  """The objects are bright only in some channels, and everything is below a quarter of 65535."""
  sample_format = SampleFormat(4, 16)
  pattern, annotations = records(sample_format)
  pictures = ValidationPictures(pattern, 1, sample_format)
  ((_, image),) = map(_panels, _written(str(tmp_path), pictures, _evaluator(annotations)).values())
  red, green = image[_OBJECT][..., 0], image[_OBJECT][..., 1]  # With its name and its border.
  assert red.mean() > 200 and green.mean() < 60


def test_masks_are_drawn(records, tmp_path):
  pattern, annotations = records(RGB)
  found = _written(
    str(tmp_path),
    ValidationPictures(pattern, 1),
    _evaluator(annotations),
    _evaluator(annotations, include_mask=True),
  )
  (boxes, _), (masks, _) = (_panels(picture) for picture in found.values())
  assert _changed(boxes, masks)[12:30, 10:22].mean() > 0.9  # Inside the first object.


def test_low_scores_are_not_drawn(records, tmp_path):
  pattern, annotations = records(RGB)
  results = [_result(_FREE_BOX, score=0.29)]
  found = _written(
    str(tmp_path),
    ValidationPictures(pattern, 1),
    _evaluator(annotations),
    _evaluator(annotations, results),
  )
  without, low = found.values()
  np.testing.assert_array_equal(without, low)


@pytest.mark.parametrize('number,expected', [(0, []), (2, [1, 2]), (9, [1, 2, 3, 4])])
def test_as_many_images_are_drawn_as_are_wanted_and_there(records, number, expected, tmp_path):
  pattern, annotations = records(RGB)
  found = _written(str(tmp_path), ValidationPictures(pattern, number), _evaluator(annotations))
  assert [tag for tag, _ in found] == [f'validation/{image_id}' for image_id in expected]


def test_images_that_were_not_evaluated_are_left_out(records, tmp_path):
  pattern, annotations = records(RGB)
  evaluator = _evaluator(annotations, images=(2, 4))
  found = _written(str(tmp_path), ValidationPictures(pattern, 3), evaluator)
  assert [tag for tag, _ in found] == ['validation/2']


def test_damaged_records_are_left_out(records, tmp_path):
  pattern, annotations = records(RGB)
  (shard,) = tf.io.gfile.glob(pattern)
  serialized = list(tf.data.TFRecordDataset(shard).as_numpy_iterator())
  serialized[0] = serialized[0].replace(b'IHDR', b'RDHI')
  with tf.io.TFRecordWriter(str(tmp_path / 'damaged')) as writer:
    for record in serialized:
      writer.write(record)
  pictures = ValidationPictures([str(tmp_path / 'damaged')], 2)
  found = _written(str(tmp_path / 'log'), pictures, _evaluator(annotations))
  assert [tag for tag, _ in found] == ['validation/2', 'validation/3']


@pytest.mark.parametrize('is_missing', [True, False])
def test_the_log_says_once_why_there_are_no_pictures(records, is_missing, tmp_path, caplog):
  """The records are missing, or their images have other channels."""
  pattern, annotations = records(RGB)
  if is_missing:
    pattern = str(tmp_path / 'train-00000-of-00001.tfrecord')
    shutil.copy(annotations, pattern)  # Some other file.
  pictures = ValidationPictures(pattern, 2, RGB if is_missing else SampleFormat(4, 16))
  evaluator = _evaluator(annotations)
  with caplog.at_level(logging.WARNING):
    assert not _written(str(tmp_path / 'log'), pictures, evaluator, evaluator)
  lines = [line for line in caplog.messages if 'No pictures of validation images' in line]
  assert len(lines) == 1
  assert is_missing or '4 channels of 16 bits' in lines[0]


def test_pictures_are_written_to_a_remote_folder(records):
  pattern, annotations = records(RGB)
  found = _written('ram://pictures/run', ValidationPictures(pattern, 1), _evaluator(annotations))
  assert found['validation/1', 0].shape[2] == 3
