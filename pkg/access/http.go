package access

import (
	"net/http"
	"strings"
)

// HTTP serves requests of those who may make them: 401 for who is unknown, 403 for who has not the right.
func (g *Guard) HTTP(next http.Handler) http.Handler {
	if g == nil {
		return next
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		scheme, bearer, _ := strings.Cut(r.Header.Get("Authorization"), " ")
		if !strings.EqualFold(scheme, "bearer") {
			bearer = ""
		}
		ctx, no := g.admit(r.Context(), needed(pages, r.URL.Path), shortened(r.URL.Path), r.RemoteAddr, r.TLS,
			strings.TrimSpace(bearer))
		switch {
		case no == nil:
			next.ServeHTTP(w, r.WithContext(ctx))
		case no.why == denied:
			http.Error(w, no.message, http.StatusForbidden)
		default:
			w.Header().Set("WWW-Authenticate", `Bearer realm="waybill"`)
			// Its certificate may have ended: the next connection shows what was renewed since.
			w.Header().Set("Connection", "close")
			http.Error(w, no.message, http.StatusUnauthorized)
		}
	})
}

// shortened is the beginning of a path, for a line in the log.
func shortened(path string) string { return path[:min(len(path), 100)] }
