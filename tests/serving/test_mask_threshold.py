"""Tests of masks at another threshold, which evaluation, prediction and exports have in common."""

import json

import numpy as np
import pytest
import tensorflow as tf
import tf_keras

import htc_tf
from htc_tf.checkpoints import model_directory
from htc_tf.data import images, mask_codec
from htc_tf.errors import ConfigError, InputError
from htc_tf.evaluation import coco_results, mask_paste
from htc_tf.serving import client, detectors, export, mask_paste_graph, record_detections
from htc_tf.serving import export_format as format_lib
from htc_tf.serving.export_format import ExportFormat
from htc_tf.serving.instances import read_outputs
from htc_tf.serving.target import Target
from htc_tf.tasks.htc import HTCTask
from tests import tiny_records
from tests.serving import loopback

_LOW, _HIGH = 0.3, 0.8
_EXPORTS = {_LOW: ('cropped', 'packed'), _HIGH: ('full',)}
_PIXELS = np.random.default_rng(0).integers(0, 256, (40, 60, 3), np.uint8)


def _override(threshold):
  return f'task.model.detection_generator.mask_threshold={threshold}'


def _decoded(rles):
  return np.stack([mask_codec.decode(rle).astype(bool) for rle in rles])


def _overlap(first, second):
  return (first & second).sum() / max(1, (first | second).sum())


# Cells of 1 in the left column and 0 in the right one, in the box from 0 to 4. The weights of the
# left column at the four pixels are 3/4, 3/4, 1/4 and 0, and those of both rows 3/4, 1, 1 and 3/4.
# The products are 9/16, 9/16, 3/16, 0 in the outer rows and 3/4, 3/4, 1/4, 0 in the inner ones.
_CASES = {
  0.15: ['1110', '1110', '1110', '1110'],
  0.2: ['1100', '1110', '1110', '1100'],
  0.5: ['1100', '1100', '1100', '1100'],
  0.6: ['0000', '1100', '1100', '0000'],
  0.8: ['0000', '0000', '0000', '0000'],
}


@pytest.mark.parametrize('scale', [1, 0.4])
@pytest.mark.parametrize('threshold', _CASES)
def test_hand_computed_masks(threshold, scale):
  expected = np.array([[digit == '1' for digit in row] for row in _CASES[threshold]])
  probs, threshold = np.array([[[scale, 0], [scale, 0]]], np.float32), scale * threshold
  boxes = np.array([[0, 0, 4, 4]], np.float32)
  outputs = {
    'detection_boxes': boxes[None],
    'detection_scores': np.ones([1, 1]),
    'detection_classes': np.ones([1, 1], int),
    'num_detections': np.ones([1], int),
    'detection_masks': probs[None],
  }
  found = read_outputs(outputs, 0, (4, 4), ExportFormat(mask_threshold=threshold))
  np.testing.assert_array_equal(_decoded(found.rles)[0], expected)
  info = np.array([[4, 4], [4, 4], [1, 1], [0, 0]])
  image = {key: value[0] for key, value in outputs.items()}
  (result,) = coco_results.detections_to_results(image, info, 1, [1], threshold)
  np.testing.assert_array_equal(_decoded([result['segmentation']])[0], expected)
  pasted = mask_paste_graph.paste_masks(probs[None], boxes[None], [[4, 4]], False, threshold)
  np.testing.assert_array_equal(pasted[0, 0], expected)


@pytest.fixture(scope='module', name='found')
def _found(model_dir):
  """Masks in the same image at each threshold, by what has made them."""
  return {threshold: _masks_in_process(model_dir, threshold) for threshold in (_LOW, _HIGH)}


def _masks_in_process(model_dir, threshold):
  model = htc_tf.load_model(model_dir, params_override=_override(threshold))
  (detected,) = model.detect(_PIXELS, score_threshold=0)
  local = detectors.load_detector(model_dir, params_override=_override(threshold))
  (by_detector,) = local.detect([images.image_from_pixels(_PIXELS)])
  outputs = model.predict(_PIXELS[None], verbose=0)
  return {
    'detect': detected.masks,
    'predict': _decoded(by_detector.rles),
    'independent': mask_paste.paste_mask_values(
      outputs['detection_masks'][0], outputs['detection_boxes'][0], (40, 60)
    )
    >= np.float32(threshold),
  }


def _masks_of_client(path):
  with loopback.grpc_server(loopback.Model(path)) as address:
    remote = client.remote_detector(Target(address, 'htc', None, 60.0), path)
    (found,) = remote.detect([images.image_from_pixels(_PIXELS)])
    remote.close()
  return _decoded(found.rles)


def _assert_same(masks, expected, name):
  # Boxes and probabilities of two graphs differ in their last digits.
  assert masks.shape == expected.shape == (10, 40, 60), name
  assert (masks != expected).mean() < 1e-3, name


def test_all_ways_give_the_same_masks(found):
  for threshold, ways in found.items():
    for name in ('detect', 'predict'):
      _assert_same(ways[name], ways['independent'], (name, threshold))


@pytest.mark.parametrize(
  'form, threshold',
  [
    ('cropped', _LOW),
    pytest.param('packed', _LOW, marks=pytest.mark.slow),
    pytest.param('full', _HIGH, marks=pytest.mark.slow),
  ],
)
def test_an_export_gives_the_same_masks(found, model_dir, tmp_path, form, threshold):
  path = str(tmp_path / form / '1')
  model = htc_tf.load_model(model_dir, params_override=_override(threshold))
  export.export_saved_model(model, path, ExportFormat(masks=form), warmup=False)
  (by_export,) = detectors.load_detector(path).detect([images.image_from_pixels(_PIXELS)])
  expected = found[threshold]['independent']
  _assert_same(_decoded(by_export.rles), expected, form)
  if form == 'cropped':
    _assert_same(_masks_of_client(path), expected, 'client')


def test_a_higher_threshold_gives_smaller_masks_inside_the_others(found):
  for name in ('detect', 'predict', 'independent'):
    low, high = (found[threshold][name] for threshold in (_LOW, _HIGH))
    # Boxes of two runs may differ in their last digits.
    assert (high & ~low).mean() < 1e-4 and 0 < high.sum() < low.sum(), name


def test_the_default_gives_the_masks_of_one_half_between_the_others(predictor, found):
  (detected,) = predictor.detect(_PIXELS, score_threshold=0)
  outputs = predictor.predict(_PIXELS[None], verbose=0)
  values = mask_paste.paste_mask_values(
    outputs['detection_masks'][0], outputs['detection_boxes'][0], (40, 60)
  )
  np.testing.assert_array_equal(detected.masks, values >= 0.5)
  low, high = (found[threshold]['detect'] for threshold in (_LOW, _HIGH))
  assert high.sum() < detected.masks.sum() < low.sum()


def test_evaluation_has_the_masks_of_prediction(tmp_path):
  records = tiny_records.write(tmp_path, prefix='val')
  params = tiny_records.reduced('htc_nuclei', records)
  params.task.model.cascade.stages = params.task.model.cascade.stages[:1]
  params.task.model.detection_generator.score_threshold = 0.0
  folder = str(tmp_path / 'model')
  model_directory.create(folder)
  model_directory.save_params(folder, params)
  tf_keras.utils.set_random_seed(3)
  model = HTCTask(params.task).build_model()
  checkpoint = tf.train.Checkpoint(model=model, **model.checkpoint_items)
  tf.train.CheckpointManager(checkpoint, folder, max_to_keep=1).save(1)
  areas = []
  for threshold in (_LOW, _HIGH):
    evaluated = record_detections.detect(
      record_detections.check_model(folder),
      record_detections.Records(),
      params_override=_override(threshold),
    )
    results = [entry for entry in evaluated.results if entry['image_id'] == 1]
    loaded = htc_tf.load_model(folder, params_override=_override(threshold))
    (detected,) = loaded.detect(str(tmp_path / 'val_images' / '1.png'), score_threshold=0)
    masks = _decoded([entry['segmentation'] for entry in results])
    assert masks.shape == detected.masks.shape
    assert all(_overlap(*pair) > 0.99 for pair in zip(masks, detected.masks) if pair[0].any())
    areas.append(masks.sum())
  assert 0 < areas[1] < areas[0]


def test_an_export_names_its_threshold_and_an_older_one_means_one_half(tmp_path):
  format_lib.write_format(ExportFormat(mask_threshold=0.3), str(tmp_path))
  assert json.loads((tmp_path / 'export.json').read_text())['mask_threshold'] == 0.3
  assert format_lib.read_format(str(tmp_path)).mask_threshold == 0.3
  (tmp_path / 'export.json').write_text('{"boxes": "pixels", "masks": "cropped"}')
  assert format_lib.read_format(str(tmp_path)).mask_threshold == 0.5


def test_the_files_of_the_default_are_those_of_earlier_versions(tmp_path):
  format_lib.write_format(ExportFormat(), str(tmp_path))
  content = json.loads((tmp_path / 'export.json').read_text())
  assert list(content) == ['boxes', 'masks', 'max_pixels']


@pytest.mark.parametrize('value', [0, 1, -0.1, 30, '0.3', True, None])
def test_a_threshold_out_of_range_in_an_export_is_refused(tmp_path, value):
  (tmp_path / 'export.json').write_text(json.dumps({'mask_threshold': value}))
  with pytest.raises(InputError, match='between 0 and 1'):
    format_lib.read_format(str(tmp_path))


@pytest.mark.parametrize('value', [0.0, 1.0, 30, float('nan')])
def test_a_threshold_out_of_range_in_the_configuration_is_refused(model_dir, value):
  with pytest.raises(ConfigError, match='mask_threshold'):
    htc_tf.load_model(model_dir, params_override=_override(value))
