"""Lowering of detection to one StableHLO program, for compilers other than TensorFlow's."""

import json
import os
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from htc_tf import file_systems, files
from htc_tf.errors import InputError
from htc_tf.modeling.ensemble import Member
from htc_tf.modeling.htc_model import HTCModel

PROGRAM_FILE, ARGUMENTS_FILE, DESCRIPTION_FILE = (
  'program.stablehlo',
  'arguments.npz',
  'program.json',
)


class LoweredProgram(NamedTuple):
  """Detection on images of one size.

  Attributes:
    program: serialized StableHLO module.
    arguments: names and values in the order of the module's arguments: `images` [batch, height,
      width, channels] float32, normalized and padded; `image_shape` [batch, 2] float32, height and
      width without the padding; then the weights. The values of `images` and `image_shape` are
      placeholders: zeros, and the padded size.
    results: names of the module's results, in order; see `HTCModel.detect`.
  """

  program: bytes
  arguments: list[tuple[str, np.ndarray]]
  results: list[str]


def default_hw(model: HTCModel, sizes: tuple[int, int]) -> tuple[int, int]:
  """Height and width of the smallest padded image that holds all resized images of its orientation.

  Args:
    model: the model, which reads certain sizes only.
    sizes: short side of resized images, and limit of their long side, in pixels.
  """
  if model.static_hw is not None:
    return model.static_hw
  height, width = (-(-side // model.size_divisor) * model.size_divisor for side in sorted(sizes))
  return height, width


def check_single_view(member: Member) -> None:
  """Raise InputError if a model detects in several views of an image; a program sees one."""
  if member.num_scales > 1 or member.mirrors:
    mirrored = ', and images mirrored' if member.mirrors else ''
    raise InputError(
      'Detection cannot be lowered',
      expected='a model that sees each image once',
      got=f'task.test_time_augmentation with scales: {member.num_scales}{mirrored}',
      likely_cause='a model directory of a run that was evaluated with several views; add '
      '--params_override=task.test_time_augmentation.min_sizes=[],'
      'task.test_time_augmentation.horizontal_flip=false',
    )


def lower_detection(
  model: HTCModel, padded_hw: tuple[int, int], batch_size: int = 1
) -> LoweredProgram:
  """The program of `model.detect` for one padded size.

  Args:
    model: model with its weights, which become arguments of the program.
    padded_hw: height and width of the padded images, multiples of `model.size_divisor`, and equal
      to `model.static_hw` unless that is None.
    batch_size: number of images per call.

  Raises:
    InputError: the model cannot read images of this size, or the batch size is below 1.
  """
  check_size(model, padded_hw, batch_size, 'Detection cannot be lowered')
  images = tf.zeros([batch_size, *padded_hw, model.num_channels])
  image_shape = tf.fill([batch_size, 2], 1.0) * tf.constant(padded_hw, tf.float32)
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


def check_size(model: HTCModel, padded_hw: tuple[int, int], batch_size: int, what: str) -> None:
  """Raise InputError unless a model can read a batch of images of one size.

  Args:
    model: the model.
    padded_hw: height and width of the padded images.
    batch_size: number of images.
    what: sentence that says what failed.
  """
  divisor, static_hw = model.size_divisor, model.static_hw
  if static_hw is None:
    fits = min(padded_hw) >= 1 and not any(side % divisor for side in padded_hw)
    sizes = f'a height and width that are multiples of {divisor}'
  else:
    fits = tuple(padded_hw) == static_hw
    sizes = f'images of {static_hw[0]}x{static_hw[1]}, task.model.input_size'
  if batch_size < 1 or not fits:
    raise InputError(
      what,
      expected=f'at least one image, and {sizes}',
      got=f'{batch_size} images of {padded_hw[0]}x{padded_hw[1]}',
      likely_cause=f'the strides of the decoder require multiples of {divisor}'
      if static_hw is None
      else "Model Garden's proposals or RoI aligner, which read images of one size only",
    )


def write_program(lowered: LoweredProgram, output: str) -> str:
  """Write the program, its arguments (`a0`, `a1`, ... in order) and a description of both.

  Args:
    lowered: program and arguments.
    output: a folder that does not exist yet; it is written completely or not at all.

  Returns:
    `output`.

  Raises:
    InputError: the folder is in use, cannot be created, or is remote.
  """
  file_systems.check_local(output, 'output (--output)')
  arrays: dict[str, Any] = {
    f'a{index}': value for index, (_, value) in enumerate(lowered.arguments)
  }
  with files.new_folder_when_written(output) as folder:
    files.write_bytes(os.path.join(folder, PROGRAM_FILE), lowered.program)
    np.savez(os.path.join(folder, ARGUMENTS_FILE), **arrays)
    description = json.dumps(_description(lowered), indent=1)
    files.write_bytes(os.path.join(folder, DESCRIPTION_FILE), description.encode())
  return file_systems.without_final_slash(output)


def _description(lowered: LoweredProgram) -> dict[str, list[Any]]:
  arguments = [
    {'name': name, 'shape': list(value.shape), 'dtype': value.dtype.name}
    for name, value in lowered.arguments
  ]
  return {'arguments': arguments, 'results': lowered.results}
