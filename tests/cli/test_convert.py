"""Tests of the command that converts published checkpoints."""

import hashlib
import json
import pickle
import subprocess
import sys
import uuid

import numpy as np
import pytest
import tensorflow as tf
import yaml

import htc_tf
from htc_tf import file_systems, files
from htc_tf.checkpoints import restoration
from htc_tf.cli import convert
from htc_tf.convert import conversion
from htc_tf.convert.paddle_names import PADDLE
from htc_tf.convert.variables import named_variables
from tests import tiny

EXPERIMENT = '--experiment=htc_resnet50fpn_1x_coco_paddle'


@pytest.fixture(scope='module')
def coco_model():
  """A small model with COCO's number of classes."""
  return tiny.build(tiny.model(num_classes=81), seed=5)


@pytest.fixture(scope='module')
def published(coco_model, tmp_path_factory):
  """A Paddle file with the weights of `coco_model`."""
  path = tmp_path_factory.mktemp('published') / 'model.pdparams'
  tensors = conversion.published_weights(coco_model, PADDLE)
  path.write_bytes(
    pickle.dumps(
      {**tensors, 'StructuredToParameterName@@': {name: name for name in tensors}}, protocol=2
    )
  )
  return path


@pytest.fixture(scope='module')
def small(tmp_path_factory):
  """The flag that makes the experiment as small as `coco_model`."""
  path = tmp_path_factory.mktemp('config') / 'small.yaml'
  parser = {'parser': {'min_sizes': [48], 'max_size': 64}}
  path.write_text(
    yaml.safe_dump(
      {'task': {'model': {**tiny.PUBLISHED_PARTS, 'num_classes': 81}, 'validation_data': parser}}
    )
  )
  return f'--config_file={path}'


@pytest.fixture(scope='module')
def converted(published, small, tmp_path_factory):
  """A model directory that the command wrote."""
  output = tmp_path_factory.mktemp('converted') / 'model'
  assert convert.main([str(published), EXPERIMENT, small, f'--output={output}']) == 0
  return output


def test_the_directory_has_all_files(converted):
  assert {path.name for path in converted.iterdir()} == {
    'checkpoint',
    'ckpt-0.index',
    'ckpt-0.data-00000-of-00001',
    'params.yaml',
    'dataset.json',
    'conversion.json',
    'model_card.md',
  }
  assert [path.name for path in converted.parent.iterdir()] == ['model']


def test_the_conversion_is_recorded(converted, published):
  record = json.loads((converted / 'conversion.json').read_text())
  assert record['source'] == {
    'file': 'model.pdparams',
    'kind': 'paddle',
    'sha256': hashlib.sha256(published.read_bytes()).hexdigest(),
  }
  assert record['experiment'] == 'htc_resnet50fpn_1x_coco_paddle'
  assert record['htc_tf_version'] == htc_tf.__version__
  assert record['model']['num_classes'] == 81
  assert record['categories'][0] == {'id': 1, 'name': 'person', 'label': 1}
  assert record['categories'][-1] == {'id': 90, 'name': 'toothbrush', 'label': 80}
  assert record['dropped'] == record['missing'] == record['unused'] == []


def test_the_directory_predicts_like_the_model(converted, coco_model):
  predictor = htc_tf.load_model(str(converted))
  assert predictor.dataset_info.num_classes == 81
  loaded = named_variables(predictor.model)
  for path, variable in named_variables(coco_model).items():
    np.testing.assert_array_equal(loaded[path], variable, err_msg=path)
  found = predictor(tf.zeros([1, 48, 60, 3], tf.uint8))
  assert found['detection_boxes'].shape == [1, 6, 4]


def test_training_starts_from_the_directory(converted, coco_model):
  task = tiny.task(tiny.model(num_classes=81), init_checkpoint=str(converted))
  model = task.build_model()
  task.initialize(model)
  np.testing.assert_array_equal(model.variables[0], coco_model.variables[0])
  restoration.restore(str(converted), {'backbone': model.backbone, 'decoder': model.decoder})


def test_training_of_other_classes_starts_from_the_published_file(published, coco_model):
  task = tiny.task(init_checkpoint=str(published))
  model = task.build_model()
  task.initialize(model)
  loaded, published_values = named_variables(model), named_variables(coco_model)
  name = 'cascade/stages/2/box_head/fcs/0/kernel'
  np.testing.assert_array_equal(loaded[name], published_values[name])
  assert loaded['cascade/stages/2/box_head/logits/kernel'].shape[-1] == tiny.NUM_CLASSES


def test_all_paths_may_be_remote(published, small, coco_model, tmp_path, monkeypatch):
  monkeypatch.chdir(tmp_path)
  bucket = f'ram://{uuid.uuid4()}'
  files.write_bytes(f'{bucket}/model.pdparams', published.read_bytes())
  files.write_bytes(f'{bucket}/small.yaml', file_systems.read_bytes(small.partition('=')[2]))
  arguments = [EXPERIMENT, f'--config_file={bucket}/small.yaml', f'--output={bucket}/model/']
  assert convert.main([f'{bucket}/model.pdparams', *arguments]) == 0
  record = json.loads(file_systems.read_bytes(f'{bucket}/model/conversion.json'))
  assert record['source']['file'] == 'model.pdparams'
  for path in (f'{bucket}/model', f'{bucket}/model/', f'{bucket}/model/ckpt-0'):
    loaded = named_variables(htc_tf.load_model(path).model)
    for name, variable in named_variables(coco_model).items():
      np.testing.assert_array_equal(loaded[name], variable, err_msg=name)
  task = tiny.task(tiny.model(num_classes=81), init_checkpoint=f'{bucket}/model.pdparams')
  model = task.build_model()
  task.initialize(model)
  np.testing.assert_array_equal(model.variables[0], coco_model.variables[0])
  assert not list(tmp_path.iterdir())
  assert not file_systems.glob(f'{bucket}/.*')


def test_only_the_backbone_starts_from_the_published_file(published, coco_model):
  task = tiny.task(init_checkpoint=str(published), init_checkpoint_modules='backbone')
  model = task.build_model()
  before = model.decoder.variables[0].numpy()
  task.initialize(model)
  np.testing.assert_array_equal(model.backbone.variables[0], coco_model.backbone.variables[0])
  np.testing.assert_array_equal(model.decoder.variables[0], before)


def test_another_number_of_classes_needs_a_flag(published, small, tmp_path, capsys):
  output = tmp_path / 'model'
  arguments = [
    str(published),
    EXPERIMENT,
    small,
    f'--output={output}',
    '--params_override=task.model.num_classes=5',
  ]
  assert convert.main(arguments) == 2
  assert 'another number of classes' in capsys.readouterr().err
  assert not list(tmp_path.iterdir())
  assert convert.main([*arguments, '--allow_class_mismatch']) == 0
  assert 'cascade/stages/0/box_head/logits/kernel' in capsys.readouterr().out
  assert not (output / 'dataset.json').exists()
  assert len(json.loads((output / 'conversion.json').read_text())['dropped']) == 12


@pytest.mark.parametrize(
  'arguments,message',
  [
    ([EXPERIMENT, '--output=OUT'], 'does not fit the model'),
    (['--experiment=htc_resnet50', '--output=OUT'], 'experiment is unknown'),
    ([EXPERIMENT, '--output=OUT', '--params_override=task.model.depth=3'], 'no key'),
    ([EXPERIMENT, '--output=FOLDER'], 'an earlier conversion'),
  ],
)
def test_an_error_is_one_message(published, tmp_path, capsys, arguments, message):
  folder = tmp_path / 'folder'
  folder.mkdir()
  (folder / 'file').touch()
  arguments = [
    argument.replace('OUT', str(tmp_path / 'out')).replace('FOLDER', str(folder))
    for argument in arguments
  ]
  assert convert.main([str(published), *arguments]) == 2
  error = capsys.readouterr().err
  assert error.startswith('error: ') and message in error
  assert [path.name for path in tmp_path.iterdir()] == ['folder']


def test_the_hash_in_the_name_selects_the_experiment(published, small, tmp_path, capsys):
  path = tmp_path / 'renamed_fe28c577_copy.pdparams'
  path.write_bytes(published.read_bytes())
  output = tmp_path / 'model'
  assert convert.main([str(path), small, f'--output={output}']) == 0
  shown = capsys.readouterr().out
  assert 'HTC R50-FPN 20e: the hash fe28c577 in the name' in shown
  assert '--experiment=htc_resnet50fpn_20e_coco\n' in shown
  record = json.loads((output / 'conversion.json').read_text())
  assert record['experiment'] == 'htc_resnet50fpn_20e_coco'
  assert record['config_file'] == [small.partition('=')[2]]


def test_a_file_of_an_unknown_network_needs_an_experiment(published, tmp_path, capsys):
  assert convert.main([str(published), f'--output={tmp_path / "model"}']) == 2
  error = capsys.readouterr().err
  assert 'nearest, with what differs: htc_resnet50fpn_1x_coco_paddle (' in error
  assert not list(tmp_path.iterdir())


def test_an_experiment_that_contradicts_the_name_gives_a_warning(
  published, small, tmp_path, caplog
):
  path = tmp_path / 'renamed_9b41b48f.pdparams'
  path.write_bytes(published.read_bytes())
  with caplog.at_level('WARNING', logger='absl'):
    assert convert.main([str(path), EXPERIMENT, small, f'--output={tmp_path / "model"}']) == 0
  assert 'htc_resnet101fpn_20e_coco' in caplog.text and EXPERIMENT in caplog.text


def test_a_missing_file_is_an_error(tmp_path, capsys):
  assert convert.main([str(tmp_path / 'no.pth'), EXPERIMENT, f'--output={tmp_path / "out"}']) == 2
  assert 'no.pth' in capsys.readouterr().err


def test_help_needs_no_tensorflow():
  code = (
    'import sys; from htc_tf.cli import convert\n'
    'try: convert.main(["--help"])\n'
    'except SystemExit: sys.exit("tensorflow" in sys.modules)'
  )
  shown = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True, check=True)
  assert '--allow_class_mismatch' in shown.stdout
