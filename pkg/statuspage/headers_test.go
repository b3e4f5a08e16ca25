package statuspage

import (
	"net/http"
	"strings"
	"testing"
)

// Pages forbid browsers what they do not need: scripts and styles of others, being framed, guessing types, keeping
// copies, telling others where somebody came from. What is not there does as well.
func TestPagesForbidWhatTheyDoNotNeed(t *testing.T) {
	h := New(t.Context(), viewOf(fake{tables: 1, lanes: 1}))
	for _, path := range []string{"/", "/fleet", "/events", "/lane?topic=none&partition=0"} {
		header := get(t, h, path).Header()
		for name, want := range map[string]string{
			"X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer", "Cache-Control": "no-store",
			"Content-Type": "text/html; charset=utf-8",
		} {
			if got := header.Get(name); got != want {
				t.Errorf("GET %s: %s is %q, want %q", path, name, got, want)
			}
		}
		policy := header.Get("Content-Security-Policy")
		for _, part := range []string{
			"default-src 'none'", "script-src 'self'", "frame-ancestors 'none'", "base-uri 'none'",
			"form-action 'self'",
		} {
			if !strings.Contains(policy, part) {
				t.Errorf("GET %s: the policy %q lacks %q", path, policy, part)
			}
		}
		if origin := header.Get("Access-Control-Allow-Origin"); origin != "" || header.Get("Server") != "" {
			t.Errorf("GET %s: other origins %q, server %q", path, origin, header.Get("Server"))
		}
	}
	for _, path := range []string{"/page.js", "/"} {
		w := get(t, h, path)
		if w.Code != http.StatusOK || w.Header().Get("Set-Cookie") != "" {
			t.Errorf("GET %s: %d, cookie %q", path, w.Code, w.Header().Get("Set-Cookie"))
		}
		for _, kept := range []string{"localStorage", "sessionStorage", "indexedDB", "document.cookie", "eval("} {
			if strings.Contains(w.Body.String(), kept) {
				t.Errorf("GET %s uses %s", path, kept)
			}
		}
	}
	if code := get(t, h, "/lane?topic=none&partition=0").Code; code != http.StatusNotFound {
		t.Errorf("a lane that is not there: %d", code)
	}
}
