"""Tests of the times of reports, of speed, and of what the console shows."""

import logging

import pytest
from official.core import exp_factory

from htc_tf import registry_imports  # noqa: F401
from htc_tf.training import console, results_plot
from htc_tf.training.early_stopping import EarlyStopping
from htc_tf.training.run_log import RunLog, evaluations_left, steps_to_report
from htc_tf.training.speed import Speed, process_memory


def reports(start, end, interval):
  """The steps at which a start reports."""
  step, found = start, []
  while step < end:
    step += steps_to_report(step, start, interval)
    found.append(step)
  return found


@pytest.mark.parametrize(
  'start,interval,expected',
  [
    (0, 100, [1, 10, 100, 200]),
    (0, 3, [1, 3, 6, 9, 10, 12, 15]),
    (0, 1, [1, 2, 3]),
    (95, 100, [96, 100, 105, 200, 300]),  # A start that continues also reports early.
  ],
)
def test_the_first_reports_come_soon_and_the_others_at_multiples(start, interval, expected):
  assert reports(start, expected[-1], interval) == expected


def test_the_remaining_time_counts_steps_and_evaluations():
  speed = Speed()
  assert speed.seconds_left(10, 1) is None
  speed.add_steps(10, 20.0)
  speed.seconds_per_evaluation = 7.0
  assert speed.seconds_left(5, 2) == 5 * 2 + 2 * 7
  speed.add_steps(1, 1.0)  # The mean moves towards the newest measurement.
  assert 1.0 < speed.seconds_per_step < 2.0


@pytest.mark.parametrize(
  'step,num_steps,interval,expected',
  [
    (1, 250, 100, 3),  # At 100, 200 and 250.
    (100, 250, 100, 3),  # The report of a step comes before its evaluation.
    (101, 250, 100, 2),
    (250, 250, 100, 1),
    (200, 200, 100, 1),
    (1, 200, 0, 1),
  ],
)
def test_the_evaluations_that_are_left_include_that_of_the_step(
  step, num_steps, interval, expected
):
  assert evaluations_left(step, num_steps, interval) == expected


def test_the_memory_is_that_of_this_process():
  assert 2**25 < process_memory() < 2**40


@pytest.mark.parametrize(
  'path,level,is_shown',
  [
    (console.__file__, logging.INFO, True),
    (logging.__file__, logging.INFO, False),
    (logging.__file__, logging.WARNING, True),
    (logging.__file__, logging.ERROR, True),
  ],
)
def test_only_warnings_and_errors_of_others_are_shown(path, level, is_shown):
  record = logging.LogRecord('absl', level, path, 1, 'text', (), None)
  assert console._is_shown(record) == is_shown


def test_messages_have_no_prefix_but_that_of_warnings_and_errors():
  texts = [
    console._Formatter().format(logging.LogRecord('absl', level, 'x', 1, 'text', (), None))
    for level in (logging.INFO, logging.WARNING, logging.ERROR)
  ]
  assert texts == ['text', 'warning: text', 'error: text']


def test_a_message_erases_the_bar_of_a_terminal(capsys):
  record = logging.LogRecord('absl', logging.INFO, 'x', 1, 'text', (), None)
  with console.Bar(10, 2, shows=True) as bar:
    bar.advance(3)
    assert bar._bar.n == 5
    assert console._Formatter().format(record) == '\r\x1b[Ktext'
  assert '2/10' in capsys.readouterr().err
  with console.Bar(10, 2) as bar:  # There is no terminal.
    bar.advance(3)
    assert console._Formatter().format(record) == 'text'
  assert not capsys.readouterr().err


def test_the_curves_grow_in_a_training_without_evaluations(tmp_path):
  """A training that is interrupted has them too."""
  params = exp_factory.get_exp_config('htc_nano')
  log = RunLog(params, 100, 0, EarlyStopping('segm_AP', 0), str(tmp_path))
  plot, drawn = tmp_path / results_plot.PLOT_FILE, []
  for step in range(100, 2300, 100):
    log.report(step, 100, {'total_loss': 1.0 / step, 'learning_rate': 0.1}, 1.0)
    if plot.exists():
      drawn.append(step)
      plot.unlink()
  assert drawn == [1000, 2000]
  log.finish()
  assert plot.exists()


def test_only_the_chief_writes(tmp_path, monkeypatch, caplog):
  monkeypatch.chdir(tmp_path)
  caplog.set_level(logging.INFO, logger='absl')
  log = RunLog(exp_factory.get_exp_config('htc_nano'), 100, 0, EarlyStopping('segm_AP', 1), None)
  log.report(100, 100, {'total_loss': 1.0, 'learning_rate': 0.1}, 1.0)
  log.evaluated(100, {'segm_AP': 0.5}, 1.0)
  log.evaluated(200, {'segm_AP': 0.5}, 1.0)
  log.finish()
  assert log.stopping.stops and log.best_figures == {'segm_AP': 0.5}
  assert not caplog.messages and not list(tmp_path.iterdir())


def test_curves_are_drawn_with_and_without_evaluations(tmp_path):
  rows = [{'step': 1, 'epoch': 0.5, 'total_loss': 2.0, 'learning_rate': 0.1}]
  results_plot.write(str(tmp_path), rows)
  before = (tmp_path / results_plot.PLOT_FILE).read_bytes()
  results_plot.write(str(tmp_path), [*rows, {'step': 2, 'epoch': 1.0, 'segm_AP': 0.5}])
  after = (tmp_path / results_plot.PLOT_FILE).read_bytes()
  assert before[:4] == after[:4] == b'\x89PNG'
  assert before != after
  results_plot.write(str(tmp_path), [*rows, {'step': 2, 'segm_AP': 0.5}])  # Edited by hand.
  assert (tmp_path / results_plot.PLOT_FILE).read_bytes() == before
