"""What tritonclient sees of a worker. A program: the two register the same names with protobuf."""

import sys

import numpy as np
import pytest
import tritonclient.grpc as triton
from tritonclient.grpc import service_pb2
from tritonclient.utils import InferenceServerException

VALUES = {
    "BOOL": np.array([[True, False]]),
    "INT8": np.array([-8], np.int8),
    "INT16": np.array([-16], np.int16),
    "INT32": np.array([[1, 2], [3, 4]], np.int32),
    "INT64": np.array([2**40], np.int64),
    "UINT8": np.array([8], np.uint8),
    "UINT16": np.array([16], np.uint16),
    "UINT32": np.array([2**32 - 1], np.uint32),
    "UINT64": np.array([2**63], np.uint64),
    "FP16": np.array([1.5], np.float16),
    "FP32": np.arange(20_000, dtype=np.float32),
    "FP64": np.array([0.1]),
    "BF16": np.array([1.5, -2], np.float32),
    "BYTES": np.array([b"a\0b", b""], object),
}


def round_trip(client: triton.InferenceServerClient, datatype: str, value: "np.ndarray") -> None:
    given = triton.InferInput("x", list(value.shape), datatype)
    given.set_data_from_numpy(value)
    model = "echo_bf16" if datatype == "BF16" else "echo"
    result = client.infer(model, [given], request_id="7", outputs=[triton.InferRequestedOutput("x")])
    got = result.as_numpy("x")
    assert result.get_response().id == "7"
    assert result.get_output("x").datatype == datatype
    assert got.shape == value.shape, (datatype, got)
    assert np.array_equal(got, value), (datatype, got)


def typed(client: triton.InferenceServerClient) -> None:
    """Typed contents, with tritonclient's own messages."""
    request = service_pb2.ModelInferRequest(model_name="echo")
    tensor = request.inputs.add(name="x", datatype="INT32", shape=[2])
    tensor.contents.int_contents.extend([5, 6])
    response = client._client_stub.ModelInfer(request)
    assert list(response.outputs[0].contents.int_contents) == [5, 6]
    assert not response.raw_output_contents


def main(endpoint: str) -> None:
    with triton.InferenceServerClient(endpoint) as client:
        assert client.is_server_live()
        assert client.is_server_ready()
        assert client.is_model_ready("multiply")
        assert not client.is_model_ready("nothing")
        assert client.get_server_metadata().name == "muster-worker"
        metadata = client.get_model_metadata("multiply")
        assert [(one.name, one.datatype) for one in metadata.inputs] == [("a", "INT32"), ("b", "INT32")]
        assert [(one.name, one.datatype) for one in metadata.outputs] == [("product", "INT32")]
        for datatype, value in VALUES.items():
            round_trip(client, datatype, value)
        typed(client)
        with pytest.raises(InferenceServerException, match="did you mean echo") as refused:
            client.infer("ehco", [])
        assert refused.value.status() == "StatusCode.NOT_FOUND"
    print("all well")


if __name__ == "__main__":
    main(sys.argv[1])
