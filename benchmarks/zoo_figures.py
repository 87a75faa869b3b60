"""Parameters, arithmetic, time and memory of the networks of MODEL_ZOO.md, each in its own process.

Models with one network and one configuration of detection share the figures. Weights are random;
apart from NMS, the work does not depend on them. Times need a machine that does nothing else: they
are compared with each other. The figures are kept in `zoo_figures.json`, from
which `benchmarks.model_zoo` writes the page.

Examples:
  python -m benchmarks.zoo_figures
  python -m benchmarks.zoo_figures --models=htc_resnet50fpn_1x_coco --only=count
"""

import argparse
import functools
import json
import os
import pathlib
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any

from benchmarks.measuring import resident_bytes
from htc_tf import files
from htc_tf.convert.published_files import PublishedFile, published_files

if TYPE_CHECKING:  # The process that starts the measuring ones does not import TensorFlow early.
  from htc_tf.configs.model import HTC

FILE = pathlib.Path(__file__).with_name('zoo_figures.json')
SIZE = '800x1344'
_KINDS = ('count', 'detection')


@functools.cache
def networks() -> dict[str, tuple[PublishedFile, ...]]:
  """The convertible files of each network, by the name of the first model that has it."""
  from htc_tf import registry_imports  # noqa: F401
  from htc_tf.configs import parsing

  names: dict[str, str] = {}
  found: dict[str, tuple[PublishedFile, ...]] = {}
  for known in published_files():
    if known.refused:
      continue
    params = parsing.parse(known.experiment, known.config_paths).params
    name = names.setdefault(json.dumps(params.task.model.as_dict()), known.model)
    found[name] = (*found.get(name, ()), known)
  return found


def measure(name: str, only: str = '') -> dict[str, Any]:
  """The figures of a network, each kind from a fresh process.

  Args:
    name: name of the first model with the network.
    only: 'count' or 'detection' for one kind of figures; '' for both.

  Returns:
    Of a count: `parameters`, number of weights without the statistics of norms; `gmac`, see
    `graph_gmac`. Of a detection in one image of `SIZE`: `seconds` and `cpu_seconds`, its wall time
    and its CPU time on all cores; `peak_bytes`, largest resident memory of the process.

  Raises:
    subprocess.CalledProcessError: a process ended with an error.
  """
  figures: dict[str, Any] = {}
  for kind in [only] if only else _KINDS:
    command = [sys.executable, '-m', 'benchmarks.zoo_figures', f'--models={name}', f'--only={kind}']
    done = subprocess.run([*command, '--in_process'], check=True, stdout=subprocess.PIPE, text=True)
    figures.update(json.loads(done.stdout.splitlines()[-1]))
  return figures


def _measure_here(name: str, kind: str) -> dict[str, Any]:
  from benchmarks import scene
  from htc_tf.configs import parsing
  from htc_tf.modeling.factory import build_htc

  if name not in networks():
    raise SystemExit(f'{name} is no network; known: {", ".join(networks())}')
  known, sizes = networks()[name][0], scene.SceneSizes.parse(SIZE)
  config = parsing.parse(known.experiment, known.config_paths).params.task.model
  return count(config, sizes.padded) if kind == 'count' else _detection(build_htc(config), sizes)


def count(config: 'HTC', padded: tuple[int, int]) -> dict[str, Any]:
  """`parameters` and `gmac` of a model, as `measure` returns them.

  Args:
    config: configuration of the model.
    padded: height and width of the network input.
  """
  import tensorflow as tf

  from benchmarks import graph_gmac
  from htc_tf.modeling.factory import build_htc
  from htc_tf.ops.without_autograph import without_autograph

  with tf.Graph().as_default():  # Here, variables have no values that would take memory.
    model = without_autograph(build_htc)(config)
    parameters = sum(v.shape.num_elements() for v in model.variables if 'moving_' not in v.name)
    return {'parameters': parameters, 'gmac': round(graph_gmac.count(model, padded), 3)}


def _detection(model: Any, sizes: Any) -> dict[str, float]:
  """Time and memory of the second detection; the first one builds the graph."""
  import numpy as np
  import tensorflow as tf

  from benchmarks import scene

  inputs = {
    'images': tf.constant(scene.network_input(sizes)[np.newaxis]),
    'image_shape': tf.constant([sizes.image], tf.float32),
  }
  detect = tf.function(model.detect, autograph=False)
  detect(inputs)
  wall, cpu = time.perf_counter(), time.process_time()
  detect(inputs)
  return {
    'seconds': round(time.perf_counter() - wall, 3),
    'cpu_seconds': round(time.process_time() - cpu, 3),
    'peak_bytes': resident_bytes('VmHWM'),
  }


def read() -> dict[str, dict[str, Any]]:
  """The kept figures by network."""
  return json.loads(FILE.read_text(encoding='ascii'))


def _keep(name: str, figures: dict[str, Any]) -> None:
  """Put figures into the file, in the order of the registry."""
  kept = read() if FILE.exists() else {}
  kept[name] = {**kept.get(name, {}), **figures}
  models = dict.fromkeys(known.model for known in published_files())
  ordered = {model: kept[model] for model in models if model in kept}
  files.write_bytes(FILE, (json.dumps(ordered, indent=1) + '\n').encode())


def main(argv: list[str] | None = None) -> int:
  """Measure networks one after another, and keep the figures of each."""
  parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
  parser.add_argument('--models', default='', help='names, separated by commas; default: all')
  parser.add_argument('--only', default='', choices=['', *_KINDS], help='one kind of figures')
  parser.add_argument('--in_process', action='store_true', help='print the figures of one network')
  args = parser.parse_args(argv)
  names = args.models.split(',') if args.models else list(networks())
  if args.in_process:
    os.environ.setdefault('TF_CPP_MIN_LOG_LEVEL', '2')
    print(json.dumps(_measure_here(names[0], args.only)))
    return 0
  for name in names:
    _keep(name, measure(name, args.only))
    print(f'{name}: {json.dumps(read()[name])}', flush=True)
  return 0


if __name__ == '__main__':
  sys.exit(main())
