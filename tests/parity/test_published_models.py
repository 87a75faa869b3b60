"""Tests of the published models against the reference arrays that the repository holds."""

import numpy as np
import pytest

from htc_tf.convert import conversion, published_files
from htc_tf.convert.mmdet_names import MMDET
from parity import (
  forward,
  measurement,
  members,
  mmdet_image,
  mmdet_views,
  ops,
  paddle_image,
  zoo,
)
from parity.pack import EXTRACT, MEMBER_EXTRACT, ZOO_EXTRACT, Pack

PACK, ZOO_PACK = Pack(EXTRACT), Pack(ZOO_EXTRACT)


def assert_all_pass(measurements, min_checks):
  """Check that at least `min_checks` references are present and that all their checks pass."""
  checks, _ = measurement.run(measurements)
  assert not [check for check in checks if not check.ok]
  assert len(checks) >= min_checks


def test_operations_agree_with_the_reference():
  assert_all_pass(ops.measurements(PACK), 33)


def test_the_model_of_paddle_agrees_with_the_reference():
  image = paddle_image.PaddleImage(PACK, 'b', lambda: model)
  model = paddle_image.build_paddle_model(PACK)
  assert_all_pass(image.measurements(), 13)


@pytest.mark.parametrize(
  'variant',
  [mmdet_image.VARIANTS[0], pytest.param(mmdet_image.VARIANTS[1], marks=pytest.mark.slow)],
  ids=lambda variant: variant.config,
)
def test_models_of_mmdetection_agree_with_the_reference(variant):
  assert_all_pass(mmdet_image.MmdetImage(PACK, variant).measurements(), 8)


@pytest.mark.parametrize(
  'variant',
  [zoo.VARIANTS[0], *(pytest.param(v, marks=pytest.mark.slow) for v in zoo.VARIANTS[1:])],
  ids=lambda variant: variant.config,
)
def test_families_around_htc_agree_with_the_reference(variant):
  assert_all_pass(mmdet_image.MmdetImage(ZOO_PACK, variant).measurements(), 7)


@pytest.mark.slow
@pytest.mark.parametrize('variant', members.variants(), ids=lambda variant: variant.config)
def test_larger_networks_agree_with_the_reference(variant):
  assert_all_pass(mmdet_image.MmdetImage(Pack(MEMBER_EXTRACT), variant).measurements(), 14)


def test_networks_of_bgr_images_are_compared_as_files_with_their_hash():
  hashes = {variant.config: variant.sha256 for variant in members.variants()}
  assert published_files.reads_bgr('', hashes['mask-rcnn_x101-32x8d_fpn_1x_coco'])
  assert published_files.reads_bgr('', hashes['cascade-mask-rcnn_x101-32x8d_fpn_ms-3x_coco'])
  assert not published_files.reads_bgr('', hashes['mask-rcnn_r101_fpn_1x_coco'])


@pytest.mark.slow
def test_test_time_augmentation_agrees_with_the_reference():
  assert_all_pass(mmdet_views.MmdetViews(PACK).measurements(), 3)


@pytest.mark.slow
@pytest.mark.parametrize('variant', mmdet_image.VARIANTS[2:], ids=lambda variant: variant.config)
def test_weights_of_resnext_are_unchanged_after_conversion_and_back(variant):
  state = PACK.mmdet_state(variant.config)
  model = forward.build_model(variant.experiment, variant.overrides, lambda: state)
  written = conversion.published_weights(model, MMDET)
  named = {name for name in state.tensors if not name.endswith('num_batches_tracked')}
  assert set(written) == named
  for name in named:
    np.testing.assert_array_equal(written[name], state.tensors[name], err_msg=name)
