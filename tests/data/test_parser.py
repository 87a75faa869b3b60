"""Tests of parsing records for training and evaluation: eagerly, in tf.data and in the reader."""

import cv2
import numpy as np
import pytest
import tensorflow as tf
from official.core import config_definitions
from official.vision.dataloaders import input_reader_factory

from htc_tf.data import example_decoder
from htc_tf.data import parser as parsers
from htc_tf.data.augmentation.flip import Flip
from htc_tf.data.augmentation.scale_jitter import ScaleJitter
from htc_tf.data.padding import padding_rule
from htc_tf.data.preprocess import Normalization
from htc_tf.errors import ConfigError
from htc_tf.ops import masks as mask_ops

BUCKET = (48, 56)


def make_parser(**options):
  values = {'max_num_instances': 5, **options}
  padding = values.pop('padding', padding_rule([BUCKET], BUCKET))
  return parsers.Parser(padding, values.pop('min_sizes', [32]), 48, **values)


def parse_training(parser, record, seed=0):
  """The training element of a record, with the random choices of a seed."""
  return parser.parse_fn(True)({**record, parsers.SEED_KEY: tf.constant([seed, 1])})


@pytest.fixture
def shards(coco):
  coco.convert(semantic='instances')
  return str(coco.output / 'train-*.tfrecord')


@pytest.fixture
def decoded(shards):
  """Decoded records by image id: 7 is landscape, 9 portrait, 12 has no instances."""
  dataset = tf.data.TFRecordDataset(sorted(tf.io.gfile.glob(shards)))
  records = map(example_decoder.ExampleDecoder().decode, dataset)
  return {int(record['source_id']): record for record in records}


def scaled_size(height, width):
  scale = min(48 / max(height, width), 32 / min(height, width))
  return int(height * scale + 0.5), int(width * scale + 0.5)


def test_types_and_shapes(decoded):
  image, labels = parse_training(make_parser(), decoded[7])
  assert (image.shape, image.dtype) == ((48, 56, 3), tf.float32)
  assert {key: (tuple(value.shape), value.dtype) for key, value in labels.items()} == {
    'image_info': ((4, 2), tf.float32),
    'source_id': ((), tf.int64),
    'gt_boxes': ((5, 4), tf.float32),
    'gt_classes': ((5,), tf.int32),
    'gt_masks': ((5, 48, 7), tf.uint8),
    'gt_semantic': ((48, 56), tf.uint8),
  }


@pytest.mark.parametrize('image_id', [7, 9, 12])
@pytest.mark.parametrize('is_training', [True, False])
def test_tf_data_gives_the_same_as_eager_with_static_shapes(decoded, image_id, is_training):
  parse = make_parser().parse_fn(is_training)
  element = {**decoded[image_id], parsers.SEED_KEY: tf.constant([0, 1])}
  record = {key: value[tf.newaxis] for key, value in element.items()}
  dataset = tf.data.Dataset.from_tensor_slices(record).map(parse)
  for spec in tf.nest.flatten(dataset.element_spec):
    assert spec.shape.is_fully_defined()
  in_dataset, eager = next(iter(dataset)), parse(element)
  for first, second in zip(tf.nest.flatten(in_dataset), tf.nest.flatten(eager)):
    np.testing.assert_allclose(first, second, atol=1e-5)


@pytest.mark.parametrize('image_id', [7, 9, 12])
@pytest.mark.parametrize('flip', [0.0, 1.0])
def test_ground_truth_is_placed_as_by_opencv(decoded, image_id, flip):
  record = decoded[image_id]
  parser = make_parser(augmentations=[Flip(horizontal=flip, vertical=0.0)])
  image, labels = parse_training(parser, record)
  height, width = record['image'].shape[:2]
  new_height, new_width = scaled_size(height, width)
  check_info(labels, (height, width), (new_height, new_width))
  kept = ~record['is_crowd'].numpy()
  count = kept.sum()
  masks = mask_ops.unpack_bits(labels['gt_masks']).numpy()
  for index, encoded in enumerate(record['masks_png'].numpy()[kept]):
    mask = example_decoder.decode_label_png(encoded).numpy()
    np.testing.assert_array_equal(masks[index], place(mask, new_height, new_width, flip, 0))
  semantic = place(record['semantic'].numpy(), new_height, new_width, flip, 255)
  np.testing.assert_array_equal(labels['gt_semantic'], semantic)
  boxes = expected_boxes(record['boxes_normalized'].numpy()[kept], new_height, new_width, flip)
  np.testing.assert_allclose(labels['gt_boxes'][:count], boxes, atol=1e-4)
  np.testing.assert_array_equal(labels['gt_classes'][:count], record['classes'].numpy()[kept])
  assert (labels['gt_boxes'].numpy()[count:] == -1).all()
  assert (labels['gt_classes'].numpy()[count:] == -1).all() and not masks[count:].any()
  assert not image.numpy()[new_height:].any() and not image.numpy()[:, new_width:].any()


def check_info(labels, original, scaled):
  info = labels['image_info'].numpy()
  np.testing.assert_array_equal(info[:2], [original, scaled])
  np.testing.assert_allclose(info[2], np.array(scaled) / original, rtol=1e-6)
  np.testing.assert_array_equal(info[3], [0, 0])


def place(labels, height, width, flip, padding):
  placed = np.full(BUCKET, padding, np.uint8)
  resized = cv2.resize(labels, (width, height), interpolation=cv2.INTER_NEAREST)
  placed[:height, :width] = resized[:, ::-1] if flip else resized
  return placed


def expected_boxes(normalized, height, width, flip):
  boxes = normalized * [height, width, height, width]
  return (
    np.stack([boxes[:, 0], width - boxes[:, 3], boxes[:, 2], width - boxes[:, 1]], 1)
    if flip
    else boxes
  )


def test_a_flipped_image_is_the_image_flipped(decoded):
  plain, _ = parse_training(make_parser(), decoded[7])
  flipped, _ = parse_training(make_parser(augmentations=[Flip(1.0, 0.0)]), decoded[7])
  height, width = scaled_size(24, 40)
  np.testing.assert_array_equal(flipped[:height, :width], plain[:height, :width][:, ::-1])


def test_crowds_are_dropped_and_ignored_in_the_semantic_map(decoded):
  _, labels = parse_training(make_parser(), decoded[7])
  assert labels['gt_classes'].numpy().tolist() == [2, 1, -1, -1, -1]
  assert (labels['gt_semantic'].numpy()[:29, 36:48] == 255).all()


def test_only_the_first_instances_are_kept_if_there_are_too_many(decoded):
  _, labels = parse_training(make_parser(max_num_instances=1), decoded[7])
  assert labels['gt_classes'].numpy().tolist() == [2]
  assert labels['gt_masks'].shape == (1, 48, 7)


def test_boxes_without_area_are_dropped(decoded):
  record = dict(decoded[7])
  boxes = record['boxes_normalized'].numpy()
  boxes[0, 2] = boxes[0, 0]
  record['boxes_normalized'] = tf.constant(boxes)
  _, labels = parse_training(make_parser(), record)
  assert labels['gt_classes'].numpy().tolist() == [1, -1, -1, -1, -1]


def test_labels_without_masks_and_semantic_map(decoded):
  record = {key: value for key, value in decoded[7].items() if key not in ('masks_png', 'semantic')}
  _, labels = parse_training(make_parser(include_mask=False, include_semantic=False), record)
  assert sorted(labels) == ['gt_boxes', 'gt_classes', 'image_info', 'source_id']


def test_evaluation_neither_augments_nor_needs_ground_truth(decoded):
  record = {key: decoded[9][key] for key in ('image', 'source_id')}
  parser = make_parser(augmentations=[ScaleJitter(2.0, 3.0), Flip(1.0, 0.0)])
  image, labels = parser.parse_fn(False)(record)
  plain, _ = parse_training(make_parser(), decoded[9])
  np.testing.assert_array_equal(image, plain)
  assert sorted(labels) == ['image_info', 'source_id'] and labels['source_id'] == 9


def test_the_image_has_the_configured_type(decoded):
  for is_training in (True, False):
    record = {**decoded[7], parsers.SEED_KEY: tf.constant([0, 1])}
    image, _ = make_parser(normalization=Normalization(dtype='bfloat16')).parse_fn(is_training)(
      record
    )
    assert image.dtype == tf.bfloat16


def test_after_a_crop_boxes_masks_and_classes_match(decoded):
  """Every kept instance has pixels, all inside its box, and the box is in the visible part."""
  parser = make_parser(augmentations=[ScaleJitter(2.0, 3.0), Flip(0.5, 0.5)])
  counts = set()
  for seed in range(30):
    _, labels = parse_training(parser, decoded[7], seed)
    masks = mask_ops.unpack_bits(labels['gt_masks']).numpy()
    kept = labels['gt_classes'].numpy() > 0
    counts.add(kept.sum())
    visible = labels['image_info'].numpy()[1]
    for box, mask in zip(labels['gt_boxes'].numpy()[kept], masks[kept]):
      rows, columns = np.nonzero(mask)
      assert (box >= 0).all() and (box[2:] <= visible).all()
      assert box[0] - 1 < rows.min() and rows.max() < box[2] + 1
      assert box[1] - 1 < columns.min() and columns.max() < box[3] + 1
  assert len(counts) > 1  # Some crops lose an instance.


def test_an_instance_without_visible_pixels_after_a_crop_is_dropped(decoded):
  record = dict(decoded[7])
  blank = tf.io.encode_png(tf.zeros([24, 40, 1], tf.uint8))
  record['masks_png'] = tf.stack([blank, record['masks_png'][1], blank])
  _, labels = parse_training(make_parser(augmentations=[ScaleJitter(0.999, 1.001)]), record)
  assert labels['gt_classes'].numpy().tolist() == [1, -1, -1, -1, -1]


def read(shards, parser, **options):
  """Training batches of Model Garden's input reader."""
  params = config_definitions.DataConfig(
    input_path=shards,
    is_training=True,
    global_batch_size=2,
    shuffle_buffer_size=4,
    seed=5,
    deterministic=True,
  )
  reader = input_reader_factory.input_reader_generator(
    params,
    dataset_fn=tf.data.TFRecordDataset,
    decoder_fn=example_decoder.ExampleDecoder().decode,
    parser_fn=parser.parse_fn(True),
    **options,
  )
  return list(reader.read().take(6).as_numpy_iterator())


def test_the_input_reader_gives_the_same_batches_for_the_same_seed(shards):
  parser = make_parser(augmentations=[ScaleJitter(0.5, 2.0), Flip(0.5, 0.0)])
  first, second, other = (
    read(shards, parser, sample_fn=parsers.augmentation_seeds(seed)) for seed in (3, 3, 4)
  )
  images, labels = first[0]
  assert images.shape == (2, 48, 56, 3) and labels['gt_masks'].shape == (2, 5, 48, 7)
  for one, two in zip(tf.nest.flatten(first), tf.nest.flatten(second)):
    np.testing.assert_array_equal(one, two)
  assert any((one[0] != two[0]).any() for one, two in zip(first, other))


def test_an_image_is_augmented_differently_in_each_epoch(shards):
  parser = make_parser(augmentations=[ScaleJitter(0.5, 2.0)])
  scales = [
    tuple(info[2])
    for _, labels in read(shards, parser, sample_fn=parsers.augmentation_seeds(3))
    for info, id_ in zip(labels['image_info'], labels['source_id'])
    if id_ == 7
  ]
  assert len(scales) >= 3 and len(set(scales)) == len(scales)


@pytest.mark.parametrize(
  'change,message',
  [
    ({'padding': padding_rule([(48, 56), (48, 50)], (64, 64))}, r'multiple of 8.*\(48, 50\)'),
    ({'padding': padding_rule([], (48, 50))}, 'multiple of 8'),
    ({'padding': padding_rule([(0, 48)], (64, 64))}, 'positive sides'),
    ({'min_sizes': []}, '1 <= every min_size <= max_size'),
    ({'min_sizes': [64]}, '1 <= every min_size <= max_size'),
    ({'max_num_instances': 0}, 'at least 1'),
  ],
)
def test_options_are_checked(change, message):
  options = {'padding': padding_rule([BUCKET], BUCKET), 'min_sizes': [32], 'max_size': 48, **change}
  with pytest.raises(ConfigError, match=message):
    parsers.Parser(**options)


def test_evaluation_with_several_short_sides_is_refused():
  with pytest.raises(ConfigError, match='Evaluation needs a single short side'):
    make_parser(min_sizes=[24, 32]).parse_fn(False)
