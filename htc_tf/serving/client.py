"""Clients of TensorFlow Serving: gRPC and REST, behind one call.

They send files to the signature `image_bytes` and give back arrays by the names of the outputs.
"""

import io
import os
import threading
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Sequence

import numpy as np
from PIL import Image

from htc_tf.errors import InputError, ServingError
from htc_tf.serving import export_format as format_lib
from htc_tf.serving import rest_client
from htc_tf.serving.instances import Instances, read_outputs
from htc_tf.serving.predict_files import Detector, Picture
from htc_tf.serving.target import Call, Target

_ORIENTATION_TAG = 0x0112
_MAX_VERSION = 2**63 - 1
_CODES = {
  format_lib.UNREADABLE: 'the server cannot decode it',
  format_lib.TOO_LARGE: 'it has more pixels than the export admits',
}


def connect(target: Target) -> Call:
  """The call to a server, by gRPC or REST as its address says; nothing is sent yet.

  Raises:
    InputError: an address of another form, or a name, version or timeout that cannot be.
    ServingError: gRPC, without tensorflow-serving-api.
  """
  _check_target(target)
  scheme, address, port = _parse_address(target.server)
  if scheme == 'grpc':
    from htc_tf.serving import grpc_client

    return grpc_client.connect(target, f'{address}:{port or 8500}')
  return rest_client.connect(target)


def remote_detector(target: Target, export_dir: str | None = None) -> Detector:
  """A model on a server, to run on pictures as if it were here.

  Args:
    target: the model.
    export_dir: the exported folder, or a copy of its `export.json` and `categories.json`; without
      it, boxes in pixels and cropped masks are expected, and classes have numbers for names.

  Raises:
    InputError: what `connect` raises, or an `export_dir` without those files.
    ServingError: gRPC, without tensorflow-serving-api.
  """
  export_format, categories = format_lib.ExportFormat(), ([], [])
  if export_dir is not None:
    if not os.path.exists(os.path.join(export_dir, format_lib.FORMAT_FILE)):
      raise InputError(
        f'{export_dir} is no export',
        expected=f'an {format_lib.FORMAT_FILE} in it',
        got='none',
        likely_cause='the folder of all versions: name one of them, such as export/1',
      )
    export_format = format_lib.read_format(export_dir)
    categories = format_lib.read_categories(export_dir)
  call = connect(target)

  def detect(pictures: Sequence[Picture]) -> list[Instances | InputError]:
    outputs = _checked(call([encode_picture(picture) for picture in pictures]), len(pictures))
    return [_read_row(outputs, row, picture, export_format) for row, picture in enumerate(pictures)]

  return Detector(detect, *categories)


def _check_target(target: Target) -> None:
  """Raises InputError for what neither protocol can carry."""
  version, timeout = target.version, target.timeout
  if not target.model or not target.model.isprintable():
    raise InputError(
      'The model cannot be asked for', expected='its name on the server', got=ascii(target.model)
    )
  if version is not None and not 0 <= version <= _MAX_VERSION:
    raise InputError(
      'The version cannot be asked for',
      expected=f'0 to {_MAX_VERSION}',
      got=str(version),
      likely_cause='a date and time in place of a version',
    )
  if not 0 < timeout <= threading.TIMEOUT_MAX:
    raise InputError(
      'The timeout is out of range',
      expected=f'more than 0 and at most {threading.TIMEOUT_MAX:.0f} seconds',
      got=str(timeout),
    )


def encode_picture(picture: Picture) -> bytes:
  """The bytes to send: the file itself if it is an upright JPEG or PNG, else a PNG of its pixels.

  The server decodes a file as it is stored and does not follow its EXIF orientation.
  """
  if picture.path is not None:
    with open(picture.path, 'rb') as file:
      content = file.read()
    with Image.open(io.BytesIO(content)) as image:
      if image.format in ('JPEG', 'PNG') and image.getexif().get(_ORIENTATION_TAG, 1) == 1:
        return content
  buffer = io.BytesIO()
  Image.fromarray(picture.pixels).save(buffer, format='PNG')
  return buffer.getvalue()


def _parse_address(server: str) -> tuple:
  """Scheme, host and port (or None) of `Target.server`."""
  try:
    parts = urllib.parse.urlsplit(server)
    scheme, host, port = parts.scheme, parts.hostname, parts.port
  except ValueError:
    scheme = host = port = None
  if scheme not in ('grpc', 'http', 'https') or not host:
    raise InputError(
      f'There is no server at {server}',
      expected='grpc://host:8500, http://host:8501 or https://host',
      got=server,
      likely_cause='an address without its protocol',
    )
  return scheme, f'[{host}]' if ':' in host else host, port


def _checked(outputs: dict[str, np.ndarray], count: int) -> dict[str, np.ndarray]:
  """Raises ServingError unless the outputs are those of an export of ours for `count` pictures."""
  needed = (
    'detection_boxes',
    'detection_scores',
    'detection_classes',
    'num_detections',
    'error_code',
  )
  missing = [name for name in needed if name not in outputs]
  lengths = {len(value) for value in outputs.values()}
  if missing or lengths != {count}:
    raise ServingError(
      'The server answers with other outputs',
      expected=f'{", ".join(needed)} for {count} pictures',
      got=f'no {", ".join(missing)}' if missing else f'{sorted(lengths)} rows',
      likely_cause='a model that htc-export did not write',
    )
  return outputs


def _read_row(
  outputs: dict[str, np.ndarray], row: int, picture: Picture, export_format: format_lib.ExportFormat
) -> Instances | InputError:
  """The instances of one picture, or why it has none."""
  code = int(outputs['error_code'][row])
  if code != format_lib.READ:
    return InputError(
      f'{picture.path or "The picture"} was not detected in',
      expected='a whole JPEG or PNG',
      got=_CODES.get(code, f'error code {code}'),
      likely_cause='a damaged file, or one too large for this export',
    )
  return read_outputs(outputs, row, picture.pixels.shape[:2], export_format)
