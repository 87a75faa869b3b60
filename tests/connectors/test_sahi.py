"""Tests of the model for SAHI, in SAHI's own functions."""

import numpy as np
import pytest

pytest.importorskip('sahi', reason='sahi is not installed: make test-connectors')
from sahi.postprocess.utils import merge_object_prediction_pair
from sahi.predict import get_prediction, get_sliced_prediction

from htc_tf.connectors.sahi import HTCDetectionModel
from htc_tf.data import images, mask_codec
from htc_tf.data.sample_format import RGB, SampleFormat
from htc_tf.errors import InputError
from htc_tf.serving.detected_image import DetectedImage
from htc_tf.serving.instances import Instances
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


class ModelOf:
  """A model that finds one object of class 1 with a given mask and box in every image."""

  sample_format = RGB
  dataset_info = None

  def __init__(self, mask, box_yxyx):
    arrays = np.array([box_yxyx], np.float32), np.array([1], np.int32), np.array([0.9], np.float32)
    self.instances = Instances(*arrays, [mask_codec.encode(mask)])

  def detect(self, pixels, score_threshold):
    yield DetectedImage(images.image_from_pixels(pixels), self.instances)


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
  boxes = [prediction.bbox.to_xyxy() for prediction in found]
  np.testing.assert_array_equal(boxes, image.boxes_xyxy)


def test_boxes_and_masks_are_in_their_place():
  pixels, masks = color_detector.picture((90, 130))
  found = get_prediction(pixels, HTCDetectionModel(model=PerfectModel())).object_prediction_list
  assert len(found) == len(masks)
  for prediction, mask in zip(found, masks):
    # SAHI's polygons run through the centers of pixels, and it fills them with their border.
    np.testing.assert_array_equal(_mask(prediction), mask)
    rows, columns = np.nonzero(mask)
    edges = [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]
    assert prediction.bbox.to_xyxy() == edges
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
    ({'config_path': 'config.yaml'}, 'config_path cannot be set'),
    ({}, 'There is no model'),
    ({'model': '/models/mine'}, "Got: '/models/mine'.*model_path=..."),
    ({'model': 5}, 'cannot use this as a model.*Got: int'),
    ({'confidence_threshold': None}, 'score threshold is no number.*Got: None'),
    ({'confidence_threshold': '0.3'}, "score threshold is no number.*Got: '0.3'"),
    ({'confidence_threshold': 30}, 'threshold is out of range.*percentage'),
    ({'confidence_threshold': -0.1}, 'threshold is out of range'),
    ({'confidence_threshold': float('nan')}, 'threshold is out of range.*Got: nan'),
    ({'category_mapping': ['cat', 'dog']}, 'category_mapping cannot be used.*list of names'),
    ({'category_mapping': {7.0: 'cat'}}, 'category_mapping cannot be used.*another type'),
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


def test_the_box_of_the_model_stays_through_shifts_and_in_coco_entries():
  mask = np.zeros((40, 60), bool)
  mask[10:20, 5:30] = True
  model = HTCDetectionModel(model=ModelOf(mask, [9.5, 4.25, 20.75, 30.5]))
  model.perform_inference(PIXELS)
  model.convert_original_predictions([[100, 200]], [[300, 400]])
  (found,) = model.object_prediction_list
  assert found.bbox.to_xyxy() == [4.25, 9.5, 30.5, 20.75]
  shifted = found.get_shifted_object_prediction()
  assert shifted.bbox.to_xyxy() == [104.25, 209.5, 130.5, 220.75]
  assert shifted.get_shifted_object_prediction().bbox.to_xyxy() == shifted.bbox.to_xyxy()
  np.testing.assert_array_equal(_mask(shifted)[200:240, 100:160], mask)
  entry = shifted.deepcopy().to_coco_prediction(image_id=3).json
  assert entry['bbox'] == [104.25, 209.5, 26.25, 11.25] and entry['image_id'] == 3
  assert entry['segmentation'] and entry['score'] == pytest.approx(0.9)
  merged = merge_object_prediction_pair(shifted, shifted)  # SAHI's own rule for merged boxes.
  assert merged.bbox.to_xyxy() == [105, 210, 129, 219]
  np.testing.assert_array_equal(_mask(merged), _mask(shifted))


def test_slices_that_are_not_merged_keep_the_boxes_of_the_model():
  mask = np.zeros((40, 60), bool)
  mask[10:20, 5:30] = True
  model = HTCDetectionModel(model=ModelOf(mask, [9.5, 4.25, 20.75, 30.5]))
  result = get_sliced_prediction(
    np.zeros((40, 120, 3), np.uint8),
    model,
    slice_height=40,
    slice_width=60,
    overlap_height_ratio=0,
    overlap_width_ratio=0,
    perform_standard_pred=False,
    verbose=0,
  )
  boxes = sorted(prediction.bbox.to_xyxy() for prediction in result.object_prediction_list)
  assert boxes == [[4.25, 9.5, 30.5, 20.75], [64.25, 9.5, 90.5, 20.75]]


def test_only_straight_lines_and_pairs_of_pixels_have_no_mask():
  def converted(*places):
    mask = np.zeros((40, 60), bool)
    for place in places:
      mask[place] = True
    (found,) = get_prediction(
      PIXELS, HTCDetectionModel(model=ModelOf(mask, [2, 2, 30, 30]))
    ).object_prediction_list
    assert found.bbox.to_xyxy() == [2, 2, 30, 30]
    assert found.to_coco_prediction().json['bbox'] == [2, 2, 28, 28]
    return found.mask and _mask(found).sum()

  row, diagonal, pair = np.s_[5, 3:25], (np.arange(3, 20), np.arange(3, 20)), np.s_[30, 40:42]
  assert all(converted(place) is None for place in (row, diagonal, pair))
  square = np.s_[25:29, 10:14]
  assert converted(square, row, pair) == 16
  assert converted(row, np.s_[5:25, 3]) == 41  # A line with a corner has a polygon.


def test_each_image_of_a_batch_is_converted():
  model = HTCDetectionModel(model=PerfectModel())
  pixels, masks = color_detector.picture((90, 130))
  model.perform_batch_inference([pixels] * 3)
  model.convert_original_predictions()
  assert [len(each) for each in model.object_prediction_list_per_image] == [len(masks)] * 3
  for shift in ([5, 6], [[5, 6]], np.array([5, 6])):
    model.convert_original_predictions(shift, [200, 300])
    for each in model.object_prediction_list_per_image:
      assert each[0].bbox.shift_amount == (5, 6) and each[0].mask.full_shape == [200, 300]
  model.convert_original_predictions([[0, 0], [1, 0], [2, 0]], [[200, 300]])
  shifts = [each[0].bbox.shift_x for each in model.object_prediction_list_per_image]
  assert shifts == [0, 1, 2]
  model.perform_batch_inference([])
  model.convert_original_predictions()
  assert model.object_prediction_list_per_image == []


@pytest.mark.parametrize(
  'options, message',
  [
    ({'shift_amount': [[0, 0]] * 2}, 'shift_amount does not fit.*2 pairs for 3 images'),
    ({'full_shape': [[90, 130]] * 4}, 'full_shape does not fit.*4 pairs for 3 images'),
    ({'full_shape': [[90, 130, 3]] * 3}, 'full_shape does not fit.*130, 3'),
    ({'shift_amount': [[0, 0], [1]]}, 'shift_amount does not fit'),
  ],
)
def test_shifts_and_shapes_of_another_number_of_images_are_errors(options, message):
  model = HTCDetectionModel(model=PerfectModel())
  model.perform_batch_inference([PIXELS] * 3)
  with pytest.raises(InputError, match=message):
    model.convert_original_predictions(**options)


def test_a_model_that_is_not_loaded_is_an_error_until_it_is(model_dir):
  model = HTCDetectionModel(model_path=model_dir, load_at_init=False)
  with pytest.raises(InputError, match=r'not loaded.*load_model'):
    get_prediction(PIXELS, model)
  model.load_model()
  get_prediction(PIXELS, model)
  model.unload_model()
  with pytest.raises(InputError, match=r'not loaded.*unload_model'):
    model.perform_inference(PIXELS)


def test_a_model_that_is_given_stays_without_load_at_init():
  given = PerfectModel()
  model = HTCDetectionModel(model=given, load_at_init=False)
  assert model.model is given
  model.load_model()
  assert model.model is given
  model.unload_model()
  with pytest.raises(InputError, match='There is no model'):
    model.load_model()


def test_conversion_needs_an_inference_that_succeeded():
  model = HTCDetectionModel(model=PerfectModel())
  with pytest.raises(InputError, match=r'no predictions to convert.*perform_inference'):
    model.convert_original_predictions()
  pixels, _ = color_detector.picture((90, 130))
  assert get_prediction(pixels, model).object_prediction_list
  model.confidence_threshold = 2
  with pytest.raises(InputError, match='out of range'):
    model.perform_inference(pixels)
  assert not model.object_prediction_list and not model.has_mask
  with pytest.raises(InputError, match=r'no predictions to convert.*one that failed'):
    model.convert_original_predictions()


def test_mappings_may_have_numbers_as_keys():
  pixels, _ = color_detector.picture((90, 130))
  model = HTCDetectionModel(
    model=PerfectModel(),
    category_mapping={7: 'seven', np.int64(8): 'eight'},
    category_remapping={7: 70},
  )
  assert model.category_mapping == {'7': 'seven', '8': 'eight'}
  category = get_prediction(pixels, model).object_prediction_list[0].category
  assert (category.id, category.name) == (70, 'seven')


def test_another_model_has_its_own_categories(predictor):
  model = HTCDetectionModel(model=predictor)
  assert model.category_names == ['cat', 'dog']
  model.set_model(PerfectModel())
  assert model.category_names == []
