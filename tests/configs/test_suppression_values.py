"""Tests of the warnings of overrides of the detection generator that have no effect."""

import re

import pytest

from htc_tf.checkpoints import model_directory
from htc_tf.configs import parsing
from tests.serving import tiny_model

_PREFIX = 'task.model.detection_generator.'


@pytest.mark.parametrize(
  'override, message',
  [
    ('soft_nms_sigma=0.1', 'soft_nms_sigma has no effect: .*nms is hard, and only gaussian'),
    ('soft_nms_min_score=0.9', 'soft_nms_min_score has no effect: .*nms is hard'),
    ('nms=linear,soft_nms_sigma=9', 'soft_nms_sigma has no effect: .*nms is linear'),
    ('nms=gaussian,nms_threshold=0.1', 'nms_threshold has no effect: .*nms is gaussian'),
    ('max_detections=80001', 'max_detections has no effect: .*80 classes has 80000 detections'),
    ('max_detections=80000', None),
    ('nms=gaussian,soft_nms_sigma=0.1,soft_nms_min_score=0.2', None),
    ('nms=linear,nms_threshold=0.1,soft_nms_min_score=0.2', None),
    ('score_threshold=0.9,max_detections=1000', None),
  ],
)
def test_values_without_effect_are_named(caplog, override, message):
  parsing.parse('htc_resnet50fpn_1x_coco', [], [_PREFIX + part for part in override.split(',')])
  found = [record.getMessage() for record in caplog.records]
  assert len(found) == (message is not None)
  assert all(re.search(message, text) for text in found)


def test_one_limit_has_no_effect_beside_those_of_the_classes(caplog):
  limits = ','.join(['0.1'] * 80)
  overrides = [f'{_PREFIX}class_score_thresholds=[{limits}]', f'{_PREFIX}score_threshold=0.9']
  parsing.parse('htc_resnet50fpn_1x_coco', [], overrides)
  assert 'score_threshold has no effect: class_score_thresholds' in caplog.text


def test_a_loaded_model_names_them_too(tmp_path, caplog):
  model = tiny_model.write(tmp_path)
  model_directory.load_experiment(str(model))
  assert not caplog.text  # Values that the run recorded were not asked for now.
  model_directory.load_experiment(str(model), None, f'{_PREFIX}soft_nms_sigma=0.1')
  assert 'soft_nms_sigma has no effect' in caplog.text
