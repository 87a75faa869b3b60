"""The experiment that flags of the training command describe."""

from htc_tf.configs import shorthands
from htc_tf.configs.shorthands import Shorthands


def resolve(flags: Shorthands, experiment=None, **more):
  """The experiment of flags; `more` are further arguments of `shorthands.resolve`."""
  name = shorthands.experiment_name(flags, experiment)
  return shorthands.resolve(flags, name, **more)[0].params
