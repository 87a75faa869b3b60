"""Errors of the operating system on files, told with the file and the likely cause."""

import contextlib
import errno
import os
import re
from collections.abc import Iterator
from typing import NamedTuple

from htc_tf.errors import HTCError, InputError


class _Explanation(NamedTuple):
  """What was expected in the place of an error, and its likely cause."""

  expected: str
  likely_cause: str


_NO_SPACE = _Explanation(
  'free space', 'a full disk or a used-up quota; make room and run the same command again'
)
_DENIED = _Explanation(
  'a path with permission to use it',
  'a file or folder of another user, or one whose permissions exclude you (see ls -ld)',
)
_EXISTS = _Explanation(
  'a path that is free', 'a file, or a link that leads nowhere, in the place of the output'
)
_TOO_MANY = _Explanation(
  'fewer open files', 'the limit on open files (ulimit -n); raise it or use fewer processes'
)
_LOST = _Explanation('a disk that answers', 'a failing disk, or a network drive that is gone')
_EXPLANATIONS = {
  errno.ENOENT: _Explanation(
    'an existing file, or an output in a folder that takes new files',
    'a misspelled path, a link that leads nowhere, or an output in a place like /proc that takes '
    'no files',
  ),
  errno.EACCES: _DENIED,
  errno.EPERM: _DENIED,
  errno.EROFS: _Explanation('a disk that can be written', 'a disk that is mounted read-only'),
  errno.ENOSPC: _NO_SPACE,
  errno.EDQUOT: _NO_SPACE,
  errno.EFBIG: _Explanation(
    'a file within the size limit', 'a limit of the shell (ulimit -f), or of the file system'
  ),
  errno.ENOTDIR: _Explanation('a folder', 'a file where a folder is expected'),
  errno.EISDIR: _Explanation('a file', 'a folder where a file is expected'),
  errno.EEXIST: _EXISTS,
  errno.ENOTEMPTY: _EXISTS,
  errno.ENAMETOOLONG: _Explanation(
    'a name of at most 255 bytes', 'text that is no path, or a generated name'
  ),
  errno.ELOOP: _Explanation('a path without a cycle', 'links that lead to each other'),
  errno.EMFILE: _TOO_MANY,
  errno.ENFILE: _TOO_MANY,
  errno.EIO: _LOST,
  errno.ESTALE: _LOST,
  errno.EINVAL: _Explanation('a regular file', 'a device, or a file of the kernel such as /proc'),
  errno.EBUSY: _Explanation('a file that is not in use', 'another process that uses it'),
}
# What a missing file is for a caller that only reads.
_NO_INPUT = _Explanation('an existing file', 'a misspelled path, or a link that leads nowhere')
_NUMBERS = {os.strerror(number): number for number in _EXPLANATIONS}
# TensorFlow writes "path; Permission denied", and "[Errno 13] ..." for errors of Python.
_PATH = r'(?P<path>/[^;\n]+|[^\s;]+)'
_IN_TENSORFLOW = re.compile(
  rf'(?:{_PATH}; |\[Errno \d+\] )(?P<text>{"|".join(map(re.escape, _NUMBERS))})'
)
_NO_FOLDER = re.compile(rf'{_PATH} is not a directory')
_FUNCTION_NODE = re.compile(r'\{\{function_node [^}]*\}\} ')
# The temporary names of `files`: .name.0123456789ab.part.suffix for name.suffix.
_TEMPORARY = re.compile(r'(^|.*?/)\.([^/]+)\.[0-9a-f]{12}\.part(\.[^/.]+)?(?:/.*)?')
# The temporary folder in an existing output folder: .0123456789ab.part.
_INSIDE = re.compile(r'(.*)/\.[0-9a-f]{12}\.part(?:/.*)?')


def explained(error: BaseException, reading: bool = False) -> InputError | None:
  """The error message for a file that the operating system refuses; None for other errors.

  Args:
    error: an OSError, or an error of TensorFlow that quotes the operating system.
    reading: whether the file is an input, so that the message names no causes of outputs.
  """
  if isinstance(error, OSError) and not isinstance(error, HTCError):
    path = error.filename2 or error.filename
    return _explained(error.errno, error.strerror or str(error), path, reading)
  if not type(error).__module__.startswith('tensorflow.'):
    return None
  text = _FUNCTION_NODE.sub('', str(error))
  found = _IN_TENSORFLOW.search(text)
  if found:
    return _explained(_NUMBERS[found['text']], found['text'], found['path'], reading)
  found = _NO_FOLDER.search(text)
  return found and _explained(errno.ENOTDIR, os.strerror(errno.ENOTDIR), found['path'], reading)


@contextlib.contextmanager
def as_input_errors(reading: bool = False) -> Iterator[None]:
  """A context in which errors of files are raised as InputError; others are raised unchanged.

  Args:
    reading: whether the files are inputs; see `explained`.
  """
  try:
    yield
  except Exception as error:
    refused = explained(error, reading)
    if refused is None:
      raise
    raise refused from error


def _explained(
  number: int | None, text: str, path: str | bytes | int | None, reading: bool
) -> InputError:
  explanation = _EXPLANATIONS.get(number or 0)
  if reading and number == errno.ENOENT:
    explanation = _NO_INPUT
  if isinstance(path, int) or path is None:
    what = 'A file cannot be used'
  else:
    what = f'{_final_name(os.fsdecode(path))} cannot be used'
  if explanation is None:
    return InputError(what, got=text)
  return InputError(
    what, expected=explanation.expected, got=text, likely_cause=explanation.likely_cause
  )


def _final_name(path: str) -> str:
  """The name that a temporary file or folder gets once it is complete; other paths as they are."""
  inside = _INSIDE.fullmatch(path)
  if inside:
    return inside[1]
  found = _TEMPORARY.fullmatch(path)
  return f'{found[1]}{found[2]}{found[3] or ""}' if found else path or "''"
