"""All outputs of a prediction together."""

import os
from collections.abc import Sequence
from typing import Any

from htc_tf.data.sample_format import SampleFormat
from htc_tf.serving.detected_image import DetectedImage
from htc_tf.serving.input_files import InputImage
from htc_tf.serving.outputs import registry
from htc_tf.serving.tally import Tally


class ChosenOutputs:
  """The outputs of a prediction, which are closed at the end of a `with` block in any case.

  After an error or interruption without any image, the files of an earlier run stay.

  Args:
    names: names of the outputs; see `registry.NAMES`.
    folder: an existing folder.
    categories: entries of the categories.
    sample_format: channels and depth of the images.
    tally: numbers to add to; by default new ones.

  Attributes:
    tally: numbers of images, objects and files.
  """

  def __init__(
    self,
    names: Sequence[str],
    folder: str,
    categories: list[dict[str, Any]],
    sample_format: SampleFormat,
    tally: Tally | None = None,
  ):
    self._need_masks = not set(registry.NEED_MASKS).isdisjoint(names)
    self._outputs = registry.build(names, folder, categories, sample_format)
    self.tally = tally or Tally()

  def __enter__(self) -> 'ChosenOutputs':
    return self

  def write(self, image: DetectedImage, of_file: InputImage) -> None:
    """Write the files of an image; see `Output.write`.

    Args:
      image: the image with the detections to write.
      of_file: its names.

    Raises:
      InputError: an output needs masks, and the model has none; nothing is written then.
    """
    if self._need_masks:
      image.check_masks()
    stem = os.path.splitext(of_file.overlay)[0]
    counts = [output.write(image, stem, of_file.name, of_file.id) for output in self._outputs]
    self.tally.add(image, sum(counts))

  def __exit__(self, kind: Any, error: BaseException | None, trace: Any) -> None:
    if error is not None and not self.tally.num_images:
      for output in self._outputs:
        output.discard()
      return
    self.tally.num_files += sum(output.close() for output in self._outputs)
