"""The gRPC client of TensorFlow Serving."""

from collections.abc import Sequence

import grpc
import numpy as np
import tensorflow as tf

from htc_tf.errors import ServingError
from htc_tf.serving.target import INPUT, SIGNATURE, Call, Target

try:
  from tensorflow_serving.apis import predict_pb2, prediction_service_pb2_grpc
except ImportError as failure:
  raise ServingError(
    'No gRPC without tensorflow-serving-api',
    expected='that package',
    got=str(failure),
    likely_cause="it is not installed: pip install 'htc_tf[serving]', or use http://",
  ) from failure

# Pasted masks are larger than the 4 MB gRPC admits by default.
_UNLIMITED = [('grpc.max_receive_message_length', -1), ('grpc.max_send_message_length', -1)]


def connect(target: Target, address: str) -> Call:
  """The call to the server at `address`, host and port; see `client.connect`."""
  stub = prediction_service_pb2_grpc.PredictionServiceStub(
    grpc.insecure_channel(address, options=_UNLIMITED)
  )

  def call(pictures: Sequence[bytes]) -> dict[str, np.ndarray]:
    try:
      response = stub.Predict(build_request(target, pictures), timeout=target.timeout)
    except grpc.RpcError as error:
      raise ServingError(
        f'{target.server} gives no detections',
        expected=f'an answer of model {target.model} within {target.timeout:g} s',
        got=f'{error.code().name}: {error.details()}',
        likely_cause='no server there or one still loading (UNAVAILABLE), another '
        'model name or version (NOT_FOUND), or too short a timeout',
      ) from error
    return {name: tf.make_ndarray(value) for name, value in response.outputs.items()}

  return call


def build_request(target: Target, pictures: Sequence[bytes]) -> predict_pb2.PredictRequest:
  """The request for detections in encoded pictures."""
  request = predict_pb2.PredictRequest()
  request.model_spec.name = target.model
  request.model_spec.signature_name = SIGNATURE
  if target.version is not None:
    request.model_spec.version.value = target.version
  request.inputs[INPUT].CopyFrom(
    tf.make_tensor_proto(list(pictures), dtype=tf.string, shape=[len(pictures)])
  )
  return request
