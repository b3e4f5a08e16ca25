package admin

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
)

// Endpoint is what Probe requests of a process.
type Endpoint string

// The endpoints: whether the process can do its work, and whether it is there at all.
const (
	IsReady Endpoint = "/readyz"
	IsLive  Endpoint = "/healthz"
)

// Probe requests an endpoint of the process that serves its admin port at this address on this machine, by TLS unless
// secure is nil. Nil is yes; else the error is the process's reason, or that nobody responds. It is for the health
// commands of images that have no shell.
func Probe(ctx context.Context, listen string, secure *tls.Config, q Endpoint) (err error) {
	host, port, err := net.SplitHostPort(listen)
	if err != nil {
		return fmt.Errorf("admin.listen: %w", err)
	}
	if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
		host = "localhost"
	}
	client, scheme := http.DefaultClient, "http://"
	if secure != nil {
		transport := &http.Transport{TLSClientConfig: secure}
		defer transport.CloseIdleConnections()
		client, scheme = &http.Client{Transport: transport}, "https://"
	}
	address := scheme + net.JoinHostPort(host, port) + string(q)
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return err
	}
	response, err := client.Do(request)
	if err != nil {
		return fmt.Errorf("nobody responds: %w", err)
	}
	defer func() { err = errors.Join(err, response.Body.Close()) }()
	said, err := io.ReadAll(io.LimitReader(response.Body, 64<<10))
	if err != nil {
		return err
	}
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("not ready: %s", strings.TrimSpace(string(said)))
	}
	return nil
}
