"""Tests of names and shapes of whole models against the complete lists of published ones."""

import json
import pathlib
import re

import numpy as np
import pytest

from htc_tf.configs import parsing
from htc_tf.convert import transforms
from htc_tf.convert.mmdet_names import MMDET
from htc_tf.convert.variables import named_variables
from htc_tf.modeling.factory import build_htc
from parity.pack import ZOO_EXTRACT

FOLDER = pathlib.Path(__file__).parents[2] / 'experiments'


def published_shape(variable, row):
  """Shape of a variable in the published layout, without a copy of its values."""
  dummy = np.broadcast_to(np.zeros((), np.bool_), variable.shape)
  return list(transforms.revert(row.steps, dummy).shape)


@pytest.mark.slow
@pytest.mark.parametrize(
  'file,config',
  [
    ('htc_res2net101_v1d_26w_4s_fpn_20e_coco', 'htc_res2net-101_fpn_20e_coco'),
    ('detectors_htc_resnet50_1x_coco', 'detectors_htc-r50_1x_coco'),
    ('detectors_htc_resnet101_20e_coco', 'detectors_htc-r101_20e_coco'),
    ('htc_cbnetv2_swin_base_4conv1fc_coco', 'htc_cbv2_swin_base_4conv1f'),
    ('htc_cbnetv2_swin_large_4conv1fc_coco', 'htc_cbv2_swin_large_4conv1f'),
  ],
)
def test_every_variable_has_a_published_name_and_shape(file, config):
  path = FOLDER / f'{file}.yaml'
  experiment = re.search(r'--experiment=(\w+)', path.read_text(encoding='utf-8')).group(1)
  model = build_htc(parsing.parse(experiment, [str(path)], ()).params.task.model)
  ours = {}
  for variable_path, variable in named_variables(model).items():
    match = MMDET.find_source(variable_path)
    ours[match.name] = published_shape(variable, match.row)
  stored = dict(json.loads((ZOO_EXTRACT / f'{config}_shapes.json').read_text()))
  assert ours == {name: shape for name, shape in stored.items() if not MMDET.ignores(name)}
