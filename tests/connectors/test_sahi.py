"""Tests of the model for SAHI, in SAHI's own functions."""

import numpy as np
import pytest

pytest.importorskip('sahi', reason='sahi is not installed: make test-connectors')
from sahi.predict import get_prediction, get_sliced_prediction

from htc_tf.connectors.sahi import HTCDetectionModel
from htc_tf.data import images
from htc_tf.data.sample_format import RGB, SampleFormat
from htc_tf.errors import InputError
from htc_tf.serving.detected_image import DetectedImage
from tests.serving import color_detector

PIXELS = np.random.default_rng(0).integers(0, 256, (40, 60, 3), np.uint8)


class PerfectModel:
  """A model that finds the objects of `color_detector.picture`."""

  sample_format = RGB
  dataset_info = None

  def detect(self, pixels, score_threshold):
    source = images.image_from_pixels(pixels)
    (instances,) = color_detector.detect([source])
    yield DetectedImage(source, instances, ['thing'], [7]).filtered(score_threshold)


def _mask(prediction):
  return prediction.mask.bool_mask


def test_a_prediction_has_the_detections_of_the_model(predictor):
  model = HTCDetectionModel(model=predictor, confidence_threshold=0.0)
  found = get_prediction(PIXELS, model).object_prediction_list
  (image,) = predictor.detect(PIXELS, 0.0)
  assert len(found) == len(image) > 0
  assert model.category_names == ['cat', 'dog'] and model.num_categories == 2 and model.has_mask
  for prediction, name, score, id_ in zip(
    found, image.names, image.scores, [entry['category_id'] for entry in image.to_coco()]
  ):
    assert (prediction.category.name, prediction.category.id) == (name, id_)
    assert prediction.score.value == pytest.approx(float(score))


def test_boxes_and_masks_are_in_their_place():
  pixels, masks = color_detector.picture((90, 130))
  found = get_prediction(pixels, HTCDetectionModel(model=PerfectModel())).object_prediction_list
  assert len(found) == len(masks)
  for prediction, mask in zip(found, masks):
    # SAHI's polygons run through the centers of pixels, and it fills them with their border.
    np.testing.assert_array_equal(_mask(prediction), mask)
    rows, columns = np.nonzero(mask)
    np.testing.assert_allclose(
      prediction.bbox.to_xyxy(), [columns.min(), rows.min(), columns.max(), rows.max()], atol=1
    )
    assert prediction.category.name == 'class 7'


@pytest.mark.parametrize('batch_size', [1, 3])
def test_slices_are_joined_to_the_objects_of_the_image(batch_size):
  pixels, masks = color_detector.picture((90, 130))
  found = get_sliced_prediction(
    pixels,
    HTCDetectionModel(model=PerfectModel()),
    slice_height=64,
    slice_width=64,
    overlap_height_ratio=0.4,
    overlap_width_ratio=0.4,
    perform_standard_pred=False,
    verbose=0,
    batch_size=batch_size,
  ).object_prediction_list
  joined = {prediction.score.value: np.zeros((90, 130), bool) for prediction in found}
  for prediction in found:  # SAHI may leave a long object in pieces.
    joined[prediction.score.value] |= _mask(prediction)
  assert len(joined) == len(masks)
  for score, mask in zip(sorted(joined, reverse=True), masks):
    assert (joined[score] & mask).sum() / (joined[score] | mask).sum() > 0.9


def test_a_model_directory_is_loaded(model_dir):
  model = HTCDetectionModel(model_path=model_dir, confidence_threshold=0.0)
  result = get_sliced_prediction(
    PIXELS, model, slice_height=32, slice_width=32, verbose=0, postprocess_type='NMS'
  )
  assert {item.category.id for item in result.object_prediction_list} <= {7, 30}
  assert result.to_coco_annotations()[0]['category_name'] in ('cat', 'dog')


def test_the_confidence_threshold_counts():
  pixels, _ = color_detector.picture((90, 130))
  model = HTCDetectionModel(model=PerfectModel(), confidence_threshold=248.5 / 256)
  assert len(get_prediction(pixels, model).object_prediction_list) == 2
  assert not get_prediction(pixels[6:20, 40:60], model).object_prediction_list


@pytest.mark.parametrize(
  'options, message',
  [
    ({'image_size': 640}, 'image_size cannot be set'),
    ({'mask_threshold': 0.3}, 'mask_threshold cannot be set'),
    ({}, 'There is no model'),
  ],
)
def test_options_that_do_not_apply_are_errors(options, message):
  with pytest.raises(InputError, match=message):
    HTCDetectionModel(**options)


def test_models_of_other_images_are_refused():
  model = PerfectModel()
  model.sample_format = SampleFormat(4, 16)
  with pytest.raises(InputError, match='4 channels of 16 bits'):
    HTCDetectionModel(model=model)
