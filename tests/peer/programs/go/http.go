package main

import (
	"bytes"
	"crypto/rand"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"time"
)

const many = 30

func protocols(two bool) *http.Protocols {
	p := new(http.Protocols)
	p.SetHTTP1(!two)
	p.SetHTTP2(two)
	p.SetUnencryptedHTTP2(two)
	return p
}

// serveHTTP has /hello and /echo, in HTTP/1.1 and in HTTP/2 without TLS on one port.
func serveHTTP() {
	mux := http.NewServeMux()
	mux.HandleFunc("/hello", func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "hello") })
	mux.HandleFunc("/echo", func(w http.ResponseWriter, r *http.Request) {
		http.NewResponseController(w).EnableFullDuplex()
		io.Copy(w, r.Body)
	})
	p := protocols(true)
	p.SetHTTP1(true)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(err)
	fmt.Println("ready", l.Addr().(*net.TCPAddr).Port)
	must((&http.Server{Handler: mux, Protocols: p}).Serve(l))
}

type cell struct {
	Name    string `json:"name"`
	URL     string `json:"url"`
	Path    string `json:"path"`
	Version int    `json:"version"`
	Store   bool   `json:"store"`
}

func hello(c *http.Client, it cell) error {
	r, err := c.Get(it.URL + "/hello")
	if err != nil {
		return err
	}
	defer r.Body.Close()
	said, err := io.ReadAll(r.Body)
	if err == nil && (string(said) != "hello" || r.ProtoMajor != it.Version) {
		err = fmt.Errorf("status %d, %s, %q", r.StatusCode, r.Proto, said)
	}
	return err
}

func upload(c *http.Client, it cell, body []byte, sent io.Reader) error {
	method := "POST"
	if it.Store {
		method = "PUT"
	}
	q, err := http.NewRequest(method, it.URL+it.Path, sent)
	if err != nil {
		return err
	}
	r, err := c.Do(q)
	if err == nil && it.Store {
		io.Copy(io.Discard, r.Body)
		r.Body.Close()
		r, err = c.Get(it.URL + it.Path)
	}
	if err != nil {
		return err
	}
	defer r.Body.Close()
	got, err := io.ReadAll(r.Body)
	if err == nil && !bytes.Equal(got, body) {
		err = fmt.Errorf("status %d, %d bytes came back", r.StatusCode, len(got))
	}
	return err
}

func tell(err error) string {
	if err != nil {
		return err.Error()
	}
	return "ok"
}

// callHTTP prints a JSON line for each cell of the list.
func callHTTP(list string) {
	var cells []cell
	must(json.Unmarshal([]byte(list), &cells))
	body := make([]byte, 1<<20)
	rand.Read(body)
	for _, it := range cells {
		t := &http.Transport{Protocols: protocols(it.Version == 2), TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}
		c := &http.Client{Transport: t, Timeout: 20 * time.Second}
		told := map[string]string{"name": it.Name}
		told["get"] = tell(hello(c, it))
		told["big"] = tell(upload(c, it, body, bytes.NewReader(body)))
		told["stream"] = tell(upload(c, it, body, struct{ io.Reader }{bytes.NewReader(body)}))
		var err error
		for i := 0; i < many && err == nil; i++ {
			err = hello(c, it)
		}
		told["many"] = tell(err)
		t.CloseIdleConnections()
		json.NewEncoder(os.Stdout).Encode(told)
	}
}
