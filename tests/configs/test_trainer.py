"""Tests of the trainer's own fields."""

import pytest
from official.core import exp_factory
from official.modeling import hyperparams

from htc_tf import registry_imports  # noqa: F401
from htc_tf.checkpoints import model_directory
from htc_tf.configs import parsing
from htc_tf.configs.trainer import TrainerConfig, best_metric
from htc_tf.configs.value_types import check_values
from htc_tf.errors import ConfigError


@pytest.mark.parametrize('name', parsing.known_experiments())
def test_every_experiment_has_the_fields(name):
  trainer = exp_factory.get_exp_config(name).trainer
  assert isinstance(trainer, TrainerConfig)
  assert (trainer.patience, trainer.num_pictures) == (0, 4) or trainer.patience > 0


def test_the_fields_are_stored_with_a_run(tmp_path):
  params = exp_factory.get_exp_config('htc_nuclei')
  params.override({'trainer': {'patience': 3, 'num_pictures': 1}})
  hyperparams.save_params_dict_to_yaml(params, str(tmp_path / 'params.yaml'))
  trainer = model_directory.load_run(str(tmp_path)).trainer
  assert (trainer.patience, trainer.num_pictures) == (3, 1)


@pytest.mark.parametrize('field', ['patience', 'num_pictures'])
@pytest.mark.parametrize('value,problem', [(-1, 'out of range'), (1.5, 'wrong type')])
def test_the_fields_are_checked(field, value, problem):
  with pytest.raises(ConfigError, match=problem):
    check_values(TrainerConfig(**{field: value}), 'trainer')


def test_the_best_checkpoint_is_that_of_mask_ap_or_of_box_ap_without_masks():
  assert best_metric(TrainerConfig(), include_mask=True) == 'segm_AP'
  assert best_metric(TrainerConfig(), include_mask=False) == 'bbox_AP'
  named = TrainerConfig(best_checkpoint_eval_metric='bbox_AP50')
  assert best_metric(named, include_mask=True) == 'bbox_AP50'
