"""Images and videos among the inputs of a prediction."""

from collections.abc import Sequence

from htc_tf.serving import predict_files
from htc_tf.serving.video import frames


def list_images_and_videos(inputs: Sequence[str]) -> tuple[list[str], list[str]]:
  """The images and the videos among the given files and those in each given folder, sorted.

  Files that are given by name are images unless their suffix is that of a video.

  Raises:
    InputError: an input does not exist, or there are neither images nor videos.
  """
  paths = predict_files.list_files(inputs, (*predict_files.SUFFIXES, *frames.SUFFIXES))
  videos = [path for path in paths if frames.is_video(path)]
  return [path for path in paths if not frames.is_video(path)], videos
