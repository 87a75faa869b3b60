"""Tests of the export: its files, its errors, and the SavedModel in a process without htc_tf."""

import json
import os
import signal
import subprocess
import sys
import textwrap

import numpy as np
import pytest
import tensorflow as tf
from google.protobuf import (
  descriptor_pb2,
  descriptor_pool,
  message_factory,
  text_format,
  wrappers_pb2,
)

from htc_tf.cli import export as command
from htc_tf.errors import InputError
from htc_tf.serving import export
from htc_tf.serving.export_format import ExportFormat
from tests import tiny
from tests.serving import frame_models

_CLIENT = textwrap.dedent("""
    import importlib.abc, sys
    import numpy as np

    class Reject(importlib.abc.MetaPathFinder):
      def find_spec(self, name, path=None, target=None):
        if name.split('.')[0] in ('htc_tf', 'official', 'tf_keras'):
          raise ImportError('not here: ' + name)

    sys.meta_path.insert(0, Reject())
    import tensorflow as tf
    folder, images, answers = sys.argv[1:]
    model = tf.saved_model.load(folder)
    images = np.load(images)['images']
    by_tensor = model.signatures['serving_default'](inputs=tf.constant(images))
    encoded = tf.stack([tf.io.encode_png(image) for image in images])
    by_bytes = model.signatures['image_bytes'](inputs=encoded)
    np.savez(answers, **{'tensor_' + key: value for key, value in by_tensor.items()},
             **{'bytes_' + key: value for key, value in by_bytes.items()})
""")


def test_a_process_without_htc_tf_gets_the_outputs_of_predict(predictor, saved_model, tmp_path):
  images = np.random.default_rng(0).integers(0, 256, (2, 40, 60, 3), np.uint8)
  np.savez(tmp_path / 'images.npz', images=images)
  # A command in this process has told TensorFlow to import tf_keras, which the client has not.
  environment = {key: value for key, value in os.environ.items() if key != 'TF_USE_LEGACY_KERAS'}
  subprocess.run(
    [
      sys.executable,
      '-c',
      _CLIENT,
      saved_model,
      str(tmp_path / 'images.npz'),
      str(tmp_path / 'answers.npz'),
    ],
    check=True,
    cwd=tmp_path,
    env=environment,
  )
  answers = np.load(tmp_path / 'answers.npz')
  expected = predictor.predict(images, verbose=0)
  for key, value in expected.items():
    np.testing.assert_allclose(answers[f'tensor_{key}'], value, atol=1e-4)
    np.testing.assert_allclose(answers[f'bytes_{key}'], value, atol=1e-4)


def test_parts_of_model_garden_which_need_static_shapes_are_exported(tmp_path):
  generator = {**tiny.MODEL_GARDEN_PARTS['roi_generator'], 'type': 'model_garden'}
  changes = {'roi_generator': generator, 'roi_aligner': {'type': 'model_garden'}}
  predictor = frame_models.predictor(1, input_size=[64, 96, 3], **changes)
  folder = export.export_saved_model(predictor, str(tmp_path / '1'), warmup=False)
  signatures = tf.saved_model.load(folder).signatures
  pixels = frame_models.image(40, 70)[np.newaxis]
  expected = predictor.predict(pixels, verbose=0)
  assert expected['num_detections'] > 0
  for found in (
    signatures['serving_default'](inputs=tf.constant(pixels)),
    signatures['image_bytes'](inputs=tf.io.encode_png(pixels[0])[tf.newaxis]),
  ):
    for key, value in expected.items():
      np.testing.assert_allclose(found[key], value, atol=1e-4)


def test_categories_are_written(saved_model):
  with open(os.path.join(saved_model, 'categories.json'), encoding='utf-8') as file:
    assert json.load(file) == {'1': {'id': 7, 'name': 'cat'}, '2': {'id': 30, 'name': 'dog'}}


def test_signatures_have_their_input_types(saved_model):
  signatures = tf.saved_model.load(saved_model).signatures
  inputs = signatures['serving_default'].structured_input_signature[1]['inputs']
  # Without a rank: TensorFlow would reject another one before the graph can say what it expects.
  assert (inputs.dtype, inputs.shape.rank) == (tf.uint8, None)
  encoded = signatures['image_bytes'].structured_input_signature[1]['inputs']
  assert (encoded.dtype, encoded.shape.rank) == (tf.string, None)
  assert set(signatures) == {'serving_default', 'image_bytes', 'tf_example'}


def _batching_parameters():
  """The message of TensorFlow Serving's session_bundle_config.proto, which its API omits."""
  wrappers = descriptor_pb2.FileDescriptorProto()
  wrappers_pb2.DESCRIPTOR.CopyToProto(wrappers)
  file = descriptor_pb2.FileDescriptorProto(
    name='batching.proto', package='serving', dependency=[wrappers.name], syntax='proto3'
  )
  message = file.message_type.add(name='BatchingParameters')
  for number, name in enumerate(
    ('max_batch_size', 'batch_timeout_micros', 'max_enqueued_batches', 'num_batch_threads'), 1
  ):
    message.field.add(
      name=name, number=number, label=1, type=11, type_name='.google.protobuf.Int64Value'
    )
  pool = descriptor_pool.DescriptorPool()
  pool.Add(wrappers)
  pool.Add(file)
  return message_factory.GetMessageClass(pool.FindMessageTypeByName('serving.BatchingParameters'))()


def test_tensorflow_serving_can_parse_the_batching_parameters(saved_model):
  with open(os.path.join(saved_model, 'batching_params.pbtxt'), encoding='utf-8') as file:
    parameters = text_format.Parse(file.read(), _batching_parameters())
  assert parameters.max_batch_size.value == 8
  assert parameters.batch_timeout_micros.value > 0
  assert parameters.max_enqueued_batches.value > 0 and parameters.num_batch_threads.value > 0


def test_command_writes_the_requested_format(model_dir, tmp_path, capsys):
  status = command.main(
    [
      '--model',
      model_dir,
      '--output',
      str(tmp_path / '3'),
      '--masks',
      'full',
      '--boxes',
      'normalized',
      '--max_pixels',
      '5000',
      '--max_batch_size',
      '4',
      '--no_warmup',
    ]
  )
  printed = capsys.readouterr()
  assert status == 0 and printed.out.strip() == str(tmp_path / '3') and 'note' not in printed.err
  assert os.listdir(tmp_path) == ['3']
  assert not (tmp_path / '3' / 'assets.extra').exists()
  with open(tmp_path / '3' / 'export.json', encoding='utf-8') as file:
    assert json.load(file) == {'boxes': 'normalized', 'masks': 'full', 'max_pixels': 5000}
  assert 'max_batch_size { value: 4 }' in (tmp_path / '3' / 'batching_params.pbtxt').read_text()
  outputs = tf.saved_model.load(str(tmp_path / '3')).signatures['serving_default'](
    inputs=tf.zeros([2, 30, 50, 3], tf.uint8)
  )
  assert outputs['detection_masks'].shape == (2, 10, 30, 50)


def test_a_folder_with_files_is_rejected(predictor, tmp_path):
  (tmp_path / 'kept').write_text('mine')
  with pytest.raises(InputError, match='new folder'):
    export.export_saved_model(predictor, str(tmp_path))
  assert (tmp_path / 'kept').read_text() == 'mine'


@pytest.mark.parametrize(
  'arguments, message',
  [
    (['--max_pixels', '0'], 'from 1'),
    (['--max_batch_size', '0'], 'batch size'),
    (['--output', 'FILE'], 'a file'),
    (['--output', 'FOLDER'], 'an earlier export'),
    (['--output', 'FILE/1'], 'a file where a folder is expected'),
    (['--model', 'FOLDER'], 'There is no checkpoint'),
  ],
)
def test_an_impossible_export_is_one_clear_error(model_dir, tmp_path, capsys, arguments, message):
  (tmp_path / 'folder').mkdir()
  (tmp_path / 'folder' / 'file').write_text('mine')
  places = {'FILE': str(tmp_path / 'folder' / 'file'), 'FOLDER': str(tmp_path / 'folder')}
  places['FILE/1'] = os.path.join(places['FILE'], '1')
  arguments = [places.get(argument, argument) for argument in arguments]
  assert command.main(['--model', model_dir, '--output', str(tmp_path / '1'), *arguments]) == 2
  assert message in capsys.readouterr().err
  assert os.listdir(tmp_path) == ['folder'] and os.listdir(tmp_path / 'folder') == ['file']


def test_command_warns_if_the_folder_is_no_version(model_dir, tmp_path, capsys):
  assert command.main(['--model', model_dir, '--output', f'{tmp_path}/mine/', '--no_warmup']) == 0
  assert f'export to {tmp_path}/mine/1' in capsys.readouterr().err


def test_pasted_masks_are_rejected_if_the_model_has_none(model_dir, tmp_path):
  import htc_tf

  model = htc_tf.load_model(model_dir)
  model.model.cascade.mask_features = None
  with pytest.raises(InputError, match='a model without masks'):
    export.export_saved_model(model, str(tmp_path / '1'), ExportFormat(masks='full'))


_KILLED_EXPORT = textwrap.dedent("""
    import os, signal, sys
    import htc_tf
    from htc_tf.serving import export
    export.format_lib.write_categories = lambda *args: os.kill(os.getpid(), signal.SIGKILL)
    export.export_saved_model(htc_tf.load_model(sys.argv[1]), sys.argv[2])
""")


def test_a_killed_export_leaves_no_version(model_dir, tmp_path):
  status = subprocess.run(
    [sys.executable, '-c', _KILLED_EXPORT, model_dir, str(tmp_path / '1')],
    check=False,
    capture_output=True,
  ).returncode
  assert status == -signal.SIGKILL
  left = os.listdir(tmp_path)
  # TensorFlow Serving loads folders named by a number.
  assert len(left) == 1 and left[0].startswith('.1.') and left[0].endswith('.part')


def test_a_failed_export_leaves_nothing(predictor, tmp_path, monkeypatch):
  def fail(*args):
    raise OSError('disk full')

  monkeypatch.setattr(export.format_lib, 'write_categories', fail)
  with pytest.raises(OSError, match='disk full'):
    export.export_saved_model(predictor, str(tmp_path / '1'))
  assert not os.listdir(tmp_path)
