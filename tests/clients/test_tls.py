# SPDX-License-Identifier: Apache-2.0
"""TLS as clients meet it: HTTP/1.1, HTTP/2 and gRPC by ALPN, client certificates, new certificates without a break; Unix sockets."""

import http.client
import os
import signal
import socket
import ssl
import subprocess
import threading

import grpc
import numpy as np
import pytest
import requests
from tritonclient.grpc import service_pb2, service_pb2_grpc

from conftest import Server, serve, until
from test_grpc import infer


def openssl(*args, **more):
    subprocess.run(["openssl", *args], check=True, capture_output=True, **more)


def key_and_certificate(folder, name, ca=None):
    key, pem = str(folder / f"{name}.key"), str(folder / f"{name}.pem")
    curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", key]
    if not ca:
        openssl("req", "-x509", *curve, "-out", pem, "-days", "9", "-subj", f"/CN={name}")
        return pem
    names = folder / "names"
    names.write_text("subjectAltName=DNS:localhost,IP:127.0.0.1")
    openssl("req", *curve, "-out", pem + ".csr", "-subj", f"/CN={name}")
    openssl("x509", "-req", "-in", pem + ".csr", "-CA", str(folder / f"{ca}.pem"), "-CAkey", str(folder / f"{ca}.key"),
            "-CAcreateserial", "-out", pem, "-days", "9", "-extfile", str(names))  # fmt: skip
    return pem


@pytest.fixture(scope="module")
def pki(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pki")
    key_and_certificate(folder, "ca")
    for name in ("server", "server2", "client"):
        key_and_certificate(folder, name, "ca")
    key_and_certificate(folder, "stranger")
    return folder


class Secure(Server):
    """Server says https://; its own session trusts the test's CA."""

    def __init__(self, store, pki, *flags, **more):
        self.pki = pki
        super().__init__(store, "--tls-cert", str(pki / "now.pem"), "--tls-key", str(pki / "now.key"), *flags, **more)
        self.url = "https://" + self.address
        self.session.trust_env = False  # its CA, whatever the environment says
        self.session.verify = str(pki / "ca.pem")


def use(pki, name):
    for end in ("pem", "key"):
        data = (pki / f"{name}.{end}").read_bytes()
        (pki / f"next.{end}").write_bytes(data)
        os.replace(pki / f"next.{end}", pki / f"now.{end}")


def subject(server):
    context = ssl.create_default_context(cafile=str(server.pki / "ca.pem"))
    with socket.create_connection((server.host, server.port), timeout=10) as s:
        with context.wrap_socket(s, server_hostname="localhost") as t:
            return dict(pair[0] for pair in t.getpeercert()["subject"])["commonName"]


ROWS = {"instances": [[1, 2, 3, 4]]}


@pytest.fixture
def secure(store, pki):
    use(pki, "server")
    s = Secure(store, pki, models=("affine@1",))
    yield s
    s.stop()


def test_http_1_and_large_bodies(secure):
    assert secure.post("/v1/models/affine:predict", json=ROWS).json() == {"predictions": [[1.5, 4, 9, 17]]}
    x = np.arange(200_000, dtype=np.float32).reshape(-1, 4).tolist()
    r = secure.post("/v1/models/affine:predict", json={"instances": x})
    assert r.status_code == 200, r.text[:300]
    y = r.json()["predictions"]
    assert len(y) == 50_000 and y[-1][3] == x[-1][3] * 4 + 1
    with pytest.raises(requests.exceptions.RequestException):
        requests.get("http://" + secure.address + "/readyz", timeout=10)
    with pytest.raises(requests.exceptions.SSLError):
        requests.get(secure.url + "/readyz", timeout=10)  # not a CA that the world knows


def test_alpn(secure):
    for offered, got in ((["h2", "http/1.1"], "h2"), (["http/1.1"], "http/1.1"), (["other"], None)):
        context = ssl.create_default_context(cafile=str(secure.pki / "ca.pem"))
        context.set_alpn_protocols(offered)
        with socket.create_connection((secure.host, secure.port), timeout=10) as s:
            with context.wrap_socket(s, server_hostname="localhost") as t:
                assert t.selected_alpn_protocol() == got


def test_no_renegotiation(secure):
    """RFC 5246 §7.2.2: refused by an alert. A client that asks is not served on, everybody else is."""
    client = subprocess.Popen(["openssl", "s_client", "-tls1_2", "-connect", secure.address], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, text=True)  # fmt: skip
    said, _ = client.communicate("R\n" * 20, timeout=20)
    assert "RENEGOTIATING" in said and "no renegotiation" in said, said[-800:]
    assert secure.post("/v1/models/affine:predict", json=ROWS).status_code == 200


def test_key_updates_end(secure):
    """RFC 8446 §4.6.3: every update costs a derivation of keys; who sends nothing else is cut off."""
    client = subprocess.Popen(["openssl", "s_client", "-tls1_3", "-connect", secure.address], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, text=True)  # fmt: skip
    said, _ = client.communicate("K\n" * 200, timeout=20)
    assert "KEYUPDATE" in said and said.count("KEYUPDATE") < 200, said[-800:]
    assert secure.post("/v1/models/affine:predict", json=ROWS).status_code == 200


def test_handshakes_that_never_end(secure):
    """Torn after every few bytes, garbage, and plain HTTP: none of them is in the way of others."""
    context, out = ssl.create_default_context(), ssl.MemoryBIO()
    with pytest.raises(ssl.SSLWantReadError):
        context.wrap_bio(ssl.MemoryBIO(), out, server_hostname="localhost").do_handshake()
    hello, open_ones = out.read(), []
    for k in range(300):
        s = socket.create_connection((secure.host, secure.port), timeout=10)
        s.sendall([hello[: 5 * k + 1], os.urandom(200), b"GET / HTTP/1.1\r\n\r\n", b"\x16\x03\x01\xff\xff" + bytes(k)][k % 4])
        open_ones.append(s)
    before = secure.peak()
    for _ in range(20):
        assert secure.post("/v1/models/affine:predict", json=ROWS).status_code == 200
    for k, s in enumerate(open_ones):
        if k % 4 == 1 or k % 4 == 2:  # what is no handshake is let go at once
            while s.recv(4096):
                pass
        s.close()
    assert secure.peak() - before < 8 << 20


def test_grpc(secure):
    trust = grpc.ssl_channel_credentials((secure.pki / "ca.pem").read_bytes())
    with grpc.secure_channel(secure.address, trust) as c:
        stub = service_pb2_grpc.GRPCInferenceServiceStub(c)
        calls = [stub.ModelInfer.future(infer()) for _ in range(100)]
        assert all(call.result(timeout=20).outputs for call in calls)


def test_client_certificates(store, pki):
    use(pki, "server")
    s = Secure(store, pki, "--tls-client-ca", str(pki / "ca.pem"), models=("affine@1",))
    with pytest.raises(requests.exceptions.RequestException):
        s.get("/readyz")
    with pytest.raises(requests.exceptions.RequestException):
        s.get("/readyz", cert=(str(pki / "stranger.pem"), str(pki / "stranger.key")))
    mine = (str(pki / "client.pem"), str(pki / "client.key"))
    assert s.post("/v1/models/affine:predict", json=ROWS, cert=mine).status_code == 200
    s.stop()


def test_admin_api(store, pki):
    """With --admin-tls its listener speaks TLS as well, and asks for the same client certificates."""
    use(pki, "server")
    s = Secure(store, pki, "--admin-tls", "--tls-client-ca", str(pki / "ca.pem"), models=("affine@1",))
    admin = s.process.stdout.readline().split()[-1]
    mine = (str(pki / "client.pem"), str(pki / "client.key"))
    assert admin.startswith("https://") and s.session.get(admin + "/admin/models", cert=mine, timeout=20).status_code == 200
    with pytest.raises(requests.exceptions.RequestException):
        s.session.get(admin + "/admin/models", timeout=20)
    with pytest.raises(requests.exceptions.RequestException):
        requests.get("http" + admin[5:] + "/admin/models", timeout=20)
    s.stop()
    r = store.run("serve", "--listen", "127.0.0.1:0", "--admin-tls", check=False)
    assert r.returncode == 64 and "--admin-tls" in r.stderr


@pytest.mark.parametrize("how", ["signal", "change"])
def test_new_certificate_without_a_break(secure, how):
    """Connections live on through it, new ones see the new certificate, a bad file changes nothing."""
    stop, failed, done = threading.Event(), [], []

    def load():
        session = requests.Session()
        session.trust_env, session.verify = False, secure.session.verify
        while not stop.is_set():
            r = session.post(secure.url + "/v1/models/affine:predict", json=ROWS, timeout=20)
            (done if r.status_code == 200 else failed).append(1)

    threads = [threading.Thread(target=load) for _ in range(4)]
    for t in threads:
        t.start()
    assert subject(secure) == "server"
    use(secure.pki, "server2")
    if how == "signal":
        secure.process.send_signal(signal.SIGHUP)
    assert until(lambda: subject(secure) == "server2", 10)
    (secure.pki / "now.pem").write_text("no certificate")
    secure.process.send_signal(signal.SIGHUP)
    assert not until(lambda: subject(secure) != "server2", 0.5)
    stop.set()
    for t in threads:
        t.join()
    assert not failed and len(done) > 20


def test_bad_files_are_named(store, tmp_path):
    bad = tmp_path / "bad.pem"
    bad.write_text("x")
    r = store.run("serve", "--listen", "127.0.0.1:0", "--tls-cert", str(bad), "--tls-key", str(bad), check=False)
    assert r.returncode != 0 and "bad.pem" in r.stderr
    r = store.run("serve", "--listen", "127.0.0.1:0", "--tls-cert", str(bad), check=False)
    assert r.returncode == 64 and "--tls-key" in r.stderr


def test_unix_socket(store, tmp_path):
    path = str(tmp_path / "s")
    process = serve("affine@1", "--store", store.folder, "--listen", "unix:" + path, "--admin", "off", "--log", "error")
    assert process.stdout.readline() == f"listening on unix:{path}\n"
    c = http.client.HTTPConnection("localhost")
    c.sock = socket.socket(socket.AF_UNIX)
    c.sock.connect(path)
    c.request("GET", "/readyz")
    assert c.getresponse().status == 200
    with grpc.insecure_channel("unix:" + path) as channel:
        stub = service_pb2_grpc.GRPCInferenceServiceStub(channel)
        assert stub.ServerLive(service_pb2.ServerLiveRequest()).live and stub.ModelInfer(infer()).outputs
    c.close()
    process.send_signal(signal.SIGTERM)
    assert process.wait(20) == 0 and not os.path.exists(path)


def test_as_other_servers(store):
    """--as opens the ports of others; some may be taken on the machine that tests."""
    free = []
    for port in (8500, 8501, 5000):
        with socket.socket() as s:
            s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                s.bind(("127.0.0.1", port))
                free.append(port)
            except OSError:
                pass
    if len(free) < 3:
        pytest.skip("ports are taken")
    s = Server(store, "--as", "tfserving,mlflow", models=("affine@1",))
    assert requests.post("http://127.0.0.1:8501/v1/models/affine:predict", json=ROWS, timeout=10).status_code == 200
    assert requests.get("http://127.0.0.1:5000/ping", timeout=10).status_code == 200
    with grpc.insecure_channel("127.0.0.1:8500") as channel:
        assert service_pb2_grpc.GRPCInferenceServiceStub(channel).ServerLive(service_pb2.ServerLiveRequest()).live
    assert s.stop()[0] == 0
    r = store.run("serve", "--as", "nobody", check=False)
    assert r.returncode == 64 and "tfserving" in r.stderr
