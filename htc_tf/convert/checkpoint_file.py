"""Reader of published checkpoints of torch and Paddle; it needs neither and executes nothing."""

import dataclasses
import hashlib
import mmap
import os
import re
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from htc_tf import file_systems
from htc_tf.convert import packed_file, paddle_file, torch_legacy_file, torch_zip_file
from htc_tf.convert.stored_array import FileData, StoredArray
from htc_tf.convert.unreadable import NOT_WEIGHTS, UnreadableError
from htc_tf.errors import CheckpointError

_READABLE = (
  'a .pth file of torch.save, a .pdparams file of paddle.save, or a zip file with one of them, '
  'that holds weights'
)
# Keys under which training scripts store the state dictionary, in order of preference.
_STATE_DICT_KEYS = ('state_dict', 'model')
_MAX_NESTING = 4
# mmdetection's averaging hook stores an averaged copy of each variable with this prefix.
_AVERAGED_PREFIX = 'ema_'
_DATA_PARALLEL_PREFIX = 'module.'
# Publishers put 8 or more digits of the SHA-256 before the suffix; a date of 8 digits is no hash.
_PUBLISHED_HASH = re.compile(
  r'-(?!(?:19|20)\d\d(?:0[1-9]|1[0-2])(?:[0-2]\d|3[01])\.)'
  r'([0-9a-f]{8,64})\.(?:pth|pt|pdparams)(?:\.zip)?$'
)


@dataclasses.dataclass(frozen=True)
class Checkpoint:
  """The weights of a published file.

  Attributes:
    tensors: arrays by published name, in the file's order and layout; read-only, most of them views
      of the file's bytes. `num_batches_tracked` is included; bfloat16 is widened to float32.
    source: 'torch' or 'paddle'.
    path: path of the file.
    sha256: SHA-256 of the whole file, 64 hexadecimal digits.
    release: function that frees the memory of the parts of the file read so far. The tensors stay
      valid: a part that is used later is read again.
  """

  tensors: Mapping[str, np.ndarray]
  source: str
  path: str
  sha256: str
  release: Callable[[], None] = lambda: None


def read_checkpoint(path: str | os.PathLike) -> Checkpoint:
  """The weights of a checkpoint file, whose format is recognized from its contents.

  The state dictionary is at the top level (torchvision, Paddle) or under `state_dict` or `model`.
  Everything beside it (optimizer, `ema_state_dict`, metadata) and averaged copies in it (`ema_*`)
  are skipped. The prefix `module.` of DataParallel is removed if every name has it; other prefixes,
  such as `backbone.` of mmcls, are kept.

  A zip file that holds one checkpoint (`.pth.zip`) is unpacked in memory, which its content then
  takes in addition, at most four times the file's size.

  Nothing in the file is executed or imported. Memory stays below about twice the file's size (three
  times for bfloat16) plus 30 MB, whatever the file states.

  Args:
    path: path of the file. A publisher's hash at the end of the name (`-7332cf16.pth`) is verified.

  Raises:
    CheckpointError: the file is missing or damaged, does not have the hash in its name, or holds
      objects that weights do not need; the message names the refused object.
  """
  path = os.fspath(path)
  data = _read_file(path)
  sha256 = hashlib.sha256(data).hexdigest()
  _verify_published_hash(path, sha256)
  try:
    data = packed_file.unpack(path, data)
    source, stored = _read_format(data)
    tensors = _load(_without_data_parallel(_arrays(_state_dict(stored))), len(data))
  except UnreadableError as error:
    raise CheckpointError(
      f'Checkpoint {path} was refused: {error.reason}',
      expected=_READABLE,
      likely_cause=error.likely_cause,
    ) from error
  _release(data)  # Hashing has read the whole file.
  return Checkpoint(tensors, source, path, sha256, lambda: _release(data))


def _release(data: FileData) -> None:
  if isinstance(data, mmap.mmap) and hasattr(mmap, 'MADV_DONTNEED'):
    data.madvise(mmap.MADV_DONTNEED)


def _read_file(path: str) -> FileData:
  """The file's bytes; a local file is mapped, so that only the parts in use take memory."""
  if not file_systems.is_file(path):
    raise CheckpointError(
      f'There is no checkpoint file {path}',
      expected=_READABLE,
      got='a directory' if file_systems.is_folder(path) else 'no file',
      likely_cause='a mistyped path, or the file is not downloaded yet',
    )
  try:
    if file_systems.is_remote(path):
      return file_systems.read_bytes(path)
    with open(path, 'rb') as file:
      if not os.fstat(file.fileno()).st_size:
        return b''  # An empty file cannot be mapped.
      return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
  except OSError as error:
    raise CheckpointError(
      f'Checkpoint {path} cannot be opened',
      expected=_READABLE,
      got=error.strerror or str(error),
      likely_cause='missing permission to read it, or a failing disk',
    ) from error


def _verify_published_hash(path: str, sha256: str) -> None:
  match = _PUBLISHED_HASH.search(os.path.basename(path))
  if match and not sha256.startswith(match.group(1)):
    raise CheckpointError(
      f'Checkpoint {path} does not have the hash in its name',
      expected=f'a SHA-256 that begins with {match.group(1)}',
      got=sha256,
      likely_cause='a broken download; if the file was changed on purpose, rename it',
    )


def _read_format(data: FileData) -> tuple[str, Any]:
  """The source of a file, and the object that the file holds."""
  for module, source, read in (
    (torch_zip_file, 'torch', torch_zip_file.read_torch_zip),
    (torch_legacy_file, 'torch', torch_legacy_file.read_torch_legacy),
    (paddle_file, 'paddle', paddle_file.read_paddle),
  ):
    if data[: len(module.SIGNATURE)] == module.SIGNATURE:
      return source, read(data)
  begin = ascii(data[:16].decode('latin-1')) if data else 'nothing'
  raise UnreadableError(
    f'the file begins with {begin}, which is no known format',
    'an error page saved instead of the file, or a broken download',
  )


def _state_dict(stored: Any) -> dict[Any, Any]:
  """The state dictionary within the object that a file holds."""
  for _ in range(_MAX_NESTING):
    inner = [
      stored[key]
      for key in _STATE_DICT_KEYS
      if isinstance(stored, dict) and isinstance(stored.get(key), dict)
    ]
    if not inner:
      break
    stored = inner[0]
  if not isinstance(stored, dict):
    raise UnreadableError(
      f'the file holds a {type(stored).__name__} instead of a dictionary of tensors', NOT_WEIGHTS
    )
  return stored


def _arrays(state_dict: dict[Any, Any]) -> dict[str, StoredArray]:
  """The arrays of a state dictionary, without averaged copies.

  An entry that is not an array is an error, so that nothing is lost silently.
  """
  arrays = {}
  for name, value in state_dict.items():
    if not isinstance(name, str) or not isinstance(value, StoredArray):
      raise UnreadableError(
        f'entry {name!a} has the type {type(value).__name__} instead of a tensor',
        'the file holds more than weights: save its state_dict alone',
      )
    if not name.startswith(_AVERAGED_PREFIX):
      arrays[name] = value
  if not arrays:
    raise UnreadableError(
      'the file holds no tensors', 'an empty state_dict, or one with averaged copies only'
    )
  return arrays


def _without_data_parallel(arrays: dict[str, StoredArray]) -> dict[str, StoredArray]:
  if not all(name.startswith(_DATA_PARALLEL_PREFIX) for name in arrays):
    return arrays
  return {name[len(_DATA_PARALLEL_PREFIX) :]: array for name, array in arrays.items()}


def _load(arrays: dict[str, StoredArray], file_size: int) -> dict[str, np.ndarray]:
  # Each storage takes memory once per element type that it is read as; real files use one type.
  sizes = {
    (id(array.storage), array.element): array.storage.num_bytes
    for array in arrays.values()
    if array.storage
  }
  if sum(sizes.values()) > file_size:
    raise UnreadableError(f'the tensors need more than the {file_size} bytes of the file')
  return {name: array.load() for name, array in arrays.items()}
