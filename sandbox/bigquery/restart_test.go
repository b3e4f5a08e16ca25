package bigquery_test

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"cloud.google.com/go/bigquery/storage/apiv1/storagepb"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	emulator "github.com/waybill-data/waybill/sandbox/bigquery"
)

// TestRestartCutsTornTail starts over on copies of a directory whose last file ends at every byte of its last frames.
func TestRestartCutsTornTail(t *testing.T) {
	dir := t.TempDir()
	b := start(t, emulator.Config{Dir: dir})
	b.createTable()
	open, done := b.createStream(storagepb.WriteStream_COMMITTED), b.createStream(storagepb.WriteStream_COMMITTED)
	a := b.open(open)
	a.mustAppend(0, encoded(t, 0, 5))
	whole := size(t, dir, open)
	a.mustAppend(5, encoded(t, 5, 6))
	b.open(done).mustAppend(0, encoded(t, 6, 9))
	if _, err := b.write.FinalizeWriteStream(t.Context(),
		&storagepb.FinalizeWriteStreamRequest{Name: done}); err != nil {
		t.Fatal(err)
	}
	end := size(t, dir, open)
	for cut := whole; cut <= end; cut += 7 {
		t.Run(fmt.Sprint(cut-whole), func(t *testing.T) {
			copied := filepath.Join(t.TempDir(), "copy")
			if err := os.CopyFS(copied, os.DirFS(dir)); err != nil {
				t.Fatal(err)
			}
			if err := os.Truncate(path(copied, open), cut); err != nil {
				t.Fatal(err)
			}
			b := start(t, emulator.Config{Dir: copied})
			b.wantCount(8)
			err := status.ErrorProto(b.open(open).append(0, encoded(t, 0, 1)).GetError())
			wantCode(t, err, codes.AlreadyExists)
			b.open(open).mustAppend(5, encoded(t, 5, 7))
			b.wantCount(10)
			out, err := b.write.FinalizeWriteStream(t.Context(), &storagepb.FinalizeWriteStreamRequest{Name: done})
			if err != nil || out.RowCount != 3 {
				t.Fatal(out, err)
			}
			wantCode(t, status.ErrorProto(b.open(done).append(3, encoded(t, 9, 10)).GetError()), codes.InvalidArgument)
		})
	}
}

// An emulator that is closed is closed: again does nothing, and another may have the directory.
func TestCloseAgain(t *testing.T) {
	config := emulator.Config{Dir: t.TempDir(), Datasets: []string{"sandbox.waybill"}}
	for range 2 {
		e, err := emulator.Start(t.Context(), config)
		if err != nil {
			t.Fatal(err)
		}
		closed := make(chan error)
		go func() {
			for range 3 {
				closed <- e.Close()
			}
		}()
		for n := range 3 {
			select {
			case err := <-closed:
				if err != nil {
					t.Errorf("close %d: %v", n+1, err)
				}
			case <-time.After(time.Minute):
				t.Fatalf("close %d does not return", n+1)
			}
		}
	}
}

func path(dir, stream string) string {
	return filepath.Join(dir, "sandbox", dataset, "delivery_events", filepath.Base(stream)+".stream")
}

func size(t *testing.T, dir, stream string) int64 {
	t.Helper()
	info, err := os.Stat(path(dir, stream))
	if err != nil {
		t.Fatal(err)
	}
	return info.Size()
}

func TestDiscardCounts(t *testing.T) {
	b := start(t, emulator.Config{Discard: true})
	b.createTable()
	stream := b.createStream(storagepb.WriteStream_COMMITTED)
	a := b.open(stream)
	a.mustAppend(0, encoded(t, 0, 5))
	a.mustAppend(5, encoded(t, 5, 300))
	wantCode(t, status.ErrorProto(a.append(5, encoded(t, 0, 1)).GetError()), codes.AlreadyExists)
	out, err := b.write.FinalizeWriteStream(t.Context(), &storagepb.FinalizeWriteStreamRequest{Name: stream})
	if err != nil || out.RowCount != 300 {
		t.Fatal(out, err)
	}
	if s := b.e.Stats(); s.Rows != 300 || s.Appends != 2 || s.Refused != 1 {
		t.Fatalf("%+v", s)
	}
}
