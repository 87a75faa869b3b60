"""The REST client of TensorFlow Serving."""

import base64
import functools
import http.client
import json
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Sequence

import numpy as np

from htc_tf.errors import ServingError, stated_text
from htc_tf.serving.target import INPUT, SIGNATURE, Connection, Target


def connect(target: Target) -> Connection:
  """The connection to a server; each call opens and closes one network connection.

  Args:
    target: model on a server with an `http` or `https` address.
  """
  return Connection(target, functools.partial(_post, target))


def _post(target: Target, images: Sequence[bytes]) -> dict[str, np.ndarray]:
  """Outputs for encoded images, by a request in the row format of the REST interface."""
  version = '' if target.version is None else f'/versions/{target.version}'
  url = f'{target.server.rstrip("/")}/v1/models/{urllib.parse.quote(target.model)}{version}:predict'
  instances = [{INPUT: {'b64': base64.b64encode(image).decode()}} for image in images]
  body = json.dumps({'signature_name': SIGNATURE, 'instances': instances}).encode()
  request = urllib.request.Request(url, body, {'Content-Type': 'application/json'})
  try:
    with urllib.request.urlopen(request, timeout=target.timeout) as response:
      rows = json.load(response)['predictions']
    return {name: np.asarray([row[name] for row in rows]) for name in rows[0]}
  except urllib.error.HTTPError as error:
    raise ServingError(
      f'{url} returned an error',
      expected='predictions',
      got=f'{error.code} {_error_text(error)}',
      likely_cause='a wrong model name or version, or a model that htc-export did not write',
    ) from error
  except (OSError, http.client.HTTPException) as error:
    raise ServingError(
      f'{url} did not answer',
      expected=f'an answer within {target.timeout:g} s',
      got=str(getattr(error, 'reason', error)),
      likely_cause='no server at this address, or a server that is still loading',
    ) from error
  except (KeyError, IndexError, TypeError, ValueError) as error:
    raise ServingError(
      f'{url} returned an unexpected answer',
      expected='{"predictions": [{...}, ...]}',
      got=f'{type(error).__name__}: {error}',
      likely_cause='a server that is not TensorFlow Serving',
    ) from error


def _error_text(error: urllib.error.HTTPError) -> str:
  """The error message in the answer of the server, or the reason of its HTTP status."""
  content = error.read()
  try:
    text = str(json.loads(content)['error'])
  except (KeyError, TypeError, ValueError):
    return error.reason
  return stated_text(text) or text
