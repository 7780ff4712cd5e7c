// A service that says what it saw: one line a request on standard output, and the request's id in the answer.
// The line: port of the peer, method, target, x-id, length and CRC-32 of the body, parted by tabs; target and id
// in hexadecimal digits, as in the answer.
package main

import (
	"fmt"
	"hash/crc32"
	"io"
	"net"
	"net/http"
	"os"
	"sync"
)

func main() {
	var lock sync.Mutex
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	fmt.Println(listener.Addr().(*net.TCPAddr).Port)
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			w.Header().Set("connection", "close")
			w.WriteHeader(400)
			return
		}
		_, port, _ := net.SplitHostPort(r.RemoteAddr)
		lock.Lock()
		fmt.Fprintf(os.Stdout, "%s\t%s\t%x\t%x\t%d\t%d\n", port, r.Method, r.RequestURI, r.Header.Get("x-id"),
			len(body), crc32.ChecksumIEEE(body))
		lock.Unlock()
		w.Header().Set("x-seen", fmt.Sprintf("%x", r.Header.Get("x-id")))
		w.Write([]byte("seen"))
	})}
	panic(server.Serve(listener))
}
