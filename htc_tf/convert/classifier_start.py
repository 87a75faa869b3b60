"""What an ImageNet classifier leaves open in a detector that starts from it."""

from collections.abc import Iterable, Mapping

import tensorflow as tf

from htc_tf.modeling.layers.standardized_conv import kernel_moments

_FIRST, _SECOND = 'backbone/', 'decoder/feedback_backbone/'


def finish(variables: Mapping[str, tf.Variable], optional: Iterable[str]) -> list[str]:
  """Finish a model whose backbone has the weights of a classifier, as the published code does.

  A standardized convolution gets the moments of its kernel, so that it computes what the classifier
  does. A second backbone gets the values of the first one.

  Args:
    variables: all variables of the model by path.
    optional: paths of the variables of the backbone that have no value yet.

  Returns:
    Paths of the variables that were set.
  """
  filled = []
  for path in optional:
    layer, _, name = path.rpartition('/')
    if name in ('weight_gamma', 'weight_beta'):
      mean, deviation = kernel_moments(tf.convert_to_tensor(variables[f'{layer}/kernel']))
      variables[path].assign(deviation if name == 'weight_gamma' else mean)
      filled.append(path)
  for path, variable in variables.items():
    first = path.replace(_SECOND, _FIRST, 1)
    if path.startswith(_SECOND) and first in variables:
      variable.assign(variables[first])
      filled.append(path)
  return filled
