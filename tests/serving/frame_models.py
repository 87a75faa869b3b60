"""Tiny models of several layouts, and the detections that exports for other runtimes must equal."""

import numpy as np

from htc_tf.configs import model as model_config
from htc_tf.data.padding import padding_rule
from htc_tf.modeling.ensemble import Member
from htc_tf.serving import frame
from htc_tf.serving.frame_graph import FrameGraph
from htc_tf.serving.predictor import HTCPredictor, InputRule
from tests import tiny

HEIGHT, WIDTH = 64, 96
# Name to the number of stages and the changes of the configuration.
LAYOUTS = {
  'three stages': (3, {}),
  'two stages without masks': (2, {'include_mask': False}),
  'one stage without semantic branch': (1, {'semantic_head': {'enabled': False}}),
  'one stage on HRNet': (1, tiny.HRNET),
}
TOLERANCES = {'detection_boxes': 1e-2, 'detection_scores': 1e-4, 'detection_masks': 1e-3}


def predictor(num_stages: int = 1, **changes) -> HTCPredictor:
  """A tiny model that pads every image to the frame."""
  return predictor_of(tiny.model(num_stages, **changes))


def predictor_of(config: model_config.HTC) -> HTCPredictor:
  """The model of a configuration, with padding to the frame."""
  rule = InputRule(48, 96, padding_rule([(HEIGHT, WIDTH)], (HEIGHT, WIDTH)))
  return HTCPredictor([Member(tiny.build(config))], [rule])


def graph(of: HTCPredictor) -> FrameGraph:
  """The graph of a predictor for its frame."""
  return FrameGraph(of, HEIGHT, WIDTH)


def image(height: int, width: int) -> np.ndarray:
  """An image of noise with a bright rectangle."""
  pixels = np.random.default_rng(height * width).integers(0, 120, [height, width, 3], np.uint8)
  pixels[height // 4 : height // 2, width // 4 : width // 2] += 120
  return pixels


def check_equal(run, of: HTCPredictor, rule: frame.FrameRule, pixels: np.ndarray) -> int:
  """Fail unless a runtime detects what the predictor does; return the number of detections.

  Args:
    run: function from the inputs by name to the outputs by name.
    of: the predictor.
    rule: rule of the frame.
    pixels: the image.
  """
  expected = of.predict(pixels[np.newaxis], verbose=0)
  placed = frame.place(pixels, rule)
  outputs = run({'images': placed.images, 'image_shape': placed.image_shape})
  assert set(outputs) == set(expected)
  actual = {name: np.asarray(values) for name, values in outputs.items()}
  boxes = frame.boxes_in_image(actual['detection_boxes'][0], placed)
  actual['detection_boxes'] = boxes[np.newaxis]
  for name, values in expected.items():
    assert actual[name].dtype == values.dtype, name
    np.testing.assert_allclose(
      actual[name], values, rtol=0, atol=TOLERANCES.get(name, 0), err_msg=name
    )
  return int(expected['num_detections'][0])
