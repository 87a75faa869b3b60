"""Reads a published checkpoint of torch or Paddle, needing neither and running nothing."""

import dataclasses
import hashlib
import mmap
import os
import re
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from htc_tf.convert import paddle_file, torch_legacy_file, torch_zip_file
from htc_tf.convert.stored_array import StoredArray
from htc_tf.convert.unreadable import NOT_WEIGHTS, UnreadableError
from htc_tf.errors import CheckpointError

_READABLE = 'a .pth file of torch.save or a .pdparams file of paddle.save that holds weights'
# Keys beneath which training scripts put the state dictionary, from the outside inwards.
_STATE_DICT_KEYS = ('state_dict', 'model')
_MAX_NESTING = 4
# mmdetection's averaging hook adds a copy of each variable under such a name.
_AVERAGED = 'ema_'
_DATA_PARALLEL = 'module.'
# Publishers end the name in 8 or more digits of the SHA-256; a date in their place is no hash.
_PUBLISHED_HASH = re.compile(
  r'-(?!(?:19|20)\d\d(?:0[1-9]|1[0-2])(?:[0-2]\d|3[01])\.)'
  r'([0-9a-f]{8,64})\.(?:pth|pt|pdparams)$'
)


FileData = bytes | mmap.mmap


@dataclasses.dataclass(frozen=True)
class Checkpoint:
  """The weights of a published file.

  Attributes:
    tensors: arrays by the publisher's names, in the file's order and layout; read-only, most of
      them views of the file's bytes. `num_batches_tracked` stays; bfloat16 is widened to float32.
    source: 'torch' or 'paddle'.
    path: the file read.
    sha256: of the whole file, 64 hexadecimal digits.
    release: gives back the memory of what was read of the file so far; the tensors stay, and are
      read again where they are used again.
  """

  tensors: Mapping[str, np.ndarray]
  source: str
  path: str
  sha256: str
  release: Callable[[], None] = lambda: None


def read_checkpoint(path: str | os.PathLike) -> Checkpoint:
  """Reads the weights of a checkpoint file; its format is told from its contents.

  The state dictionary is found at top level (torchvision, Paddle) or beneath `state_dict` or
  `model`. What lies beside it (optimizer, `ema_state_dict`, notes) and averaged copies within it
  (`ema_*`) are left out. The prefix `module.` of DataParallel is removed where every name has it;
  other prefixes, as `backbone.` of mmcls, are part of the names and stay.

  Nothing in the file is executed or imported. Memory stays below about twice the file's size (three
  times for bfloat16) and 30 MB, whatever the file claims.

  Args:
    path: the file. A publisher's hash at the end of its name (`-7332cf16.pth`) is verified.

  Raises:
    CheckpointError: the file is missing, damaged, not of the hash in its name, or asks for anything
      that is no tensor; the message names what was refused.
  """
  path = os.fspath(path)
  data = _read_file(path)
  sha256 = hashlib.sha256(data).hexdigest()
  _verify_published_hash(path, sha256)
  try:
    source, stored = _read_format(data)
    tensors = _load(_without_module(_arrays(_state_dict(stored))), len(data))
  except UnreadableError as error:
    raise CheckpointError(
      f'Checkpoint {path} was refused: {error.reason}',
      expected=_READABLE,
      likely_cause=error.likely_cause,
    ) from error
  _release(data)  # The checks above have read all of it.
  return Checkpoint(tensors, source, path, sha256, lambda: _release(data))


def _release(data: FileData) -> None:
  if isinstance(data, mmap.mmap) and hasattr(mmap, 'MADV_DONTNEED'):
    data.madvise(mmap.MADV_DONTNEED)


def _read_file(path: str) -> FileData:
  """The file's bytes, mapped: only what is used takes memory."""
  if not os.path.isfile(path):
    raise CheckpointError(
      f'There is no checkpoint file {path}',
      expected=_READABLE,
      got='a directory' if os.path.isdir(path) else 'no file',
      likely_cause='a mistyped path, or the file is not downloaded yet',
    )
  try:
    with open(path, 'rb') as file:
      if not os.fstat(file.fileno()).st_size:
        return b''  # Nothing cannot be mapped.
      return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
  except OSError as error:
    raise CheckpointError(
      f'Checkpoint {path} cannot be opened', expected=_READABLE, got=str(error)
    ) from error


def _verify_published_hash(path: str, sha256: str) -> None:
  match = _PUBLISHED_HASH.search(os.path.basename(path))
  if match and not sha256.startswith(match.group(1)):
    raise CheckpointError(
      f'Checkpoint {path} is not the file its name says',
      expected=f'a SHA-256 that begins with {match.group(1)}',
      got=sha256,
      likely_cause='a broken download; rename a file changed on purpose',
    )


def _read_format(data: FileData) -> tuple[str, Any]:
  """(source, what the file holds)."""
  for module, source, read in (
    (torch_zip_file, 'torch', torch_zip_file.read_torch_zip),
    (torch_legacy_file, 'torch', torch_legacy_file.read_torch_legacy),
    (paddle_file, 'paddle', paddle_file.read_paddle),
  ):
    if data[: len(module.SIGNATURE)] == module.SIGNATURE:
      return source, read(data)
  begin = ascii(data[:16].decode('latin-1')) if data else 'nothing'
  raise UnreadableError(
    f'it begins with {begin}, which no known format does',
    'an error page saved in place of the file, or a broken download',
  )


def _state_dict(stored: Any) -> dict[Any, Any]:
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
      f'it holds a {type(stored).__name__} instead of a dictionary of tensors', NOT_WEIGHTS
    )
  return stored


def _arrays(state_dict: dict[Any, Any]) -> dict[str, StoredArray]:
  """The entries that are weights; anything else among them is an error, not silently lost."""
  arrays = {}
  for name, value in state_dict.items():
    if not isinstance(name, str) or not isinstance(value, StoredArray):
      raise UnreadableError(
        f'its entry {name!a} is a {type(value).__name__} instead of a tensor',
        'it holds more than weights: save its state_dict alone',
      )
    if not name.startswith(_AVERAGED):
      arrays[name] = value
  if not arrays:
    raise UnreadableError('it holds no tensors', 'an empty state_dict, or one of averages only')
  return arrays


def _without_module(arrays: dict[str, StoredArray]) -> dict[str, StoredArray]:
  if not all(name.startswith(_DATA_PARALLEL) for name in arrays):
    return arrays
  return {name[len(_DATA_PARALLEL) :]: array for name, array in arrays.items()}


def _load(arrays: dict[str, StoredArray], file_size: int) -> dict[str, np.ndarray]:
  # Each storage is held once for each type it is read as; real files read it as one.
  claims = {
    (id(array.storage), array.element): array.storage.num_bytes
    for array in arrays.values()
    if array.storage
  }
  if sum(claims.values()) > file_size:
    raise UnreadableError(f'its tensors claim more than the {file_size} bytes it has')
  return {name: array.load() for name, array in arrays.items()}
