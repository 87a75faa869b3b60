"""Tests of the command of the comparison."""

import os

import pytest

from benchmarks import peer
from benchmarks.beside_original import __main__ as command
from benchmarks.beside_original import jobs
from benchmarks.scenes import dataset
from benchmarks.scenes import records as scene_records
from tests.benchmarks.beside_original.test_table import RESULTS

PEER_FLAGS = [
  f'--{flag}={os.environ[name]}'
  for flag, name in (('peer', 'PEER'), ('peer_path', 'PEER_PATH'), ('peer_import', 'PEER_IMPORT'))
  if name in os.environ
]


@pytest.fixture
def planned(monkeypatch):
  """The plans of the trainings, none of which is done."""
  plans = []

  def run(plan, folder, side):
    plans.append((plan, folder, side))
    return RESULTS[len(plans) - 1]

  monkeypatch.setattr(jobs, 'run', run)
  monkeypatch.setattr(jobs, 'make_plan', lambda numbers, data: numbers)
  monkeypatch.setattr(scene_records, 'prepare', lambda folder: folder)
  return plans


def test_all_seeds_are_in_the_table_and_the_page(tmp_path, planned, capsys):
  page = tmp_path / 'docs' / 'page.md'
  (page.parent / 'pictures').mkdir(parents=True)
  page.write_text(
    '<!-- result of the trainings -->\nold\n<!-- end of result of the trainings -->\n'
  )
  flags = [f'--output={tmp_path}', '--seeds=0,2', '--epochs=5', f'--docs={page}', '--peer=python']
  assert command.main(flags) == 0
  assert [(plan.seed, plan.epochs) for plan, *_ in planned] == [(0, 5), (2, 5)]
  assert [folder for _, folder, _ in planned] == [f'{tmp_path}/seed_{seed}' for seed in (0, 2)]
  assert planned[0][2] == peer.Peer('python')
  row = '| trained and evaluated here | 42.0 (4.0) |'
  shown = capsys.readouterr().out
  assert row in shown and 'seed_0, ours : mask AP  40.0, box AP  40.0,   0.1 min' in shown
  assert row in (tmp_path / 'beside.md').read_text()
  assert row in page.read_text() and 'old' not in page.read_text()
  assert (page.parent / 'pictures' / 'training_parity.png').exists()


def test_each_choice_is_a_further_training_of_every_seed(tmp_path, planned):
  flags = [f'--output={tmp_path}', '--seeds=1', '--choices=7', '--peer=python']
  assert command.main(flags) == 0
  assert [folder for _, folder, _ in planned] == [
    f'{tmp_path}/seed_1',
    f'{tmp_path}/seed_1_choice_7',
  ]
  assert [(plan.seed, plan.sampling_seed) for plan, *_ in planned] == [(1, 1), (1, 7)]
  assert 'validation, 2 trainings of seed 1' in (tmp_path / 'beside.md').read_text()


@pytest.mark.parametrize('choices', ['x', '1,', '-1'])
def test_choices_are_whole_numbers(tmp_path, choices, capsys):
  with pytest.raises(SystemExit):
    command.main([f'--output={tmp_path}', f'--choices={choices}', '--peer=python'])
  assert 'expected a whole number from 0 on' in capsys.readouterr().err


def test_without_a_peer_there_is_nothing_to_compare_with(tmp_path, capsys):
  assert command.main([f'--output={tmp_path}']) == 2
  assert '--peer=PYTHON' in capsys.readouterr().err


def test_an_unknown_seed_is_refused(tmp_path, capsys):
  with pytest.raises(SystemExit):
    command.main([f'--output={tmp_path}', '--seeds=0,7', '--peer=python'])
  assert 'unknown: 7' in capsys.readouterr().err


@pytest.mark.slow
@pytest.mark.skipif(not PEER_FLAGS, reason='needs mmdetection; PEER is the path of its Python')
def test_both_sides_are_trained_and_kept(tmp_path, monkeypatch, capsys):
  monkeypatch.setattr(dataset, 'SPLITS', {'train': 8, 'val': 2, 'test': 1})
  flags = [f'--output={tmp_path}', '--seeds=0', '--epochs=2', '--batch_size=2', *PEER_FLAGS]
  for _ in range(2):
    assert command.main(flags) == 0
  assert '| trained by mmdetection, evaluated here |' in (tmp_path / 'beside.md').read_text()
  assert capsys.readouterr().out.count('seed_0: mmdet train') == 1
