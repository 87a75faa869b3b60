"""A progress bar of the tiles of large images."""

from typing import Any

import tqdm

from htc_tf import progress


class TileProgress:
  """A bar for each large image, below that of the images, which ends with the image."""

  def __init__(self) -> None:
    self._bar: tqdm.tqdm | None = None

  def __enter__(self) -> 'TileProgress':
    return self

  def report(self, done: int, total: int) -> None:
    """Show the numbers of finished and of all tiles."""
    if self._bar is None:
      self._bar = progress.bar(
        total=total, description='tiles', unit='tile', position=1, leave=False
      )
    self._bar.update(done - self._bar.n)
    if done == total:
      self._close()

  def _close(self) -> None:
    if self._bar is not None:
      self._bar.close()
      self._bar = None

  def __exit__(self, *_: Any) -> None:
    self._close()
