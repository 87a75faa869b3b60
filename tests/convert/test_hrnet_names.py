"""Tests of the names of HRNet against the complete lists of published names and shapes."""

import hashlib
import json

import numpy as np
import pytest

from htc_tf.convert import conversion
from htc_tf.convert.checkpoint_file import Checkpoint
from htc_tf.convert.mmdet_names import MMDET
from htc_tf.convert.torchvision_names import TORCHVISION
from htc_tf.convert.variables import named_variables
from htc_tf.modeling.backbones.published_hrnet import HRNetSize, PublishedHRNet
from htc_tf.modeling.factory import build_htc
from parity.pack import EXTRACT
from tests import tiny
from tests.configs.test_experiments import parse
from tests.convert.test_conversion import checkpoint_of, randomized, values

# SHA-256 of the sorted JSON lists of names and shapes in the published files.
DIGESTS = {
  18: '54f6d7b8e3457320e9c675f8b84b0d31078ee2483b3613a0e61715e51c83b6a4',
  32: '0ea6c3c0442beb85734cc206ef1de466e07c5c4c70347f781c7390f3691e91f9',
  40: 'f0935985dfd4543766dcdbfb5fd01c1857ead3ad8a60512ddbd7a4fd3c26ca3c',
}
_NORM = ('bias', 'running_mean', 'running_var')


def published_shapes(width):
  """{name: shape} of the published HTC with HRNet, made of the stored list of its layers.

  The stored shapes are those of width 18. All parts but backbone and neck are those of R50.
  """
  widths = {18 * factor: width * factor for factor in (1, 2, 4, 8, 15)}
  layers = json.loads((EXTRACT / 'mmdet_htc_hrnetv2p-w18_layers.json').read_text())
  stored = json.loads((EXTRACT / 'mmdet_htc_r50_fpn_1x_coco_shapes.json').read_text())
  shapes = {name: shape for name, shape in stored if not name.startswith(('backbone.', 'neck.'))}
  for layer, stored_shape in layers.items():
    shape = [widths.get(size, size) for size in stored_shape]
    shapes[f'{layer}.weight'] = shape
    if len(shape) == 1:
      shapes.update({f'{layer}.{part}': shape for part in _NORM})
      shapes[f'{layer}.num_batches_tracked'] = []
    elif layer.startswith('neck.'):
      shapes[f'{layer}.bias'] = shape[:1]
  return shapes


@pytest.mark.parametrize('width', DIGESTS)
def test_the_lists_are_those_of_the_published_files(width):
  entries = json.dumps(sorted(published_shapes(width).items()))
  assert hashlib.sha256(entries.encode()).hexdigest() == DIGESTS[width]


def test_every_published_name_has_a_distinct_path_that_leads_back():
  names = [name for name in published_shapes(18) if not MMDET.ignores(name)]
  paths = {name: MMDET.find_path(name).name for name in names}
  assert all(MMDET.find_source(path).name == name for name, path in paths.items())
  assert len(set(paths.values())) == len(names) == 1629


@pytest.mark.parametrize(
  'name,path',
  [
    ('conv2.weight', 'conv2/kernel'),
    ('bn2.running_mean', 'bn2/moving_mean'),
    ('transition1.0.0.weight', 'transition1/0/conv/kernel'),
    ('transition3.3.0.1.bias', 'transition3/3/0/norm/beta'),
    ('stage3.2.branches.1.3.bn2.weight', 'stage3/2/branches/1/3/bn2/gamma'),
    ('stage4.1.fuse_layers.0.2.0.weight', 'stage4/1/fuse_layers/0/2/conv/kernel'),
    ('stage4.1.fuse_layers.3.0.1.1.running_var', 'stage4/1/fuse_layers/3/0/1/norm/moving_variance'),
  ],
)
def test_names_and_paths_are_translated(name, path):
  for name_map, prefix in ((MMDET, 'backbone.'), (TORCHVISION, '')):
    assert name_map.find_path(prefix + name).name == f'backbone/{path}'
    assert name_map.find_source(f'backbone/{path}').name == prefix + name


def tf_layout(shape):
  return [shape[2], shape[3], shape[1], shape[0]] if len(shape) == 4 else shape


def test_variables_have_the_published_shapes():
  """Those of the first module of each stage, and of the first block of each branch."""
  published = {
    MMDET.find_path(name).name: tf_layout(shape)
    for name, shape in published_shapes(18).items()
    if name.startswith('backbone.') and not MMDET.ignores(name)
  }

  class Model:
    """A model of a backbone alone."""

    backbone = PublishedHRNet(HRNetSize(18, (1, 1, 1), 1))
    decoder = rpn_head = semantic_head = cascade = None

  found = {path: list(v.shape) for path, v in named_variables(Model).items()}
  firsts = {
    path
    for path in published
    if all(part not in path.split('/')[2:3] for part in '123') or 'transition' in path
  }
  firsts -= {path for path in firsts if '/branches/' in path and path.split('/')[5] != '0'}
  assert found == {path: published[path] for path in firsts}


@pytest.mark.slow
@pytest.mark.parametrize('width', DIGESTS)
def test_models_have_the_published_names_and_shapes(width):
  file = f'experiments/htc_hrnetv2p_w{width}_20e_coco.yaml'
  model = build_htc(parse('htc_resnet50fpn_20e_coco', [file]).task.model)
  shapes = published_shapes(width)
  zero = np.zeros((), np.float32)
  tensors = {name: np.broadcast_to(zero, shape) for name, shape in shapes.items()}
  result = conversion.convert_checkpoint(Checkpoint(tensors, 'torch', 'htc.pth', ''), model)
  assert len(result.filled) == len(model.variables) and not result.unused
  written = conversion.published_weights(model, MMDET)
  assert {name: list(value.shape) for name, value in written.items()} == {
    name: shape for name, shape in shapes.items() if not MMDET.ignores(name)
  }


@pytest.mark.parametrize('name_map', [MMDET, TORCHVISION], ids=lambda name_map: name_map.source)
def test_the_round_trip_is_lossless(name_map):
  config = tiny.model(1, **tiny.HRNET)
  original, copy = randomized(config), tiny.build(config, seed=2)
  classifier = {'incre_modules.0.0.conv1.weight': np.zeros(1), 'classifier.bias': np.zeros(1)}
  extra = classifier if name_map is TORCHVISION else {}
  checkpoint = checkpoint_of(original, name_map, **extra)
  assert conversion.find_name_map(checkpoint) is name_map
  result = conversion.convert_checkpoint(checkpoint, copy)
  expected, filled = values(original), set(result.filled)
  assert filled == {path for path in expected if name_map is MMDET or path.startswith('backbone/')}
  for path, value in values(copy).items():
    if path in filled:
      np.testing.assert_array_equal(value, expected[path], err_msg=path)
