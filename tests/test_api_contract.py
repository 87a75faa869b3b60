"""Tests that public names are documented and typed, and that all errors are HTCErrors."""

import ast
import builtins
import importlib
import importlib.metadata
import importlib.util
import inspect
import pathlib
import pkgutil
import re
import sys
import tomllib

import pytest

import htc_tf
from htc_tf.errors import HTCError

_FOLDER = pathlib.Path(htc_tf.__file__).parent
_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
_MAX_COLUMNS = 100
_MAX_LINES = 60  # of a function
_PERCENTILES = {50: 8, 90: 22}  # lines of a function without its docstring
_THIRD_PERSON = (
  'Adds|Applies|Builds|Computes|Converts|Creates|Draws|Gives|Loads|Makes|Prints|Raises|'
  'Reads|Removes|Restores|Runs|Saves|Sets|Updates|Wraps|Writes'
)
# Python expects AttributeError from a module's `__getattr__`.
_BUILTIN_ERRORS = {'__init__.py': ['AttributeError']}


def sources():
  """The text of every module by its path in the package."""
  found = {
    str(path.relative_to(_FOLDER)): path.read_text(encoding='utf-8')
    for path in sorted(_FOLDER.rglob('*.py'))
  }
  assert len(found) > 100
  return found


def contract_gaps(source):
  """(line, description) of every public name without docstring or type in a module's source."""
  module = ast.parse(source)
  gaps = [] if ast.get_docstring(module) else [(1, 'the module has no docstring')]
  return gaps + _gaps_within(module, '')


def _gaps_within(scope, prefix):
  gaps = []
  for node in scope.body:
    if not isinstance(node, (ast.ClassDef, *_FUNCTIONS)) or not _is_public(node.name):
      continue
    name = prefix + node.name
    if node.name != '__init__' and not ast.get_docstring(node):
      gaps.append((node.lineno, f'{name} has no docstring'))
    if isinstance(node, ast.ClassDef):
      gaps += _gaps_within(node, f'{name}.')
    else:
      gaps += [
        (node.lineno, f'{name}: {part} has no type')
        for part in _untyped(node, is_member=bool(prefix))
      ]
  return gaps


def _is_public(name):
  return name in ('__init__', '__call__') or not name.startswith('_')


def _untyped(function, is_member):
  """Names of parameters without annotation, and 'the result' if it has none.

  The result of `__init__` needs no annotation.
  """
  arguments = function.args
  parameters = [*arguments.posonlyargs, *arguments.args]
  static = any(getattr(item, 'id', None) == 'staticmethod' for item in function.decorator_list)
  parameters = parameters[int(is_member and not static) :]  # Without self or cls.
  parameters += [*arguments.kwonlyargs, *filter(None, (arguments.vararg, arguments.kwarg))]
  names = [parameter.arg for parameter in parameters if parameter.annotation is None]
  return names + ([] if function.returns or function.name == '__init__' else ['the result'])


@pytest.mark.parametrize(
  'source, gap',
  [
    ('x = 1', 'the module has no docstring'),
    ('"""M."""\ndef f() -> None: pass', 'f has no docstring'),
    ('"""M."""\ndef f():\n  """D."""', 'f: the result has no type'),
    ('"""M."""\ndef f(a: int, *b: int, c, **d: int) -> None:\n  """D."""', 'f: c has no type'),
    ('"""M."""\ndef f(*a, **b: int) -> None:\n  """D."""', 'f: a has no type'),
    ('"""M."""\ndef f(**a) -> None:\n  """D."""', 'f: a has no type'),
    ('"""M."""\nclass C: pass', 'C has no docstring'),
    ('"""M."""\nclass C:\n  """D."""\n  def __init__(self, a): pass', 'C.__init__: a has no type'),
    ('"""M."""\nclass C:\n  """D."""\n  def f(self) -> int: pass', 'C.f has no docstring'),
    (
      '"""M."""\nclass C:\n  """D."""\n  @property\n  def f(self):\n    """D."""',
      'C.f: the result has no type',
    ),
    (
      '"""M."""\nclass C:\n  """D."""\n  @staticmethod\n  def f(a) -> int:\n    """D."""',
      'C.f: a has no type',
    ),
    ('"""M."""\nclass C:\n  """D."""\n  class D: pass', 'C.D has no docstring'),
  ],
)
def test_a_missing_docstring_or_type_is_found(source, gap):
  assert [description for _, description in contract_gaps(source)] == [gap]


def test_private_and_complete_code_has_no_gap():
  assert not contract_gaps(
    '"""M."""\ndef _f(a): pass\nclass _C:\n  def f(self): pass\nclass C:\n  """D."""\n'
    '  def __init__(self, a: int): pass\n  def __len__(self): pass\n  @classmethod\n'
    '  def f(cls, a: int) -> int:\n    """D."""\n    def g(b): pass\n    return lambda x: x'
  )


def test_everything_public_is_documented_and_typed():
  gaps = [
    f'{path}:{line}: {description}'
    for path, source in sources().items()
    for line, description in contract_gaps(source)
  ]
  assert not gaps, '\n'.join(gaps)


def third_party_imports(source):
  """Top-level packages that a module's source imports, outside the standard library and htc_tf."""
  names = set()
  for node in ast.walk(ast.parse(source)):
    if isinstance(node, ast.Import):
      names |= {alias.name.partition('.')[0] for alias in node.names}
    elif isinstance(node, ast.ImportFrom):
      names.add(node.module.partition('.')[0])
  return names - set(sys.stdlib_module_names) - {'htc_tf'}


def test_imports_are_the_declared_dependencies():
  with open(_FOLDER.parent / 'pyproject.toml', 'rb') as file:
    project = tomllib.load(file)['project']
  declared = sum(project['optional-dependencies'].values(), project['dependencies'])
  declared = {re.split('[<>=]', name)[0].lower().replace('_', '-') for name in declared}
  distributions = importlib.metadata.packages_distributions()
  imported = set().union(*map(third_party_imports, sources().values()))
  assert {'tensorflow', 'yaml', 'PIL'} <= imported
  used = set()
  for name in imported:
    # The extra of other runtimes is not installed; its modules have the names of its packages.
    found = distributions.get(name, [name] if name in declared else [])
    providers = {provider.lower().replace('_', '-') for provider in found}
    assert providers & declared, f'{name} of {sorted(providers)}'
    used |= providers
  assert declared - used == {'setuptools'}  # tensorflow_hub needs it.


def _modules():
  """Every module of the package, imported, without connectors to missing libraries."""
  names = [item.name for item in pkgutil.walk_packages([str(_FOLDER)], 'htc_tf.')]
  assert len(names) > 100
  return [importlib.import_module(name) for name in names if _is_importable(name)]


def _is_importable(name):
  package, _, library = name.rpartition('.')
  return package != 'htc_tf.connectors' or importlib.util.find_spec(library) is not None


def test_every_error_is_an_htc_error():
  errors = {
    cls
    for module in _modules()
    for cls in vars(module).values()
    if inspect.isclass(cls)
    and issubclass(cls, BaseException)
    and cls.__module__.startswith('htc_tf.')
  }
  assert {'ConfigError', 'UnreadableError', 'UnreadableImageError'} <= {
    cls.__name__ for cls in errors
  }
  assert not [cls for cls in errors if not issubclass(cls, HTCError)]


def builtin_errors(source):
  """Names of the built-in exceptions that a module's source raises, and 'assert' per assertion."""
  found = []
  for node in ast.walk(ast.parse(source)):
    if isinstance(node, ast.Assert):
      found.append('assert')
    elif isinstance(node, ast.Raise) and node.exc is not None:
      raised = node.exc.func if isinstance(node.exc, ast.Call) else node.exc
      name = getattr(raised, 'id', '')
      found += [name] if inspect.isclass(getattr(builtins, name, None)) else []
  return found


def test_builtin_errors_are_found():
  assert builtin_errors('raise ValueError("x")\nraise KeyError\nassert x, "y"') == [
    'ValueError',
    'KeyError',
    'assert',
  ]
  assert not builtin_errors(
    'try:\n  f()\nexcept ValueError as error:\n'
    '  raise DataError() from error\nexcept OSError:\n  raise'
  )


def test_no_module_raises_errors_without_expected_and_got():
  found = {path: builtin_errors(source) for path, source in sources().items()}
  assert {path: names for path, names in found.items() if names} == _BUILTIN_ERRORS


def test_no_line_is_too_long():
  root = _FOLDER.parent
  paths = [
    root / 'train.py',
    root / 'setup.py',
    *(
      path
      for folder in ('htc_tf', 'parity', 'benchmarks', 'tests')
      for path in (root / folder).rglob('*.py')
    ),
  ]
  long_lines = [
    f'{path.relative_to(root)}:{number}'
    for path in paths
    for number, line in enumerate(path.read_text(encoding='utf-8').splitlines(), 1)
    if len(line) > _MAX_COLUMNS
  ]
  assert not long_lines, '\n'.join(long_lines)


def functions(source):
  """Every function of a module's source, nested ones too."""
  return [node for node in ast.walk(ast.parse(source)) if isinstance(node, _FUNCTIONS)]


def num_lines(function, with_docstring=True):
  """Number of lines from `def` to the end of a function."""
  lines = function.end_lineno - function.lineno + 1
  if with_docstring or ast.get_docstring(function) is None:
    return lines
  docstring = function.body[0]
  return lines - (docstring.end_lineno - docstring.lineno + 1)


def test_lines_are_counted():
  (function,) = functions('@decorated\ndef f(\n  a,\n):\n  """One.\n\n  Two.\n  """\n  return a')
  assert num_lines(function) == 8
  assert num_lines(function, with_docstring=False) == 4


def test_functions_are_short():
  found = [function for source in sources().values() for function in functions(source)]
  too_long = [item.name for item in found if num_lines(item) > _MAX_LINES]
  assert not too_long
  lines = sorted(num_lines(item, with_docstring=False) for item in found)
  for percentile, limit in _PERCENTILES.items():
    assert lines[len(lines) * percentile // 100] <= limit


def docstring_gaps(source):
  """Descriptions of docstrings that differ from the form of this package.

  A function that returns something has a noun phrase, a function with an effect an imperative, and
  a class documents the arguments of its constructor.
  """
  gaps = []
  for node in ast.walk(ast.parse(source)):
    if not isinstance(node, (ast.ClassDef, *_FUNCTIONS)):
      continue
    docstring = ast.get_docstring(node) or ''
    if re.match(r'(Returns?|Args|Raises)\b', docstring):
      gaps.append(f'{node.name}: starts with {docstring.split()[0]}')
    if node.name == '__init__' and docstring:
      gaps.append('__init__ has a docstring; its arguments belong to that of the class')
    if isinstance(node, _FUNCTIONS) and re.match(rf'({_THIRD_PERSON})\b', docstring):
      gaps.append(f'{node.name}: starts with {docstring.split()[0]}')
  return gaps


@pytest.mark.parametrize(
  'source, gap',
  [
    ('def f():\n  """Returns x."""', 'f: starts with Returns'),
    ('def f(a):\n  """Args:\n    a: an a.\n  """', 'f: starts with Args:'),
    (
      'class C:\n  """C."""\n  def __init__(self):\n    """C."""',
      '__init__ has a docstring; its arguments belong to that of the class',
    ),
    ('def f():\n  """Writes a file."""', 'f: starts with Writes'),
  ],
)
def test_another_docstring_form_is_found(source, gap):
  assert docstring_gaps(source) == [gap]


def test_docstrings_have_one_form():
  gaps = [f'{path}: {gap}' for path, source in sources().items() for gap in docstring_gaps(source)]
  assert not gaps, '\n'.join(gaps)
