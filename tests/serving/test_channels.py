"""Images of other channels and of 16 bits, from files to records, training and an export."""

import json
import os

import numpy as np
import pytest
import tensorflow as tf
import tf_keras
from official.core import train_utils
from PIL import Image
from tensorflow_serving.apis import prediction_log_pb2

import htc_tf
from htc_tf.checkpoints import model_directory
from htc_tf.configs import data_validation, fitting
from htc_tf.data import coco_to_tfrecord, npy_file, png_file
from htc_tf.data.conversion_options import ConversionOptions
from htc_tf.data.dataset_info import DatasetInfo
from htc_tf.data.sample_format import RGB, SampleFormat
from htc_tf.errors import ConfigError, DataError, InputError
from htc_tf.reports import image_sources, stored_images
from htc_tf.serving import (
  client,
  detectors,
  export,
  export_format,
  lowering,
  predict_files,
  warmup,
)
from htc_tf.serving.target import Connection, Target
from htc_tf.tasks.htc import HTCTask
from htc_tf.training import validation_pictures
from htc_tf.visualization import display
from tests import tiny_records
from tests.data.tiff_writer import tiff

SIZE = 64
CASES = [
  pytest.param(SampleFormat(6, 16), 'tif'),
  pytest.param(SampleFormat(1, 16), 'png', marks=pytest.mark.slow),
  pytest.param(SampleFormat(1, 8), 'npy', marks=pytest.mark.slow),
  pytest.param(SampleFormat(2, 8), 'tif', marks=pytest.mark.slow),
  pytest.param(SampleFormat(4, 16), 'png', marks=pytest.mark.slow),
  pytest.param(SampleFormat(4, 8), 'tif', marks=pytest.mark.slow),
  pytest.param(SampleFormat(3, 16), 'npy', marks=pytest.mark.slow),
  pytest.param(SampleFormat(6, 8), 'npy', marks=pytest.mark.slow),
]
WRITERS = {'tif': lambda samples: tiff([samples]), 'png': png_file.write, 'npy': npy_file.write}


def write_files(folder, sample_format, suffix, number=2):
  """Image files of noise with an object each, their annotations, and their samples."""
  rng = np.random.default_rng(0)
  os.makedirs(folder / 'images', exist_ok=True)
  content = {'images': [], 'annotations': [], 'categories': [{'id': 3, 'name': 'cell'}]}
  images = []
  for id_ in range(1, number + 1):
    shape = [SIZE, SIZE, sample_format.num_channels]
    samples = rng.integers(0, 2**sample_format.bits // 4, shape, sample_format.dtype)
    samples[10:40, 12:44] += 2 ** (sample_format.bits - 1)
    name = f'{id_}.{suffix}'
    (folder / 'images' / name).write_bytes(WRITERS[suffix](samples))
    images.append(samples)
    content['images'].append({'id': id_, 'file_name': name, 'height': SIZE, 'width': SIZE})
    content['annotations'].append(
      {
        'id': id_,
        'image_id': id_,
        'category_id': 3,
        'bbox': [12, 10, 32, 30],
        'area': 960,
        'iscrowd': 0,
        'segmentation': [[12, 10, 44, 10, 44, 40, 12, 40]],
      }
    )
  (folder / 'all.json').write_text(json.dumps(content), encoding='utf-8')
  return images


def convert(folder, channels='keep', **values):
  options = ConversionOptions(
    str(folder / 'all.json'),
    str(folder / 'images'),
    str(folder / f'records_{channels}'),
    num_shards=1,
    channels=channels,
    **values,
  )
  return coco_to_tfrecord.convert(options, log=lambda message: None)


def records(folder, channels='keep'):
  return str(folder / f'records_{channels}' / 'train-*.tfrecord')


def experiment(folder, info):
  """A tiny experiment whose channels, depth, mean and deviation are those of the card."""
  params = tiny_records.reduced('htc_nuclei', records(folder))
  stages = params.task.model.cascade.as_dict()['stages'][:1]
  model = {
    'num_classes': 2,
    'input_size': [SIZE, SIZE, info.statistics.num_channels],
    'cascade': {'num_sampled_rois': 16, 'stages': stages},
    'semantic_head': {'enabled': False},
    **fitting._pixel_values(info),
  }
  params.task.model.override(model)
  return params


def trained(folder, params):
  """Write a model directory after one training step; the batch of the evaluation is returned."""
  task = HTCTask(params.task)
  tf_keras.utils.set_random_seed(1)
  model = task.build_model()
  images, labels = next(iter(task.build_inputs(params.task.train_data)))
  logs = task.train_step((images, labels), model, tf_keras.optimizers.SGD(1e-3), [])
  assert np.isfinite(logs['loss'])
  train_utils.serialize_config(params, str(folder))
  model_directory.save_dataset_info(
    str(folder), DatasetInfo.find(params.task.train_data.input_path)
  )
  manager = tf.train.CheckpointManager(
    tf.train.Checkpoint(model=model, **model.checkpoint_items), str(folder), max_to_keep=1
  )
  manager.save()
  images, labels = next(iter(task.build_inputs(params.task.validation_data)))
  return images.numpy(), labels['source_id'].numpy()


def check_batch(batch, images, info):
  """The network inputs are the samples, normalized by mean and deviation of the whole data set."""
  pixels = np.stack(images).reshape(-1, images[0].shape[2]).astype(np.float64)
  np.testing.assert_allclose(info.statistics.channel_mean, pixels.mean(0), atol=1e-4)
  np.testing.assert_allclose(info.statistics.channel_stddev, pixels.std(0), atol=1e-4)
  found, ids = batch
  for image, id_ in zip(found, ids):
    expected = (images[id_ - 1] - pixels.mean(0)) / pixels.std(0)
    np.testing.assert_allclose(image, expected, atol=1e-3)


@pytest.mark.parametrize('sample_format, suffix', CASES)
def test_images_keep_their_channels_from_files_to_an_export(sample_format, suffix, tmp_path):
  images = write_files(tmp_path, sample_format, suffix)
  info = convert(tmp_path)
  assert info.sample_format == sample_format and 'image_reduced' not in info.checks
  params = experiment(tmp_path, info)
  data_validation.validate_data(params.task.train_data, params.task.model, 'task.train_data')
  check_batch(trained(tmp_path / 'model', params), images, info)

  model = htc_tf.load_model(tmp_path / 'model')
  batch = np.stack(images)
  expected = model.predict(batch, verbose=0)
  with pytest.raises(InputError, match=rf'width, {sample_format.num_channels}\] {batch.dtype}'):
    model.predict(np.zeros([1, 8, 8, 5], np.uint8))
  assert lowering.lower_detection(model.model, (SIZE, SIZE)).arguments[0][1].shape[3] == (
    sample_format.num_channels
  )

  folder = export.export_saved_model(model, str(tmp_path / 'export' / '1'))
  assert export_format.read_format(folder).sample_format == sample_format
  served = tf.saved_model.load(folder).signatures
  others = [b'no image', png_file.write(np.zeros([4, 4, 3], np.uint8))]
  files = [path.read_bytes() for path in sorted((tmp_path / 'images').iterdir())]
  if suffix == 'tif':  # A client sends such files as PNG or NPY.
    write = npy_file.write if sample_format.num_channels > 4 else png_file.write
    files = [write(samples) for samples in images]
  by_tensor = served['serving_default'](inputs=tf.constant(batch))
  by_bytes = served['image_bytes'](inputs=tf.constant([*files, *others]))
  assert by_bytes['error_code'].numpy().tolist() == [0, 0, 1, 3]
  for key, value in expected.items():
    np.testing.assert_allclose(by_tensor[key], value, rtol=1e-4, atol=1e-3)
    np.testing.assert_allclose(by_bytes[key][:2], value, rtol=1e-4, atol=1e-3)

  detector = detectors.load_detector(folder)
  (tmp_path / 'images' / 'rgb.png').write_bytes(others[1])
  paths = predict_files.list_images([str(tmp_path / 'images')])
  failed = predict_files.predict_files(detector, paths, str(tmp_path / 'out'), 0.0)
  assert failed == [str(tmp_path / 'images' / 'rgb.png')]
  assert sorted(os.listdir(tmp_path / 'out')) == [
    '1.png',
    '2.png',
    'images.json',
    'predictions.json',
  ]


def test_records_of_other_channels_than_those_of_the_model_are_refused(tmp_path):
  write_files(tmp_path, SampleFormat(4, 16), 'png')
  info = convert(tmp_path)
  params = experiment(tmp_path, info)
  params.task.model.override({'input_size': [SIZE, SIZE, 3], 'pixels': {'bits': 8}})
  for data in (params.task.train_data, params.task.validation_data):
    with pytest.raises(
      ConfigError, match=r'3 channels of 8 bits.*Got: 4 channels of 16 bits.*input_size=\[64,64,4\]'
    ):
      data_validation.validate_data(data, params.task.model, 'task.train_data')


def test_images_are_reduced_to_rgb_by_default_and_counted(tmp_path):
  images = write_files(tmp_path, SampleFormat(4, 16), 'png')
  info = convert(tmp_path, 'rgb')
  assert info.sample_format == RGB and info.checks['image_reduced'] == 2
  expected = np.floor(np.stack(images)[..., :3] / 257 + 0.5).reshape(-1, 3)
  np.testing.assert_allclose(info.statistics.channel_mean, expected.mean(0), atol=1e-4)


@pytest.mark.parametrize('divisor, num_dark', [(1, 0), (16, 2), (4096, 2)])
def test_images_of_few_bits_in_files_of_16_are_counted(tmp_path, divisor, num_dark):
  images = write_files(tmp_path, SampleFormat(1, 16), 'png')
  for path, image in zip(sorted((tmp_path / 'images').glob('*.png')), images, strict=True):
    Image.fromarray(image[..., 0] // divisor).save(path)
  assert convert(tmp_path, 'rgb').checks.get('image_nearly_black', 0) == num_dark
  assert 'image_nearly_black' not in convert(tmp_path, 'keep').checks


def test_kept_rgb_records_are_byte_identical_to_those_by_default(tmp_path):
  write_files(tmp_path, RGB, 'png')
  for channels in ('rgb', 'keep'):
    assert convert(tmp_path, channels).sample_format == RGB
  contents = [
    (tmp_path / f'records_{channels}' / 'train-00000-of-00001.tfrecord').read_bytes()
    for channels in ('rgb', 'keep')
  ]
  assert contents[0] == contents[1] and b'image/channels' not in contents[0]


def test_images_of_several_kinds_are_refused_or_dropped_by_name(tmp_path):
  write_files(tmp_path, SampleFormat(2, 8), 'png')
  (tmp_path / 'images' / '2.png').write_bytes(png_file.write(np.zeros([SIZE, SIZE, 3], np.uint8)))
  with pytest.raises(
    DataError, match=r'2\.png has other channels.*2 channels of 8 bits.*3 channels of 8 bits'
  ):
    convert(tmp_path)
  info = convert(tmp_path, skip_missing_images=True)
  assert (info.num_images, info.checks['other_channels']) == (1, 1)


def test_a_client_sends_images_in_the_form_of_the_export(tmp_path, monkeypatch):
  sample_format = SampleFormat(6, 16)
  images = write_files(tmp_path, sample_format, 'tif')
  options = export_format.ExportFormat(num_channels=6, bits=16)
  export_format.write_format(options, str(tmp_path))
  sent = []

  def send(files):
    sent.extend(files)
    number = len(files)
    return {
      'detection_boxes': np.zeros([number, 1, 4], np.float32),
      'detection_scores': np.zeros([number, 1], np.float32),
      'detection_classes': np.zeros([number, 1], np.int32),
      'num_detections': np.zeros([number], np.int32),
      'error_code': np.array([export_format.READ, export_format.OTHER_CHANNELS][:number]),
    }

  monkeypatch.setattr(client, 'connect', lambda target: Connection(target, send))
  target = Target('grpc://localhost:1')
  detector = client.remote_detector(target, str(tmp_path))
  assert detector.sample_format == sample_format
  paths = [str(tmp_path / 'images' / name) for name in ('1.tif', '2.tif')]
  found = detector.detect([predict_files.read_image(path, sample_format) for path in paths])
  for content, samples in zip(sent, images):
    np.testing.assert_array_equal(npy_file.read(content), samples)
  assert isinstance(found[1], InputError) and 'other channels or another depth' in str(found[1])
  with pytest.raises(InputError, match=r'1\.tif cannot be read.*6 channels'):
    predict_files.read_image(paths[0])  # as for a model of RGB images


def test_exports_of_rgb_images_do_not_name_their_channels(tmp_path):
  export_format.write_format(export_format.ExportFormat(), str(tmp_path))
  content = json.loads((tmp_path / export_format.FORMAT_FILE).read_text())
  assert sorted(content) == ['boxes', 'masks', 'max_pixels']
  assert export_format.read_format(str(tmp_path)).sample_format == RGB
  (tmp_path / export_format.FORMAT_FILE).write_text('{"bits": 12}')
  with pytest.raises(InputError, match='images of the export are unknown'):
    export_format.read_format(str(tmp_path))


def test_warm_up_requests_have_the_channels_of_the_model(tmp_path):
  sample_format = SampleFormat(6, 16)
  warmup.write_requests(str(tmp_path), sample_format)
  found = []
  for record in tf.data.TFRecordDataset(str(tmp_path / warmup.WARMUP_FILE)):
    request = prediction_log_pb2.PredictionLog.FromString(record.numpy()).predict_log.request
    inputs = tf.make_ndarray(request.inputs['inputs'])
    if inputs.dtype == np.uint16:
      found.append(inputs.shape[3])
    elif request.model_spec.signature_name == 'image_bytes':
      found.append(npy_file.read(inputs[0]).shape[2])
  assert found == [6, 6, 6]


def test_records_of_other_channels_are_shown(tmp_path):
  images = write_files(tmp_path, SampleFormat(4, 16), 'png')
  info = convert(tmp_path)
  record = next(iter(tf.data.TFRecordDataset(tf.io.gfile.glob(records(tmp_path))))).numpy()
  shown, size = stored_images.stored_image(record, info, SIZE)
  assert size == (SIZE, SIZE) and shown.pixels.dtype == np.uint8
  expected = display.displayed_rgb(images[0])
  assert np.abs(shown.pixels.astype(int) - expected).max() <= 1


@pytest.mark.parametrize(
  'sample_format, suffix',
  [(SampleFormat(1, 16), 'tif'), (SampleFormat(4, 16), 'png'), (SampleFormat(6, 8), 'npy')],
)
def test_reports_and_tensorboard_show_images_of_other_channels(tmp_path, sample_format, suffix):
  images = write_files(tmp_path, sample_format, suffix)
  convert(tmp_path)
  expected = {id_: display.displayed_rgb(image) for id_, image in enumerate(images, 1)}
  entries = json.loads((tmp_path / 'all.json').read_text())['images']
  found = [
    image_sources.read_from_records(records(tmp_path), entries),
    image_sources.read_from_folder(str(tmp_path / 'images'), entries),
    dict(validation_pictures._read(records(tmp_path), len(images), sample_format)),
  ]
  for shown in found:
    assert shown.keys() == expected.keys()
    for id_, pixels in shown.items():
      np.testing.assert_array_equal(pixels, expected[id_])
