"""Exceptions whose messages state the expected input, the actual input and the likely cause."""

import re
from collections.abc import Iterator


class HTCError(Exception):
  """Base class of every error that htc_tf raises on purpose.

  Args:
    what: sentence that says what failed.
    expected: description of a correct input.
    got: the actual input.
    likely_cause: the usual reason, and what to do about it.
  """

  def __init__(
    self,
    what: str,
    *,
    expected: str | None = None,
    got: str | None = None,
    likely_cause: str | None = None,
  ):
    parts = [what]
    if expected is not None:
      parts.append(f'Expected: {expected}')
    if got is not None:
      parts.append(f'Got: {got}')
    if likely_cause is not None:
      parts.append(f'Likely cause: {likely_cause}')
    super().__init__('. '.join(part.rstrip('.') for part in parts) + '.')


class ConfigError(HTCError, ValueError):
  """A configuration that cannot be built or run."""


class DataError(HTCError, ValueError):
  """Annotations, images or records that cannot be used."""


class CheckpointError(HTCError, ValueError):
  """A checkpoint that is missing, cannot be read, or has another configuration."""


class TrainingError(HTCError):
  """A run that cannot continue, for example because the loss is not finite."""


class InputError(HTCError, ValueError):
  """An argument of a public function that has the wrong shape, type or range."""


class StorageError(HTCError, OSError):
  """A remote file or folder that is missing or cannot be used."""


class ServingError(HTCError):
  """A model server that cannot be reached, refuses, or sends an unexpected answer."""


def missing_package(what: str, package: str, extra: str, failure: ImportError) -> ConfigError:
  """The error that says which extra to install.

  Args:
    what: sentence that says what cannot be done.
    package: name of the package that is missing.
    extra: extra of this package that installs it.
    failure: the error of its import.
  """
  return ConfigError(
    what,
    expected=f'the package {package}',
    got=str(failure),
    likely_cause=f"it is not installed: pip install 'htc_tf[{extra}]'",
  )


def _subclasses(cls: type[HTCError]) -> Iterator[type[HTCError]]:
  for subclass in cls.__subclasses__():
    yield subclass
    yield from _subclasses(subclass)


def stated_message(error: BaseException) -> str | None:
  """The message of the HTCError that caused an error of TensorFlow; None for other causes.

  TensorFlow converts an exception that Python code raises inside a graph into an OpError, whose
  text has the type, message and traceback of the original exception.
  """
  return stated_text(str(error))


def stated_text(text: str) -> str | None:
  """The message of an HTCError within a text of TensorFlow, such as a server's answer, or None."""
  classes: list[type[HTCError]] = [HTCError, *_subclasses(HTCError)]
  names = '|'.join(cls.__name__ for cls in classes)
  found = re.search(rf'\b(?:{names}): (.+)', text)
  # A failed assertion of a graph has its message in brackets.
  return found and re.sub(r'\.\]$', '.', found[1])
