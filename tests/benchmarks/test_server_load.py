"""Tests of the load of a server: what is counted."""

import threading

import pytest

from benchmarks import server_load


@pytest.mark.parametrize('num_clients', [1, 3])
def test_every_request_is_sent_once_by_as_many_clients(num_clients):
  sent, together = [], threading.Barrier(num_clients)

  def detect(request):
    together.wait(30)  # An error unless all clients send at the same time.
    sent.append(request)

  load = server_load.measure(detect, range(6), num_clients)
  assert sorted(sent) == list(range(6))
  assert load.num_clients == num_clients and load.num_errors == 0
  assert load.per_second > 0 and 0 < load.median <= load.percentile
  assert len(load.memory) == 6 and min(load.memory) > 0


def test_errors_are_counted_and_have_no_response_time(capsys):
  def detect(request):
    if request % 2:
      raise OSError('no response')

  load = server_load.measure(detect, range(40), 2)
  assert load.num_errors == 20 and load.median > 0
  assert len(load.memory) == 10
  assert capsys.readouterr().err.count('OSError: no response') == 20


def test_growth_is_that_of_a_line():
  assert server_load.growth([100, 110, 120, 130]) == pytest.approx(30)
  assert server_load.growth([100, 130, 130, 100]) == pytest.approx(0)


def test_the_table_has_milliseconds_and_megabytes():
  load = server_load.Load(4, 12.345, 0.1234, 0.9876, 0, [10**9, 11 * 10**8])
  line = server_load.table([load]).splitlines()[2]
  assert line == '| 4 | 12.35 | 0.123 | 0.988 | 0 | 1100 | +100 |'
