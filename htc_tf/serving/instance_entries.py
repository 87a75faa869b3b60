"""The objects of an image as entries of a line of JSON."""

from typing import Any

from htc_tf.serving.detected_image import DetectedImage


def entries_of(image: DetectedImage) -> list[dict[str, Any]]:
  """The objects of an image, best score first.

  Returns:
    For each object: `class`, the name; `category_id`; `score`; `box` [xmin, ymin, xmax, ymax] in
    pixels of the upright image; and with masks `rle`, the run lengths of COCO.

  Raises:
    InputError: boxes or scores are not finite.
  """
  entries = []
  for name, box, result in zip(image.names, image.boxes_xyxy.tolist(), image.to_coco()):
    entry = {
      'class': name,
      'category_id': result['category_id'],
      'score': result['score'],
      'box': box,
    }
    if 'segmentation' in result:
      entry['rle'] = result['segmentation']
    entries.append(entry)
  return entries
