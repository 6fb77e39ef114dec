# SPDX-License-Identifier: Apache-2.0
"""KServe's own client, V1 and V2 over REST and V2 over gRPC. Its package wants a cluster's worth of others; the client alone does not."""

import asyncio
import pathlib
import site
import sys
import types

import httpx
import numpy as np
import pytest

HERE = [p for p in site.getsitepackages() if (pathlib.Path(p) / "kserve").is_dir()]
if not HERE:
    pytest.skip("kserve is not installed: tools/deps test", allow_module_level=True)
package = types.ModuleType("kserve")  # without its __init__, which imports the server
package.__path__ = [HERE[0] + "/kserve"]
sys.modules["kserve"] = package

from kserve.inference_client import InferenceRESTClient, RESTConfig  # noqa: E402
from kserve.protocol.infer_type import InferInput, InferRequest  # noqa: E402

X = np.array([[1, 2, 3, 4]], np.float32)
WANT = [[1.5, 4, 9, 17]]


def run(server, protocol, talk):
    async def main():
        client = InferenceRESTClient(RESTConfig(protocol=protocol, timeout=20))
        try:
            return await talk(client, server.url)
        finally:
            await client.close()

    return asyncio.run(main())


def test_v1(server):
    async def talk(client, url):
        assert await client.is_server_live(url)
        assert await client.is_model_ready(url, "affine")
        got = await client.infer(url, {"instances": X.tolist()}, model_name="affine")
        return got

    assert run(server, "v1", talk) == {"predictions": WANT}


def test_v1_refusals(server):
    async def talk(client, url):
        with pytest.raises(httpx.HTTPStatusError, match="explanations are not supported.*501"):
            await client.explain(url, "affine", {"instances": X.tolist()})
        with pytest.raises(httpx.HTTPStatusError, match="404"):
            await client.is_model_ready(url, "nobody")
        with pytest.raises(httpx.HTTPStatusError, match="Missing 'inputs' or 'instances' key"):
            await client.infer(url, {}, model_name="affine")

    run(server, "v1", talk)


@pytest.mark.parametrize("binary", [True, False])
def test_v2(server, binary):
    async def talk(client, url):
        assert await client.is_server_live(url) and await client.is_server_ready(url)
        assert await client.is_model_ready(url, "affine")
        tensor = InferInput(name="x", shape=[1, 4], datatype="FP32")
        tensor.set_data_from_numpy(X, binary_data=binary)
        request = InferRequest(model_name="affine", request_id="7", infer_inputs=[tensor])
        return await client.infer(url, request, model_name="affine", headers={})

    answer = run(server, "v2", talk)
    assert answer.id == "7" and answer.model_name == "affine"
    assert answer.outputs[0].as_numpy().tolist() == WANT


def test_v2_refusals(server):
    async def talk(client, url):
        tensor = InferInput(name="nix", shape=[1, 4], datatype="FP32")
        tensor.set_data_from_numpy(X, binary_data=False)
        with pytest.raises(httpx.HTTPStatusError, match="unexpected inference input 'nix'"):
            await client.infer(url, InferRequest(model_name="affine", infer_inputs=[tensor]), model_name="affine")

    run(server, "v2", talk)
