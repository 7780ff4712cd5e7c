"""What the end-to-end tests, the peer tests and the benchmark share: processes, ports, certificates,
proxy configuration in Envoy's shape, services to proxy to, and an xDS server."""
