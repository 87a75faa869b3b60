"""Tests of the clients and their command against local servers with the same interfaces."""

import contextlib
import http.server
import json
import os
import pathlib
import subprocess
import sys
import textwrap
from typing import ClassVar

import grpc
import numpy as np
import pytest
import tensorflow as tf
from PIL import Image
from pycocotools import mask as mask_utils

from htc_tf.cli import client as command
from htc_tf.data import images
from htc_tf.errors import ConfigError, InputError, ServingError
from htc_tf.serving import client, detectors, predict_files
from htc_tf.serving.target import Connection, Target
from tests.serving import loopback

_SERVERS = {'grpc': loopback.grpc_server, 'rest': loopback.rest_server}


@pytest.fixture(name='folder')
def _folder(tmp_path):
  """Images of three sizes and formats, one with an EXIF rotation, and a truncated one."""
  folder = tmp_path / 'images'
  folder.mkdir()
  rng = np.random.default_rng(0)
  for name, size in (('1.png', (40, 60)), ('2.jpg', (80, 50)), ('3.bmp', (30, 30))):
    Image.fromarray(rng.integers(0, 256, (*size, 3), np.uint8)).save(folder / name)
  image = Image.fromarray(rng.integers(0, 256, (40, 60, 3), np.uint8))
  exif = image.getexif()
  exif[0x0112] = 6  # Rotated by 90 degrees.
  image.save(folder / '4.jpg', exif=exif)
  (folder / '5.png').write_bytes((folder / '1.png').read_bytes()[:3000])
  return str(folder)


@pytest.fixture(name='models', scope='module')
def _models(saved_model, packed_model):
  return {'saved_model': loopback.Model(saved_model), 'packed_model': loopback.Model(packed_model)}


@contextlib.contextmanager
def _serving(models, name, kind):
  models[name].requests.clear()
  with _SERVERS[kind](models[name]) as address:
    yield address


def _read(output):
  with open(os.path.join(output, 'predictions.json'), encoding='utf-8') as file:
    return json.load(file)


def _assert_equal_results(results, expected):
  assert len(results) == len(expected) > 0
  for result, other in zip(results, expected):
    assert (result['image_id'], result['category_id']) == (other['image_id'], other['category_id'])
    assert result['score'] == pytest.approx(other['score'], abs=1e-4)
    np.testing.assert_allclose(result['bbox'], other['bbox'], atol=2e-2)
    overlap = mask_utils.iou([result['segmentation']], [other['segmentation']], [0])
    assert overlap[0, 0] > 0.99 or mask_utils.area(other['segmentation']) == 0


@pytest.mark.parametrize('kind', sorted(_SERVERS))
@pytest.mark.parametrize('name', ['saved_model', 'packed_model'])
def test_command_gives_the_results_of_local_prediction(
  request, models, model_dir, folder, tmp_path, kind, name
):
  export_dir = request.getfixturevalue(name)
  paths = predict_files.list_images([folder])
  failed = predict_files.predict_files(
    detectors.load_detector(model_dir), paths, str(tmp_path / 'expected')
  )
  assert [os.path.basename(path) for path in failed] == ['5.png']
  with _serving(models, name, kind) as address:
    status = command.main(
      [
        '--server',
        address,
        '--export',
        export_dir,
        '--output',
        str(tmp_path / 'out'),
        '--score_threshold',
        '0',
        folder,
      ]
    )
  assert status == 1  # Because of the truncated image.
  _assert_equal_results(_read(tmp_path / 'out'), _read(tmp_path / 'expected'))
  assert {entry['category_id'] for entry in _read(tmp_path / 'out')} <= {7, 30}
  for index in range(1, 5):
    assert np.asarray(Image.open(tmp_path / 'out' / f'{index}.png')).std() > 0
  assert models[name].requests == [('image_bytes', 1)] * 4


@pytest.mark.parametrize('kind', sorted(_SERVERS))
def test_images_of_different_sizes_are_sent_in_one_batch(
  models, saved_model, folder, tmp_path, kind
):
  with _serving(models, 'saved_model', kind) as address:
    status = command.main(
      [
        '--server',
        address,
        '--export',
        saved_model,
        '--output',
        str(tmp_path),
        '--batch_size',
        '3',
        '--model_version',
        '1',
        folder,
      ]
    )
  assert status == 1
  assert models['saved_model'].requests == [('image_bytes', 3), ('image_bytes', 1)]
  assert {entry['image_id'] for entry in _read(tmp_path)} == {1, 2, 3, 4}


@pytest.mark.parametrize('kind', sorted(_SERVERS))
def test_a_file_that_only_pillow_decodes_is_sent_again_as_png(models, folder, kind):
  path, without_end = os.path.join(folder, '1.png'), os.path.join(folder, '6.png')
  pathlib.Path(without_end).write_bytes(pathlib.Path(path).read_bytes()[:-12])
  with _serving(models, 'saved_model', kind) as address:
    whole, found = client.remote_detector(Target(address)).detect(
      [images.read_image(path), images.read_image(without_end)]
    )
  assert models['saved_model'].requests == [('image_bytes', 2), ('image_bytes', 1)]
  np.testing.assert_allclose(found.boxes, whole.boxes, atol=1e-3)
  assert len(found.boxes) > 0


def test_an_image_that_the_server_cannot_read_is_named_and_the_others_are_detected(
  monkeypatch, folder
):
  def call(contents):
    names = ('detection_boxes', 'detection_scores', 'detection_classes', 'num_detections')
    codes = [int(content.startswith(b'\x89PNG')) for content in contents]
    shapes = ([len(contents), 1, 4], *[[len(contents), 1]] * 2, [len(contents)])
    outputs = {name: np.zeros(shape, np.float32) for name, shape in zip(names, shapes)}
    return {**outputs, 'error_code': np.array(codes)}

  connection = Connection(Target('http://none'), call)
  monkeypatch.setattr(client, 'connect', lambda target: connection)
  read = [images.read_image(os.path.join(folder, name)) for name in ('1.png', '2.jpg', '3.bmp')]
  first, second, third = client.remote_detector(Target('http://none')).detect(read)
  assert len(second.boxes) == 0
  for error, name in ((first, '1.png'), (third, '3.bmp')):
    assert isinstance(error, InputError) and name in str(error) and 'decode' in str(error)


@pytest.mark.parametrize('kind', sorted(_SERVERS))
def test_the_error_of_an_export_is_shown_as_its_sentence(models, monkeypatch, kind):
  model = models['saved_model']
  run = model.run
  # A client sends only batches; the server gets another shape as from a client of one's own.
  monkeypatch.setattr(
    model,
    'run',
    lambda signature, inputs: run(signature, {name: x[None] for name, x in inputs.items()}),
  )
  with (
    _serving(models, 'saved_model', kind) as address,
    client.connect(Target(address)) as call,
    pytest.raises(ServingError) as error,
  ):
    call([b'one image'])
  message = str(error.value)
  assert 'The model cannot read these strings' in message and 'Got: the shape [1 1].' in message
  assert 'node' not in message and 'assertion' not in message and ']]' not in message


@pytest.mark.parametrize('server', ['grpc://localhost:8500', 'http://localhost:8501'])
def test_no_images_are_one_clear_error(server):
  with client.connect(Target(server)) as call, pytest.raises(InputError, match='no images'):
    call([])


class _Channel:
  """A gRPC channel that records whether it is closed."""

  opened: ClassVar[list] = []
  connect = staticmethod(grpc.insecure_channel)

  def __init__(self, *args, **kwargs):
    self._channel = _Channel.connect(*args, **kwargs)
    self.num_closed = 0
    _Channel.opened.append(self)

  def close(self):
    self.num_closed += 1
    self._channel.close()

  def __getattr__(self, name):
    return getattr(self._channel, name)


@pytest.fixture(name='channels')
def _channels(monkeypatch):
  monkeypatch.setattr(_Channel, 'opened', [])
  monkeypatch.setattr(grpc, 'insecure_channel', _Channel)
  return _Channel.opened


@pytest.mark.parametrize('works', [True, False])
def test_the_command_closes_its_channel_also_after_an_error(
  models, folder, tmp_path, channels, works
):
  with _serving(models, 'saved_model', 'grpc') as address:
    name = 'htc' if works else 'other'
    arguments = ['--server', address, '--model_name', name, '--output', str(tmp_path / 'out')]
    assert command.main([*arguments, folder]) == (1 if works else 2)
  assert [channel.num_closed for channel in channels] == [1]


def test_a_channel_is_closed_once_and_calls_afterwards_are_refused(channels):
  with client.connect(Target('grpc://localhost:1')) as call:
    assert channels[0].num_closed == 0
  call.close()
  assert channels[0].num_closed == 1
  with pytest.raises(ServingError, match='is closed'):
    call([b''])


def test_a_connection_by_rest_has_the_same_methods():
  with client.connect(Target('http://localhost:1')) as call:
    pass
  call.close()
  with pytest.raises(ServingError, match='is closed'):
    call([b''])


def test_files_are_sent_unchanged_unless_they_are_bmp_or_rotated(folder):
  def sent(name):
    path = os.path.join(folder, name)
    content = images.read_image(path).encoded().content
    with open(path, 'rb') as file:
      return content, content == file.read()

  assert [sent(name)[1] for name in ('1.png', '2.jpg', '3.bmp', '4.jpg')] == [
    True,
    True,
    False,
    False,
  ]
  upright = tf.io.decode_png(sent('4.jpg')[0]).numpy()
  np.testing.assert_array_equal(upright, images.read_image(os.path.join(folder, '4.jpg')).pixels())


@pytest.mark.parametrize('kind', sorted(_SERVERS))
def test_a_wrong_model_name_is_one_clear_error(models, folder, tmp_path, capsys, kind):
  with _serving(models, 'saved_model', kind) as address:
    status = command.main(
      ['--server', address, '--model_name', 'other', '--output', str(tmp_path / 'out'), folder]
    )
  assert status == 2
  message = capsys.readouterr().err
  assert 'not found' in message and 'a wrong model name' in message


@pytest.mark.parametrize('scheme', ['grpc', 'http'])
def test_a_missing_server_is_one_clear_error(folder, tmp_path, capsys, scheme):
  status = command.main(
    [
      '--server',
      f'{scheme}://127.0.0.1:1',
      '--timeout',
      '20',
      '--output',
      str(tmp_path / 'out'),
      folder,
    ]
  )
  assert status == 2
  assert 'no server at this address' in capsys.readouterr().err


@pytest.mark.parametrize('server', ['localhost:8500', 'ftp://host', 'http://', 'http://host:port'])
def test_an_address_of_another_form_is_rejected(server):
  with pytest.raises(InputError, match='grpc://host:8500'):
    client.connect(Target(server))


@pytest.mark.parametrize('server', ['grpc://localhost:8500', 'http://localhost:8501'])
@pytest.mark.parametrize(
  'values, message',
  [
    ({'timeout': 0.0}, 'timeout is out of range'),
    ({'timeout': float('nan')}, 'Got: nan'),
    ({'timeout': float('inf')}, 'Got: inf'),
    ({'version': -1}, 'version.*Got: -1'),
    ({'version': 2**70}, 'version is out of range'),
    ({'model': ''}, 'model name cannot be sent'),
    ({'model': '\udc80'}, r'Got: .\\udc80'),
  ],
)
def test_targets_out_of_range_are_rejected(server, values, message):
  with pytest.raises(InputError, match=message):
    client.connect(Target(server, **values))


@pytest.mark.parametrize(
  'answer',
  [
    b'hello',
    b'[]',
    b'{"predictions": []}',
    b'{"outputs": 1}',
    b'{"predictions": [{"scores": [1]}]}',
  ],
)
def test_an_unexpected_answer_is_rejected(folder, answer):
  class Handler(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
      self.rfile.read(int(self.headers['Content-Length']))
      self.send_response(200)
      self.end_headers()
      self.wfile.write(answer)

    def log_message(self, *args):
      pass

  image = images.image_from_pixels(np.zeros((8, 8, 3), np.uint8))
  with (
    loopback.rest_server(Handler) as address,
    pytest.raises(ServingError, match='unexpected'),
  ):
    client.remote_detector(Target(address)).detect([image])


def test_packed_masks_are_rejected_without_the_export(models, folder):
  image = images.read_image(os.path.join(folder, '1.png'))
  with (
    _serving(models, 'packed_model', 'grpc') as address,
    pytest.raises(InputError, match='name its folder'),
  ):
    client.remote_detector(Target(address)).detect([image])


def test_a_folder_without_an_export_is_rejected(tmp_path):
  with pytest.raises(InputError, match='one of them'):
    client.remote_detector(Target('http://localhost'), str(tmp_path))


def test_a_missing_grpc_package_is_one_clear_error(monkeypatch):
  for name in ('tensorflow_serving', 'tensorflow_serving.apis'):
    monkeypatch.setitem(sys.modules, name, None)
  monkeypatch.delitem(sys.modules, 'htc_tf.serving.grpc_client', raising=False)
  monkeypatch.delattr('htc_tf.serving.grpc_client', raising=False)
  with pytest.raises(ConfigError, match='http://'):
    client.connect(Target('grpc://localhost:8500'))


_WITHOUT_TENSORFLOW = textwrap.dedent("""
    import sys
    sys.modules.update(dict.fromkeys(('tensorflow', 'tf_keras', 'tensorflow_serving', 'grpc')))
    from htc_tf.cli import client
    sys.exit(client.main(sys.argv[1:]))
""")


def test_rest_needs_neither_tensorflow_nor_grpc(models, saved_model, folder, tmp_path):
  with _serving(models, 'saved_model', 'rest') as address:
    answer = subprocess.run(
      [
        sys.executable,
        '-c',
        _WITHOUT_TENSORFLOW,
        '--server',
        address,
        '--export',
        saved_model,
        '--output',
        str(tmp_path),
        os.path.join(folder, '1.png'),
      ],
      check=False,
      capture_output=True,
      text=True,
    )
  assert answer.returncode == 0, answer.stderr
  assert {entry['image_id'] for entry in _read(tmp_path)} == {1}
