"""The best checkpoint of a run by a figure of its evaluations, in a folder of its own."""

import json
import os
from collections.abc import Mapping
from typing import Any, NamedTuple

import tensorflow as tf
from absl import logging

from htc_tf import file_systems, files
from htc_tf.checkpoints import last_good, model_directory, readability

_INFO_FILE = 'info.json'
_NAME = 'best_ckpt'
_STEP = 'best_ckpt_global_step'


class Best(NamedTuple):
  """The best evaluation so far.

  Attributes:
    step: its training step.
    value: its figure.
  """

  step: int
  value: float


def is_better(value: float, best: Best | None, comparison: str) -> bool:
  """Whether a figure is better than the best one so far; an equal one is not.

  A figure below 0 is none: the annotations have no object that counts for it.

  Args:
    value: the figure.
    best: the best evaluation so far, if any.
    comparison: 'higher' or 'lower', whichever is better.
  """
  if not value >= 0:
    return False
  if best is None:
    return True
  return value > best.value if comparison == 'higher' else value < best.value


class BestCheckpoint:
  """The folder of the best checkpoint, a model directory that is replaced by a better one.

  It has the interface of Model Garden's exporter. That one notes the figure before it saves the
  checkpoint, so that after an interruption the folder may hold another checkpoint than it says, and
  cannot start if the note is damaged. Here the old checkpoint stays until the new one is noted.

  Args:
    model_dir: the model directory.
    folder: name of the folder in it.
    metric: the figure, such as 'segm_AP'.
    comparison: 'higher' or 'lower', whichever is better.
    is_new_run: whether the training starts at step 0, so that a best checkpoint that is there
      already is that of another run.
  """

  def __init__(
    self,
    model_dir: str,
    folder: str,
    metric: str,
    comparison: str = 'higher',
    is_new_run: bool = False,
  ):
    self._model_dir = model_dir
    self.folder = os.path.join(model_dir, folder)
    self._metric, self._comparison = metric, comparison
    self.best = self._read()
    if self.best is not None and is_new_run:
      logging.warning(
        '%s holds the best checkpoint of an earlier run, of step %d. This run starts anew, so its '
        'first evaluation replaces it.',
        self.folder,
        self.best.step,
      )
      self.best = None

  def maybe_export_checkpoint(
    self, checkpoint: tf.train.Checkpoint, eval_logs: Mapping[str, Any], global_step: int
  ) -> bool:
    """Save a checkpoint if it is better than the best one so far; return whether it was.

    Args:
      checkpoint: the checkpoint to save.
      eval_logs: figures of its evaluation.
      global_step: its training step.
    """
    value, step = float(eval_logs[self._metric]), int(global_step)
    if not is_better(value, self.best, self._comparison):
      return False
    model_directory.create(self.folder)
    model_directory.copy_description(self._model_dir, self.folder)
    manager = tf.train.CheckpointManager(checkpoint, self.folder, None, checkpoint_name=_NAME)
    manager.save(checkpoint_number=step)
    content = {**{name: float(figure) for name, figure in eval_logs.items()}, _STEP: step}
    path = os.path.join(self.folder, _INFO_FILE)
    files.write_bytes(path, (json.dumps(content, indent=2) + '\n').encode())
    self.best = Best(step, value)
    self._remove_others(step)
    return True

  def _prefix(self, step: int) -> str:
    return os.path.join(self.folder, f'{_NAME}-{step}')

  def _remove_others(self, step: int) -> None:
    """Remove all checkpoints except that of a step, and let the state file name it."""
    prefix = self._prefix(step)
    last_good.write_state_file(self.folder, [prefix])
    for path in file_systems.glob_in(self.folder, f'{_NAME}-*'):
      if os.path.basename(path).startswith((f'{_NAME}-{step}.index', f'{_NAME}-{step}.data-')):
        continue
      if file_systems.is_folder(path):  # Of a process that was killed while it saved.
        file_systems.remove_folder(path)
      else:
        file_systems.remove(path)

  def _read(self) -> Best | None:
    """The best evaluation that the folder notes, if its checkpoint is there.

    A checkpoint that a process saved and could not note any more is removed.
    """
    best = self._read_note()
    if best is None:
      return None
    prefix = self._prefix(best.step)
    if not (file_systems.exists(f'{prefix}.index') and readability.is_readable(prefix)):
      self._warn(f'does not hold the checkpoint that its {_INFO_FILE} names, {prefix}')
      return None
    self._remove_others(best.step)
    return best

  def _read_note(self) -> Best | None:
    """The best evaluation by the note, if there is one; a note that cannot be read is renamed."""
    path = os.path.join(self.folder, _INFO_FILE)
    if not file_systems.exists(path):
      return None
    try:
      content = dict(json.loads(file_systems.read_bytes(path)))
      if self._metric not in content:
        self._warn(f'was chosen by another figure than {self._metric}')
        return None
      return Best(int(content[_STEP]), float(content[self._metric]))
    except (ValueError, KeyError, TypeError) as error:
      renamed = files.set_aside(path)
      logging.error(
        '%s cannot be read (%s). It is renamed to %s, and the next evaluation counts as the best '
        'one. Likely cause: a full disk, or an edit by hand.',
        path,
        error,
        renamed,
      )
      return None

  def _warn(self, reason: str) -> None:
    """Warn that the best checkpoint does not count."""
    logging.warning('%s %s, so the next evaluation replaces it.', self.folder, reason)
