"""Comparison of a training step with a stored step of the reference, down to every gradient.

The step is repeatable: sampling takes entries at even distances, and the stored proposals replace
those of the RPN, because one swapped pair of almost equal scores would change the sampled RoIs.
"""

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf
from official.core import exp_factory

from htc_tf.configs import experiments  # noqa: F401  Registers the experiments.
from htc_tf.configs import task as task_config
from htc_tf.convert.conversion import convert_checkpoint
from htc_tf.losses import htc_loss
from htc_tf.modeling.factory import build_htc
from htc_tf.modeling.htc_model import HTCModel
from htc_tf.modeling.outputs import Proposals, TrainingOutputs
from parity import loss_names, training_gradients
from parity.check import Check, at_most
from parity.pack import Pack
from parity.training_sampling import sampling_checks
from parity.training_step import TrainingStep, read_step

_EXPERIMENT = 'htc_resnet50fpn_1x_coco'
_WEIGHTS = 'htc_r50_fpn_1x_coco'
_LOSS_BAR = 1e-4
LOSSES = {**loss_names.LOSSES, loss_names.TOTAL: loss_names.TOTAL}


class StepResult(NamedTuple):
  """Results of our training step.

  Attributes:
    outputs: outputs of the model.
    terms: weighted losses and their sum, `total`.
    gradients: gradients of the sum, one per requested variable.
  """

  outputs: TrainingOutputs
  terms: dict[str, tf.Tensor]
  gradients: Sequence[Any]


def training_checks(folder: str) -> list[Check]:
  """All checks of the step stored in a folder with the parity pack.

  They take two minutes on two cores, and 6 GB of memory.
  """
  config = step_config()
  model = build_model(config, folder)
  step = read_step(folder)
  variables = model.trainable_variables
  result = run_step(config, model, step, variables)
  gradients = training_gradients.published_gradients(model, variables, result.gradients)
  return [
    *sampling_checks(model, result.outputs, step),
    *loss_checks(result.terms, step.arrays),
    *training_gradients.gradient_checks(gradients, training_gradients.read_figures(folder)),
  ]


def step_config() -> task_config.HTCTask:
  """Configuration of the published experiment, with the repeatable sampling rule."""
  config = exp_factory.get_exp_config(_EXPERIMENT).task
  config.model.cascade.sampling_rule = 'even'
  return config


def build_model(config: task_config.HTCTask, folder: str) -> HTCModel:
  """The model of the step, with the weights that the pack generates."""
  model = build_htc(config.model)
  convert_checkpoint(Pack(folder).mmdet_state(_WEIGHTS), model)
  return model


def run_step(
  config: task_config.HTCTask,
  model: HTCModel,
  step: TrainingStep,
  variables: Sequence[tf.Variable] = (),
) -> StepResult:
  """Results of the forward pass, and of the backward pass for `variables`, on the stored proposals.

  Weight decay is omitted, because the losses of the reference do not contain it.

  Args:
    config: configuration that `step_config` returns.
    model: model of that configuration, with the weights of the pack.
    step: stored step.
    variables: variables whose gradients are requested.
  """

  @tf.function(autograph=False)
  def run(inputs, semantic_labels):
    with tf.GradientTape() as tape:
      outputs = model(inputs, training=True)
      terms = htc_loss.weighted_terms(
        outputs, semantic_labels, config.losses, config.model.cascade.stages
      )
      total = htc_loss.total(terms)
    return outputs, {**terms, 'total': total}, tape.gradient(total, list(variables))

  with given_proposals(model, step.proposals):
    return StepResult(*run(step.inputs, step.semantic_labels))


def loss_checks(
  terms: Mapping[str, tf.Tensor],
  arrays: Mapping[str, np.ndarray],
  names: Mapping[str, str] = LOSSES,
) -> list[Check]:
  """Checks of every weighted term and of their sum.

  Args:
    terms: our losses by our names.
    arrays: arrays of the reference by the keys of the pack.
    names: published names of the losses by our names.
  """
  checks = []
  for name, published in names.items():
    expected = np.sum(arrays[f'loss/{published}'])  # RPN losses are stored by level.
    checks.append(
      at_most(
        f'losses: {name}, relative difference', abs(float(terms[name]) / expected - 1.0), _LOSS_BAR
      )
    )
  return checks


@contextlib.contextmanager
def given_proposals(model: HTCModel, proposals: Proposals) -> Iterator[None]:
  """Replace the proposals of the RPN by `proposals` within the block."""
  generator = model.rpn.roi_generator
  model.rpn.roi_generator = lambda *maps, **options: proposals
  try:
    yield
  finally:
    model.rpn.roi_generator = generator
