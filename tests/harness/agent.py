"""What Istio's agent does beside an Envoy: it hands out the workload's certificate and the mesh's roots (SDS)."""
import importlib
from concurrent import futures

import grpc

from . import config
from .ads import pack

_discovery = importlib.import_module("envoy.service.discovery.v3.discovery_pb2")
_sds = importlib.import_module("envoy.service.secret.v3.sds_pb2_grpc")


class Agent(_sds.SecretDiscoveryServiceServicer):
    def __init__(self, identity):
        self._secrets = {"default": pack(config.secret_pair("default", identity)),
                         "ROOTCA": pack(config.secret_trust("ROOTCA", identity.root.read_bytes()))}
        self._server = grpc.server(futures.ThreadPoolExecutor(8))
        _sds.add_SecretDiscoveryServiceServicer_to_server(self, self._server)
        self.port = self._server.add_insecure_port("127.0.0.1:0")
        self._server.start()

    def StreamSecrets(self, request_iterator, context):
        try:
            for r in request_iterator:
                if not r.version_info:
                    yield _discovery.DiscoveryResponse(version_info="1", nonce="1", type_url=r.type_url, resources=[
                        self._secrets[n] for n in r.resource_names if n in self._secrets])
        except grpc.RpcError:
            pass

    def close(self):
        self._server.stop(0).wait(5)
