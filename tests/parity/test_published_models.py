"""The published models against the reference, with what is stored here of its arrays."""

import numpy as np
import pytest

from htc_tf.convert import conversion
from htc_tf.convert.mmdet_names import MMDET
from parity import forward, measurement, mmdet_image, ops, paddle_image
from parity.pack import EXTRACT, Pack

PACK = Pack(EXTRACT)


def assert_all_meet_their_bars(measurements, least):
  """At least `least` rows have their reference here, and all of these pass."""
  checks, _ = measurement.run(measurements)
  assert not [check for check in checks if not check.ok]
  assert len(checks) >= least


def test_operations():
  assert_all_meet_their_bars(ops.measurements(PACK), 33)


def test_paddle():
  image = paddle_image.PaddleImage(PACK, 'b', lambda: model)
  model = paddle_image.build_paddle_model(PACK)
  assert_all_meet_their_bars(image.measurements(), 13)


@pytest.mark.parametrize(
  'variant',
  [mmdet_image.VARIANTS[0], pytest.param(mmdet_image.VARIANTS[1], marks=pytest.mark.slow)],
  ids=lambda variant: variant.config,
)
def test_mmdet(variant):
  assert_all_meet_their_bars(mmdet_image.MmdetImage(PACK, variant).measurements(), 8)


@pytest.mark.slow
@pytest.mark.parametrize('variant', mmdet_image.VARIANTS[2:], ids=lambda variant: variant.config)
def test_conversion_of_resnext_is_lossless(variant):
  state = PACK.mmdet_state(variant.config)
  model = forward.build_model(variant.experiment, variant.overrides, lambda: state)
  written = conversion.published_weights(model, MMDET)
  named = {name for name in state.tensors if not name.endswith('num_batches_tracked')}
  assert set(written) == named
  for name in named:
    np.testing.assert_array_equal(written[name], state.tensors[name], err_msg=name)
