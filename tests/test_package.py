"""Tests of `import htc_tf`."""

import os
import subprocess
import sys


def test_load_model_keeps_the_backend_of_matplotlib():
  """Model Garden selects another one, and notebooks would show no pictures any more."""
  code = (
    'import htc_tf\nimport matplotlib.pyplot as plt\n'
    'htc_tf.load_model\nplt.figure()\nprint(plt.get_backend())'
  )
  environment = {**os.environ, 'MPLBACKEND': 'svg', 'PYTHONPATH': os.pathsep.join(sys.path)}
  done = subprocess.run(
    [sys.executable, '-c', code], env=environment, capture_output=True, text=True, check=True
  )
  assert done.stdout == 'svg\n'
