"""Tests of the statistics of data sets, with NumPy as the oracle."""

import json

import numpy as np
import pytest

from htc_tf.data.dataset_info import DatasetInfo
from htc_tf.data.statistics import QUANTILES, DatasetStatistics, StatisticsCollector
from tests import tiny_records

_RNG = np.random.default_rng(0)


def _images(channels: int = 3, dtype: type = np.uint8) -> list[np.ndarray]:
  high = np.iinfo(dtype).max
  sizes = ((8, 12), (8, 12), (20, 5))
  return [_RNG.integers(0, high, [*size, channels], dtype=dtype) for size in sizes]


def _collected(images: list[np.ndarray]) -> StatisticsCollector:
  collector = StatisticsCollector()
  for image in images:
    collector.add_image(image)
    collector.add_objects([], [], [])
  return collector


@pytest.mark.parametrize('dtype', [np.uint8, np.uint16])
@pytest.mark.parametrize('channels', [1, 2, 3, 4, 6])
def test_mean_and_deviation_are_those_of_all_pixels(channels, dtype):
  images = _images(channels, dtype)
  statistics = _collected(images).result(1)
  pixels = np.concatenate([image.reshape(-1, channels) for image in images])
  np.testing.assert_allclose(statistics.channel_mean, pixels.mean(0), atol=1e-6)
  np.testing.assert_allclose(statistics.channel_stddev, pixels.std(0), atol=1e-6)
  assert (statistics.num_channels, statistics.bits) == (channels, 8 * pixels.itemsize)


def test_sizes_are_counted_with_the_most_frequent_first():
  assert _collected(_images()).result(1).image_sizes == ((8, 12, 2), (20, 5, 1))


def test_many_different_sizes_are_rounded_up():
  collector = _collected(_images())
  many = {(height, width): 1 for height in range(1, 201) for width in range(1001, 1301)}
  collector.image_sizes.update(many)
  sizes = collector.result(1).image_sizes
  # 60,000 sizes: multiples of 4 leave 50 x 75, of which 8x12 and 20x5 are apart.
  assert sum(count for _, _, count in sizes) == 60_003 and len(sizes) == 100 * 150 // 4 + 2
  assert {side % 4 for height, width, _ in sizes for side in (height, width)} == {0}
  assert (200, 1300, 16) in sizes and (20, 8, 1) in sizes


def test_objects_are_counted_by_class_and_image():
  collector = _collected(_images()[:1])
  masks = [np.eye(4), np.ones([3, 3]), np.ones([2, 2])]
  collector.add_objects([1, 3, 3], [(4, 9), (3, 3), (2, 8)], masks)
  collector.add_objects([3], [(1, 1)], [np.ones([1, 1])])
  statistics = collector.result(3)
  assert statistics.images_by_category == (1, 0, 2)
  assert statistics.instances_by_category == (1, 0, 3)
  assert statistics.objects_per_image == ((0, 1), (1, 1), (3, 1))
  assert statistics.max_objects == 3
  np.testing.assert_allclose(statistics.box_sides, np.quantile([6, 3, 4, 1], QUANTILES))
  np.testing.assert_allclose(statistics.mask_areas, np.quantile([4, 9, 4, 1], QUANTILES))


def test_shards_are_merged():
  first, second = _images(), _images()
  whole = _collected([*first, *second])
  merged = StatisticsCollector()
  for images in (first, second):
    merged.add_json(json.loads(json.dumps(_collected(images).to_json())))
  assert merged.result(2) == whole.result(2)


def test_data_without_objects_have_no_quantiles():
  statistics = _collected(_images()).result(2)
  assert (statistics.box_sides, statistics.mask_areas) == ((), ())
  assert statistics.max_objects == 0


def test_records_have_the_statistics_of_their_images(tmp_path):
  info = DatasetInfo.find(tiny_records.write(tmp_path))
  statistics = info.statistics
  assert statistics.images_by_category == (3, 1)
  assert statistics.instances_by_category == (3, 1)
  assert statistics.image_sizes == ((tiny_records.SIZE, tiny_records.SIZE, 4),)
  assert statistics.objects_per_image == ((0, 1), (1, 2), (2, 1))
  boxes = [box for image in tiny_records.BOXES for box in image]
  areas = [width * height for _, _, width, height in boxes]
  np.testing.assert_allclose(statistics.box_sides, np.quantile(np.sqrt(areas), QUANTILES))
  np.testing.assert_allclose(statistics.mask_areas, np.quantile(areas, QUANTILES))
  assert len(statistics.channel_mean) == statistics.num_channels == 3


def test_the_json_of_statistics_gives_them_back():
  statistics = _collected(_images()).result(2)
  content = json.loads(json.dumps(statistics.__dict__))
  assert DatasetStatistics.from_json(content) == statistics
