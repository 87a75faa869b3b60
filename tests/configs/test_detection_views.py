"""Tests of the configuration of test-time augmentation."""

import pytest

from htc_tf.configs import detection_views, overrides, validation
from htc_tf.configs.detection_views import DetectionViews, ViewRule
from htc_tf.configs.frames import Resizing
from htc_tf.errors import ConfigError

PUBLISHED = Resizing(800, 1333)


def _rules(resizing=PUBLISHED, **values):
  views = DetectionViews()
  views.override(values)
  return detection_views.view_rules(views, resizing)


def test_there_is_one_view_by_default():
  assert _rules() == [ViewRule(PUBLISHED, False, None)]


def test_mirrored_views_follow_the_ones_that_they_mirror():
  # 1200 * 1333 / 800 = 1999.5.
  assert _rules(min_sizes=[800, 1200], horizontal_flip=True) == [
    ViewRule(Resizing(*size), is_mirrored, None)
    for size in ((800, 1333), (1200, 2000))
    for is_mirrored in (False, True)
  ]


def test_ranges_belong_to_scales():
  ranges = [{'min_side': 96, 'max_side': 1e5}, {'max_side': 96}]
  rules = _rules(
    min_sizes=[600, 1200], max_sizes=[900, 1600], area_ranges=ranges, horizontal_flip=True
  )
  assert [rule.area_range for rule in rules] == [(96, 1e5)] * 2 + [(0, 96)] * 2
  assert [rule.resizing.max_size for rule in rules] == [900, 900, 1600, 1600]


@pytest.mark.parametrize(
  'values, message',
  [
    ({'min_sizes': [1, 2], 'max_sizes': [3]}, 'max_sizes does not fit min_sizes.*2 entries.*1 ent'),
    ({'area_ranges': [{}, {}]}, 'area_ranges does not fit min_sizes.*1 entries.*2 ent'),
    ({'min_sizes': [900], 'max_sizes': [800]}, r'max_sizes\[0\] is too small.*900 or more'),
    ({'area_ranges': [{'min_side': 9, 'max_side': 9}]}, r'area_ranges\[0\] is empty'),
    ({'area_ranges': [{'min': 9}]}, r"area_ranges\[0\] has unknown keys.*\['min'\]"),
    ({'area_ranges': [3]}, r'area_ranges\[0\] is of the wrong type'),
  ],
)
def test_wrong_views_are_refused(values, message):
  with pytest.raises(ConfigError, match=message):
    _rules(**values)


@pytest.mark.parametrize(
  'text, sizes, flips',
  [
    ('', [], False),
    ('none', [], False),
    ('flip', [], True),
    ('640,800', [640, 800], False),
    ('640, 800+flip', [640, 800], True),
  ],
)
def test_a_text_stands_for_views(text, sizes, flips):
  views = detection_views.overrides_of(text)['task']['test_time_augmentation']
  assert (views['min_sizes'], views['horizontal_flip']) == (sizes, flips)


@pytest.mark.parametrize(
  'text, cause',
  [
    ('flop', "a misspelled 'flop'"),
    ('640;800', "a misspelled '640;800'"),
    ('-3', '-3, which is no such size'),
    ('0', '0, which is no such size'),
    ('1.5', '1.5, which is no such size'),
    ('10001', '10001, which is no such size'),
    ('640,800,640', '640 given twice'),
    ('640,,800', 'a comma or'),
    ('640+', 'a comma or'),
  ],
)
def test_another_text_is_refused_with_the_cause(text, cause):
  with pytest.raises(ConfigError, match=r'cannot be read.*1 to 10000.*640,800') as error:
    detection_views.overrides_of(text)
  assert f'Likely cause: {cause}' in str(error.value)


def test_the_whole_configuration_is_checked(experiment):
  overrides.apply(experiment, detection_views.overrides_of('64,96+flip'))
  validation.validate_experiment(experiment, 'train')
  experiment.task.model.override({'roi_generator': {'type': 'model_garden'}})
  with pytest.raises(ConfigError, match='min_sizes does not fit the model'):
    validation.validate_experiment(experiment, 'train')
  overrides.apply(experiment, {'task': {'test_time_augmentation': {'min_sizes': [0]}}})
  with pytest.raises(ConfigError, match=r'test_time_augmentation.min_sizes\[0\] is out of range'):
    validation.validate_experiment(experiment, 'train')
