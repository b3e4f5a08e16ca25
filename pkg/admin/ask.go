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

// Question is what Ask asks a process.
type Question string

// The questions: whether the process can do its work, and whether it is there at all.
const (
	IsReady Question = "/readyz"
	IsLive  Question = "/healthz"
)

// Ask asks the process that serves its admin port at this address on this machine, by TLS unless secure is nil. Nil is
// yes; else the error is the process's reason, or that nobody answers. It is for the health commands of images that
// have no shell.
func Ask(ctx context.Context, listen string, secure *tls.Config, q Question) (err error) {
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
		return fmt.Errorf("nobody answers: %w", err)
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
