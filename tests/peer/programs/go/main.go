// Command peer is Go's side of the tests with real clients and servers: net/http, and gRPC with its suite of
// interoperability tests.
package main

import (
	"fmt"
	"os"
)

func must(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func main() {
	word, rest := "", []string{}
	if len(os.Args) > 1 {
		word, rest = os.Args[1], os.Args[2:]
	}
	switch {
	case word == "http-server":
		serveHTTP()
	case word == "http-client" && len(rest) == 1:
		callHTTP(rest[0])
	case word == "grpc-server":
		serveGRPC()
	case word == "grpc-client" && len(rest) > 1:
		callGRPC(rest[0], rest[1:])
	default:
		fmt.Fprintln(os.Stderr, "peer http-server | http-client CELLS | grpc-server | grpc-client ADDRESS CASE...")
		os.Exit(2)
	}
}
