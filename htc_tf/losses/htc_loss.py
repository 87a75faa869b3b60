"""All terms of HTC's objective, weighted: the one place where weights of losses act."""

from collections.abc import Mapping, Sequence

import tensorflow as tf

from htc_tf.configs import task as task_config
from htc_tf.losses import box_loss, mask_loss, rpn_loss, semantic_loss
from htc_tf.modeling.outputs import StageOutputs, TrainingOutputs

_NOT_DECAYED = ('gamma', 'beta', 'bias')


def term_names(num_stages: int, include_mask: bool, include_semantic: bool) -> Sequence[str]:
  """Names of the terms `weighted_terms` gives for a model, in its order."""
  kinds = ('class_loss', 'box_loss') + (('mask_loss',) if include_mask else ())
  names = ['rpn_class_loss', 'rpn_box_loss'] + (['semantic_loss'] if include_semantic else [])
  return names + [f'stage{stage}_{kind}' for stage in range(num_stages) for kind in kinds]


def weighted_terms(
  outputs: TrainingOutputs,
  semantic_labels: tf.Tensor | None,
  losses: task_config.Losses,
  stages: Sequence,
) -> dict[str, tf.Tensor]:
  """The terms of Chen et al. 2019, equation 7, each with its weight.

  Args:
    outputs: of the model in training.
    semantic_labels: [batch, height, width] uint8 in padded-image pixels, 255 ignored; None without
      the semantic branch.
    losses: weights and constants.
    stages: the stages' configurations, for their box coders and weights.

  Returns:
    {name: scalar float32} as `term_names` lists them; their sum is the objective without decay.
  """
  terms = {
    'rpn_class_loss': losses.rpn_class_weight
    * rpn_loss.rpn_class_loss(outputs.rpn_logits, outputs.rpn_targets.labels),
    'rpn_box_loss': losses.rpn_box_weight
    * rpn_loss.rpn_box_loss(
      outputs.rpn_deltas, outputs.anchors, outputs.rpn_targets, losses.rpn_box_beta
    ),
  }
  if outputs.semantic_logits is not None:
    terms['semantic_loss'] = losses.semantic_weight * semantic_loss.semantic_loss(
      outputs.semantic_logits,
      semantic_labels,
      average_over_valid=losses.semantic_average_over_valid,
    )
  for index, (stage_outputs, stage) in enumerate(zip(outputs.stages, stages)):
    for name, value in _stage_terms(stage_outputs, stage, losses).items():
      terms[f'stage{index}_{name}'] = stage.loss_weight * value
  return terms


def _stage_terms(outputs: StageOutputs, stage, losses: task_config.Losses) -> dict[str, tf.Tensor]:
  """Terms of one stage, without the stage's own weight."""
  rois = outputs.rois
  terms = {
    'class_loss': losses.class_weight
    * box_loss.class_loss(outputs.logits, rois.classes, rois.valid),
    'box_loss': losses.box_weight
    * box_loss.box_loss(outputs.deltas, rois, stage.box_coder_weights, losses.box_beta),
  }
  if outputs.masks is not None:
    terms['mask_loss'] = losses.mask_weight * mask_loss.mask_loss(
      outputs.masks.logits, outputs.masks.targets, outputs.masks.valid
    )
  return terms


def accuracies(outputs: TrainingOutputs) -> dict[str, tf.Tensor]:
  """Share of each stage's sampled RoIs classified right, [] `stage<n>_accuracy`; no loss."""
  return {
    f'stage{index}_accuracy': box_loss.accuracy(stage.logits, stage.rois.classes, stage.rois.valid)
    for index, stage in enumerate(outputs.stages)
  }


def weight_decay(variables: Sequence[tf.Variable], losses: task_config.Losses) -> tf.Tensor:
  """Half the squared norm of the decayed variables times the decay, without gradient.

  The regularisers of Model Garden's layers leave out biases and norms, which the published training
  decays.

  Args:
    variables: the trainable variables.
    losses: `l2_weight_decay` and `decay_norm_and_bias`.

  Returns:
    Scalar float32.
  """
  decayed = [v for v in variables if _is_decayed(v, losses)]
  if not decayed or not losses.l2_weight_decay:
    return tf.constant(0.0)
  return tf.stop_gradient(
    losses.l2_weight_decay * tf.add_n([tf.nn.l2_loss(tf.cast(v, tf.float32)) for v in decayed])
  )


def add_weight_decay(
  gradients: Sequence[tf.Tensor | None],
  variables: Sequence[tf.Variable],
  losses: task_config.Losses,
  scale: float = 1.0,
) -> list[tf.Tensor | None]:
  """Adds the gradient of `weight_decay`: under SGD the published optimiser's weight decay.

  By a tape this gradient, as large as all variables, would be there from the start of a step,
  because it depends on nothing else; here each part is made when its place is due.

  Args:
    gradients: of the other terms, in the order of `variables`; None where a variable has none.
    variables: the trainable variables.
    losses: `l2_weight_decay` and `decay_norm_and_bias`.
    scale: factor on the decay: what `gradients` are scaled by, too.

  Returns:
    The sums, in the same order; None only where neither has a gradient.
  """
  decay = scale * losses.l2_weight_decay
  return [
    _decayed(gradient, variable, decay) if decay and _is_decayed(variable, losses) else gradient
    for gradient, variable in zip(gradients, variables)
  ]


def _decayed(gradient: tf.Tensor | None, variable: tf.Variable, decay: float) -> tf.Tensor:
  if gradient is None:
    return decay * variable
  gradient = tf.convert_to_tensor(gradient)
  with tf.control_dependencies([gradient]):
    return gradient + decay * variable


def _is_decayed(variable: tf.Variable, losses: task_config.Losses) -> bool:
  return losses.decay_norm_and_bias or not _is_norm_or_bias(variable)


def _is_norm_or_bias(variable: tf.Variable) -> bool:
  return variable.name.split('/')[-1].split(':')[0] in _NOT_DECAYED


def total(terms: Mapping[str, tf.Tensor]) -> tf.Tensor:
  """Sum of all terms, scalar float32."""
  return tf.add_n(list(terms.values()))
