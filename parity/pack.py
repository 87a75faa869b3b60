"""Access to a folder of reference arrays and to the rule that makes the weights they belong to."""

import importlib.util
import pathlib

import numpy as np

from htc_tf import files
from htc_tf.convert.checkpoint_file import Checkpoint
from htc_tf.errors import HTCError

# The part of the pack that the repository holds, for its tests.
EXTRACT = pathlib.Path(__file__).parent / 'extract'


class MissingArrayError(HTCError):
  """A reference array that the folder does not hold.

  Args:
    name: of the array and its file, or of the file.
  """

  def __init__(self, name: str):
    super().__init__(
      f'The reference {name} is not there',
      expected='it in the folder of the pack',
      likely_cause='a pack that covers other levels of the comparison',
    )
    self.name = name


class Arrays:
  """The arrays of one .npz file, read when asked for."""

  def __init__(self, path: pathlib.Path):
    self._path = path
    self._file = None

  def __getitem__(self, key: str) -> np.ndarray:
    """Raises MissingArrayError for an array that is not there."""
    if not self._path.exists():
      raise MissingArrayError(self._path.name)
    if key not in self._open():
      raise MissingArrayError(f'{key} of {self._path.name}')
    return self._open()[key]

  def names(self) -> list[str]:
    """Keys of the arrays; none without the file."""
    return list(self._open()) if self._path.exists() else []

  def _open(self):
    if self._file is None:
      self._file = np.load(self._path)
    return self._file


class Pack:
  """A folder with `weights.py` and .npz files, or a part of them.

  Args:
    folder: where they lie.
  """

  def __init__(self, folder: files.PathLike):
    self._folder = pathlib.Path(folder)

  def arrays(self, stem: str) -> Arrays:
    """The file `<stem>.npz`, which may be absent."""
    return Arrays(self._folder / f'{stem}.npz')

  def mmdet_state(self, config: str) -> Checkpoint:
    """Weights of an mmdetection configuration; raises MissingArrayError without their shapes."""
    self._require(f'mmdet_{config}_shapes.json')
    return Checkpoint(self._weights().mmdet_state_dict(config), 'torch', f'{config}.pth', '')

  def paddle_state(self) -> Checkpoint:
    """Weights of laihuihui/htc; raises MissingArrayError without their shapes."""
    self._require('paddle_r50_shapes.json')
    return Checkpoint(self._weights().paddle_state_dict(), 'paddle', 'paddle_r50.pdparams', '')

  def _require(self, name: str) -> pathlib.Path:
    if not (self._folder / name).exists():
      raise MissingArrayError(name)
    return self._folder / name

  def _weights(self):
    """The module `weights.py` of the folder, which finds its shapes beside itself."""
    spec = importlib.util.spec_from_file_location('parity_weights', self._require('weights.py'))
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
