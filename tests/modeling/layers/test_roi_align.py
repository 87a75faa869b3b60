"""Tests of RoIAlign against stored reference arrays, and of the choice of levels."""

import numpy as np
import pytest
import tensorflow as tf

from htc_tf import errors
from htc_tf.modeling.layers import roi_align as roi_align_lib
from parity.pack import EXTRACT

_STRIDE = 8.0
_traced_align = tf.function(roi_align_lib.roi_align, autograph=False)
_compiled_align = tf.function(roi_align_lib.roi_align, jit_compile=True, autograph=False)


@pytest.fixture(scope='module', name='reference')
def _reference():
  """Stored arrays, channels last; in each of the two images, RoIs of the other are padding."""
  path = EXTRACT / 'ops.npz'
  with np.load(path) as arrays:
    stored = {key[10:]: arrays[key] for key in arrays.files if key.startswith('roi_align/')}
  rois = stored.pop('rois')
  places = rois[:, 0].astype(int), np.arange(len(rois))
  reference = {key: np.moveaxis(value, 1, -1) for key, value in stored.items() if value.ndim == 4}
  reference['places'] = places
  reference['rois'] = np.full([2, len(rois), 4], -1, np.float32)
  reference['rois'][places] = rois[:, [2, 1, 4, 3]]
  return reference


def _gradient(function, feature, rois, size, upstream):
  feature = tf.constant(feature)
  with tf.GradientTape() as tape:
    tape.watch(feature)
    output = function(feature, rois, _STRIDE, size)
  return output, tape.gradient(output, feature, output_gradients=tf.constant(upstream))


@pytest.mark.parametrize('size', [7, 14])
@pytest.mark.parametrize('function', [roi_align_lib.roi_align, _traced_align, _compiled_align])
def test_output_and_gradient_equal_the_reference(reference, function, size):
  places, expected = reference['places'], reference[f'output{size}']
  upstream = np.zeros([2, len(expected), *expected.shape[1:]], np.float32)
  upstream[places] = reference[f'upstream{size}']
  output, gradient = _gradient(function, reference['features'], reference['rois'], size, upstream)
  np.testing.assert_allclose(output.numpy()[places], expected, atol=1e-5 * np.abs(expected).max())
  expected = reference[f'feature_gradient{size}']
  np.testing.assert_allclose(gradient, expected, atol=1e-5 * np.abs(expected).max())


@pytest.mark.parametrize('function', [roi_align_lib.roi_align, _compiled_align])
def test_padding_and_empty_rois_give_zero(reference, function):
  rois = np.array([[[-1] * 4, [5, 5, 5, 20]], [[3, 3, 60, 3], [-1] * 4]], np.float32)
  output = function(reference['features'], rois, _STRIDE, 7)
  assert output.shape == (2, 2, 7, 7, 12)
  assert not np.any(output)


def test_rois_get_no_gradient(reference):
  rois = tf.constant(reference['rois'])
  with tf.GradientTape() as tape:
    tape.watch(rois)
    output = roi_align_lib.roi_align(reference['features'], rois, _STRIDE, 7)
  assert tape.gradient(output, rois) is None


def test_sizes_may_be_unknown_and_inputs_may_be_empty(reference):
  function = tf.function(
    lambda feature, rois: roi_align_lib.roi_align(feature, rois, _STRIDE, 7),
    input_signature=[tf.TensorSpec([None, None, None, 12]), tf.TensorSpec([None, None, 4])],
    autograph=False,
  )
  expected = reference['output7']
  output = function(reference['features'], reference['rois']).numpy()
  np.testing.assert_allclose(output[reference['places']], expected, atol=1e-5)
  assert function(reference['features'], tf.zeros([2, 0, 4])).shape == (2, 0, 7, 7, 12)
  assert function(tf.zeros([0, 4, 4, 12]), tf.zeros([0, 3, 4])).shape == (0, 3, 7, 7, 12)


def _pyramid(dtype=tf.float32):
  rng = np.random.default_rng(0)
  return {
    str(level): tf.cast(rng.normal(size=[2, 256 >> level, 192 >> level, 3]), dtype)
    for level in range(2, 7)
  }


def _rois(num=60):
  rng = np.random.default_rng(1)
  centers = rng.uniform(0, 1, size=[2, num, 2]) * [256, 192]
  sizes = np.exp(rng.uniform(np.log(4), np.log(300), size=[2, num, 2]))
  rois = np.concatenate([centers - sizes / 2, centers + sizes / 2], axis=-1).astype(np.float32)
  rois[:, -3:] = -1
  return rois


@pytest.mark.parametrize(
  'wrap',
  [
    lambda function: function,
    lambda function: tf.function(function, autograph=False),
    lambda function: tf.function(function, jit_compile=True, autograph=False),
  ],
  ids=['eager', 'traced', 'compiled'],
)
def test_every_roi_is_pooled_from_its_level(wrap):
  features, rois = _pyramid(), _rois()
  aligner = roi_align_lib.MultilevelRoIAligner(crop_size=7, finest_scale=28.0)
  output = wrap(aligner)(features, rois)
  levels = aligner.assign_levels(rois).numpy()
  assert set(levels.ravel()) == {2, 3, 4, 5}
  for level in range(2, 6):
    alone = roi_align_lib.roi_align(features[str(level)], rois, 2.0**level, 7).numpy()
    in_level = levels == level
    np.testing.assert_allclose(output.numpy()[in_level], alone[in_level], atol=3e-5)


@pytest.mark.parametrize('jit_compile', [False, True])
def test_multilevel_gradient_is_the_transpose_of_the_output(jit_compile):
  """The output is linear in the features, so <upstream, output> = <gradient, features>."""
  features, rois = _pyramid(), _rois()
  aligner = roi_align_lib.MultilevelRoIAligner(crop_size=7, finest_scale=28.0)
  pooled_from = {level: features[level] for level in ('2', '3', '4', '5')}

  @tf.function(jit_compile=jit_compile, autograph=False)
  def products():
    with tf.GradientTape() as tape:
      tape.watch(pooled_from)
      output = aligner(pooled_from, rois)
      product = tf.reduce_sum(tf.square(output))
    gradient = tape.gradient(product, pooled_from)
    return product, sum(tf.reduce_sum(gradient[key] * pooled_from[key]) for key in pooled_from)

  product, gradient_product = products()
  np.testing.assert_allclose(gradient_product, 2 * product, rtol=1e-4)


def test_the_dtype_of_the_features_is_kept():
  aligner = roi_align_lib.MultilevelRoIAligner(crop_size=7)
  output = aligner(_pyramid(tf.bfloat16), _rois())
  assert output.dtype == tf.bfloat16
  exact = aligner(
    tf.nest.map_structure(lambda x: tf.cast(x, tf.float32), _pyramid(tf.bfloat16)), _rois()
  )
  np.testing.assert_allclose(tf.cast(output, tf.float32), exact, rtol=1e-2, atol=1e-6)


def _levels_of_sides(rule, *sides):
  aligner = roi_align_lib.MultilevelRoIAligner(crop_size=7, level_rule=rule)
  return aligner.assign_levels([[0.0, 0.0, side, side] for side in sides]).numpy().tolist()


def test_level_rules_differ_only_near_a_boundary():
  sides = (1.0, 111.0, 112.0, 223.0, 224.0, 447.0, 448.0, 5000.0)
  for rule in ('mmdet', 'paddle'):
    assert _levels_of_sides(rule, *sides) == [2, 2, 3, 3, 4, 4, 5, 5]
  assert _levels_of_sides('paddle', 111.9997, 111.9998) == [2, 3]
  assert _levels_of_sides('mmdet', 111.9997, 111.9998) == [2, 2]
  with pytest.raises(errors.ConfigError, match='nearest'):
    roi_align_lib.MultilevelRoIAligner(crop_size=7, level_rule='nearest')
