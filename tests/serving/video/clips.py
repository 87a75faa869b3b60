"""Small videos, and a detector that finds what is painted in them."""

import json
import struct

import cv2
import numpy as np

from htc_tf.data import mask_codec
from htc_tf.serving import predict_files
from htc_tf.serving.instances import Instances
from htc_tf.serving.video import predict_video
from htc_tf.serving.video.predict_video import VideoOptions

RATE = 12.5
_SIDE = 16


def frame(number, size=(64, 48)):
  """A dark frame, RGB, with a red square that moves by two pixels a frame."""
  width, height = size
  pixels = np.full((height, width, 3), 20, np.uint8)
  left = 2 * number % (width - _SIDE)
  pixels[8 : 8 + _SIDE, left : left + _SIDE] = (230, 30, 40)
  return pixels


def write(path, num_frames=10, size=(64, 48), codec='mp4v', rate=RATE, frames=None):
  """Write a video and return its path."""
  fourcc = cv2.VideoWriter.fourcc(*codec)
  writer = cv2.VideoWriter(str(path), cv2.CAP_FFMPEG, fourcc, rate, size)
  assert writer.isOpened()
  for pixels in frames if frames is not None else (frame(n, size) for n in range(num_frames)):
    writer.write(np.ascontiguousarray(pixels[..., ::-1]))
  writer.release()
  return str(path)


def turn(path):
  """Change the display matrix in the header of an MP4 file: it is shown turned by 90 degrees."""
  content = bytearray(path.read_bytes())
  matrix = content.find(b'tkhd') + 4 + 4 + 4 * 5 + 8 + 2 * 4
  before = struct.unpack_from('>9i', content, matrix)
  assert before == (0x10000, 0, 0, 0, 0x10000, 0, 0, 0, 0x40000000)
  struct.pack_into('>9i', content, matrix, 0, 0x10000, 0, -0x10000, 0, 0, 48 << 16, 0, 0x40000000)
  path.write_bytes(content)


def delay(path, factors):
  """Change the header of an MP4 file: each frame is shown for a multiple of its time.

  Args:
    path: path of the file.
    factors: whole numbers, one for each frame.
  """
  content = bytearray(path.read_bytes())
  table = content.find(b'stts') - 4
  size, _, _, _, num_frames, duration = struct.unpack_from('>I4sIIII', content, table)
  assert (size, num_frames) == (24, len(factors))
  entries = b''.join(struct.pack('>II', 1, duration * factor) for factor in factors)
  longer = struct.pack('>I4sII', 16 + len(entries), b'stts', 0, len(factors)) + entries
  content[table : table + size] = longer
  for name in (b'moov', b'trak', b'mdia', b'minf', b'stbl'):  # The boxes around the table.
    start = content.find(name) - 4
    (before,) = struct.unpack_from('>I', content, start)
    struct.pack_into('>I', content, start, before + len(longer) - size)
  edit = content.find(b'edts')  # It ends the video at its old duration.
  content[edit : edit + 4] = b'free'
  path.write_bytes(content)


def read(path):
  """The frames of a video as RGB, and its frame rate."""
  capture = cv2.VideoCapture(str(path), cv2.CAP_FFMPEG)
  assert capture.isOpened(), path
  rate, frames = capture.get(cv2.CAP_PROP_FPS), []
  while True:
    is_read, pixels = capture.read()
    if not is_read:
      return frames, rate
    frames.append(pixels[..., ::-1])


def find_red(image):
  """The red square of an image as an instance of the first class, with the score 0.9."""
  pixels = image.pixels().astype(int)
  red = (pixels[..., 0] > 120) & (pixels[..., 2] < 110)
  rows, columns = np.flatnonzero(red.any(1)), np.flatnonzero(red.any(0))
  if not len(rows):
    return Instances(np.zeros([0, 4], np.float32), np.zeros([0], int), np.zeros([0]), [])
  box = [rows[0], columns[0], rows[-1] + 1, columns[-1] + 1]
  return Instances(
    np.array([box], np.float32),
    np.array([1]),
    np.array([0.9], np.float32),
    [mask_codec.encode(red)],
  )


def detector(calls=None):
  """A detector of red squares.

  Args:
    calls: list that receives the number of images of each call.
  """

  def detect(images):
    if calls is not None:
      calls.append(len(images))
    return [find_red(image) for image in images]

  return predict_files.Detector(detect, ['cat', 'dog'], [7, 9])


def predict(tmp_path, paths, calls=None, model=None, **options):
  """Predict on videos with a detector; the failed ones, and the lines of the log."""
  logged = []
  failed = predict_video.predict_videos(
    model or detector(calls),
    [str(path) for path in paths],
    VideoOptions(str(tmp_path / 'out'), **options),
    logged.append,
  )
  return failed, logged


def lines(path):
  """The lines of JSON of a file."""
  return [json.loads(line) for line in path.read_text().splitlines()]
