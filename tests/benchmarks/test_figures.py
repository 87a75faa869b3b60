"""Tests of figures of benchmarks."""

from PIL import Image

from benchmarks import figures


def test_the_same_figure_gives_the_same_file(tmp_path):
  paths = [tmp_path / 'first.png', tmp_path / 'second.png']
  for path in paths:
    drawing = figures.new(3, 2)
    drawing.subplots().plot([1, 2], [3, 1])
    figures.write(drawing, str(path))
  assert paths[0].read_bytes() == paths[1].read_bytes()
  with Image.open(paths[0]) as image:
    assert image.size == (330, 220)
    assert 'Software' not in image.info  # The version of matplotlib.
