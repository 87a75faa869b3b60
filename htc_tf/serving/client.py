"""Clients of TensorFlow Serving, by gRPC or REST.

They send encoded images to the signature `image_bytes` and return arrays by output name.
"""

import os
import threading
import urllib.parse
from collections.abc import Sequence

import numpy as np

from htc_tf import file_systems
from htc_tf.data.images import SourceImage
from htc_tf.errors import InputError, ServingError
from htc_tf.serving import export_format as format_lib
from htc_tf.serving import rest_client
from htc_tf.serving.instances import Instances, read_outputs
from htc_tf.serving.predict_files import Detector
from htc_tf.serving.target import Connection, Target

_MAX_VERSION = 2**63 - 1
_REJECTIONS = {
  format_lib.UNREADABLE: 'the server cannot decode it',
  format_lib.TOO_LARGE: 'it has more pixels than the export allows',
  format_lib.OTHER_CHANNELS: 'it has other channels or another depth than the model reads',
}


def connect(target: Target) -> Connection:
  """The connection to a server, by gRPC or REST according to its address.

  It sends nothing before its first call. Close it after the last one, or use it in a `with` block.

  Raises:
    InputError: the address cannot be used, or the name, version or timeout is out of range.
    ConfigError: the address starts with grpc://, and tensorflow-serving-api is not installed.
  """
  _check_target(target)
  scheme, address, port = _parse_address(target.server)
  if scheme == 'grpc':
    from htc_tf.serving import grpc_client

    return grpc_client.connect(target, f'{address}:{port or 8500}')
  return rest_client.connect(target)


def remote_detector(target: Target, export_dir: str | None = None) -> Detector:
  """A detector that sends images to a server, until its `close` is called.

  Args:
    target: model on the server.
    export_dir: the exported folder, or a copy of its `export.json` and `categories.json`. If
      omitted, boxes in pixels and cropped masks are expected, images are sent as RGB of 8 bits,
      tiles are merged within classes, and classes are named by numbers.

  Raises:
    InputError: as for `connect`; or `export.json` is missing, or one of the files cannot be read.
    ConfigError: as for `connect`.
  """
  export_format = format_lib.ExportFormat()
  categories: tuple[list[str], list[int]] = ([], [])
  if export_dir is not None:
    file_systems.check_usable(export_dir, 'The exported folder (--export)')
    if not file_systems.exists(os.path.join(export_dir, format_lib.FORMAT_FILE)):
      raise InputError(
        f'{export_dir} is not an export',
        expected=f'a folder with the file {format_lib.FORMAT_FILE}',
        got='a folder without it, or no folder',
        likely_cause='the folder of all versions: name one of them, such as export/1',
      )
    export_format = format_lib.read_format(export_dir)
    categories = format_lib.read_categories(export_dir)
  connection = connect(target)

  def detect(images: Sequence[SourceImage]) -> list[Instances | InputError]:
    return _detect(connection, images, export_format)

  return Detector(
    detect,
    *categories,
    close=connection.close,
    sample_format=export_format.sample_format,
    class_agnostic_nms=export_format.class_agnostic_nms,
  )


def _detect(
  connection: Connection, images: Sequence[SourceImage], export_format: format_lib.ExportFormat
) -> list[Instances | InputError]:
  """The instances of each image, or the error if the server could not read it.

  A file that the server cannot decode is sent again as a PNG file of the pixels that were read
  here: Pillow decodes more files than TensorFlow, such as PNG files without an end.
  """
  sample_format = export_format.sample_format
  files = [image.encoded(sample_format=sample_format) for image in images]
  outputs = _call(connection, [file.content for file in files])
  codes = outputs['error_code'].tolist()
  found = [_read_row(outputs, row, image, export_format) for row, image in enumerate(images)]
  again = [
    row
    for row, file in enumerate(files)
    if codes[row] == format_lib.UNREADABLE and not file.converted
  ]
  if again:
    files = [images[row].encoded(may_keep=False, sample_format=sample_format) for row in again]
    outputs = _call(connection, [file.content for file in files])
    for index, row in enumerate(again):
      found[row] = _read_row(outputs, index, images[row], export_format)
  return found


def _call(connection: Connection, files: Sequence[bytes]) -> dict[str, np.ndarray]:
  """The checked outputs for encoded images."""
  outputs = connection(files)
  _check_outputs(outputs, len(files))
  return outputs


def _check_target(target: Target) -> None:
  """Raise InputError unless name, version and timeout of the target can be sent."""
  version, timeout = target.version, target.timeout
  if not target.model or not target.model.isprintable():
    raise InputError(
      'The model name cannot be sent',
      expected='a name of printable characters',
      got=ascii(target.model),
    )
  if version is not None and not 0 <= version <= _MAX_VERSION:
    raise InputError(
      'The version is out of range',
      expected=f'0 to {_MAX_VERSION}',
      got=str(version),
      likely_cause='a date and time instead of a version',
    )
  if not 0 < timeout <= threading.TIMEOUT_MAX:
    raise InputError(
      'The timeout is out of range',
      expected=f'more than 0 and at most {threading.TIMEOUT_MAX:.0f} seconds',
      got=str(timeout),
    )


def _parse_address(server: str) -> tuple[str, str, int | None]:
  """Scheme, host and port (or None) of `Target.server`."""
  try:
    parts = urllib.parse.urlsplit(server)
    scheme, host, port = parts.scheme, parts.hostname, parts.port
  except ValueError:
    scheme, host, port = '', None, None
  if scheme not in ('grpc', 'http', 'https') or not host:
    raise InputError(
      f'{server} is not the address of a server',
      expected='grpc://host:8500, http://host:8501 or https://host',
      got=server,
      likely_cause='an address without its protocol',
    )
  return scheme, f'[{host}]' if ':' in host else host, port


def _check_outputs(outputs: dict[str, np.ndarray], num_images: int) -> None:
  """Raise ServingError unless these are the outputs of an export for a number of images."""
  needed = (
    'detection_boxes',
    'detection_scores',
    'detection_classes',
    'num_detections',
    'error_code',
  )
  missing = [name for name in needed if name not in outputs]
  lengths = {len(value) for value in outputs.values()}
  if missing or lengths != {num_images}:
    raise ServingError(
      'The server returned unexpected outputs',
      expected=f'{", ".join(needed)} for {num_images} images',
      got=f'no {", ".join(missing)}' if missing else f'{sorted(lengths)} rows',
      likely_cause='a model that htc-export did not write',
    )


def _read_row(
  outputs: dict[str, np.ndarray],
  row: int,
  image: SourceImage,
  export_format: format_lib.ExportFormat,
) -> Instances | InputError:
  """The instances of one image, or the error if the server could not read it."""
  code = int(outputs['error_code'][row])
  if code != format_lib.READ:
    return InputError(
      f'{image.path or "The image"} was rejected by the server',
      expected=f'a complete image of {export_format.sample_format}',
      got=_REJECTIONS.get(code, f'error code {code}'),
      likely_cause='a damaged file, or one too large for this export',
    )
  return read_outputs(outputs, row, image.size, export_format)
