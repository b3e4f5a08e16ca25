package bench

import (
	"crypto/tls"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"os"
	"testing"
)

// What the servers show is what the clients trust.
func TestCertificates(t *testing.T) {
	files, err := certificates(t.TempDir(), "127.0.0.1:1")
	if err != nil {
		t.Fatal(err)
	}
	pair, err := tls.LoadX509KeyPair(files.Cert, files.Key)
	if err != nil {
		t.Fatal(err)
	}
	listener, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: []tls.Certificate{pair}})
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	served := make(chan error, 1)
	go func() {
		c, err := listener.Accept()
		if err == nil {
			_, err = io.WriteString(c, "hello")
			c.Close()
		}
		served <- err
	}()
	trust, err := clientTLS(files)
	if err != nil {
		t.Fatal(err)
	}
	c, err := tls.Dial("tcp", listener.Addr().(*net.TCPAddr).String(), trust)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close() //nolint:errcheck // It was only read.
	if text, err := io.ReadAll(c); err != nil || string(text) != "hello" {
		t.Errorf("%q, %v", text, err)
	}
	if err := <-served; err != nil {
		t.Error(err)
	}
	if none, err := clientTLS(nil); none != nil || err != nil {
		t.Errorf("without TLS: %v, %v", none, err)
	}
}

func TestTokens(t *testing.T) {
	address, stop, err := tokens(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer stop()
	response, err := http.Post("http://"+address+"/token", "", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	var token struct {
		Token string `json:"access_token"`
		Lasts int    `json:"expires_in"`
	}
	if err := json.NewDecoder(response.Body).Decode(&token); err != nil || token.Token == "" || token.Lasts < 3600 {
		t.Errorf("%+v, %v", token, err)
	}
}

// Every workload's files and records are there, and its sample is of the asked size at most.
func TestSamples(t *testing.T) {
	for _, w := range Workloads() {
		dir := t.TempDir()
		if err := w.write(dir); err != nil {
			t.Error(err)
		}
		path := dir + "/sample"
		if err := w.sample(path, 50); err != nil {
			t.Fatal(err)
		}
		if info, err := os.Stat(path); err != nil || info.Size() < 50*40 || info.Size() > 50*40_000 {
			t.Errorf("%s: sample of 50 records: %v, %v", w.Name, info, err)
		}
		for name := range w.files {
			if _, err := os.Stat(dir + "/" + name); err != nil {
				t.Error(err)
			}
		}
	}
}
