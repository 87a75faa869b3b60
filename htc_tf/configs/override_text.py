"""Reading of overrides of a configuration: YAML files and key=value texts.

Model Garden's functions keep the last of two equal keys of a file without a word, and read no
brackets in texts; these refuse the first and read the second.
"""

import itertools
import re
from collections.abc import Iterator
from typing import Any

import tensorflow as tf
import yaml

from htc_tf import file_errors
from htc_tf.errors import ConfigError

_KEY = re.compile(r'[A-Za-z_]\w*(?:\[\d+\])?(?:\.[A-Za-z_]\w*(?:\[\d+\])?)*')
_STEP = re.compile(r'(\w+)(?:\[(\d+)\])?')
_EXPONENT = re.compile(r'[-+]?(?:\d+\.?\d*|\.\d+)[eE][-+]?\d+$')
# ValueError for numbers such as 0x_, RecursionError for deep nesting.
_ERRORS = (yaml.YAMLError, ValueError, RecursionError)
_OPENING, _CLOSING = '[{(', ']})'


class _Loader(yaml.SafeLoader):
  """YAML with numbers such as 1e-4, and without repeated keys."""

  def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
    keys = [key.value for key, _ in node.value]
    repeated = sorted({key for key in keys if keys.count(key) > 1 and key != '<<'}, key=str)
    if repeated:
      raise yaml.constructor.ConstructorError(
        None, None, f'keys that stand there twice: {repeated}', node.start_mark
      )
    return super().construct_mapping(node, deep)


# A name such as 2024-02-30 is no date.
_Loader.yaml_implicit_resolvers = {
  first: [entry for entry in entries if entry[0] != 'tag:yaml.org,2002:timestamp']
  for first, entries in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
# YAML 1.1 reads a number without a dot, such as 1e-4, as a string.
_Loader.add_implicit_resolver('tag:yaml.org,2002:float', _EXPONENT, list('-+.0123456789'))


def _load(text: str) -> Any:
  """The single value that a YAML text stands for."""
  loader = _Loader(text)
  try:
    return loader.get_single_data()
  finally:
    loader.dispose()


def read_file(path: str) -> dict[str, Any]:
  """The overrides in a YAML or JSON file, as nested dictionaries.

  Raises:
    ConfigError: the file cannot be read, is empty, or holds no keys.
    InputError: the operating system refuses to read it.
  """
  try:
    with tf.io.gfile.GFile(path) as file:
      content = _load(file.read())
  except (tf.errors.OpError, OSError, *_ERRORS) as error:
    is_missing = isinstance(error, (tf.errors.NotFoundError, FileNotFoundError))
    refused = None if is_missing else file_errors.explained(error, reading=True)
    raise refused or ConfigError(
      f'{path} cannot be read',
      expected='a YAML or JSON file with keys of the experiment',
      got=' '.join((getattr(error, 'message', None) or str(error)).split()),
      likely_cause='a misspelled path, or a file of another type',
    ) from error
  if isinstance(content, dict) and content:
    return content
  raise ConfigError(
    f'{path} has no keys',
    expected='keys of the experiment, such as task: or trainer:',
    got='an empty file' if content in (None, {}) else type(content).__name__,
    likely_cause='a file that was not written completely, or another file',
  )


def parse_text(text: str) -> dict[str, Any]:
  """The overrides in a text of the flag `--params_override`, as nested dictionaries.

  Args:
    text: pairs such as `task.model.num_classes=3,trainer.train_steps=100`, a YAML or JSON mapping
      in braces, or the path of a file with one. Values are YAML, e.g. `[800, 1088]`; commas in
      brackets and quotes do not separate pairs. `stages[0].loss_weight=2` changes an entry of a
      list, `sizes[0]=1,sizes[1]=2` gives a whole list.

  Raises:
    ConfigError: the text has none of these forms, or sets a key twice.
  """
  text = text.strip()
  if not text:
    return {}
  if text.startswith('{'):
    return _parse_mapping(text)
  if '=' not in text:
    return read_file(text)
  overrides: dict[str, Any] = {}
  for pair in _split_pairs(text):
    key, equals, value = pair.partition('=')
    if not equals or not _KEY.fullmatch(key.strip()):
      raise _malformed(text, repr(pair.strip()))
    _insert(overrides, key.strip(), _parse_value(value.strip()))
  return overrides


def _malformed(text: str, got: str) -> ConfigError:
  return ConfigError(
    f'The overrides {text!r} cannot be read',
    expected='key=value,key=value with the full names of keys, such as '
    'task.model.num_classes=3,trainer.train_steps=100; or a mapping in braces',
    got=got,
    likely_cause="a value with a comma: put it in brackets, [1, 2], or in quotes, 'a,b'",
  )


def _parse_mapping(text: str) -> dict[str, Any]:
  try:
    content = _load(text)
  except _ERRORS as error:
    raise _malformed(text, ' '.join(str(error).split())) from error
  if not isinstance(content, dict):
    raise _malformed(text, type(content).__name__)
  return content


def _split_pairs(text: str) -> Iterator[str]:
  """The parts between the commas outside of brackets and quotes."""
  depth, quote, start = 0, '', 0
  for index, character in enumerate(text):
    if quote:
      quote = '' if character == quote else quote
    elif character in '"\'' and text[index - 1] in '=,[{: ':
      quote = character
    elif character in _OPENING:
      depth += 1
    elif character in _CLOSING:
      depth -= 1
    elif character == ',' and depth == 0:
      yield text[start:index]
      start = index + 1
  if depth or quote:
    raise _malformed(text, 'brackets or quotes that are not closed')
  yield text[start:]


def _parse_value(text: str) -> Any:
  """A YAML value; a text that is no YAML, such as `*.tfrecord`, is a string."""
  try:
    value = _load(text)
  except _ERRORS:
    if text[:1] in _OPENING:
      raise _malformed(text, 'a list or mapping that YAML does not read') from None
    return text
  # YAML would cut off what looks like a comment, and read `a: b` as a mapping.
  is_quoted, is_structure = text[:1] in ('"', "'"), text[:1] in _OPENING
  if isinstance(value, (str, dict)) and not is_quoted and not is_structure:
    return text
  return value


class Entries(dict[int, Any]):
  """Entries of a list by index."""


def _insert(overrides: dict[str, Any], key: str, value: Any) -> None:
  """Add the value of a key such as `a.b[0].c` to nested dictionaries."""
  steps: list[Any] = []
  for name, index in _STEP.findall(key):
    steps += [name, int(index)] if index else [name]
  place: Any = overrides
  for step, following in itertools.pairwise(steps):
    place = place.setdefault(step, Entries() if isinstance(following, int) else {})
    if not isinstance(place, dict) or isinstance(place, Entries) != isinstance(following, int):
      raise _set_twice(key)
  if steps[-1] in place:
    raise _set_twice(key)
  place[steps[-1]] = value


def _set_twice(key: str) -> ConfigError:
  return ConfigError(
    f'{key} is set twice in one text',
    expected='one value for each key',
    got='two',
    likely_cause='a copied pair; a further --params_override may set it again',
  )
