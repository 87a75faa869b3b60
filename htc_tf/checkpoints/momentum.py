"""Check that the momentum in a checkpoint is that of the optimizer which continues from it."""

import re

import tf_keras

from htc_tf.checkpoints import readability
from htc_tf.errors import ConfigError
from htc_tf.optimization.published_adamw import FIRST_MOMENT, PublishedAdamW
from htc_tf.optimization.published_sgd import VELOCITY, PublishedSGD
from htc_tf.optimization.wrapped import innermost

# The optimizers that are checked, by the name under which a checkpoint holds their momentum.
_KINDS = {
  VELOCITY: PublishedSGD,
  'momentum': tf_keras.optimizers.legacy.SGD,
  FIRST_MOMENT: PublishedAdamW,
}
_SLOT = re.compile(r'/\.OPTIMIZER_SLOT/.*?(\w+)/\.ATTRIBUTES/')

# What to do with a run of another optimizer, for messages.
HOW_TO_GO_ON = (
  'a run that began with the other rule: the momentum of sgd (Keras) contains the learning rate, '
  'that of published_sgd (PyTorch, Paddle) does not, and published_adamw has two moments. To '
  'continue the run as it began, set trainer.optimizer_config.optimizer.type to sgd or '
  'published_sgd, or published_adamw; to train its weights further with the other rule, start a '
  'new run from them with a new --model_dir and --weights={prefix}. Nothing was changed'
)


def check_momentum(prefix: str, optimizer: tf_keras.optimizers.Optimizer) -> None:
  """Check that an optimizer does not continue with the momentum of another one.

  TensorFlow would leave its momentum at 0 without a word.

  Args:
    prefix: prefix of the checkpoint; one without momentum fits every optimizer.
    optimizer: optimizer of the run, which may be in one that averages weights or scales losses.

  Raises:
    ConfigError: the checkpoint has the momentum of another optimizer.
  """
  optimizer = innermost(optimizer)
  own = next((name for name, kind in _KINDS.items() if isinstance(optimizer, kind)), None)
  if own is None:
    return
  keys = readability.open_reader(prefix).get_variable_to_shape_map()
  stored = {match[1] for match in map(_SLOT.search, keys) if match} & set(_KINDS)
  if stored and own not in stored:
    raise ConfigError(
      f'{prefix} has the momentum of another optimizer',
      expected=f'variables named {own} of the optimizer {type(optimizer).__name__}',
      got=f'variables named {stored.pop()}',
      likely_cause=HOW_TO_GO_ON.format(prefix=prefix),
    )
