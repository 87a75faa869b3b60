"""Tests of the list of allowed names: metadata beside weights is dropped, the rest is refused."""

import pytest

from htc_tf.convert.allowed_globals import find_global, set_state
from htc_tf.convert.inert_objects import Placeholder
from htc_tf.convert.unreadable import UnreadableError

_HISTORY = ('mmengine.logging.history_buffer', 'HistoryBuffer')


@pytest.mark.parametrize(
  'name',
  [
    'posix.system',
    'os.system',
    'nt.system',
    'subprocess.Popen',
    'builtins.eval',
    'builtins.exec',
    '__builtin__.eval',
    '__builtin__.apply',
    'builtins.__import__',
    'builtins.open',
    'importlib.import_module',
    'operator.attrgetter',
    'functools.partial',
    'copyreg._reconstructor',
    'torch.load',
    'torch.hub.load',
    'torch.storage._load_from_bytes',
    'torch._tensor._rebuild_from_type_v2',
    'numpy.load',
    'numpy.ndarray.tofile',
    'collections.OrderedDict.update',
    'mmengine.fileio.get',
    '.',
    'a.b.c',
  ],
)
def test_any_other_name_is_refused_and_shown(name):
  module, _, leaf = name.rpartition('.')
  with pytest.raises(UnreadableError, match='the pickle names ') as error:
    find_global(module, leaf)
  assert name in error.value.reason


def test_unprintable_names_are_escaped():
  with pytest.raises(UnreadableError) as error:
    find_global('a\x1b[2J', 'b\n')
  assert error.value.reason.isprintable()


def test_placeholders_drop_their_contents():
  made = find_global(*_HISTORY).make(('anything', [1]))
  assert isinstance(made, Placeholder)
  set_state(made, {'make': 'other', '__class__': dict})
  assert type(made) is Placeholder and callable(made.make) and not hasattr(made, '__dict__')


def test_the_state_of_a_dictionary_is_dropped():
  stored = {}
  set_state(stored, {'_metadata': {}})
  assert not stored


@pytest.mark.parametrize('module', ['builtins', '__builtin__'])
def test_getattr_is_accepted_only_for_statistics_of_histories(module):
  constructor = find_global(module, 'getattr')
  assert isinstance(constructor.make((find_global(*_HISTORY), 'mean')), Placeholder)
  for arguments in (
    (find_global(*_HISTORY), '__init__'),
    (find_global('torch', 'Size'), 'mean'),
    ('text', 'mean'),
    (constructor, 'function'),
  ):
    with pytest.raises(UnreadableError, match=r'builtins.getattr'):
      constructor.make(arguments)


def test_an_ordered_dictionary_of_python_2_empties_its_list_of_pairs():
  constructor = find_global('collections', 'OrderedDict')
  pairs = [['a', 1], ('b', 2)]
  assert constructor.make((pairs,)) == {'a': 1, 'b': 2}
  assert not pairs and constructor.make(()) == {}


@pytest.mark.parametrize(
  'name, arguments',
  [
    ('collections.OrderedDict', ([[[], 1]],)),
    ('collections.OrderedDict', ('ab',)),
    ('collections.OrderedDict', ((), ())),
    ('builtins.tuple', ('abc',)),
    ('builtins.tuple', ()),
    ('builtins.getattr', ('a', 'b', 'c')),
  ],
)
def test_arguments_are_checked(name, arguments):
  with pytest.raises(UnreadableError):
    find_global(*name.rsplit('.', 1)).make(arguments)
