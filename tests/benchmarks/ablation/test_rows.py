"""Tests of the rows of the ablation."""

import pytest

from benchmarks.ablation import rows
from htc_tf import registry_imports  # noqa: F401
from htc_tf.configs import model as model_config
from htc_tf.configs import model_validation, parsing
from htc_tf.configs.overrides import leaves


def experiment(name, seed=0):
  params = parsing.parse('htc_nano').params
  parsing.apply_all(params, [rows.ROWS[name].overrides, rows.common(seed, 1000)])
  return params


@pytest.mark.parametrize('name', rows.ROWS)
def test_only_the_compared_keys_differ_from_row_to_row(name):
  allowed = {
    'task.model.cascade.stages',
    'task.model.cascade.interleaved',
    'task.model.cascade.mask_information_flow',
    'task.model.semantic_head.enabled',
    'task.model.semantic_head.feeds_box',
    'task.model.semantic_head.feeds_mask',
  }
  assert set(leaves(rows.ROWS[name].overrides)) <= allowed
  model_validation.validate_model(experiment(name).task.model)


def test_each_row_adds_one_design():
  found = {}
  for name in rows.ROWS:
    model = experiment(name).task.model
    head = model.semantic_head
    semantic = (head.feeds_box, head.feeds_mask) if head.enabled else None
    cascade = model.cascade
    found[name] = (
      len(cascade.stages),
      cascade.interleaved,
      cascade.mask_information_flow,
      semantic,
    )
  assert found == {
    'mask_rcnn': (1, False, False, None),
    'cascade': (3, False, False, None),
    'interleaved': (3, True, False, None),
    'flow': (3, True, True, None),
    'semantic_loss': (3, True, True, (False, False)),
    'semantic_box': (3, True, True, (True, False)),
    'semantic_mask': (3, True, True, (False, True)),
    'semantic_both': (3, True, True, (True, True)),
  }


def test_the_single_stage_is_the_first_published_one():
  stage = experiment('mask_rcnn').task.model.cascade.stages[0]
  assert stage.as_dict() == model_config.published_stages()[0].as_dict()


def test_seeds_differ_and_no_best_checkpoint_is_chosen():
  params = [experiment('flow', seed) for seed in rows.SEEDS]
  assert [p.task.seed for p in params] == [0, 1, 2]
  assert all(not p.trainer.best_checkpoint_export_subdir for p in params)
  assert all(p.trainer.patience == 0 for p in params)
