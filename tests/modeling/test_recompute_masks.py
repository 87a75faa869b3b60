"""Tests of mask heads that recompute their activations in the backward pass."""

import numpy as np
import pytest
import tensorflow as tf

from htc_tf.configs import task as task_config
from htc_tf.losses import htc_loss
from htc_tf.tasks.htc import model_inputs
from tests import tiny


def step(recompute, images, labels, **overrides):
  """Traced function of one forward and backward pass, and the names of the model's variables.

  The initial weights of the model are always the same.
  """
  cascade = {'sampling_rule': 'even', 'recompute_masks': recompute}
  config = tiny.model(cascade=cascade, **overrides)
  model = tiny.build(config)
  names = [variable.name for variable in model.trainable_variables]

  @tf.function(autograph=False)
  def run():
    with tf.GradientTape() as tape:
      outputs = model(model_inputs(images, labels), training=True)
      terms = htc_loss.weighted_terms(
        outputs, labels['gt_semantic'], task_config.Losses(), config.cascade.stages
      )
      total = htc_loss.total(terms)
    return total, tape.gradient(total, model.trainable_variables)

  return run, names


@pytest.mark.parametrize('num_instances', [2, pytest.param(0, marks=pytest.mark.slow)])
def test_gradients_are_the_same(num_instances):
  batch = tiny.batch(num_instances=num_instances)
  (kept, names), (recomputed, _) = step(False, *batch), step(True, *batch)
  loss, gradients = kept()
  other_loss, others = recomputed()
  np.testing.assert_allclose(other_loss, loss, rtol=1e-6)
  dense = ([tf.convert_to_tensor(x).numpy() for x in values] for values in (gradients, others))
  for name, value, other in zip(names, *dense):
    np.testing.assert_allclose(
      other, value, rtol=0, atol=1e-5 * np.abs(value).max() + 1e-9, err_msg=name
    )
  mask_heads = [value for name, value in zip(names, gradients) if 'mask_head' in name]
  assert mask_heads and all(np.any(value) for value in mask_heads) == (num_instances > 0)


def test_the_backward_pass_recomputes_the_activations():
  batch = tiny.batch()

  def num_convs(recompute):
    run, _ = step(recompute, *batch)
    operations = run.get_concrete_function().graph.get_operations()
    return sum(op.type == 'Conv2D' for op in operations)

  # 1 + 2 + 3 heads of one 3x3 convolution, and 1 + 2 convolutions of the information flow.
  assert num_convs(True) - num_convs(False) == 6 + 3
