"""Test that every experiment, reduced, trains, evaluates and exports."""

import numpy as np
import pytest
import tensorflow as tf
import tf_keras

from htc_tf.configs import parsing, validation
from htc_tf.modeling.precision import computing_in, image_dtype
from htc_tf.serving import export, loading
from htc_tf.serving.members import LoadedModel
from htc_tf.serving.predictor import HTCPredictor
from htc_tf.tasks.htc import HTCTask
from tests import families

fewer_blocks = families.fewer_blocks
pytestmark = [pytest.mark.usefixtures('fewer_blocks'), pytest.mark.slow]
NAMES = [*parsing.known_experiments(), *(path.stem for path in families.FILES)]


@pytest.mark.parametrize('name', NAMES)
def test_an_experiment_trains_evaluates_and_exports(name, records, tmp_path):
  params = families.params_of(name, records)
  validation.validate_experiment(params, 'train_and_eval')
  dtype = params.runtime.mixed_precision_dtype
  tf_keras.utils.set_random_seed(0)
  with computing_in(dtype):
    task = HTCTask(params.task, logging_dir=str(tmp_path))
    model = task.build_model()
    batch = next(iter(task.build_inputs(params.task.train_data)))
    assert batch[0].dtype == image_dtype(dtype)
    optimizer = task.create_optimizer(params.trainer.optimizer_config, params.runtime)
    assert np.isfinite(task.train_step(batch, model, optimizer)[task.loss])
    state = None
    for batch in task.build_inputs(params.task.validation_data):
      state = task.aggregate_logs(state, task.validation_step(batch, model))
    figures = task.reduce_aggregated_logs(state, tf.constant(1))
  assert state.num_images == 4
  assert {'bbox_AP', 'segm_AP'} <= set(figures) and np.isfinite(list(figures.values())).all()
  loaded = LoadedModel('', params.task, model, None)
  predictor = HTCPredictor([loaded.member], loading._input_rules(loaded))
  folder = export.export_saved_model(predictor, str(tmp_path / '1'), warmup=False)
  serve = tf.saved_model.load(folder).signatures['serving_default']
  outputs = serve(inputs=tf.fill([1, 50, 64, 3], tf.constant(100, tf.uint8)))
  assert all(np.isfinite(value).all() for value in outputs.values())
