"""Configurations of small trainings, and checks of runs of the training command."""

import pytest
import yaml

from tests import tiny_records


def write_config(path, params, **trainer):
  """A configuration file that changes htc_nuclei to the given reduced experiment.

  It does not set the devices: the default is the mirrored strategy, here with one device.
  """
  tree = {'trainer': trainer, 'task': {'model': tiny_records.model_overrides(params.task.model)}}
  stages = [stage.as_dict() for stage in params.task.model.cascade.stages]
  tree['task']['model']['cascade'] = {'num_sampled_rois': 16, 'stages': stages}
  for name in ('train_data', 'validation_data'):
    data = getattr(params.task, name)
    tree['task'][name] = {
      'input_path': data.input_path,
      'global_batch_size': 2,
      'parser': {'min_sizes': data.parser.min_sizes, 'max_size': data.parser.max_size},
    }
  path.write_text(yaml.safe_dump(tree), encoding='utf-8')
  return str(path)


def assert_fails(run, caplog, message, **values):
  with pytest.raises(SystemExit) as stop:
    run(**values)
  assert stop.value.code == 2
  assert message in caplog.text


def files_of(folder):
  return {path: path.read_bytes() for path in sorted(folder.rglob('*')) if path.is_file()}


def write_evaluating_config(path, records, interval, **trainer):
  """A configuration of one stage and two steps, with an evaluation at the given interval."""
  params = tiny_records.reduced('htc_nuclei', records)
  params.task.model.cascade.stages = params.task.model.cascade.stages[:1]
  intervals = {'checkpoint_interval': interval, 'validation_interval': interval}
  steps = {'train_steps': 2, 'steps_per_loop': 1, 'summary_interval': 1, 'validation_steps': -1}
  return write_config(path, params, **steps, **intervals, **trainer)
