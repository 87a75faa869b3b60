"""Searches of the package's source, for tests of what it does not do."""

import ast
import pathlib
from collections.abc import Callable, Iterable, Iterator

import htc_tf

FOLDER = pathlib.Path(htc_tf.__file__).parent
Finding = tuple[int, str]
Search = Callable[[str], list[Finding]]


def imported(node: ast.AST, modules: Iterable[str]) -> list[Finding]:
  """(line, name) of the given top-level modules that a statement imports."""
  if isinstance(node, ast.Import):
    names = [alias.name.split('.')[0] for alias in node.names]
  elif isinstance(node, ast.ImportFrom):
    names = [] if node.level else [(node.module or '').split('.')[0]]
  else:
    return []
  return [(node.lineno, name) for name in names if name in set(modules)]


def findings_by_module(
  search: Callable[[str], list[Finding]],
) -> Iterator[tuple[str, list[Finding]]]:
  """(path below the package, findings) of every module in which a search finds something."""
  paths = sorted(FOLDER.rglob('*.py'))
  assert len(paths) > 100
  for path in paths:
    found = search(path.read_text(encoding='utf-8'))
    if found:
      yield str(path.relative_to(FOLDER)), found
