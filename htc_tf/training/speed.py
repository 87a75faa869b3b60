"""Speed, remaining time and memory of a training."""

import dataclasses
import resource
import sys

import tensorflow as tf

# Share of the newest measurement in the mean duration of a step.
_NEWEST = 0.3


@dataclasses.dataclass
class Speed:
  """Durations of steps and evaluations. Steps that compile the model are not measured.

  Attributes:
    seconds_per_step: mean duration of a step, in which newer ones count more; None if none was
      measured.
    seconds_per_evaluation: duration of the last evaluation; 0 if there was none.
  """

  seconds_per_step: float | None = None
  seconds_per_evaluation: float = 0.0

  def add_steps(self, num_steps: int, seconds: float) -> None:
    """Add some steps and their duration."""
    newest = seconds / num_steps
    if self.seconds_per_step is None:
      self.seconds_per_step = newest
    else:
      self.seconds_per_step += _NEWEST * (newest - self.seconds_per_step)

  def seconds_left(self, num_steps: int, num_evaluations: int) -> float | None:
    """Expected duration of steps and evaluations; None if no step was measured."""
    if self.seconds_per_step is None:
      return None
    return num_steps * self.seconds_per_step + num_evaluations * self.seconds_per_evaluation


def process_memory() -> int:
  """Largest memory of this process so far, in bytes."""
  peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
  return peak if sys.platform == 'darwin' else 1024 * peak


def gpu_memory() -> int | None:
  """Largest memory in use on the first GPU so far, in bytes; None without a GPU."""
  if not tf.config.list_logical_devices('GPU'):
    return None
  return int(tf.config.experimental.get_memory_info('GPU:0')['peak'])
