"""Tests of `import htc_tf`."""

import os
import pathlib
import re
import subprocess
import sys

_API = pathlib.Path(__file__).parents[1] / 'docs' / 'api.md'
_SWITCHING = 'official.vision.utils.object_detection.visualization_utils'


def _printed(code, backend):
  """What code prints in a new process, where MPLBACKEND selects a backend or is not set."""
  environment = {**os.environ, 'PYTHONPATH': os.pathsep.join(sys.path)}
  environment.pop('MPLBACKEND', None)
  done = subprocess.run(
    [sys.executable, '-c', code],
    env={**environment, **backend},
    capture_output=True,
    text=True,
    check=True,
  )
  return done.stdout.splitlines()


def test_no_public_name_changes_the_backend_and_figures_of_matplotlib():
  """Model Garden selects another backend, and notebooks would show no pictures any more."""
  names = sorted(set(re.findall(r'`(htc_tf\.[\w.]+)`', _API.read_text(encoding='utf-8'))))
  assert len(names) > 40
  code = (
    'import pkgutil, sys\nimport matplotlib.pyplot as plt\nplt.figure()\n'
    f'for name in {names}: pkgutil.resolve_name(name)\n'
    f'print({_SWITCHING!r} in sys.modules, plt.get_backend(), plt.get_fignums())\n'
    'plt.switch_backend("pdf")\nprint(plt.get_backend())'
  )
  assert _printed(code, {'MPLBACKEND': 'svg'}) == ['True svg [1]', 'pdf']


def test_a_backend_that_is_not_selected_yet_stays_open():
  code = (
    f'import sys\nimport htc_tf\nhtc_tf.load_model\nimport matplotlib\n'
    f'print({_SWITCHING!r} in sys.modules, matplotlib.get_backend(auto_select=False))'
  )
  assert _printed(code, {}) == ['True None']
