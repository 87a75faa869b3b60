"""Test of the benchmark of a served export on a small one."""

from benchmarks import server_load


def test_a_served_export_is_measured(saved_model, capsys):
  arguments = ['--model', saved_model, '--clients=1,2', '--requests=10', '--sizes=32x40,48x30']
  assert server_load.main(arguments) == 0
  lines = capsys.readouterr().out.splitlines()
  assert lines[0].startswith('10 requests') and len(lines) == 5
  assert [line.split(' | ')[4] for line in lines[3:]] == ['0', '0']
