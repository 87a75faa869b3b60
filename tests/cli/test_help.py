"""Tests that `--help` of every command needs no TensorFlow, whose import takes seconds."""

import subprocess
import sys
import textwrap

import pytest

_WITHOUT_TENSORFLOW = textwrap.dedent("""
    import importlib.abc, importlib, sys

    class Blocker(importlib.abc.MetaPathFinder):
      def find_spec(self, name, path=None, target=None):
        if name.split('.')[0] in ('tensorflow', 'tf_keras'):
          raise ImportError('not allowed in this test: ' + name)

    sys.meta_path.insert(0, Blocker())
    module, function = sys.argv[1].split(':')
    sys.argv = ['command', '--help']
    sys.exit(getattr(importlib.import_module(module), function)())
""")


@pytest.mark.parametrize(
  'entry_point, text',
  [
    ('htc_tf.cli.train:run', '--params_override'),
    ('htc_tf.cli.create_coco_records:main', '--annotations'),
    ('htc_tf.cli.convert:main', '--experiment'),
    ('htc_tf.cli.average:main', '--last'),
    ('htc_tf.cli.predict:main', '--score_threshold'),
    ('htc_tf.cli.evaluate:main', '--results'),
    ('htc_tf.cli.export:main', '--masks'),
    ('htc_tf.cli.client:main', '--server'),
    ('htc_tf.cli.lower:main', '--height'),
    ('htc_tf.cli.demo:main', '--output'),
    ('htc_tf.cli.show:main', '--samples'),
  ],
)
def test_help_needs_no_tensorflow(entry_point, text):
  answer = subprocess.run(
    [sys.executable, '-c', _WITHOUT_TENSORFLOW, entry_point],
    capture_output=True,
    text=True,
    check=False,
  )
  assert text in answer.stdout, answer.stderr
  assert not answer.stderr and answer.returncode == 0
