"""Tests of compiled training steps on one and two replicas.

They have a file of their own because two replicas with two buckets compile four programs, which
need gigabytes of memory.
"""

import numpy as np
import pytest
from official.common import distribute_utils

from htc_tf.ops import xla
from htc_tf.tasks.htc import HTCTask
from tests import tiny
from tests.replicated_step import assert_same_update, distributed_step


@pytest.fixture(name='mirrored', params=['mirrored', 'two_replicas'])
def _mirrored(request):
  """A mirrored strategy: that of Model Garden on one device, and one with two replicas."""
  if request.param == 'mirrored':
    return distribute_utils.get_distribution_strategy('mirrored')
  return request.getfixturevalue('two_replicas')


def test_a_compiled_step_gives_the_same_losses_and_weights(mirrored, monkeypatch):
  """An XLA program per replica and bucket has the forward and backward pass, not the update."""
  config = tiny.model(1, cascade={'sampling_rule': 'even'})
  batch = tiny.batch(config)
  data = tiny.data_in_buckets((tiny.SIZE, 2 * tiny.SIZE), (tiny.SIZE, tiny.SIZE))
  tasks = [
    tiny.task(config, jit_compile=jit_compile, train_data=data) for jit_compile in (False, True)
  ]
  traced, build_losses = [], HTCTask.build_losses

  def observed(self, *args):
    traced.append((self.task_config.jit_compile, xla.compiling()))
    return build_losses(self, *args)

  monkeypatch.setattr(HTCTask, 'build_losses', observed)
  model = tiny.build(config)
  (values, weights), (compiled_values, compiled_weights) = [
    distributed_step(mirrored, task, model.get_weights(), batch) for task in tasks
  ]
  assert set(traced) == {(False, False), (True, True)}
  for name, value in values.items():
    np.testing.assert_allclose(compiled_values[name], value, rtol=1e-4, atol=1e-6, err_msg=name)
  assert_same_update(
    compiled_weights, weights, model.get_weights(), [v.name for v in model.weights]
  )
