"""Pages with the source files that the docs name, and links from the names to their lines."""

import ast
import functools
import pathlib
import re
from collections.abc import Callable

FOLDER = 'source'
_LANGUAGES = {'.py': 'python', '.yaml': 'yaml', '.toml': 'toml', '.txt': 'text'}
# A file in Markdown, and as it is rendered with its names: `htc_tf/a.py`: `Name.method`, `other`.
_CODE = re.compile(r'`([\w./-]+\.\w+)`')
_REFERENCE = re.compile(
  r'<code>(?P<path>[\w./-]+\.\w+)</code>(?P<names>: <code>[\w.]+</code>(?:, <code>[\w.]+</code>)*)?'
)


def named_files(root: pathlib.Path, text: str) -> set[str]:
  """The source files below `root` that inline code of a page names, as paths from `root`."""
  return {
    path
    for path in _CODE.findall(text)
    if pathlib.PurePath(path).suffix in _LANGUAGES and '..' not in path and (root / path).is_file()
  }


def page(root: pathlib.Path, path: str) -> str:
  """The page that shows a source file; the search leaves it out, its names are on other pages."""
  code = (root / path).read_text(encoding='utf-8')
  language = _LANGUAGES[pathlib.PurePath(path).suffix]
  return (
    '---\nsearch:\n  exclude: true\n---\n'
    f'# {path}\n\n~~~~~~ {{.{language} linenums="1"}}\n{code.rstrip()}\n~~~~~~\n'
  )


@functools.cache
def lines(path: pathlib.Path) -> dict[str, int]:
  """The line of each class, function, method and constant of a Python file, by `Name.method`."""
  found: dict[str, int] = {}
  if path.suffix == '.py':
    _add_lines(ast.parse(path.read_text(encoding='utf-8')).body, '', found)
  return found


def _add_lines(statements: list[ast.stmt], prefix: str, found: dict[str, int]) -> None:
  for child in statements:
    if isinstance(child, ast.ClassDef | ast.FunctionDef):
      found.setdefault(prefix + child.name, child.lineno)
    if isinstance(child, ast.ClassDef):
      _add_lines(child.body, f'{prefix}{child.name}.', found)
    targets: list[ast.expr] = child.targets if isinstance(child, ast.Assign) else []
    targets = [child.target] if isinstance(child, ast.AnnAssign) else targets
    for target in targets:
      if isinstance(target, ast.Name):
        found.setdefault(prefix + target.id, child.lineno)


def linked(html: str, root: pathlib.Path, address: Callable[[str], str | None]) -> str:
  """A rendered page with links from source files, and names in them, to their pages.

  Args:
    html: the rendered page.
    root: folder of the repository.
    address: a function from the path of a source file to the address of its page, None if it has
      none.
  """

  def link(match: re.Match[str]) -> str:
    target = address(match['path'])
    if target is None:
      return match[0]
    known = lines(root / match['path'])

    def to_line(name: re.Match[str]) -> str:
      line = known.get(name[1])
      anchor = f'#__codelineno-0-{line}' if line else ''
      return f'<a href="{target}{anchor}">{name[0]}</a>'

    names = re.sub(r'<code>([\w.]+)</code>', to_line, match['names'] or '')
    return f'<a href="{target}"><code>{match["path"]}</code></a>{names}'

  return _REFERENCE.sub(link, html)
