"""The files of `experiments/`, in a checkout or in the installed package."""

import pathlib
from collections.abc import Sequence

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


def divided(config_files: Sequence[str]) -> tuple[list[str], list[str]]:
  """Paths of published files and paths of all others, each in their order.

  A published file belongs to the experiment that a run starts from: its schedule is fitted to
  another batch or to other data, as that of a registered experiment is.

  Args:
    config_files: paths of YAML files.
  """
  published = [path for path in config_files if is_published(path)]
  return published, [path for path in config_files if path not in published]


def is_published(path: str) -> bool:
  """Whether a path is that of a file of `experiments/`; a copy elsewhere is not."""
  return pathlib.Path(path).resolve().parent in [folder.resolve() for folder in _FOLDERS]
