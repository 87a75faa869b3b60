"""Tests of each family of published models in onnxruntime against the predictor.

They need the extra htc_tf[runtimes]; `make test-runtimes` installs it in a folder of its own.
"""

import pytest

from htc_tf.serving.runtimes import registry
from tests import families
from tests.serving import frame_models

fewer_blocks = families.fewer_blocks
pytestmark = [
  pytest.mark.usefixtures('fewer_blocks'),
  pytest.mark.slow,
  # tf2onnx uses deprecated functions of NumPy, ONNX and TensorFlow.
  pytest.mark.filterwarnings('ignore::DeprecationWarning'),
  pytest.mark.filterwarnings('ignore::FutureWarning'),
  pytest.mark.filterwarnings('ignore::UserWarning'),
]


@pytest.mark.parametrize('name', families.FAMILIES)
def test_detections_of_a_family_in_onnxruntime_are_those_of_the_predictor(name, tmp_path):
  runtime = registry.find('onnx')
  for package in (*runtime.packages_to_convert, *runtime.packages_to_run):
    pytest.importorskip(package, reason='the extra htc_tf[runtimes] is not installed')
  predictor = frame_models.predictor_of(families.params_of_few_stages(name).task.model)
  graph = frame_models.graph(predictor)
  runtime.convert(graph, str(tmp_path))
  run = runtime.load(str(tmp_path / runtime.model_file))
  for size in ((64, 96), (30, 30)):
    found = frame_models.check_equal(run, predictor, graph.rule, frame_models.image(*size))
    assert found > 0
