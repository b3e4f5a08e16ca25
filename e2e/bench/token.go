package bench

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"time"
)

// tokens serves what a token endpoint does: Google's client asks one before it sends credentials. The emulator looks at
// no token.
func tokens(ctx context.Context) (address string, stop func(), err error) {
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return "", nil, err
	}
	server := &http.Server{ReadHeaderTimeout: 10 * time.Second, Handler: http.HandlerFunc(func(w http.ResponseWriter,
		_ *http.Request,
	) {
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprint(w, `{"access_token":"bench","token_type":"Bearer","expires_in":86400}`)
	})}
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = server.Serve(listener) // ends with ErrServerClosed
	}()
	return listener.Addr().String(), func() {
		_ = server.Close() // nobody is served any more
		<-done
	}, nil
}
