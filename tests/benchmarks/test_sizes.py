"""Tests of the table of sizes."""

import pytest
from official.core import exp_factory

from benchmarks import gmac, sizes
from htc_tf import registry_imports  # noqa: F401
from htc_tf.configs import sizes as size_config
from htc_tf.convert import conversion, mmdet_names
from htc_tf.tasks.htc import HTCTask


def test_every_size_has_a_frame_that_the_model_takes():
  assert list(sizes._FRAMES) == list(size_config.SIZES)
  for name, frame in sizes._FRAMES.items():
    config = exp_factory.get_exp_config(f'htc_{name}').task
    height, width, _ = config.model.input_size
    assert frame[0] <= height and frame[1] <= width
    assert max(frame) >= config.train_data.parser.max_size


def test_resnet_18_has_its_published_count():
  # 1.814e9 at 224x224 with the classifier of 512 x 1000, which this backbone does not have.
  model = HTCTask(exp_factory.get_exp_config('htc_small').task).build_model()
  weights = conversion.published_weights(model, mmdet_names.MMDET)
  shapes = {name: values.shape for name, values in weights.items()}
  counted = gmac.by_part(shapes, (224, 224), 0, 0)['backbone']
  assert counted + 512 * 1000 / 1e9 == pytest.approx(1.814, abs=0.001)


def test_all_weights_are_counted_but_no_statistics():
  counts = sizes.count('nano')
  task = HTCTask(exp_factory.get_exp_config('htc_nano').task)
  task.task_config.model.num_classes = task.task_config.model.semantic_head.num_classes = 4
  variables = task.build_model().trainable_variables  # Nothing is frozen in this size.
  assert counts.parameters == sum(variable.shape.num_elements() for variable in variables)


def test_a_line_has_the_figures_of_both_batches():
  steps = [{'seconds': 0.301, 'peak_bytes': 1.42e9}, {'seconds': 0.449, 'peak_bytes': 1.5e9}]
  line = sizes.table_line('nano', sizes.Arithmetic(4_660_000, 8.44), steps)
  assert line == '| `nano` | 384 x 384 | 4.7 | 8.4 | 0.30, 0.45 | 1.4, 1.5 |'
  assert line.count('|') == sizes._HEADER.count('|')


def test_an_unknown_size_is_refused(capsys):
  with pytest.raises(SystemExit):
    sizes.main(['--sizes=nano,huge'])
  assert 'unknown sizes: huge; known: nano, small, base, large' in capsys.readouterr().err


@pytest.mark.slow
def test_a_step_is_measured():
  figures = sizes.measure('nano', 1, steps=1)
  assert figures['seconds'] > 0 and figures['peak_bytes'] > figures['before_bytes'] > 0
  assert figures['batch'] == 1
