"""The backend of matplotlib stays that of the user when Model Garden is imported.

A module of Model Garden, which any import of `official.vision` loads, selects the backend Agg, so
that a notebook would not show its later pictures. This package draws without `pyplot`, and needs no
backend.
"""

import importlib.abc
import importlib.machinery
import importlib.util
import sys
import types
from collections.abc import Sequence
from typing import Any

_SWITCHING = 'official.vision.utils.object_detection.visualization_utils'


class _Finder(importlib.abc.MetaPathFinder):
  """Finds the module that selects a backend, once, and lets it be executed without this effect."""

  def find_spec(
    self, fullname: str, path: Sequence[str] | None, target: types.ModuleType | None = None
  ) -> importlib.machinery.ModuleSpec | None:
    if fullname != _SWITCHING:
      return None
    sys.meta_path.remove(self)
    spec = importlib.util.find_spec(fullname)
    if spec is not None and spec.loader is not None:
      spec.loader = _Loader(spec.loader)
    return spec


class _Loader(importlib.abc.Loader):
  """A loader that executes a module while no backend can be selected.

  Args:
    loader: the loader of the module.
  """

  def __init__(self, loader: importlib.abc.Loader):
    self._loader = loader

  def __getattr__(self, name: str) -> Any:
    return getattr(self._loader, name)  # Such as the source, for tracebacks and debuggers.

  def create_module(self, spec: importlib.machinery.ModuleSpec) -> types.ModuleType | None:
    return self._loader.create_module(spec)

  def exec_module(self, module: types.ModuleType) -> None:
    from unittest import mock  # Not at the start of every command.

    import matplotlib

    with mock.patch.object(matplotlib, 'use'):
      self._loader.exec_module(module)


def keep() -> None:
  """Let later imports of Model Garden leave the backend; earlier ones are not undone."""
  if _SWITCHING not in sys.modules and not any(isinstance(each, _Finder) for each in sys.meta_path):
    sys.meta_path.insert(0, _Finder())
