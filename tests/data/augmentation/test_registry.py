"""Tests of registered augmentations, among them one that changes pixels, as a user would add it."""

import sys
import textwrap

import numpy as np
import pytest
import tensorflow as tf

from htc_tf.configs import augmentation as augmentation_config
from htc_tf.data import augmentation as package
from htc_tf.data.augmentation import registry
from htc_tf.data.augmentation.base import Augmentation, PlacementPlan
from htc_tf.data.augmentation.flip import Flip
from htc_tf.data.augmentation.registry import build_augmentations, register
from htc_tf.data.augmentation.scale_jitter import ScaleJitter
from htc_tf.data.placement import choose_placement
from htc_tf.errors import ConfigError
from tests import augmented_record
from tests.augmented_record import RULE, parse, parse_all, pixels, record


@pytest.fixture(name='registered', autouse=True)
def _registered(monkeypatch):
  """The registered classes; classes that a test registers are removed after the test."""
  build_augmentations({})  # The modules of the package register when they are first imported.
  monkeypatch.setattr(registry, '_CLASSES', dict(registry._CLASSES))
  return registry._CLASSES


@pytest.fixture(name='lightness')
def _lightness():
  """A registered augmentation that changes pixels; a user would put the class into a module."""

  @register('lightness')
  class Lightness(Augmentation):
    """Addition of a random number to all pixels.

    Args:
      max_delta: largest change of a pixel.
    """

    def __init__(self, max_delta: float):
      if not 0 <= max_delta <= 255:
        raise ConfigError(
          'augmentation.lightness.max_delta is out of range',
          expected='0..255',
          got=repr(max_delta),
        )
      self._max_delta = max_delta

    def change_pixels(self, image: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
      """The image with another lightness."""
      delta = tf.random.stateless_uniform([], seed, -self._max_delta, self._max_delta)
      return tf.clip_by_value(image + delta, 0.0, 255.0)

  return Lightness


def test_the_decorator_registers_a_class_and_returns_it(registered):
  @register('nothing')
  class Nothing(Augmentation):
    pass

  assert registered['nothing'] is Nothing
  (built,) = build_augmentations({'nothing': {}})
  assert type(built) is Nothing


def test_augmentations_are_built_in_the_given_order_with_their_arguments():
  values = {
    'flip': {'horizontal': 1.0, 'vertical': 0.0},
    'scale_jitter': {'min_factor': 2.0, 'max_factor': 2.0},
  }
  assert [type(built) for built in build_augmentations(values)] == [Flip, ScaleJitter]
  jitter, flip = build_augmentations(dict(reversed(values.items())))
  plan = PlacementPlan(tf.constant(1.0, tf.float64), tf.constant([False, False]))
  assert jitter.change_plan(plan, tf.constant([0, 1])).scale == 2
  assert flip.change_plan(plan, tf.constant([0, 1])).flip_yx.numpy().tolist() == [False, True]


def test_every_field_of_the_configuration_is_a_registered_augmentation(registered):
  values = augmentation_config.Augmentation().as_dict()
  assert {'scale_jitter', 'flip'} <= set(values) == set(registered)
  assert [type(built) for built in build_augmentations(values)] == [
    registered[name] for name in values
  ]


@pytest.fixture(name='added_module')
def _added_module(tmp_path, monkeypatch):
  """Name of a module in the package that has not been imported."""
  source = """
    from htc_tf.data.augmentation.base import Augmentation
    from htc_tf.data.augmentation.registry import register

    @register('added')
    class Added(Augmentation):
      pass
  """
  (tmp_path / 'added.py').write_text(textwrap.dedent(source), encoding='utf-8')
  monkeypatch.setattr(package, '__path__', [*package.__path__, str(tmp_path)])
  name = f'{package.__name__}.added'
  yield name
  sys.modules.pop(name, None)
  vars(package).pop('added', None)


def test_modules_of_the_package_are_found(added_module):
  assert added_module not in sys.modules
  (built,) = build_augmentations({'added': {}})
  assert type(built).__module__ == added_module


def test_an_unknown_name_is_refused():
  with pytest.raises(
    ConfigError,
    match=r"unknown. Expected: names from \[.*'flip'.*\]. Got: \['rotate'\]",
  ):
    build_augmentations({'flip': {'horizontal': 0.5, 'vertical': 0.0}, 'rotate': {}})


@pytest.mark.parametrize(
  'name,arguments,message',
  [
    ('flip', {'horizontal': 50, 'vertical': 0.0}, 'flip.horizontal is out of range'),
    ('scale_jitter', {'min_factor': 0.0, 'max_factor': 1.0}, 'scale_jitter is not a range'),
    ('lightness', {'max_delta': 256}, 'lightness.max_delta is out of range'),
  ],
)
def test_values_that_an_augmentation_refuses_are_errors(lightness, name, arguments, message):
  del lightness
  with pytest.raises(ConfigError, match=message):
    build_augmentations({name: arguments})


class Double(Augmentation):
  def change_plan(self, plan, seed):
    return plan._replace(scale=plan.scale * 2)

  def change_pixels(self, image, seed):
    return image * 2


class AddTen(Augmentation):
  def change_pixels(self, image, seed):
    return image + 10


class LimitScale(Augmentation):
  may_crop = True

  def change_plan(self, plan, seed):
    return plan._replace(scale=tf.minimum(plan.scale, 1.0))


@pytest.mark.parametrize(
  'augmentations,expected', [([Double(), AddTen()], 250), ([AddTen(), Double()], 260)]
)
def test_pixels_are_changed_in_the_order_of_the_augmentations(augmentations, expected):
  image, _ = parse(augmentations, record())
  np.testing.assert_allclose(pixels(image), expected, rtol=1e-5)


@pytest.mark.parametrize(
  'augmentations,expected',
  [([LimitScale(), Double()], [48, 80]), ([Double(), LimitScale()], [24, 40])],
)
def test_the_plan_is_changed_in_the_order_of_the_augmentations(augmentations, expected):
  placement = choose_placement(
    tf.constant([24, 40]), (32,), 48, RULE, augmentations, tf.constant([0, 1])
  )
  assert placement.scaled_hw.numpy().tolist() == expected


def test_changed_pixels_leave_the_labels_and_the_padding_unchanged(lightness):
  image, labels = parse([lightness(80.0)], record())
  plain_image, plain_labels = augmented_record.plain()
  assert labels.keys() == plain_labels.keys()
  for key, value in labels.items():
    np.testing.assert_array_equal(value, plain_labels[key])
  changes = pixels(image) - pixels(plain_image)
  assert 1 < abs(changes).max() <= 80 and np.ptp(changes) < 1e-3
  assert not image.numpy()[29:].any() and not image.numpy()[:, 48:].any()


def test_pixels_are_changed_in_the_same_way_for_the_same_seed(lightness):
  augmentations = [lightness(80.0)]
  images = [image for image, _ in parse_all(augmentations, [record(seed) for seed in (3, 3, 4)])]
  np.testing.assert_array_equal(images[0], images[1])
  assert (images[0] != images[2]).numpy().any()


def test_two_augmentations_have_different_seeds(lightness):
  once, _ = parse([lightness(40.0)], record())
  twice, _ = parse([lightness(40.0), lightness(40.0)], record())
  plain, _ = augmented_record.plain()
  changes = [(pixels(image) - pixels(plain)).mean() for image in (once, twice)]
  assert changes[1] != pytest.approx(2 * changes[0], abs=0.1)


def test_evaluation_images_are_not_augmented(lightness):
  image, _ = parse([lightness(80.0)], record(), is_training=False)
  np.testing.assert_array_equal(image, augmented_record.plain()[0])
