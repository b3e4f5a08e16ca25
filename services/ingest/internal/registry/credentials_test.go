package registry

import (
	"encoding/base64"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"

	"github.com/waybill-data/waybill/pkg/config"
	"github.com/waybill-data/waybill/pkg/tlsfiles/tlstest"
)

// Authority, client certificate and password that are renewed in place are those of the next connection and the next
// request.
func TestCredentialsRenewedInPlace(t *testing.T) {
	first, second := tlstest.NewAuthority(t), tlstest.NewAuthority(t)
	files, mine := tlstest.Files(t), tlstest.Files(t)
	tlstest.Renew(t, files, first, first)
	tlstest.Renew(t, mine, first, first)
	dir := t.TempDir()
	write := func(name, text string) {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	var wants atomic.Pointer[string]
	set := func(password string) {
		header := "Basic " + base64.StdEncoding.EncodeToString([]byte("ann:"+password))
		wants.Store(&header)
	}
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if got := r.Header.Get("Authorization"); got != *wants.Load() {
			http.Error(w, `{"error_code":401,"message":"no"}`, http.StatusUnauthorized)
			return
		}
		_, _ = w.Write([]byte("[]"))
	}))
	server.TLS = tlstest.Server(files)
	server.StartTLS()
	defer server.Close()
	write("password", "before\n")
	write("config.yaml",
		"user: ann\npassword: file:password\nurls: ["+server.URL+"]\ntls: {ca: "+mine.CA+", cert: "+mine.Cert+", key: "+
			mine.Key+"}\n")
	c := Defaults()
	if err := config.Load(filepath.Join(dir, "config.yaml"), &c); err != nil {
		t.Fatal(err)
	}
	client, err := New(c, slog.New(slog.DiscardHandler), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	set("before")
	if err := client.Ping(t.Context()); err != nil {
		t.Fatal(err)
	}
	set("after")
	if err := client.Ping(t.Context()); err == nil {
		t.Error("the old password is taken")
	}
	write("password", "after\n")
	tlstest.Renew(t, files, second, second)
	tlstest.Renew(t, mine, second, second)
	server.CloseClientConnections()
	if err := client.Ping(t.Context()); err != nil {
		t.Errorf("after the renewal: %v", err)
	}
}
