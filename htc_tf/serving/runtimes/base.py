"""What the package needs of a runtime, and the check that its packages are installed."""

import importlib.util
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NamedTuple, TypeAlias

import numpy as np

from htc_tf.errors import ConfigError
from htc_tf.serving.frame_graph import FrameGraph

# Inputs of a `FrameGraph` by name, for each image.
Frames: TypeAlias = Iterable[Mapping[str, np.ndarray]]
# Function from the inputs of a `FrameGraph` by name to its outputs by name.
Run: TypeAlias = Callable[[Mapping[str, np.ndarray]], dict[str, np.ndarray]]


class Runtime(NamedTuple):
  """A runtime: how models are converted for it, and how it runs them.

  Attributes:
    name: name for `--format` and `export.json`.
    title: name for messages.
    model_file: name of the file in an export that the runtime reads.
    packages_to_convert: modules that conversion imports.
    packages_to_run: modules that running imports.
    convert: function that writes the files of a graph into a folder.
    load: function from the path of the model file to the function that runs it.
    convert_to_int8: the same with convolutions in 8 bits, for the ranges of activations in the
      frames; it imports the modules of conversion and of running. None if there is no such one.
  """

  name: str
  title: str
  model_file: str
  packages_to_convert: Sequence[str]
  packages_to_run: Sequence[str]
  convert: Callable[[FrameGraph, str], None]
  load: Callable[[str], Run]
  convert_to_int8: Callable[[FrameGraph, str, Frames], None] | None = None


def check_installed(title: str, packages: Sequence[str]) -> None:
  """Raise ConfigError unless every module can be found.

  Args:
    title: name of the runtime, for the message.
    packages: names of the modules.
  """
  missing = [name for name in packages if importlib.util.find_spec(name) is None]
  if missing:
    raise ConfigError(
      f'{title} cannot be used',
      expected=f'the packages {", ".join(packages)}',
      got=f'no {", ".join(missing)}',
      likely_cause="the extra is not installed: pip install 'htc_tf[runtimes]'",
    )
