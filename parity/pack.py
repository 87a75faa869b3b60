"""Access to a folder of reference arrays, and to the weights that they were computed with."""

import importlib.util
import pathlib
import types

import numpy as np

from htc_tf import files
from htc_tf.convert.checkpoint_file import Checkpoint
from htc_tf.errors import HTCError
from parity import member_weights, step_weights

# The parts of the packs that the repository holds for its tests.
EXTRACT = pathlib.Path(__file__).parent / 'extract'
ZOO_EXTRACT = pathlib.Path(__file__).parent / 'zoo_extract'
# References of larger networks, which no pack has.
MEMBER_EXTRACT = pathlib.Path(__file__).parent / 'member_extract'


class MissingArrayError(HTCError):
  """A reference array that the folder does not hold.

  Args:
    name: name of the missing file, or of the array and its file.
  """

  def __init__(self, name: str):
    super().__init__(
      f'The reference {name} is missing',
      expected='the array in the folder of the pack',
      likely_cause='a pack that covers other levels of the comparison',
    )
    self.name = name


class Arrays:
  """The arrays of one .npz file, which is opened when an array is first needed.

  Args:
    path: path of the file, which may be missing.
  """

  def __init__(self, path: pathlib.Path):
    self._path = path
    self._file: np.lib.npyio.NpzFile | None = None

  def __getitem__(self, key: str) -> np.ndarray:
    """The array of a key.

    Raises:
      MissingArrayError: the file or the array is missing.
    """
    if not self._path.exists():
      raise MissingArrayError(self._path.name)
    if key not in self._open():
      raise MissingArrayError(f'{key} of {self._path.name}')
    return self._open()[key]

  def names(self) -> list[str]:
    """Keys of the arrays; none if the file is missing."""
    return list(self._open()) if self._path.exists() else []

  def _open(self) -> np.lib.npyio.NpzFile:
    if self._file is None:
      self._file = np.load(self._path)
    return self._file


class Pack:
  """A folder with `weights.py` and .npz files, of which some may be missing.

  Args:
    folder: path of the folder.
  """

  def __init__(self, folder: files.PathLike):
    self._folder = pathlib.Path(folder)

  def arrays(self, stem: str) -> Arrays:
    """The arrays of the file `<stem>.npz`, which may be missing."""
    return Arrays(self._folder / f'{stem}.npz')

  def mmdet_state(self, config: str) -> Checkpoint:
    """The weights of a configuration of mmdetection.

    Args:
      config: name of the configuration.

    Raises:
      MissingArrayError: the shapes of the weights are missing.
    """
    self._require(f'mmdet_{config}_shapes.json')
    return Checkpoint(self._weights().mmdet_state_dict(config), 'torch', f'{config}.pth', '')

  def zoo_state(self, config: str) -> Checkpoint:
    """The weights of a configuration of the families around HTC.

    Args:
      config: name of the configuration.

    Raises:
      MissingArrayError: the shapes of the weights or the statistics of the norms are missing.
    """
    for name in (f'{config}_shapes.json', f'{config}_statistics.npz'):
      self._require(name)
    return Checkpoint(self._weights().state_dict(config), 'torch', f'{config}.pth', '')

  def member_state(self, config: str, sha256: str) -> Checkpoint:
    """The weights of a larger network of the families around HTC.

    Args:
      config: name of the configuration.
      sha256: hash that the file is said to have.

    Raises:
      MissingArrayError: the reference is missing.
    """
    arrays = self.arrays(config)
    shapes = step_weights.stored_shapes({key: arrays[key] for key in ('names', 'shapes')})
    squares = dict(zip(member_weights.norm_names(list(shapes)), arrays['mean_squares']))
    weights = member_weights.state_dict(shapes, squares)
    return Checkpoint(weights, 'torch', f'{config}.pth', sha256)

  def paddle_state(self) -> Checkpoint:
    """The weights of laihuihui/htc.

    Raises:
      MissingArrayError: the shapes of the weights are missing.
    """
    self._require('paddle_r50_shapes.json')
    return Checkpoint(self._weights().paddle_state_dict(), 'paddle', 'paddle_r50.pdparams', '')

  def _require(self, name: str) -> pathlib.Path:
    if not (self._folder / name).exists():
      raise MissingArrayError(name)
    return self._folder / name

  def _weights(self) -> types.ModuleType:
    """The module `weights.py` of the folder, which reads the shapes from the same folder."""
    spec = importlib.util.spec_from_file_location('parity_weights', self._require('weights.py'))
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
