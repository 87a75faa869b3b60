"""Tests of connectors whose library is missing."""

import importlib
import sys

import pytest

from htc_tf.errors import ConfigError


@pytest.mark.parametrize('name', ['sahi', 'supervision'])
def test_a_missing_library_is_one_error_that_names_the_extra(monkeypatch, name):
  for module in [key for key in sys.modules if key.split('.')[0] == name]:
    monkeypatch.delitem(sys.modules, module)
  monkeypatch.setitem(sys.modules, name, None)  # As if it were not installed.
  monkeypatch.delitem(sys.modules, f'htc_tf.connectors.{name}', raising=False)
  with pytest.raises(ConfigError, match=rf"pip install 'htc_tf\[{name}\]'"):
    importlib.import_module(f'htc_tf.connectors.{name}')
