"""Checkpoints that were packed into a zip file, as CBNetV2 publishes them (`.pth.zip`)."""

import io
import struct
import zipfile
import zlib

from htc_tf import file_systems
from htc_tf.convert.stored_array import FileData
from htc_tf.convert.torch_zip_file import SIGNATURE
from htc_tf.convert.unreadable import UnreadableError

_SUFFIXES = ('.pth', '.pt', '.pdparams')
# Folders that macOS adds.
_ADDED = '__MACOSX/'
# Weights can hardly be compressed; more is an attempt to fill the memory.
_MAX_RATIO = 4
# What `zipfile` raises on damaged and encrypted files.
_ERRORS = (
  zipfile.BadZipFile,
  zlib.error,
  struct.error,
  EOFError,
  OSError,
  RuntimeError,
  ValueError,
  OverflowError,
)


def unpack(path: str, data: FileData) -> FileData:
  """The content of the checkpoint that a file packs; of any other file, its own content.

  Args:
    path: path of the file.
    data: content of the file.

  Raises:
    UnreadableError: the packed checkpoint is damaged, encrypted, or too large for the file.
  """
  if data[: len(SIGNATURE)] != SIGNATURE:
    return data
  try:
    archive = zipfile.ZipFile(_opened(path, data))
  except _ERRORS:
    return data  # The reader of torch's zip files says what is wrong.
  with archive:
    packed = _packed_entry(archive)
    return data if packed is None else _read(archive, packed, len(data))


def _opened(path: str, data: FileData) -> str | io.BytesIO:
  """What `zipfile` reads; a local file is not copied into memory."""
  return io.BytesIO(bytes(data)) if file_systems.is_remote(path) else path


def _packed_entry(archive: zipfile.ZipFile) -> zipfile.ZipInfo | None:
  """The entry of the only checkpoint; None if the file is no packed checkpoint."""
  entries = [
    entry
    for entry in archive.infolist()
    if not entry.is_dir() and not entry.filename.startswith(_ADDED)
  ]
  if len(entries) != 1 or not entries[0].filename.endswith(_SUFFIXES):
    return None
  return entries[0]


def _read(archive: zipfile.ZipFile, entry: zipfile.ZipInfo, file_size: int) -> bytes:
  if entry.file_size > _MAX_RATIO * file_size:
    raise UnreadableError(
      f'{entry.filename!a} would have {entry.file_size} bytes, out of a file of {file_size}',
      'a file that was made to fill the memory: weights can hardly be compressed',
    )
  try:
    return archive.read(entry)
  except _ERRORS as error:
    raise UnreadableError(f'{entry.filename!a} cannot be unpacked: {error}') from error
