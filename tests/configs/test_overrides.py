"""Tests of the reading and the application of overrides."""

import pytest
from official.core import exp_factory

from htc_tf import registry_imports  # noqa: F401
from htc_tf.configs import model as model_config
from htc_tf.configs import override_text, overrides
from htc_tf.errors import ConfigError, InputError


@pytest.fixture
def experiment():
  return exp_factory.get_exp_config('htc_nuclei')


@pytest.mark.parametrize(
  'text,expected',
  [
    ('', {}),
    ('a.b=1', {'a': {'b': 1}}),
    ('a.b=1,a.c=x, d=true', {'a': {'b': 1, 'c': 'x'}, 'd': True}),
    ('a=[1, 2],b=3', {'a': [1, 2], 'b': 3}),
    ('a=[{h: 1, w: 2}, {h: 3, w: 4}],b=3', {'a': [{'h': 1, 'w': 2}, {'h': 3, 'w': 4}], 'b': 3}),
    ('a=\'x,y\',b="p=q"', {'a': 'x,y', 'b': 'p=q'}),
    ('a=1e-4,b=2E3,c=-1e-2,d=1.5e1', {'a': 1e-4, 'b': 2000.0, 'c': -0.01, 'd': 15.0}),
    ('a=null,b=,c=[]', {'a': None, 'b': None, 'c': []}),
    ('a=gs://bucket/x-*.tfrecord', {'a': 'gs://bucket/x-*.tfrecord'}),
    ('a=*.tfrecord', {'a': '*.tfrecord'}),
    ('a=/data/my images/#1 x', {'a': '/data/my images/#1 x'}),
    ('a=/data/new #1.json', {'a': '/data/new #1.json'}),
    ("a=/data/Anna's/x.json,b=2", {'a': "/data/Anna's/x.json", 'b': 2}),
    ('a=C: d', {'a': 'C: d'}),
    ('a=2024-02-30,b=2024-02-28,c=0x_', {'a': '2024-02-30', 'b': '2024-02-28', 'c': '0x_'}),
    ('a[0]=1,a[1]=2.5', {'a': {0: 1, 1: 2.5}}),
    ('s[1].w=2,s[1].v=3', {'s': {1: {'w': 2, 'v': 3}}}),
    ('{"a": {"b": [1, 2]}}', {'a': {'b': [1, 2]}}),
    ('{a: {b: 1e-3}}', {'a': {'b': 1e-3}}),
  ],
)
def test_the_forms_of_a_text(text, expected):
  assert override_text.parse_text(text) == expected


@pytest.mark.parametrize(
  'text,message',
  [
    ('a.b=1,2', r"a.b=1,2' cannot be read.*key=value.*Got: '2'.*brackets"),
    ('a=[1,2', 'brackets or quotes that are not closed'),
    ('a="x', 'brackets or quotes that are not closed'),
    ('=3', "Got: '=3'"),
    ('a-b=3', "Got: 'a-b=3'"),
    ('a.=3', "Got: 'a.=3'"),
    ('{a: 1', 'cannot be read'),
    ('{a, b}: 1', 'cannot be read|Got'),
    ('a=[1:', 'cannot be read'),
    ('a=' + '[' * 3000 + ']' * 3000, 'cannot be read'),
    ('a=1,a=2', 'a is set twice in one text'),
    ('a=1,a.b=2', 'a.b is set twice'),
    ('a.b=1,a=2', 'a is set twice'),
    ('a[0]=1,a.b=2', 'a.b is set twice'),
    ('{a: 1, a: 2}', r"keys that stand there twice: \['a'\]"),
    ('nowhere.yaml', 'nowhere.yaml cannot be read.*misspelled path'),
  ],
)
def test_a_malformed_text_is_refused(text, message):
  with pytest.raises(ConfigError, match=message):
    override_text.parse_text(text)


def test_a_text_may_name_a_file(tmp_path):
  (tmp_path / 'my.yaml').write_text('trainer: {train_steps: 7}')
  assert override_text.parse_text(str(tmp_path / 'my.yaml')) == {'trainer': {'train_steps': 7}}


@pytest.mark.parametrize(
  'content,message',
  [
    (b'', 'has no keys.*Got: an empty file'),
    (b'# only a comment\n', 'has no keys.*Got: an empty file'),
    (b'{}', 'has no keys.*Got: an empty file'),
    (b'[1, 2]', 'has no keys.*Got: list'),
    (b'task: [', 'cannot be read'),
    (b'\xff\xfe\x00t', 'cannot be read'),
    (b'a: 1\nb:\n  c: 1\n  c: 2\n', r"keys that stand there twice: \['c'\].*line 3"),
    (b'a: 1\n---\nb: 2\n', 'cannot be read'),
    (b'!!python/object:os.system {}', 'cannot be read'),
  ],
)
def test_a_file_without_keys_is_refused(tmp_path, content, message):
  (tmp_path / 'wrong.yaml').write_bytes(content)
  with pytest.raises(ConfigError, match=f'wrong.yaml {message}|{message}'):
    override_text.read_file(str(tmp_path / 'wrong.yaml'))


def test_a_folder_is_no_file(tmp_path):
  with pytest.raises(InputError, match=r'cannot be used. Expected: a file. Got: Is a directory'):
    override_text.read_file(str(tmp_path))


UNKNOWN = {
  'task.model.num_clases=3': 'no key task.model.num_clases.*nearest one is task.model.num_classes',
  'task.model.cascade.interleave=false': 'nearest one is task.model.cascade.interleaved',
  'trainer.train_step=3': 'nearest one is trainer.train_steps',
  'traner.train_steps=3': 'no key traner.*nearest one is trainer',
  'num_classes=3': 'key of another section: task.model.num_classes or ',
  'task.num_sampled_rois=3': 'another section: task.model.cascade.num_sampled_rois',
  'trainer.xyzzy=3': 'no key trainer.xyzzy.*a misspelled key, or one of another version',
  '{trainer: {1: 2}}': 'no key trainer.1',
  'task.model.cascade.stages=[{iou_treshold: 0.5}]': (
    r'no key task.model.cascade.stages\[0\].iou_treshold.*'
    r'nearest one is task.model.cascade.stages\[0\].iou_threshold'
  ),
  'task.model.cascade.stages[1].iou_treshold=0.5': r'stages\[1\].iou_treshold.*nearest',
  'task.train_data.parser.buckets=[{hight: 32}]': r'buckets\[0\].hight.*buckets\[0\].height',
  'trainer.optimizer_config.ema.average_decy=0.9': 'nearest one is .*ema.average_decay',
}


@pytest.mark.parametrize('text', UNKNOWN)
def test_an_unknown_key_is_answered_with_the_nearest_one(experiment, text):
  before = experiment.as_dict()
  with pytest.raises(ConfigError, match=f'(?s){UNKNOWN[text]}'):
    overrides.apply(experiment, override_text.parse_text(text))
  assert experiment.as_dict() == before


@pytest.mark.parametrize(
  'text,message',
  [
    ('task=3', 'task is a section.*Expected: keys below it.*Got: 3'),
    ('{task: null}', 'task is a section.*Got: nothing.*indentation'),
    ('trainer.train_steps={a: 1}', 'trainer.train_steps is a value.*no keys below it'),
    ('task.annotation_file={a: 1}', 'task.annotation_file is a value'),
    ('runtime.num_gpus={a: 1}', 'runtime.num_gpus is a value'),
    ('task.seed={a: 1}', 'task.seed is a value'),
    ('task.model=[1]', r'task.model is a section.*Got: \[1\]'),
    ('task.model.anchor[0]=1', r'task.model.anchor is a section'),
    ('task.model.cascade.stages[5].loss_weight=1', r'stages\[5\] does not exist.*3 entries'),
    ('task.model.input_size[3]=1', r'input_size has gaps.*input_size\[0\] to .*\[3\]'),
    ('task.model.input_size=[[1, 2], [3]]', 'cannot be changed.*list in a list'),
    ('task.model.cascade.stages=[1, {loss_weight: 2}]', 'cannot be changed'),
  ],
)
def test_overrides_that_do_not_fit_are_refused(experiment, text, message):
  before = experiment.as_dict()
  with pytest.raises(ConfigError, match=message):
    overrides.apply(experiment, override_text.parse_text(text))
  assert experiment.as_dict() == before


def test_single_values_and_lists_are_set(experiment):
  text = 'task.model.num_classes=5,task.model.anchor.aspect_ratios=[1, 2],trainer.train_steps=9'
  overrides.apply(experiment, override_text.parse_text(text))
  assert experiment.task.model.num_classes == 5
  assert experiment.task.model.anchor.aspect_ratios == [1, 2]
  assert experiment.trainer.train_steps == 9


def test_integers_become_floats_where_the_field_has_floats(experiment):
  rate = 'trainer.optimizer_config.learning_rate.stepwise'
  text = f'{rate}.values=[1, 0.1],{rate}.boundaries=[5],task.losses.box_beta=2'
  overrides.apply(experiment, override_text.parse_text(text))
  stepwise = experiment.trainer.optimizer_config.learning_rate.stepwise
  values = [*stepwise.values, *stepwise.boundaries, experiment.task.losses.box_beta]
  assert [type(value) for value in values] == [float, float, int, float]


def test_an_entry_of_a_list_is_changed(experiment):
  overrides.apply(
    experiment, override_text.parse_text('task.model.cascade.stages[1].loss_weight=0.75')
  )
  stages = experiment.task.model.cascade.stages
  assert [stage.loss_weight for stage in stages] == [1.0, 0.75, 0.25]
  assert all(isinstance(stage, model_config.Stage) for stage in stages)


def test_numbered_values_are_a_whole_list(experiment):
  overrides.apply(experiment, override_text.parse_text('task.train_data.parser.min_sizes[0]=64'))
  assert experiment.task.train_data.parser.min_sizes == [64]
  overrides.apply(
    experiment,
    override_text.parse_text('task.model.input_size[0]=2,task.model.input_size[1]=3'),
  )
  assert experiment.task.model.input_size == [2, 3]


@pytest.mark.parametrize('number', [1, 2, 4])
def test_a_list_of_sections_is_replaced_without_a_warning(experiment, caplog, number):
  entries = [{'iou_threshold': 0.5 + 0.1 * i} for i in range(number)]
  overrides.apply(experiment, {'task': {'model': {'cascade': {'stages': entries}}}})
  stages = experiment.task.model.cascade.stages
  assert [stage.iou_threshold for stage in stages] == [entry['iou_threshold'] for entry in entries]
  assert all(isinstance(stage, model_config.Stage) for stage in stages)
  assert not caplog.text


def test_an_optional_section_is_created(experiment):
  assert experiment.trainer.optimizer_config.ema is None
  overrides.apply(
    experiment, override_text.parse_text('trainer.optimizer_config.ema.average_decay=0.5')
  )
  assert experiment.trainer.optimizer_config.ema.average_decay == 0.5


def test_the_names_of_the_keys_that_overrides_set():
  nested = override_text.parse_text('a.b=1,a.c=[1, 2],d.e[0].f=2')
  assert sorted(overrides.leaves(nested)) == ['a.b', 'a.c', 'd.e']
