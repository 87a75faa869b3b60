"""Tests of the comparison of runtimes: turns, medians and ratios."""

from benchmarks import runtimes


def test_runtimes_take_turns_after_a_run_that_is_not_counted():
  order = []

  def run(name, number):
    return lambda: order.append(name) or number

  rows = runtimes.measure({'a': run('a', 3), 'b': run('b', 5)}, 2)
  assert order == ['a', 'b'] * 3
  assert [(row.name, row.num_detections) for row in rows] == [('a', 3), ('b', 5)]
  assert all(row.seconds >= 0 and row.cpu_seconds >= 0 for row in rows)


def test_ratios_are_those_to_the_first_row():
  rows = [runtimes.Row('tensorflow', 2.0, 3.0, 7), runtimes.Row('onnx', 5.0, 4.5, 7)]
  lines = [line.split() for line in runtimes.table(rows).splitlines()]
  assert lines[0][0] == 'runtime' and len(lines) == 3
  assert lines[1] == ['tensorflow', '2.000', '1.00', '3.000', '1.00', '7']
  assert lines[2] == ['onnx', '5.000', '2.50', '4.500', '1.50', '7']
