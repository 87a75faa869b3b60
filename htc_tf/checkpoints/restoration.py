"""Restoring weights from a checkpoint, with a report of the variables that do not fit."""

import os
from collections.abc import Iterator, Mapping

import tensorflow as tf
from absl import logging

from htc_tf import file_systems
from htc_tf.checkpoints import last_good, object_graph, readability
from htc_tf.errors import CheckpointError

_MAX_LISTED = 8
# The files of exports: a SavedModel, and those of other runtimes (see `serving.runtimes`).
_EXPORTED = ('saved_model.pb', 'model.onnx', 'model.xml', 'model.bin', 'model.tflite')


def resolve(path: str) -> str:
  """The checkpoint prefix that a path names.

  Args:
    path: a checkpoint prefix such as `model/ckpt-1000`, or a directory with checkpoints of a
      training run, which stands for its latest one, also without a usable state file.

  Raises:
    CheckpointError: there is no checkpoint, the path is empty, or it is that of an export.
  """
  if not path:  # TensorFlow would take it for the working directory.
    raise CheckpointError(
      'The path of the model is empty',
      expected='a checkpoint prefix such as model/ckpt-1000, or a directory with checkpoints',
      got="''",
      likely_cause='a variable of the shell that is not set; . is the working directory',
    )
  if file_systems.exists(f'{path}.index'):
    return path
  found = last_good.find(path) if file_systems.is_folder(path) else None
  if found and file_systems.exists(f'{found}.index'):
    return found
  check_no_export(path)
  folder = path if file_systems.is_folder(path) else file_systems.dirname(path) or '.'
  there = file_systems.list_folder(folder)[:_MAX_LISTED] if file_systems.is_folder(folder) else []
  raise CheckpointError(
    f'There is no checkpoint at {path}',
    expected='a checkpoint prefix such as model/ckpt-1000, or a directory with checkpoints',
    got=f'{folder} with {there}' if there else f'no files in {folder}',
    likely_cause='a training run that has not saved yet, or a misspelled path'
    if folder == path or not tf.io.gfile.exists(path)
    else 'a file instead of the directory or the prefix; htc-convert converts published files',
  )


def check_no_export(path: str) -> None:
  """Raise CheckpointError if a path is an export or a file of one.

  Args:
    path: a path where no checkpoint was found.
  """
  is_folder = file_systems.is_folder(path)
  if not is_folder and os.path.basename(path) not in _EXPORTED:
    return
  paths = [os.path.join(path, name) for name in _EXPORTED] if is_folder else [path]
  found = next(filter(file_systems.exists, paths), None)
  if found:
    raise CheckpointError(
      f'{path} is an export, and the model that it was made of is needed',
      expected='that model directory, or a checkpoint prefix such as model/ckpt-1000',
      got=f'a folder with {os.path.basename(found)}' if is_folder else 'a file of an export',
      likely_cause='the folder of an export in the place of the model; htc-predict runs exports',
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
