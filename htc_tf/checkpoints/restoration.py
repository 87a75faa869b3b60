"""Restoring weights from a checkpoint, with a report of the variables that do not fit."""

import os
from collections.abc import Iterator, Mapping

import tensorflow as tf
from absl import logging

from htc_tf.checkpoints import object_graph, readability
from htc_tf.errors import CheckpointError

_MAX_LISTED = 8


def resolve(path: str) -> str:
  """The checkpoint prefix that a path names.

  Args:
    path: a checkpoint prefix such as `model/ckpt-1000`, or a directory with checkpoints of a
      training run, which stands for its latest one.

  Raises:
    CheckpointError: there is no checkpoint.
  """
  found = tf.train.latest_checkpoint(path) if tf.io.gfile.isdir(path) else path
  if found and tf.io.gfile.exists(found + '.index'):
    return found
  folder = path if tf.io.gfile.isdir(path) else os.path.dirname(path) or '.'
  there = sorted(tf.io.gfile.listdir(folder))[:_MAX_LISTED] if tf.io.gfile.isdir(folder) else []
  raise CheckpointError(
    f'There is no checkpoint at {path}',
    expected='a checkpoint prefix such as model/ckpt-1000, or a directory with checkpoints',
    got=f'{folder} with {there}' if there else f'no files in {folder}',
    likely_cause='a training run that has not saved yet, or a misspelled path',
  )


def restore(path: str, parts: Mapping[str, tf.Module]) -> None:
  """Load parts of a model from a checkpoint, completely or not at all.

  Args:
    path: checkpoint prefix, or directory with checkpoints.
    parts: name in the checkpoint to live object, e.g. `{'model': model}`.

  Raises:
    CheckpointError: the checkpoint is missing, cannot be read, or has another configuration; the
      message lists the variables that do not fit.
  """
  prefix = resolve(path)
  check_fits(prefix, parts)
  readability.check_readable(prefix)
  tf.train.Checkpoint(**parts).read(prefix).expect_partial()
  logging.info('Restored %s from %s', sorted(parts), prefix)


def check_fits(prefix: str, parts: Mapping[str, tf.Module]) -> None:
  """Raise CheckpointError unless a checkpoint has all variables of some parts, in their shapes.

  Args:
    prefix: checkpoint prefix.
    parts: name in the checkpoint to live object, e.g. `{'model': model}`.
  """
  mismatch = object_graph.compare(prefix, parts)
  if mismatch.missing or mismatch.shapes:
    raise CheckpointError(
      f'{prefix} has another configuration',
      expected=f'all variables of {sorted(parts)}',
      got='; '.join(_describe(mismatch)),
      likely_cause='another number of classes or stages, another backbone, or a branch switched on '
      'or off; use the params.yaml of the checkpoint',
    )


def _describe(mismatch: object_graph.Mismatch) -> Iterator[str]:
  """One line per kind of mismatch."""
  for title, lines in (
    ('not in the checkpoint', mismatch.missing),
    ('not in the model', mismatch.unused),
    ('other shape', mismatch.shapes),
  ):
    if lines:
      rest = f' and {len(lines) - _MAX_LISTED} more' if len(lines) > _MAX_LISTED else ''
      yield f'{title}: {", ".join(lines[:_MAX_LISTED])}{rest}'
