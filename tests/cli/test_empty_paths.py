"""Tests that an empty input, such as an unset variable of the shell, is not taken for a default.

Those of empty outputs are in test_unusable_paths.py.
"""

import pytest
from absl.testing import flagsaver

from htc_tf.cli import evaluate, predict, show, train


@pytest.mark.parametrize(
  'command, arguments',
  [
    (show, ['records', '--model=']),
    (predict, ['--model=model', '--output=out', '--annotations=', 'a.png']),
    (predict, ['--model=model', '--output=out', '--thresholds=', 'a.png']),
    (evaluate, ['--model=']),
    (evaluate, ['--model=model', '--data=']),
    (evaluate, ['--model=model', '--annotations=']),
  ],
)
def test_an_empty_input_is_not_a_default(command, arguments, capsys):
  assert command.main(arguments) == 2
  (flag,) = [each[:-1] for each in arguments if each.endswith('=')]
  assert f'error: {flag} is empty' in capsys.readouterr().err


@pytest.mark.usefixtures('defined_flags')
@pytest.mark.parametrize('name', ['data', 'weights'])
def test_a_training_does_not_start_without_what_is_empty(name, tmp_path, caplog):
  values = {'experiment': 'htc_nuclei', name: ''}
  with flagsaver.flagsaver(model_dir=str(tmp_path / 'model'), **values):
    assert train.main([]) == 2
  assert f'--{name} is empty' in caplog.text
  assert not (tmp_path / 'model').exists()
