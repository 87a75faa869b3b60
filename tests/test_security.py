"""Tests that htc_tf cannot execute code from a file: no pickle, eval, yaml.load, Lambda layer."""

import ast

import pytest

from tests import source_code

# Modules that unpickle objects or execute code.
_MODULES = {
  'pickle',
  'cPickle',
  '_pickle',
  'pickletools',
  'dill',
  'cloudpickle',
  'joblib',
  'shelve',
  'marshal',
  'code',
  'runpy',
  'torch',
  'paddle',
}
_BUILTINS = {'eval', 'exec', 'compile', '__import__'}
_ATTRIBUTES = {
  'Lambda',
  'unsafe_load',
  'full_load',
  'load_module',
  'exec_module',
  'system',
  'popen',
  'enable_unsafe_deserialization',
  'read_pickle',
}
_UNSAFE_KEYWORDS = {'allow_pickle': False, 'shell': False, 'safe_mode': True}


def findings(source):
  """(line, name) of everything in a module's source that could execute the content of a file."""
  found = []
  for node in ast.walk(ast.parse(source)):
    found += source_code.imported(node, _MODULES)
    if isinstance(node, ast.ImportFrom):
      found += [(node.lineno, alias.name) for alias in node.names if alias.name in _ATTRIBUTES]
    elif isinstance(node, ast.Name) and node.id in _BUILTINS:
      found.append((node.lineno, node.id))
    elif isinstance(node, ast.Attribute) and (
      node.attr in _ATTRIBUTES
      or (
        node.attr.startswith('load')
        and isinstance(node.value, ast.Name)
        and node.value.id == 'yaml'
      )
    ):
      found.append((node.lineno, node.attr))
    elif isinstance(node, ast.keyword) and node.arg in _UNSAFE_KEYWORDS:
      safe = isinstance(node.value, ast.Constant) and node.value.value is _UNSAFE_KEYWORDS[node.arg]
      found += [] if safe else [(node.value.lineno, node.arg)]
  return found


@pytest.mark.parametrize(
  'source',
  [
    'import pickle',
    'from pickle import loads',
    'import torch.nn',
    'eval("1")',
    'f = exec',
    'import yaml\nyaml.load(text)',
    'tf_keras.layers.Lambda(f)',
    'from tf_keras.layers import Lambda',
    'np.load(path, allow_pickle=True)',
    'np.load(path, allow_pickle=choice)',
    'os.system("true")',
    'subprocess.run(command, shell=True)',
    'tf_keras.models.load_model(path, safe_mode=False)',
  ],
)
def test_unsafe_code_is_found(source):
  assert findings(source)


def test_harmless_code_has_no_findings():
  assert not findings(
    'import yaml\nyaml.safe_dump(x)\nnp.load(path, allow_pickle=False)\n'
    'model.evaluate(x)\nf = lambda x: x\nmodel.compile()'
  )


def test_no_module_can_execute_a_file():
  found = dict(source_code.findings_by_module(findings))
  # It passes a module of Model Garden on to Python's own loader.
  (delegated,) = found.pop('matplotlib_backend.py')
  assert delegated[1] == 'exec_module'
  assert not found
