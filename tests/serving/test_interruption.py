"""Tests of Ctrl-C in the commands that use a trained model; see also tests/cli."""

import signal
import socket

import numpy as np
import pytest
from PIL import Image
from pycocotools.coco import COCO

from htc_tf.evaluation import ground_truth
from tests.running_command import RunningCommand

_NUM_IMAGES = 400


@pytest.fixture(name='folder')
def _folder(tmp_path):
  """A folder of many images, of which all but one are links."""
  folder = tmp_path / 'images'
  folder.mkdir()
  pixels = np.random.default_rng(0).integers(0, 256, (40, 60, 3), np.uint8)
  Image.fromarray(pixels).save(folder / '1.png')
  for index in range(2, _NUM_IMAGES + 1):
    (folder / f'{index}.png').symlink_to('1.png')
  return folder


def _num_done(output):
  """Number of images in the result files, which pycocotools has to accept."""
  with ground_truth.silence():
    coco = COCO(str(output / 'images.json'))
    results = coco.loadRes(str(output / 'predictions.json'))
  assert set(results.imgToAnns) <= set(coco.imgs) and len(results.anns)
  return len(coco.imgs)


@pytest.mark.parametrize('number, status', [(signal.SIGINT, 130), (signal.SIGKILL, -9)])
def test_a_prediction_keeps_what_is_done(model_dir, folder, tmp_path, number, status):
  output = tmp_path / 'out'
  arguments = ['-m', 'htc_tf.cli.predict', f'--model={model_dir}', f'--output={output}', folder]
  with RunningCommand(tmp_path, *arguments) as command:
    command.wait_until(lambda: len(list(output.glob('*.png'))) > 3)
    assert command.end(number) == status
    num_done = _num_done(output)
    assert 0 < num_done < _NUM_IMAGES
    if number != signal.SIGKILL:
      line = command.last_line()
      assert line.startswith(f'interrupted; {num_done} of {_NUM_IMAGES} images are done')
      assert f'{output}/predictions.json, {_NUM_IMAGES - num_done} remain' in line
      assert not list(output.glob('.*'))


@pytest.mark.parametrize('scheme', ['grpc', 'http'])
def test_the_client_of_a_server_that_does_not_answer_ends(folder, tmp_path, scheme):
  with socket.create_server(('127.0.0.1', 0)) as server:
    server.setblocking(False)
    connections = []

    def connected():
      try:
        connections.append(server.accept())
      except BlockingIOError:
        return False
      return True

    address = f'{scheme}://127.0.0.1:{server.getsockname()[1]}'
    arguments = [f'--server={address}', f'--output={tmp_path}/out', folder]
    with RunningCommand(tmp_path, '-m', 'htc_tf.cli.client', *arguments) as command:
      command.wait_until(connected)
      assert command.end() == 130
      assert command.last_line() == (
        f'interrupted; none of {_NUM_IMAGES} images is done: start the same command again'
      )
    connections[0][0].close()
  assert not list((tmp_path / 'out').iterdir())


@pytest.mark.parametrize('name', ['export', pytest.param('lower', marks=pytest.mark.slow)])
def test_no_half_of_a_folder_is_left(model_dir, tmp_path, name):
  size = ['--height=64', '--width=64'] if name == 'lower' else []
  output = tmp_path / 'new' / '1'
  arguments = [f'--model={model_dir}', f'--output={output}', *size]
  with RunningCommand(tmp_path, '-m', f'htc_tf.cli.{name}', *arguments) as command:
    if name == 'export':
      command.wait_until(lambda: any(output.parent.glob('.1.*.part')))
    else:  # Writing of a small program ends before a test could see its folder.
      command.wait_until_tensorflow_is_imported()
    assert command.end() == 130
    assert 'start the same command again' in command.last_line()
  assert not output.parent.exists() or not list(output.parent.iterdir())
