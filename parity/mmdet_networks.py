"""Networks of mmdetection 3.3.0 with drawn weights, for the modules that make references.

As these modules, it runs in an environment with mmdetection.
"""

import os
from collections.abc import Mapping
from typing import Any

import mmdet
import numpy as np
import torch
from mmengine.config import Config

from parity import mmdet_composite, step_weights


def configuration(name: str) -> Any:
  """The published configuration of a model, which loads no weights of its backbone.

  Args:
    name: folder and name in mmdetection's `configs`, such as `htc/htc_r50_fpn_1x_coco`.
  """
  folder = os.path.join(os.path.dirname(mmdet.__file__), '.mim', 'configs')
  model = Config.fromfile(os.path.join(folder, f'{name}.py')).model
  model.backbone.init_cfg = None
  return model


def shapes(model: Any) -> dict[str, tuple[int, ...]]:
  """{published name: shape} of what a network learns or measures, in the order of its state."""
  skipped = ('.num_batches_tracked', step_weights.COMPUTED)
  return {
    mmdet_composite.published_name(name): tuple(values.shape)
    for name, values in model.state_dict().items()
    if not name.endswith(skipped)
  }


def fill(model: Any, weights: Mapping[str, np.ndarray]) -> None:
  """Put weights into a network; entries without one are left as they are.

  Args:
    model: the network.
    weights: arrays in the published layout, by published name.
  """
  for name, values in model.state_dict().items():
    published = mmdet_composite.published_name(name)
    if published in weights:
      array = mmdet_composite.from_published(name, weights[published])
      values.copy_(torch.from_numpy(array))
