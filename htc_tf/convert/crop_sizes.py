"""The size of the RoI features that the box heads of a published file read."""

import math

from htc_tf.convert import transforms
from htc_tf.convert.name_map import Row


def published_size(
  row: Row, published_shape: tuple[int, ...], shape: tuple[int, ...], crop_size: int
) -> int | None:
  """The side, in bins, of the RoI features of an entry; None if anything else differs.

  Args:
    row: row of the name map for the entry.
    published_shape: shape of the entry.
    shape: shape of its variable.
    crop_size: side of the RoI features of the model.
  """
  if not row.flattens_rois:
    return None
  others = [step for step in row.steps if step.crop_size is None]
  converted = transforms.converted_shape(others, published_shape)
  if converted is None or len(converted) != 2 or converted[1] != shape[1]:
    return None
  num_channels = shape[0] // crop_size**2
  size = math.isqrt(converted[0] // num_channels)
  return size if size**2 * num_channels == converted[0] else None
