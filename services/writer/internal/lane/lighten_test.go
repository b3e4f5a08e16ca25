package lane

import (
	"bytes"
	"log/slog"
	"maps"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/waybill-data/waybill/pkg/buffers"
)

// Whose turn it is to give memory back is decided by what is out once garbage is collected, and nobody's where that was
// enough or memory is not short.
func TestMemoryIsLookedAtAgainOnceCollected(t *testing.T) {
	const buffer, budget = 1 << 10, 4 << 10
	for _, test := range []struct {
		name string
		// out are the buffers that are out, garbage those of them that a collection finds. From five on calls without
		// an Open may have too much, from nine on there is too much of all.
		out, garbage int
		silent       bool
		// lately says that there was a collection just now.
		lately bool
		ends   []string
	}{
		{"memory is not short", 4, 0, true, false, nil},
		{"nor just behind a collection", 4, 0, true, true, nil},
		{"calls have too much", 5, 0, true, false, []string{"silent"}},
		{"calls have too much, just behind a collection", 5, 0, true, true, []string{"silent"}},
		{"calls have too much that is garbage", 5, 1, true, false, nil},
		{"lanes have what they may", 8, 0, false, false, nil},
		{"lanes have too much", 9, 0, false, false, []string{"lane"}},
		{"lanes have too much that is garbage", 9, 1, false, false, nil},
		{"all have too much", 9, 0, true, false, []string{"silent"}},
		{"all have too much, of which a part is garbage", 9, 1, true, false, []string{"silent"}},
		{"all have too much that is garbage", 9, 5, true, false, nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				boards := map[string]*board{"lane": {outside: 1}}
				if test.silent {
					boards["silent"] = &board{unopened: true, now: Status{Since: time.Now()}}
				}
				s, cut := relieved(boards)
				s.Received = buffers.NewCounted(2*budget, buffer)
				s.Received.Ahead(budget)
				time.Sleep(opensWithin)
				var out []*[]byte
				for range test.out {
					out = append(out, s.Received.Get(buffer))
				}
				s.collect = func() {
					for range test.garbage {
						s.Received.Put(out[0])
						out = out[1:]
					}
				}
				if test.lately {
					s.collected = time.Now()
				}
				ended := s.lighten()
				got := slices.Sorted(maps.Keys(cut()))
				if diff := cmp.Diff(test.ends, got); diff != "" || ended != (len(test.ends) > 0) {
					t.Errorf("says %v of\n%s", ended, diff)
				}
			})
		})
	}
}

// A call that ends before its connection is said to carry it, or to await it, gives nothing back that it does not have.
func TestCallsGiveBackWhatTheyHave(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var lines bytes.Buffer
		w := startWriter(t, &Service{Sink: &odd{}, Log: slog.New(slog.NewTextHandler(&lines, nil))})
		silent, err := w.client.Lane(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if err := silent.CloseSend(); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		w.stop()
		if text := lines.String(); bytes.Contains(lines.Bytes(), []byte("panicked")) ||
			!bytes.Contains(lines.Bytes(), []byte("before it was opened")) {
			t.Errorf("the log says\n%s", text)
		}
	})
}
