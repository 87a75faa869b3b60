"""Names of HRNet and HRFPN in mmdetection, and of the backbone in its ImageNet classifiers."""

from htc_tf.convert.layer_parts import CONV, KERNEL, NORM, WEIGHTS
from htc_tf.convert.name_map import Row, rows

_MODULE, _OUR_MODULE = 'stage{stage}.{module}', 'backbone/stage{stage}/{module}'
_BRANCH, _OUR_BRANCH = 'branches.{branch}.{block}', 'branches/{branch}/{block}'
_FUSE, _OUR_FUSE = 'fuse_layers.{target}.{source}', 'fuse_layers/{target}/{source}'
_TRANSITION, _OUR_TRANSITION = 'transition{stage}.{branch}', 'backbone/transition{stage}/{branch}'

# The layers of the ImageNet classifiers after the branches.
CLASSIFIER = r'(incre_modules|downsamp_modules|final_layer|classifier)\..*'


def hrnet_rows(prefix: str = '') -> tuple[Row, ...]:
  """Rows of HRNet that ResNet does not have; `conv1`, `bn1` and `layer1` have the same names.

  Args:
    prefix: prefix of the published names.
  """
  module, transition = prefix + _MODULE, prefix + _TRANSITION
  return (
    *rows(f'{prefix}conv2', 'backbone/conv2', KERNEL, CONV),
    *rows(f'{prefix}bn2', 'backbone/bn2', NORM, {}),
    *_normed_conv_rows(transition, _OUR_TRANSITION),
    *_normed_conv_rows(f'{transition}.{{step}}', f'{_OUR_TRANSITION}/{{step}}'),
    *rows(
      f'{module}.{_BRANCH}.conv{{conv}}', f'{_OUR_MODULE}/{_OUR_BRANCH}/conv{{conv}}', KERNEL, CONV
    ),
    *rows(f'{module}.{_BRANCH}.bn{{norm}}', f'{_OUR_MODULE}/{_OUR_BRANCH}/bn{{norm}}', NORM, {}),
    *_normed_conv_rows(f'{module}.{_FUSE}', f'{_OUR_MODULE}/{_OUR_FUSE}'),
    *_normed_conv_rows(f'{module}.{_FUSE}.{{step}}', f'{_OUR_MODULE}/{_OUR_FUSE}/{{step}}'),
  )


def hrfpn_rows() -> tuple[Row, ...]:
  """Rows of HRFPN that FPN does not have; the convolutions of the levels have the same names."""
  return rows('neck.reduction_conv.conv', 'decoder/reduction', WEIGHTS, CONV)


def _normed_conv_rows(source: str, path: str) -> tuple[Row, ...]:
  """Rows of a convolution and its norm, which have the numbers 0 and 1 in the published names."""
  return (
    *rows(f'{source}.0', f'{path}/conv', KERNEL, CONV),
    *rows(f'{source}.1', f'{path}/norm', NORM, {}),
  )
