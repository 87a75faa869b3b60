"""The files of `experiments/`, in a checkout or in the installed package."""

import pathlib

from htc_tf.errors import ConfigError

_PACKAGE = pathlib.Path(__file__).parents[1]
# The wheel has the files inside the package; a checkout has them beside it.
_FOLDERS = (_PACKAGE / 'experiments', _PACKAGE.parent / 'experiments')


def path_of(name: str) -> str:
  """Path of the file of a published configuration.

  Args:
    name: name of the file without `.yaml`.

  Raises:
    ConfigError: there is no such file.
  """
  for folder in _FOLDERS:
    path = folder / f'{name}.yaml'
    if path.is_file():
      return str(path)
  raise ConfigError(
    f'There is no experiment file {name}.yaml',
    expected=f'a file in {" or ".join(map(str, _FOLDERS))}',
    likely_cause='an incomplete installation, or a misspelled name',
  )


def is_published(text: str) -> bool:
  """Whether a text is the path of a file of `experiments/`; a copy elsewhere is none."""
  try:
    path = pathlib.Path(text).resolve()
    return path.is_file() and path.parent in [folder.resolve() for folder in _FOLDERS]
  # A text with overrides may be too long for a path, and a path may be a loop of links.
  except (OSError, ValueError, RuntimeError):
    return False
