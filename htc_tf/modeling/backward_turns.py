"""Order of the model's parts in the backward pass: one at a time, to free memory between them."""

from collections.abc import Callable
from typing import Any

from htc_tf.modeling.outputs import ImageFeatures
from htc_tf.ops.backward_order import run_backward_later


class BackwardTurns:
  """Calls of parts that read the same features, with backward passes that run one at a time.

  The last part runs backward first. Values and gradients are those of plain calls; only the order,
  and with it the peak of memory, differs (see `run_backward_later`).

  Args:
    features: features of the batch.
    num_parts: number of calls of `run` that will follow.
  """

  def __init__(self, features: ImageFeatures, num_parts: int):
    self._features = features
    self._num_left = num_parts

  def run(self, part: Callable[..., Any], *arguments: Any) -> Any:
    """Results of `part(features, *arguments)`.

    Args:
      part: function of features and arguments that returns nested float tensors.
      *arguments: further arguments of the part.
    """
    self._num_left -= 1
    results = part(self._features, *arguments)
    if self._num_left:  # The last part has no later part to wait for.
      results, self._features = delay_backward(results, self._features)
    return results


def delay_backward(results: Any, features: ImageFeatures) -> tuple[Any, ImageFeatures]:
  """Identity that delays the backward pass of `results` until later uses of `features` are done.

  Args:
    results: nested float tensors that were computed from the features; entries may be None.
    features: features of the batch, with a pooling table.

  Returns:
    `results`, and the features that later parts must read.
  """
  table = features.pooling_table
  if table is None or table.pixels is None:  # Under XLA, which orders its programs itself.
    return results, features
  results, pixels = run_backward_later(results, table.pixels)
  return results, features._replace(pooling_table=table._replace(pixels=pixels))
