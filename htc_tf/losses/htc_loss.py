"""Weighted terms of HTC's objective; the only module that applies weights of losses."""

from collections.abc import Mapping, Sequence

import tensorflow as tf

from htc_tf.configs import model as model_config
from htc_tf.configs import task as task_config
from htc_tf.errors import InputError
from htc_tf.losses import box_loss, context_loss, mask_loss, rpn_loss, semantic_loss
from htc_tf.modeling.outputs import StageOutputs, TrainingOutputs

_NOT_DECAYED = ('gamma', 'beta', 'bias')


def term_names(
  num_stages: int,
  include_mask: bool,
  include_semantic: bool,
  include_context: bool = False,
  shared_mask: bool = False,
) -> list[str]:
  """Names of the terms that `weighted_terms` computes for a model, in the same order.

  Args:
    num_stages: number of stages.
    include_mask: whether the model has masks.
    include_semantic: whether it has the semantic branch.
    include_context: whether it has the global context branch.
    shared_mask: whether the stages share one mask branch, whose loss counts to the last one.
  """
  names = ['rpn_class_loss', 'rpn_box_loss']
  names += ['semantic_loss'] if include_semantic else []
  names += ['context_loss'] if include_context else []
  for stage in range(num_stages):
    has_mask = include_mask and (not shared_mask or stage == num_stages - 1)
    kinds = ('class_loss', 'box_loss', 'mask_loss') if has_mask else ('class_loss', 'box_loss')
    names += [f'stage{stage}_{kind}' for kind in kinds]
  return names


def with_assistant(names: Sequence[str]) -> list[str]:
  """Names of terms, followed by those of the same terms of an assisting backbone."""
  return [*names, *(f'assistant_{name}' for name in names)]


def weighted_terms(
  outputs: TrainingOutputs,
  semantic_labels: tf.Tensor | None,
  losses: task_config.Losses,
  stages: Sequence[model_config.Stage],
  image_sizes: tf.Tensor | None = None,
) -> dict[str, tf.Tensor]:
  """Terms of the objective (Chen et al. 2019, equation 7), each multiplied by its weight.

  The same terms of an assisting backbone, also multiplied by `assistant_weight`, are added (Liang
  et al. 2021, section 3.3).

  Args:
    outputs: outputs of the model in training.
    semantic_labels: [batch, height, width] uint8 in padded-image pixels, 255 ignored; None without
      the semantic branch.
    losses: weights and constants of the losses.
    stages: configurations of the stages, with box coder weights and loss weight.
    image_sizes: [batch, 2] sizes of the images with the padding of `padded_alone`, which
      `semantic_average_per_image` needs.

  Returns:
    {name: scalar float32} in the order of `term_names`, or of `with_assistant` of them; the sum is
    the objective without weight decay.

  Raises:
    InputError: the semantic loss is averaged per image, and the sizes are missing.
  """
  if losses.semantic_average_per_image and image_sizes is None:
    raise InputError(
      'The semantic loss cannot be averaged per image',
      expected='image_sizes, the height and width of each image',
      got='None',
      likely_cause='losses.semantic_average_per_image with a training step of another kind',
    )
  terms = _terms_of_pyramid(outputs, semantic_labels, losses, stages, image_sizes)
  if outputs.assistant is not None:
    others = _terms_of_pyramid(outputs.assistant, semantic_labels, losses, stages, image_sizes)
    for name, value in others.items():
      terms[f'assistant_{name}'] = losses.assistant_weight * value
  return terms


def _terms_of_pyramid(
  outputs: TrainingOutputs,
  semantic_labels: tf.Tensor | None,
  losses: task_config.Losses,
  stages: Sequence[model_config.Stage],
  image_sizes: tf.Tensor | None,
) -> dict[str, tf.Tensor]:
  """The terms of `weighted_terms` without those of an assisting backbone."""
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
      image_sizes=image_sizes if losses.semantic_average_per_image else None,
    )
  if outputs.context is not None:
    terms['context_loss'] = losses.context_weight * context_loss.context_loss(*outputs.context)
  for index, (stage_outputs, stage) in enumerate(zip(outputs.stages, stages)):
    weights = {'mask_loss': _mask_weight(outputs.stages, stages, index)}
    for name, value in _stage_terms(stage_outputs, stage, losses).items():
      terms[f'stage{index}_{name}'] = weights.get(name, stage.loss_weight) * value
  return terms


def _mask_weight(
  outputs: Sequence[StageOutputs], stages: Sequence[model_config.Stage], index: int
) -> float:
  """Weight of the mask loss of a stage; all weights together if the stages share the branch.

  SCNet weights its mask branch so; other models have masks in every stage.
  """
  is_shared = outputs[0].masks is None
  return sum(stage.loss_weight for stage in stages) if is_shared else stages[index].loss_weight


def _stage_terms(
  outputs: StageOutputs, stage: model_config.Stage, losses: task_config.Losses
) -> dict[str, tf.Tensor]:
  """Terms of one stage before multiplication by the loss weight of the stage."""
  rois = outputs.rois
  terms = {
    'class_loss': losses.class_weight
    * box_loss.class_loss(outputs.logits, rois.classes, rois.valid),
    'box_loss': losses.box_weight * _box_term(outputs, stage, losses),
  }
  if outputs.masks is not None:
    terms['mask_loss'] = losses.mask_weight * mask_loss.mask_loss(
      outputs.masks.logits, outputs.masks.targets, outputs.masks.valid
    )
  return terms


def _box_term(
  outputs: StageOutputs, stage: model_config.Stage, losses: task_config.Losses
) -> tf.Tensor:
  weights = stage.box_coder_weights
  if losses.box_kind == 'giou':
    return box_loss.decoded_box_loss(outputs.deltas, outputs.rois, weights)
  return box_loss.box_loss(outputs.deltas, outputs.rois, weights, losses.box_beta)


def accuracies(outputs: TrainingOutputs) -> dict[str, tf.Tensor]:
  """Share of correctly classified RoIs per stage, scalar `stage<n>_accuracy` each; not a loss."""
  return {
    f'stage{index}_accuracy': box_loss.accuracy(stage.logits, stage.rois.classes, stage.rois.valid)
    for index, stage in enumerate(outputs.stages)
  }


def weight_decay(variables: Sequence[tf.Variable], losses: task_config.Losses) -> tf.Tensor:
  """Half the squared norm of the decayed variables times the decay factor, without gradient.

  It is only logged; `add_weight_decay` adds the gradient. The regularizers of Model Garden's layers
  are not used, because they omit biases and norms, which the published training decays.

  Args:
    variables: trainable variables.
    losses: configuration with `l2_weight_decay` and `decay_norm_and_bias`.

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
  """Gradients plus those of `weight_decay`; with SGD, this is the published weight decay.

  A limit on the norm of the gradients then holds for the sums. `published_sgd` decays the weights
  itself, after the limit.

  A gradient tape would compute the gradient of the decay, which is as large as all variables, at
  the start of a step, because that gradient depends on nothing else. Here each part is computed
  when the other gradient of its variable is ready.

  Args:
    gradients: gradients of the other terms, in the order of `variables`; None where a variable has
      none.
    variables: trainable variables.
    losses: configuration with `l2_weight_decay` and `decay_norm_and_bias`.
    scale: factor on the decay, equal to the factor that the gradients were scaled by.

  Returns:
    Sums in the same order; None where neither the other terms nor the decay have a gradient.
  """
  return [
    _decayed(gradient, variable, factor)
    if (factor := scale * decay_factor(variable, losses))
    else gradient
    for gradient, variable in zip(gradients, variables)
  ]


def decay_factor(variable: tf.Variable, losses: task_config.Losses) -> float:
  """Factor of the decay of a variable: the gradient of the decay is factor * variable."""
  return losses.l2_weight_decay if _is_decayed(variable, losses) else 0.0


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
  """Sum of the terms of `weighted_terms`, scalar float32."""
  return tf.add_n(list(terms.values()))
