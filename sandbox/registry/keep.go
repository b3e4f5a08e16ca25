package registry

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"github.com/twmb/franz-go/pkg/sr"
	"github.com/twmb/franz-go/pkg/sr/srfake"

	"github.com/waybill-data/waybill/sandbox/internal/admin"
)

// keeper keeps what is registered in a file: records in Kafka name schemas by ids, and both have to outlive the
// process.
type keeper struct {
	fake *srfake.Registry
	path string

	mu sync.Mutex
	// highest is the highest version of each subject.
	highest map[string]int
}

// restore registers what the file holds, with the same ids.
func (k *keeper) restore() error {
	text, err := os.ReadFile(k.path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	var kept []sr.SubjectSchema
	if err := json.Unmarshal(text, &kept); err != nil {
		return fmt.Errorf("%s: %w", k.path, err)
	}
	// What a schema refers to has a lower id.
	slices.SortStableFunc(kept, func(a, b sr.SubjectSchema) int { return cmp.Compare(a.ID, b.ID) })
	ids := map[int]bool{}
	for _, s := range kept {
		if ids[s.ID] {
			// The same schema under another subject: the registry finds its id by the text.
			if _, _, err := k.fake.RegisterSchema(s.Subject, s.Schema); err != nil {
				return fmt.Errorf("%s: %w", k.path, err)
			}
		} else {
			k.seed(s)
		}
		ids[s.ID] = true
		k.highest[s.Subject] = max(k.highest[s.Subject], s.Version)
	}
	return nil
}

// seed puts a schema where the registry does not have it yet.
func (k *keeper) seed(s sr.SubjectSchema) {
	if _, there := k.fake.GetSchema(s.Subject, s.Version); !there {
		k.fake.SeedSchema(s.Subject, s.Version, s.ID, s.Schema)
	}
	k.highest[s.Subject] = max(k.highest[s.Subject], s.Version)
}

// wrap keeps what a handler has changed, before the response is sent.
func (k *keeper) wrap(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodGet {
			next.ServeHTTP(w, r)
			return
		}
		held := &heldResponse{ResponseWriter: w, status: http.StatusOK}
		next.ServeHTTP(held, r)
		if rest, ok := strings.CutPrefix(r.URL.EscapedPath(), "/subjects/"); ok && held.status < 300 {
			subject, _, _ := strings.Cut(rest, "/")
			if err := k.keep(subject); err != nil {
				admin.Respond(w, http.StatusInternalServerError,
					map[string]any{"error_code": 50001, "message": err.Error()})
				return
			}
		}
		held.release()
	})
}

// keep writes everything down, all or nothing.
func (k *keeper) keep(escaped string) error {
	subject, err := url.PathUnescape(escaped)
	if err != nil {
		return err
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.highest[subject]++ // at most one more than before
	var kept []sr.SubjectSchema
	for name, highest := range k.highest {
		last := 0
		for version := 1; version <= highest; version++ {
			if s, ok := k.fake.GetSchema(name, version); ok {
				kept, last = append(kept, s), version
			}
		}
		k.highest[name] = max(last, highest-1)
	}
	slices.SortFunc(kept, func(a, b sr.SubjectSchema) int {
		return cmp.Or(cmp.Compare(a.ID, b.ID), cmp.Compare(a.Subject, b.Subject))
	})
	text, err := json.MarshalIndent(kept, "", "  ")
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(k.path), 0o755); err != nil {
		return err
	}
	if err := os.WriteFile(k.path+".new", text, 0o644); err != nil {
		return err
	}
	return os.Rename(k.path+".new", k.path)
}

// heldResponse retains a response.
type heldResponse struct {
	http.ResponseWriter
	status int
	body   []byte
}

func (h *heldResponse) WriteHeader(status int) { h.status = status }

func (h *heldResponse) Write(b []byte) (int, error) {
	h.body = append(h.body, b...)
	return len(b), nil
}

func (h *heldResponse) release() {
	h.ResponseWriter.WriteHeader(h.status)
	_, _ = h.ResponseWriter.Write(h.body) // the client is gone
}
