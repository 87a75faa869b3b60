"""Tests of Ctrl-C in the commands that need no trained model; see also tests/serving."""

import signal

import numpy as np
import pytest
from PIL import Image

from tests.data.conftest import CocoFolder, annotation
from tests.running_command import RunningCommand


@pytest.fixture(name='coco_of_many')
def _coco_of_many(tmp_path):
  """A data set whose conversion takes seconds: many entries of one large image."""
  (tmp_path / 'images').mkdir()
  pixels = np.random.default_rng(0).integers(0, 256, (300, 400, 3), np.uint8)
  Image.fromarray(pixels).save(tmp_path / 'images' / '0.bmp')
  for index in range(1, 80):
    (tmp_path / 'images' / f'{index}.bmp').symlink_to('0.bmp')
  size = {'height': 300, 'width': 400}
  content = {
    'images': [{'id': 1 + index, 'file_name': f'{index}.bmp', **size} for index in range(80)],
    'annotations': [annotation(1 + index, 1 + index, 3, (2, 3, 40, 50)) for index in range(80)],
    'categories': [{'id': 3, 'name': 'cat'}],
  }
  return CocoFolder(tmp_path, content).save()


@pytest.mark.parametrize(
  'arguments',
  [
    ('convert', 'none.pth', '--experiment=htc_resnet50fpn_1x_coco', '--output=new'),
    ('average', '--model=none', '--output=new'),
    ('evaluate', '--model=none', '--output=new'),
    ('export', '--model=none', '--output=new'),
    ('lower', '--model=none', '--output=new'),
    ('predict', '--model=none', '--output=new', __file__),
  ],
)
def test_the_import_of_tensorflow_can_be_interrupted(tmp_path, arguments):
  name, *rest = arguments
  rest = [item.replace('new', f'{tmp_path}/new') for item in rest]
  with RunningCommand(tmp_path, '-m', f'htc_tf.cli.{name}', *rest) as command:
    command.wait_until_tensorflow_is_imported()
    assert command.end() == 130
    assert command.last_line() == ('interrupted; nothing was written: start the same command again')
  assert [path.name for path in tmp_path.iterdir()] == ['stderr.log']


@pytest.mark.parametrize(
  'num_processes, number, status',
  [(1, signal.SIGINT, 130), (2, signal.SIGINT, 130), (2, signal.SIGTERM, 143)],
)
def test_a_conversion_to_records_is_continued(coco_of_many, num_processes, number, status):
  coco = coco_of_many
  arguments = [
    f'--annotations={coco.annotation_file}',
    f'--image_folder={coco.images}',
    f'--output_folder={coco.output}',
    f'--num_processes={num_processes}',
    '--num_shards=4',
  ]
  module = ['-m', 'htc_tf.cli.create_coco_records']
  with RunningCommand(coco.root, *module, *arguments) as command:
    command.wait_until(lambda: any(coco.output.glob('.train-*.part.tfrecord')))
    assert command.end(number) == status
    assert 'the same command continues' in command.last_line()
  assert not list(coco.output.glob('*.part*')) + list(coco.output.glob('.*.part*'))
  assert not (coco.output / 'train.json').exists()
  info, _ = coco.convert(num_shards=4)
  assert info.num_images == len(coco.content['images'])


def test_the_demo_ends_with_its_trainer(tmp_path):
  output = tmp_path / 'demo'
  with RunningCommand(tmp_path, '-m', 'htc_tf.cli.demo', f'--output={output}') as command:
    command.wait_until((output / 'train.log').exists)
    assert command.end() == 130
    assert 'the same command continues' in command.last_line()
  assert not [path for path in output.rglob('*') if '.part' in path.name]
