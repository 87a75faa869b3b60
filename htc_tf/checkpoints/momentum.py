"""Check that the momentum in a checkpoint is that of the optimizer which continues from it."""

import re

import tf_keras

from htc_tf.checkpoints import readability
from htc_tf.errors import ConfigError
from htc_tf.optimization.published_sgd import VELOCITY, PublishedSGD

# The two kinds of SGD, by the name under which a checkpoint holds their momentum.
_SGD = {VELOCITY: PublishedSGD, 'momentum': tf_keras.optimizers.legacy.SGD}
_SLOT = re.compile(r'/\.OPTIMIZER_SLOT/.*?(\w+)/\.ATTRIBUTES/')

# What to do with a run of the other kind, for messages.
HOW_TO_GO_ON = (
  'a run that began with the other rule: the momentum of sgd (Keras) contains the learning rate, '
  'that of published_sgd (PyTorch, Paddle) does not. To continue the run as it began, set '
  'trainer.optimizer_config.optimizer.type to sgd or published_sgd; to train its weights further '
  'with the other rule, start a new run from them with a new --model_dir and --weights={prefix}. '
  'Nothing was changed'
)


def check_momentum(prefix: str, optimizer: tf_keras.optimizers.Optimizer) -> None:
  """Check that one kind of SGD does not continue with the momentum of the other.

  TensorFlow would leave its momentum at 0 without a word.

  Args:
    prefix: prefix of the checkpoint; one without momentum fits every optimizer.
    optimizer: optimizer of the run, which may be in one that averages weights or scales losses.

  Raises:
    ConfigError: the checkpoint has the momentum of the other kind.
  """
  while hasattr(optimizer, '_optimizer'):
    optimizer = optimizer._optimizer
  own = next((name for name, kind in _SGD.items() if isinstance(optimizer, kind)), None)
  if own is None:
    return
  keys = readability.open_reader(prefix).get_variable_to_shape_map()
  stored = {match[1] for match in map(_SLOT.search, keys) if match} & set(_SGD)
  if stored and own not in stored:
    raise ConfigError(
      f'{prefix} has the momentum of another optimizer',
      expected=f'variables named {own} of the optimizer {type(optimizer).__name__}',
      got=f'variables named {stored.pop()}',
      likely_cause=HOW_TO_GO_ON.format(prefix=prefix),
    )
