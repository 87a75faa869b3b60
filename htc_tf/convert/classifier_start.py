"""What an ImageNet classifier leaves open in a detector that starts from it."""

from collections.abc import Iterable, Mapping

import tensorflow as tf

from htc_tf.modeling.layers.standardized_conv import kernel_moments

# Second backbone, that of a recursive pyramid or of a composite, to the one that the file fills.
_SECOND_BACKBONES = {
  'decoder/feedback_backbone/': 'backbone/',
  'backbone/trunks/1/': 'backbone/trunks/0/',
}
# Norms of the outputs of a Swin transformer. They start anew if the classifier lacks them.
_OUTPUT_NORMS = 'backbone/trunks/1/norms/'


def finish(variables: Mapping[str, tf.Variable], optional: Iterable[str]) -> list[str]:
  """Finish a model whose backbone has the weights of a classifier, as the published code does.

  A standardized convolution gets the moments of its kernel, so that it computes what the classifier
  does. A second backbone, of a recursive pyramid or of a composite, gets the values of the first
  one.

  Args:
    variables: all variables of the model by path.
    optional: paths of the variables of the backbone that have no value yet.

  Returns:
    Paths of the variables that were set.
  """
  filled, new = [], set(optional)
  for path in sorted(new):
    layer, _, name = path.rpartition('/')
    if name in ('weight_gamma', 'weight_beta'):
      mean, deviation = kernel_moments(tf.convert_to_tensor(variables[f'{layer}/kernel']))
      variables[path].assign(deviation if name == 'weight_gamma' else mean)
      filled.append(path)
  for path, variable in variables.items():
    first = _first_path(path)
    starts_anew = path.startswith(_OUTPUT_NORMS) and first in new
    if first is not None and first in variables and not starts_anew:
      variable.assign(variables[first])
      filled.append(path)
  return filled


def _first_path(path: str) -> str | None:
  """Path in the first backbone of a variable of the second one; None for other variables."""
  for second, first in _SECOND_BACKBONES.items():
    if path.startswith(second):
      return first + path.removeprefix(second)
  return None
