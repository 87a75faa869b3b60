"""Tests of the size of the anchors that initial weights were trained with."""

import numpy as np
import pytest

from htc_tf.checkpoints import model_directory
from htc_tf.errors import CheckpointError
from htc_tf.tasks import initial_anchors
from tests import tiny, tiny_checkpoints

_KERNEL = np.zeros([2, 3, 3, 3], np.float32)


def _published(folder, *names) -> str:
  stored = tiny_checkpoints.storage('0', _KERNEL.size)
  state = {name: tiny_checkpoints.tensor(stored, _KERNEL.shape) for name in names}
  path = folder / 'weights.pth'
  content = tiny_checkpoints.torch_zip({'state_dict': state}, {'0': _KERNEL.tobytes()})
  path.write_bytes(content)
  return str(path)


def test_published_models_have_the_published_anchors(tmp_path):
  path = _published(tmp_path, 'backbone.conv1.weight', 'neck.x', 'roi_head.x')
  assert initial_anchors.trained_scale(path, 4.0) == 8.0


@pytest.mark.parametrize('name', ['conv1.weight', 'backbone.conv1.weight'])
def test_a_classifier_has_no_anchors(tmp_path, name):
  assert initial_anchors.trained_scale(_published(tmp_path, name), 8.0) is None


def test_a_swin_transformer_has_no_anchors(tmp_path):
  names = 'patch_embed.proj.weight', 'layers.0.blocks.0.attn.relative_position_bias_table'
  assert initial_anchors.trained_scale(_published(tmp_path, *names), 8.0) is None


def test_an_unknown_file_is_refused(tmp_path):
  with pytest.raises(CheckpointError, match='does not hold a known model'):
    initial_anchors.trained_scale(_published(tmp_path, 'encoder.weight'), 8.0)


@pytest.mark.parametrize('name', ['', 'ckpt-7'])
def test_the_anchors_of_a_run_are_in_its_configuration(tmp_path, name):
  params = model_directory.load_experiment('', 'htc_nuclei')
  params.task.model = tiny.model(anchor={'scale': 2.0})
  model_directory.save_params(str(tmp_path), params)
  (tmp_path / 'checkpoint').write_text('model_checkpoint_path: "ckpt-7"\n')
  (tmp_path / 'ckpt-7.index').write_bytes(b'')
  (tmp_path / 'ckpt-7.data-00000-of-00001').write_bytes(b'')
  path = str(tmp_path / name) if name else str(tmp_path)
  assert initial_anchors.trained_scale(path, 8.0) == 2.0
  (tmp_path / 'params.yaml').unlink()
  assert initial_anchors.trained_scale(path, 4.0) == 4.0


@pytest.mark.parametrize('name', ['nothing.pth', 'nothing'])
def test_what_is_missing_is_reported_later(tmp_path, name):
  assert initial_anchors.trained_scale(str(tmp_path / name), 4.0) == 4.0
