"""Tests of the best checkpoint, and of evaluations by the training command."""

import json
import pathlib
import shutil

import gin
import pytest
from absl.testing import flagsaver

from htc_tf.cli import predict, train
from tests.cli import small_trainings

pytestmark = pytest.mark.usefixtures('defined_flags')


@pytest.fixture(scope='module')
def best(records, tmp_path_factory):
  """A model directory after two evaluations of a run that keeps the best checkpoint."""
  folder = tmp_path_factory.mktemp('best')
  best = {
    'best_checkpoint_export_subdir': 'best',
    'best_checkpoint_eval_metric': 'segm_AP@6',
  }
  config = small_trainings.write_evaluating_config(
    folder / 'config.yaml', records, interval=1, **best
  )
  gin.clear_config()
  values = {'mode': 'train_and_eval', 'model_dir': str(folder / 'model'), 'config_file': [config]}
  with flagsaver.flagsaver(experiment='htc_nuclei', **values):
    assert train.main([]) == 0
  return folder / 'model'


def test_the_folder_of_the_best_checkpoint_is_a_model_directory(best, records, tmp_path):
  for name in ('params.yaml', 'dataset.json'):
    assert (best / 'best' / name).read_bytes() == (best / name).read_bytes()
  image = next(pathlib.Path(records).parents[1].glob('train_images/*.png'))
  arguments = [f'--model={best / "best"}', f'--output={tmp_path / "out"}', str(image)]
  assert predict.main(arguments) == 0
  assert json.loads((tmp_path / 'out' / 'images.json').read_text())['categories']
  assert not list((best / 'best').glob('.*'))


def run_on(best, **values):
  gin.clear_config()
  config = [str(best.parent / 'config.yaml')]
  with flagsaver.flagsaver(experiment='htc_nuclei', config_file=config, **values):
    return train.main([])


def test_the_best_checkpoint_can_be_evaluated_again(best, tmp_path):
  shutil.copytree(best / 'best', tmp_path / 'copy')
  assert run_on(best, mode='eval', model_dir=str(tmp_path / 'copy')) == 0
  kept = json.loads((best / 'best' / 'info.json').read_text())
  (path,) = (tmp_path / 'copy' / 'results').glob('*-metrics.json')
  assert json.loads(path.read_text())['bbox_AP'] == pytest.approx(kept['bbox_AP'], abs=1e-6)


def test_a_continuous_evaluation_ends_after_the_last_step(best, caplog):
  """Otherwise it would wait for an hour."""
  assert run_on(best, mode='continuous_eval', model_dir=str(best)) == 0
  assert 'No new checkpoint within' not in caplog.text
  assert 'Waiting up to' not in caplog.text


def test_a_continuous_evaluation_ends_if_the_training_does_not_go_on(best, caplog):
  overrides = 'trainer.train_steps=9,trainer.continuous_eval_timeout=2'
  status = run_on(best, mode='continuous_eval', model_dir=str(best), params_override=overrides)
  assert status == 0
  assert 'No new checkpoint within 2 seconds' in caplog.text


def test_a_continuous_evaluation_of_a_missing_directory_waits_and_ends(best, caplog, tmp_path):
  status = run_on(
    best,
    mode='continuous_eval',
    model_dir=str(tmp_path / 'modle'),
    params_override='trainer.continuous_eval_timeout=2,'
    'trainer.best_checkpoint_export_subdir="",trainer.best_checkpoint_eval_metric=""',
  )
  assert status == 2
  assert 'modle does not exist yet. Waiting up to 2 seconds' in caplog.text
  assert caplog.records[-1].message.startswith('There is no checkpoint to evaluate in')


@pytest.mark.parametrize('mode', ['eval', 'continuous_eval'])
def test_a_file_in_place_of_the_evaluated_directory_is_an_error(best, caplog, tmp_path, mode):
  (tmp_path / 'model').write_text('mine')
  assert run_on(best, mode=mode, model_dir=str(tmp_path / 'model')) == 2
  assert 'model cannot be used. Expected: the directory of a training run' in caplog.text
