"""The mean of the weights of several checkpoints (stochastic weight averaging).

Izmailov et al. 2018 average the weights along a training with a cyclic or constant learning rate.
Zhang et al. 2020 do so for detectors: the mean of the 12 checkpoints of 12 further epochs.
"""

import os
from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from htc_tf import file_systems, progress
from htc_tf.checkpoints import last_good, model_directory, object_graph, readability, restoration
from htc_tf.errors import CheckpointError, InputError
from htc_tf.modeling.htc_model import HTCModel

# The part of a checkpoint that is averaged.
_PART = 'model'


def last_of(folder: str, number: int | None) -> list[str]:
  """Prefixes of the last checkpoints of a directory, oldest first.

  Args:
    folder: directory with checkpoints.
    number: number of checkpoints; None for all.

  Raises:
    CheckpointError: the directory has fewer, or it is an export.
    InputError: `number` is below 2.
  """
  if number is not None and number < 2:
    raise InputError(
      'A mean of checkpoints needs several', expected='2 or more (--last)', got=str(number)
    )
  found = last_good.all_in(folder)
  if not found:
    restoration.check_no_export(folder)
  if len(found) < (number or 2):
    raise CheckpointError(
      f'{folder} has too few checkpoints to average',
      expected=f'{number or 2} or more checkpoints',
      got=', '.join(os.path.basename(prefix) for prefix in found) or 'none',
      likely_cause='a run that deleted its older checkpoints: trainer.max_to_keep is the number '
      'that it keeps, 3 by default'
      if found
      else 'a misspelled path, or a run that has not saved yet',
    )
  return found[-number:] if number else found


def check_alike(prefixes: Sequence[str]) -> None:
  """Check that checkpoints are different ones of models with the same variables and classes.

  Args:
    prefixes: prefixes of two or more checkpoints.

  Raises:
    CheckpointError: a checkpoint cannot be read, or its variables or classes differ from those of
      the first one; the message names the first difference and both checkpoints.
    InputError: there is only one checkpoint, or one of them twice.
  """
  places = [file_systems.in_real_folder(prefix) for prefix in prefixes]
  if len(places) < 2 or len(set(places)) < len(places):
    raise InputError(
      'These checkpoints cannot be averaged',
      expected='two or more different checkpoints',
      got=', '.join(prefixes),
      likely_cause='a directory, which stands for its latest checkpoint; --model=DIRECTORY takes '
      'all of its checkpoints'
      if len(places) < 2
      else 'one checkpoint by two names',
    )
  first, *others = prefixes
  shapes, classes = object_graph.saved_shapes(first, _PART), _classes(first)
  for other in others:
    _check_shapes(first, shapes, other, object_graph.saved_shapes(other, _PART))
    of_other = _classes(other)
    if None not in (classes, of_other) and classes != of_other:
      raise CheckpointError(
        'The checkpoints have different classes',
        expected=f'{classes} as in {first}',
        got=f'{of_other} in {other}',
        likely_cause='models of different data',
      )


def _classes(prefix: str) -> str | None:
  info = model_directory.load_dataset_info(file_systems.dirname(prefix))
  return None if info is None else ', '.join(info.category_names)


def _check_shapes(
  first: str, shapes: dict[str, list[int]], other: str, of_other: dict[str, list[int]]
) -> None:
  """Raise CheckpointError unless two checkpoints have variables of the same names and shapes."""
  for path in [*shapes, *of_other]:
    if shapes.get(path) != of_other.get(path):
      raise CheckpointError(
        'The checkpoints have different variables',
        expected=f'{path}: {_text(shapes.get(path))} as in {first}',
        got=f'{_text(of_other.get(path))} in {other}',
        likely_cause='models of different configurations, or of different numbers of classes',
      )


def _text(shape: list[int] | None) -> str:
  return 'no such variable' if shape is None else str(tuple(shape))


def load_mean(model: HTCModel, prefixes: Sequence[str]) -> None:
  """Give a model the mean of the weights of checkpoints; a bar shows the progress.

  Each variable is read from one checkpoint after the other, so that the memory does not grow with
  their number. The sum is that of float64. Variables other than floating-point numbers have the
  value of the last checkpoint.

  Args:
    model: the model; its variables must exist, and are changed.
    prefixes: checkpoints that `check_alike` has accepted.

  Raises:
    CheckpointError: a checkpoint cannot be read, has other variables than the model, or a value
      that is not finite.
  """
  restoration.check_fits(prefixes[0], {_PART: model})
  keys = [object_graph.saved_keys(prefix, _PART, model) for prefix in prefixes]
  readers = [readability.open_reader(prefix) for prefix in prefixes]
  for rows in progress.track(list(zip(*keys)), description='averaging', unit='variable'):
    path, variable, _ = rows[0]
    total = np.zeros(variable.shape, np.float64)
    for prefix, reader, (_, _, key) in zip(prefixes, readers, rows):
      value = _read(prefix, reader, key)
      _check_finite(prefix, path, value)
      total += value
    mean = total / len(prefixes) if variable.dtype.is_floating else value
    variable.assign(tf.cast(mean, variable.dtype))


def _read(prefix: str, reader: Any, key: str) -> np.ndarray:
  try:
    return np.asarray(reader.get_tensor(key))
  except readability.READ_ERRORS as error:
    raise readability.unreadable(prefix, error) from error


def _check_finite(prefix: str, path: str, value: np.ndarray) -> None:
  finite = np.isfinite(np.asarray(value, np.float64))
  if not finite.all():
    raise CheckpointError(
      f'{prefix} has values that are not finite',
      expected='finite numbers',
      got=f'{finite.size - np.count_nonzero(finite)} of {finite.size} in {path}',
      likely_cause='a training that diverged; leave this checkpoint out',
    )
