"""Detection in batches of images of one size."""

import itertools
from collections.abc import Callable, Sequence
from typing import TypeAlias

import numpy as np

from htc_tf.data.images import SourceImage
from htc_tf.serving.export_format import ExportFormat
from htc_tf.serving.instances import Instances, read_outputs

# Function from [batch, height, width, channels] to arrays by output name.
Run: TypeAlias = Callable[[np.ndarray], dict[str, np.ndarray]]


def in_batches(
  run: Run, export_format: ExportFormat
) -> Callable[[Sequence[SourceImage]], list[Instances]]:
  """A function that detects in images, in those of one size that follow each other together.

  No image is padded for another.

  Args:
    run: the model.
    export_format: form of its outputs.
  """

  def detect(images: Sequence[SourceImage]) -> list[Instances]:
    found: list[Instances] = []
    for size, group in itertools.groupby(images, key=lambda image: image.size):
      pixels = [image.samples(export_format.sample_format) for image in group]
      outputs = run(pixels[0][np.newaxis] if len(pixels) == 1 else np.stack(pixels))
      found += [read_outputs(outputs, row, size, export_format) for row in range(len(pixels))]
    return found

  return detect
