"""Tests of our side on a few pictures."""

import json

import numpy as np
import pytest

from benchmarks.beside_original import experiment, jobs, ours, recipe
from benchmarks.beside_original.examples import Examples
from benchmarks.scenes import dataset
from benchmarks.scenes import records as scene_records

RECIPE = recipe.Recipe(
  seed=1,
  num_images=6,
  num_classes=7,
  num_semantic_classes=11,
  side=192,
  epochs=2,
  batch_size=1,
  base_channels=8,
  channels=8,
  units=8,
  num_convs=1,
  num_rois=8,
  num_proposals=16,
)


@pytest.fixture(scope='module')
def data(tmp_path_factory):
  folder = tmp_path_factory.mktemp('data')
  with pytest.MonkeyPatch.context() as patch:
    patch.setattr(dataset, 'SPLITS', {'train': 6, 'val': 2})
    scene_records.prepare(str(folder))
  return folder


def test_a_batch_has_the_given_pictures_in_their_order(data):
  task = experiment.build(RECIPE).task
  examples = Examples(task, str(data / 'records'))
  assert examples.image_ids == [1, 2, 3, 4, 5, 6]
  images, labels = examples.batch([5, 2])
  assert labels['source_id'].numpy().tolist() == [5, 2]
  assert images.shape == (2, 192, 192, 3)
  other, _ = examples.batch([2])
  np.testing.assert_array_equal(images[1], other[0])
  annotations = json.loads((data / 'scenes' / 'train.json').read_text())['annotations']
  in_first = sum(annotation['image_id'] == 5 for annotation in annotations)
  assert np.sum(labels['gt_classes'][0] > 0) == in_first


@pytest.mark.parametrize('job, expected', [(ours.first_steps, 1), (ours.train, 4)])
def test_a_choice_is_the_seed_of_the_training_alone(tmp_path, monkeypatch, job, expected):
  plan = recipe.Plan(RECIPE._replace(choice=4), 'scenes', 'records', [[1]])
  recipe.write_json(recipe.plan_path(str(tmp_path)), recipe.content(plan))
  monkeypatch.setattr(
    ours, '_Trainer', lambda plan, seed, rule='random': pytest.fail(f'seed {seed}')
  )
  with pytest.raises(pytest.fail.Exception, match=f'seed {expected}'):
    job(str(tmp_path))


@pytest.mark.slow
def test_the_initial_weights_do_not_depend_on_the_choice(data, tmp_path):
  initial = []
  for choice in (None, 4):
    numbers = RECIPE._replace(choice=choice)
    folder = tmp_path / numbers.name
    (folder / recipe.OURS).mkdir(parents=True)
    content = recipe.content(jobs.make_plan(numbers, str(data)))
    recipe.write_json(recipe.plan_path(str(folder)), content)
    ours.first_steps(str(folder))
    initial.append(recipe.read_arrays(str(folder / recipe.INITIAL)))
  for name, values in initial[0].items():
    np.testing.assert_array_equal(initial[1][name], values)


@pytest.mark.slow
def test_the_jobs_leave_all_files(data, tmp_path):
  plan = jobs.make_plan(RECIPE, str(data))
  folder = str(tmp_path)
  (tmp_path / recipe.OURS).mkdir()
  recipe.write_json(recipe.plan_path(folder), recipe.content(plan))
  ours.first_steps(folder)
  initial = recipe.read_arrays(str(tmp_path / recipe.INITIAL))
  first = recipe.read_arrays(str(tmp_path / recipe.OURS / recipe.FIRST_STEPS))
  assert {f'weights/{name}' for name in initial} <= set(first)
  assert len([key for key in first if key.endswith('/total')]) == recipe.NUM_FIRST_STEPS
  assert first['proposals/0/0'].shape[1] == 4
  ours.train(folder)
  losses = json.loads((tmp_path / recipe.OURS / recipe.LOSSES_FILE).read_text())['losses']
  assert {len(values) for values in losses.values()} == {RECIPE.num_steps}
  # The class loss of the RPN depends on the sampled anchors, which differ, but hardly.
  assert losses['semantic_loss'][0] == pytest.approx(float(first['loss/0/semantic_loss']), rel=1e-5)
  final = str(tmp_path / recipe.OURS / recipe.FINAL)
  assert any(np.any(recipe.read_arrays(final)[name] != initial[name]) for name in initial)
  ours.detect(folder, final, str(tmp_path / 'detections.json'))
  assert isinstance(json.loads((tmp_path / 'detections.json').read_text()), list)
