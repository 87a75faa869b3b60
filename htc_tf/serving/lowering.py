"""Lowers detection to one StableHLO program, to compile where there is no TensorFlow."""

import json
import pathlib
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from htc_tf import files
from htc_tf.errors import InputError
from htc_tf.modeling.htc_model import HTCModel

PROGRAM_FILE, ARGUMENTS_FILE, DESCRIPTION_FILE = (
  'program.stablehlo',
  'arguments.npz',
  'program.json',
)
_DIVISOR = 32


class LoweredProgram(NamedTuple):
  """Detection on images of one size.

  Attributes:
    program: serialised StableHLO module.
    arguments: names and values in the order of the module's arguments: `images` [batch, height,
      width, 3] float32, normalised and padded, `image_shape` [batch, 2] float32 height and width
      inside the padding (the example is a black image without padding), then the weights.
    results: names of the module's results, in order; see `HTCModel.detect`.
  """

  program: bytes
  arguments: list[tuple[str, np.ndarray]]
  results: list[str]


def lower_detection(model: HTCModel, frame: tuple[int, int], batch_size: int = 1) -> LoweredProgram:
  """Lowers `model.detect` for one padded size.

  Args:
    model: with its weights, which stay arguments of the program.
    frame: height and width of the padded images, multiples of 32.
    batch_size: images a call.

  Raises:
    InputError: a size that is no multiple of 32, or no image.
  """
  if batch_size < 1 or min(frame) < 1 or any(side % _DIVISOR for side in frame):
    raise InputError(
      'Detection cannot be lowered',
      expected=f'at least one image, and a height and width that are multiples of {_DIVISOR}',
      got=f'{batch_size} images of {frame[0]}x{frame[1]}',
    )
  images = tf.zeros([batch_size, *frame, 3])
  image_shape = tf.fill([batch_size, 2], 1.0) * tf.constant(frame, tf.float32)
  detect = tf.function(
    lambda images, image_shape: model.detect(
      {'images': images, 'image_shape': image_shape}
    ).to_dict(),
    autograph=False,
    jit_compile=True,
  )
  concrete = detect.get_concrete_function(images, image_shape)
  program = detect.experimental_get_compiler_ir(images, image_shape)(stage='stablehlo_serialized')
  variables = {variable.handle.ref(): variable for variable in model.variables}
  weights = [variables[handle.ref()] for handle in concrete.captured_inputs]
  arguments = [
    ('images', images.numpy()),
    ('image_shape', image_shape.numpy()),
    *((weight.name, weight.numpy()) for weight in weights),
  ]
  return LoweredProgram(program, arguments, sorted(concrete.structured_outputs))


def write_program(lowered: LoweredProgram, output: str) -> str:
  """Writes the program, its arguments (`a0`, `a1`, ... in order) and a description of both.

  Args:
    lowered: what to write.
    output: a folder that does not exist yet; it appears complete or not at all.

  Returns:
    `output`.

  Raises:
    InputError: the folder exists.
  """
  with files.new_folder_when_written(output) as folder:
    (folder / PROGRAM_FILE).write_bytes(lowered.program)
    np.savez(
      folder / ARGUMENTS_FILE,
      **{f'a{index}': value for index, (_, value) in enumerate(lowered.arguments)},
    )
    (folder / DESCRIPTION_FILE).write_text(json.dumps(_description(lowered), indent=1))
  return str(pathlib.Path(output))


def _description(lowered: LoweredProgram) -> dict[str, list]:
  arguments = [
    {'name': name, 'shape': list(value.shape), 'dtype': value.dtype.name}
    for name, value in lowered.arguments
  ]
  return {'arguments': arguments, 'results': lowered.results}
