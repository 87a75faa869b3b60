"""Test of our side of the benchmark: it loads what the commands load."""

import os
import subprocess
import sys

_SIDE = """
import sys
sys.argv = ['side', 'ours', 'convolution', '64x96']
from benchmarks import side
assert list(side._build()) == ['convolution']
assert 'tensorflow' in sys.modules
print(sorted({'keras', 'sklearn'} & set(sys.modules)))
"""


def test_our_side_loads_one_keras_as_the_commands_do():
  environment = {key: value for key, value in os.environ.items() if key != 'TF_USE_LEGACY_KERAS'}
  done = subprocess.run(
    [sys.executable, '-c', _SIDE], env=environment, check=True, capture_output=True, text=True
  )
  assert done.stdout.splitlines()[-1] == '[]'
