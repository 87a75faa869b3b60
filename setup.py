"""Build script of the package; pyproject.toml has the metadata."""

import os
import pathlib
from typing import Any

import setuptools  # type: ignore[import-untyped]  # It has no types.
from setuptools.command.build_py import build_py  # type: ignore[import-untyped]


class BuildWithExperiments(build_py):
  """Packs experiments/*.yaml as well, which commands look up by name."""

  editable_mode: bool
  build_lib: str

  def run(self) -> None:
    """Build the package, and copy the files unless it is used where it lies."""
    super().run()
    if self.editable_mode:
      return
    folder = os.path.join(self.build_lib, 'htc_tf', 'experiments')
    self.mkpath(folder)
    for path in sorted(pathlib.Path('experiments').glob('*.yaml')):
      self.copy_file(str(path), os.path.join(folder, path.name))


_COMMANDS: dict[str, Any] = {'build_py': BuildWithExperiments}
setuptools.setup(cmdclass=_COMMANDS)
