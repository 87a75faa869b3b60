"""Tests of the signatures of an export."""

import numpy as np
import pytest
import tensorflow as tf

from htc_tf.data import preprocess
from htc_tf.errors import stated_message
from htc_tf.evaluation import mask_paste
from htc_tf.serving.export_format import ExportFormat
from htc_tf.serving.served_model import ServedModel

_OUTPUTS = {
  'detection_boxes',
  'detection_scores',
  'detection_classes',
  'num_detections',
  'detection_masks',
  'image_info',
  'error_code',
}
_SIZES = [(40, 60), (300, 200), (20, 30), (64, 64), (33, 90), (1, 5), (48, 48), (150, 40)]


def _images(sizes, seed=0):
  rng = np.random.default_rng(seed)
  return [rng.integers(0, 256, (*size, 3), np.uint8) for size in sizes]


def _encode(images):
  return tf.stack([tf.io.encode_png(image) for image in images])


def _example(encoded):
  feature = tf.train.Feature(bytes_list=tf.train.BytesList(value=[encoded]))
  return tf.train.Example(
    features=tf.train.Features(feature={'image/encoded': feature})
  ).SerializeToString()


@pytest.fixture(name='served', scope='module')
def _served(saved_model):
  return tf.saved_model.load(saved_model)


@pytest.fixture(name='packed', scope='module')
def _packed(packed_model):
  return tf.saved_model.load(packed_model)


def _run(served, signature, inputs):
  outputs = served.signatures[signature](inputs=tf.constant(inputs))
  return {key: value.numpy() for key, value in outputs.items()}


def _model_outputs(predictor, images):
  """Outputs of the model for one batch of padded images, without the serving code."""
  prepared = [preprocess.preprocess_image(tf.constant(image), 48, 64, (64, 64)) for image in images]
  sizes = np.array([info[1].numpy() for _, info in prepared])
  height, width = (-(-sizes.max(0) // 32) * 32).astype(int)
  inputs = tf.stack([padded[:height, :width] for padded, _ in prepared])
  model_inputs = {'images': inputs, 'image_shape': tf.constant(sizes)}
  outputs = predictor.model(model_inputs, training=False).to_dict()
  scales = np.array([info[2].numpy() for _, info in prepared])
  return {
    **{key: value.numpy() for key, value in outputs.items()},
    'detection_boxes': outputs['detection_boxes'].numpy() / np.tile(scales, 2)[:, None],
  }


@pytest.mark.parametrize(
  'batch, size', [(1, (40, 60)), (1, (300, 200)), (8, (40, 60)), (8, (150, 200)), (1, (1, 5))]
)
def test_every_signature_gives_the_outputs_of_predict(predictor, served, batch, size):
  images = np.stack(_images([size] * batch))
  expected = predictor.predict(images, verbose=0)
  encoded = _encode(images).numpy()
  for signature, inputs in (
    ('serving_default', images),
    ('image_bytes', encoded),
    ('tf_example', [_example(image) for image in encoded]),
  ):
    outputs = _run(served, signature, inputs)
    assert set(outputs) == _OUTPUTS
    assert outputs['error_code'].tolist() == [0] * batch
    assert (outputs['image_info'][:, 0] == size).all()
    for key, value in expected.items():
      np.testing.assert_allclose(outputs[key], value, atol=1e-3, err_msg=key)


def test_images_of_eight_sizes_are_detected_in_one_batch(predictor, served):
  images = _images(_SIZES)
  outputs, expected = (
    _run(served, 'image_bytes', _encode(images)),
    _model_outputs(predictor, images),
  )
  assert outputs['image_info'][:, 0].tolist() == [list(size) for size in _SIZES]
  np.testing.assert_array_equal(outputs['num_detections'], expected['num_detections'])
  for key in ('detection_scores', 'detection_masks', 'detection_classes'):
    np.testing.assert_allclose(outputs[key], expected[key], atol=1e-4, err_msg=key)
  np.testing.assert_allclose(outputs['detection_boxes'], expected['detection_boxes'], atol=2e-3)


@pytest.mark.parametrize('fixture', ['served', 'packed'])
@pytest.mark.parametrize('signature', ['image_bytes', 'tf_example'])
def test_corrupt_elements_are_empty_and_do_not_affect_the_others(request, fixture, signature):
  model = request.getfixturevalue(fixture)
  good = _encode(_images([(40, 60), (64, 64)])).numpy()
  wrap = _example if signature == 'tf_example' else lambda content: content
  mixed = _run(model, signature, [wrap(x) for x in (good[0], good[1][:500], good[1], b'', b'no')])
  alone = _run(model, signature, [wrap(x) for x in good])
  assert mixed['error_code'].tolist() == [0, 1, 0, 1, 1]
  for key, value in mixed.items():
    if key != 'error_code':
      assert not value[[1, 3, 4]].any(), key
    np.testing.assert_allclose(value[[0, 2]], alone[key], atol=1e-4, err_msg=key)
  assert mixed['num_detections'][[0, 2]].all()


@pytest.mark.parametrize('fixture', ['served', 'packed'])
def test_a_batch_of_corrupt_elements_is_empty(request, fixture):
  outputs = _run(request.getfixturevalue(fixture), 'image_bytes', [b'', b'no image'])
  assert outputs['error_code'].tolist() == [1, 1]
  assert not any(value.any() for key, value in outputs.items() if key != 'error_code')


def test_normalized_boxes_and_packed_masks_are_those_of_predict(predictor, packed):
  images = np.stack(_images([(50, 61)] * 2))
  expected = predictor.predict(images, verbose=0)
  outputs = _run(packed, 'serving_default', images)
  boxes = outputs['detection_boxes']
  assert boxes.min() >= 0 and 0.5 < boxes.max() <= 1
  np.testing.assert_allclose(boxes * [50, 61, 50, 61], expected['detection_boxes'], atol=1e-3)
  masks = [
    mask_paste.paste_masks(probs, box, (50, 61))
    for probs, box in zip(expected['detection_masks'], expected['detection_boxes'])
  ]
  assert outputs['detection_masks'].shape == (2, 10, 50, 8)
  assert np.any(masks)
  packed_masks = np.unpackbits(outputs['detection_masks'], axis=-1)[..., :61]
  # Boxes and probabilities of two runs differ in their last digits.
  assert (packed_masks != masks).mean() < 1e-3


def test_full_masks_equal_those_of_the_evaluation_and_are_zero_outside_each_image(predictor):
  images = _images([(40, 60), (90, 33)])
  served = {
    form: ServedModel(predictor, ExportFormat(masks=form)).served['image_bytes'](
      inputs=_encode(images)
    )
    for form in ('full', 'cropped')
  }
  masks = served['full']['detection_masks'].numpy()
  assert masks.shape == (2, 10, 90, 60) and masks.dtype == np.uint8 and masks.any()
  assert not masks[0, :, 40:].any() and not masks[1, :, :, 33:].any()
  cropped = {key: value.numpy() for key, value in served['cropped'].items()}
  for row, image in enumerate(images):
    height, width = image.shape[:2]
    expected = mask_paste.paste_masks(
      cropped['detection_masks'][row], cropped['detection_boxes'][row], (height, width)
    )
    assert (masks[row, :, :height, :width] != expected).mean() <= 1e-5


@pytest.mark.parametrize('fixture', ['served', 'packed'])
@pytest.mark.parametrize(
  'signature, shape',
  [
    ('serving_default', [0, 40, 60, 3]),
    ('serving_default', [0, 0, 0, 3]),
    ('image_bytes', [0]),
    ('tf_example', [0]),
  ],
)
def test_an_empty_batch_gives_empty_outputs(request, fixture, signature, shape):
  model = request.getfixturevalue(fixture)
  dtype = tf.uint8 if signature == 'serving_default' else tf.string
  one = _run(model, 'image_bytes', _encode(_images([(40, 60)])))
  outputs = _run(model, signature, tf.zeros(shape, dtype))
  assert set(outputs) == set(one)
  for key, value in outputs.items():
    assert value.dtype == one[key].dtype
    num_axes = 2 if key == 'detection_masks' else value.ndim  # Masks have the size of the image.
    assert value.shape[:num_axes] == (0, *one[key].shape[1:num_axes])
    assert value.ndim == one[key].ndim


@pytest.mark.parametrize(
  'signature, shape',
  [
    ('serving_default', [40, 60, 3]),
    ('serving_default', [2, 40, 60]),
    ('serving_default', [2, 40, 60, 1]),
    ('serving_default', [2, 40, 60, 4]),
    ('serving_default', [2, 3, 40, 60]),
    ('serving_default', [1, 2, 40, 60, 3]),
    ('serving_default', [1, 0, 60, 3]),
    ('serving_default', [0, 40, 60, 4]),
    ('serving_default', [0]),
    ('serving_default', []),
    ('image_bytes', []),
    ('image_bytes', [1, 1]),
    ('image_bytes', [0, 2]),
    ('tf_example', []),
    ('tf_example', [2, 1]),
  ],
)
def test_another_shape_is_an_error_that_states_both(served, signature, shape):
  dtype = tf.uint8 if signature == 'serving_default' else tf.string
  with pytest.raises(tf.errors.InvalidArgumentError) as error:
    _run(served, signature, tf.zeros(shape, dtype))
  what, expected = {
    tf.uint8: ('images', '[batch, height, width, 3] uint8, RGB'),
    tf.string: ('strings', '[batch] string, one encoded image or tf.train.Example per entry'),
  }[dtype]
  stated = stated_message(error.value)
  got = ' '.join(map(str, shape))
  assert stated.startswith(
    f'The model cannot read these {what}. Expected: {expected}. Got: the shape [{got}]. Likely'
  )
  assert stated.endswith('.')


def test_an_image_of_too_many_pixels_has_its_error_code(predictor):
  signature = ServedModel(predictor, ExportFormat(max_pixels=2000)).served['image_bytes']
  outputs = signature(inputs=_encode(_images([(40, 60), (40, 50)])))
  assert outputs['error_code'].numpy().tolist() == [2, 0]
  assert outputs['num_detections'].numpy()[0] == 0


def test_the_first_axis_of_every_output_is_the_batch(served, packed):
  for model in (served, packed):
    for signature in model.signatures.values():
      (inputs,) = signature.structured_input_signature[1].items()
      assert inputs[0] == 'inputs'
      assert all(
        spec.shape.rank >= 1 and spec.shape[0] is None
        for spec in signature.structured_outputs.values()
      )
