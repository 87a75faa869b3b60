"""Tests of the built package, installed into an empty environment and used in another folder.

They take several minutes and need a network; `make test-wheel` runs them and prints each step.
"""

import json
import os
import pathlib
import pickle
import shlex
import subprocess
import sys
import tarfile
import time
import zipfile

import pytest
import yaml

from htc_tf.convert import conversion
from htc_tf.convert.paddle_names import PADDLE
from tests import tiny

pytestmark = [pytest.mark.slow, pytest.mark.wheel]

ROOT = pathlib.Path(__file__).parents[1]
COMMANDS = (
  'average',
  'client',
  'convert',
  'create-coco-records',
  'demo',
  'export',
  'lower',
  'predict',
  'train',
)
STEPS = 10


class Environment:
  """An environment with the installed wheel, and an empty folder to work in.

  Args:
    root: empty folder.
  """

  def __init__(self, root):
    self.folder = root / 'work'
    self.folder.mkdir()
    self._bin = root / 'environment' / 'bin'
    # Without these variables, neither the checkout nor the environment of the tests is visible.
    self._variables = {
      key: value
      for key, value in os.environ.items()
      if not key.startswith('PYTHON') and key != 'VIRTUAL_ENV'
    }
    self.run(sys.executable, '-m', 'build', '--outdir', root / 'dist', ROOT)
    (self.wheel,) = (root / 'dist').glob('*.whl')
    (self.sdist,) = (root / 'dist').glob('*.tar.gz')
    self.run(sys.executable, '-m', 'venv', root / 'environment')
    # requirements.txt as constraints: the versions that are tested together.
    self.run('pip', 'install', '--quiet', self.wheel, '-c', ROOT / 'requirements.txt')

  def run(self, program, *arguments):
    """Run a program of the environment in the folder and return its output."""
    program = str(program)
    path = self._bin / program
    command = [str(path) if not os.path.isabs(program) else program, *map(str, arguments)]
    start = time.monotonic()
    done = subprocess.run(
      command,
      cwd=self.folder,
      env={**self._variables, 'TF_CPP_MIN_LOG_LEVEL': '3'},
      capture_output=True,
      text=True,
      check=False,
    )
    shown = shlex.join([os.path.basename(command[0]), *command[1:]])
    print(f'{time.monotonic() - start:6.1f} s  {shown}', flush=True)
    assert done.returncode == 0, f'{shown}\n{done.stdout}\n{done.stderr}'
    return done.stdout


@pytest.fixture(scope='module', name='installed')
def _installed(tmp_path_factory):
  return Environment(tmp_path_factory.mktemp('wheel'))


@pytest.fixture(scope='module', name='demo')
def _demo(installed):
  """Summary of the demo with a few steps."""
  installed.run('htc-demo', '--output=demo', f'--train_steps={STEPS}')
  return json.loads((installed.folder / 'demo' / 'summary.json').read_text(encoding='utf-8'))


def test_the_package_comes_from_the_wheel(installed):
  code = 'import htc_tf; print(htc_tf.__file__, htc_tf.__version__)'
  path, version = installed.run('python', '-c', code).split()
  assert 'site-packages' in path and str(ROOT) not in path
  assert installed.wheel.name.startswith(f'htc_tf-{version}-')
  pip = installed.run('pip', 'show', '--files', 'htc_tf')
  assert 'Editable' not in pip and 'htc_tf/py.typed' in pip
  assert 'parity' not in pip and 'tests/' not in pip and 'benchmarks' not in pip


def test_the_wheel_has_the_experiment_files_and_the_registry_of_published_files(installed):
  with zipfile.ZipFile(installed.wheel) as archive:
    names = set(archive.namelist())
  files = {f'htc_tf/experiments/{path.name}' for path in (ROOT / 'experiments').glob('*.yaml')}
  assert files | {'htc_tf/convert/published_files.csv'} <= names


def test_the_source_distribution_is_complete(installed):
  with tarfile.open(installed.sdist) as archive:
    names = {name.partition('/')[2] for name in archive.getnames()}
  assert {'pyproject.toml', 'setup.py', 'README.md', 'LICENSE', 'htc_tf/py.typed'} <= names
  assert {'requirements.txt', 'Makefile', 'layers.toml', 'tests/test_wheel.py'} <= names


@pytest.mark.parametrize('command', COMMANDS)
def test_every_command_prints_help(installed, command):
  assert '--' in installed.run(f'htc-{command}', '--help')


def test_the_demo_trains_ten_steps(installed, demo):
  log = (installed.folder / 'demo' / 'train.log').read_text(encoding='utf-8')
  assert f'step {STEPS}/{STEPS}  loss' in log
  assert 0 <= demo['segm_ap'] <= 1
  assert (installed.folder / demo['image']).stat().st_size > 10_000


def test_annotations_are_converted(installed, demo):
  del demo
  coco = 'demo/coco'
  flags = [f'--annotations={coco}/val.json', f'--image_folder={coco}/val', '--prefix=val']
  printed = installed.run(
    'htc-create-coco-records', *flags, '--output_folder=records', '--semantic=instances'
  )
  assert 'val: 4 images' in printed
  assert list((installed.folder / 'records').glob('val-*.tfrecord'))


def test_the_training_command_saves_a_checkpoint(installed, demo):
  del demo
  records = {'input_path': 'demo/records/train-*.tfrecord'}
  trainer = {'train_steps': 2, 'steps_per_loop': 2, 'summary_interval': 2, 'checkpoint_interval': 2}
  override = json.dumps({'task': {'train_data': records}, 'trainer': trainer})
  installed.run(
    'htc-train',
    '--experiment=htc_nuclei',
    '--mode=train',
    '--model_dir=model',
    f'--params_override={override}',
  )
  assert (installed.folder / 'model' / 'ckpt-2.index').exists()


@pytest.mark.parametrize('model', ['demo/model', 'demo/saved_model'])
def test_predictions_are_written(installed, demo, model):
  del demo
  output = installed.folder / f'predictions_{pathlib.Path(model).name}'
  installed.run('htc-predict', f'--model={model}', f'--output={output}', 'demo/coco/val')
  assert len(list(output.glob('*.png'))) == 4
  assert isinstance(json.loads((output / 'predictions.json').read_text(encoding='utf-8')), list)


def test_a_saved_model_is_exported(installed, demo):
  del demo
  installed.run('htc-export', '--model=demo/model', '--output=export/1', '--no_warmup')
  assert (installed.folder / 'export' / '1' / 'saved_model.pb').exists()


def test_a_checkpoint_is_converted(installed, demo):
  """A small model's weights as PaddlePaddle stores them."""
  del demo
  model = tiny.build(tiny.model(num_classes=81), seed=5)
  tensors = conversion.published_weights(model, PADDLE)
  content = {**tensors, 'StructuredToParameterName@@': {name: name for name in tensors}}
  (installed.folder / 'model.pdparams').write_bytes(pickle.dumps(content, protocol=2))
  task = {
    'model': {**tiny.PUBLISHED_PARTS, 'num_classes': 81},
    'validation_data': {'parser': {'min_sizes': [48], 'max_size': 64}},
  }
  (installed.folder / 'small.yaml').write_text(yaml.safe_dump({'task': task}), encoding='utf-8')
  installed.run(
    'htc-convert',
    'model.pdparams',
    '--experiment=htc_resnet50fpn_1x_coco_paddle',
    '--config_file=small.yaml',
    '--output=converted',
  )
  installed.run('htc-predict', '--model=converted', '--output=converted_out', 'demo/coco/val')
