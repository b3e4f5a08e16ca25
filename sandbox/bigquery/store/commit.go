package store

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"cloud.google.com/go/bigquery/storage/apiv1/storagepb"
	"google.golang.org/grpc/codes"
)

// Commit makes the rows of PENDING streams readable, all of them or none: one frame in the table's commit file names
// them all. refusals, one for each stream that stands in the way, mean that nothing was committed.
func (t *Table) Commit(names []string) (at time.Time, refusals []*Error, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	var streams []*Stream
	var ids []string
	for _, name := range names {
		id, ours := strings.CutPrefix(name, t.Name()+"/streams/")
		st := t.byID[id]
		if !ours || st == nil || st.expired() {
			refusals = append(refusals, streamNotFound(name))
			continue
		}
		if refusal := st.committable(); refusal != nil {
			refusals = append(refusals, refusal)
			continue
		}
		streams, ids = append(streams, st), append(ids, id)
	}
	if len(refusals) > 0 {
		return time.Time{}, refusals, nil
	}
	now := t.store.clock.Now()
	if !t.store.cfg.Discard {
		err = t.appendCommit(&frame{kind: frameCommit, rows: len(ids), micros: now.UnixMicro()},
			strings.Join(ids, "\n"))
	}
	if err != nil {
		return time.Time{}, nil, err
	}
	for _, st := range streams {
		st.mu.Lock()
		st.committed = now.UnixMicro()
		st.mu.Unlock()
	}
	return now, nil, nil
}

func (s *Stream) committable() *Error {
	s.mu.Lock()
	defer s.mu.Unlock()
	refuse := func(code storagepb.StorageError_StorageErrorCode, why string) *Error {
		return &Error{Code: codes.InvalidArgument, Storage: code, Entity: s.name, Message: why + " Entity: " + s.name}
	}
	switch {
	case s.kind != storagepb.WriteStream_PENDING:
		return refuse(storagepb.StorageError_INVALID_STREAM_TYPE, "Only streams of type PENDING can be committed.")
	case s.committed != 0:
		return refuse(storagepb.StorageError_STREAM_ALREADY_COMMITTED, "Stream is already committed.")
	case !s.finalized:
		return refuse(storagepb.StorageError_INVALID_STREAM_STATE, "Stream must be finalized before it is committed.")
	}
	return nil
}

func (t *Table) commitPath() string { return filepath.Join(t.dir, "commits") }

func (t *Table) appendCommit(f *frame, ids string) error {
	file, err := os.OpenFile(t.commitPath(), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o644)
	if err != nil {
		return err
	}
	h := f.header([]byte(ids))
	_, err = file.Write(append(h[:], ids...))
	return errors.Join(err, file.Close())
}

func (t *Table) loadCommits() error {
	_, err := replay(t.commitPath(), func(file *os.File, f frame) error {
		ids, err := f.payload(file, nil)
		if err != nil {
			return err
		}
		for id := range strings.SplitSeq(string(ids), "\n") {
			if st := t.byID[id]; st != nil {
				st.committed = f.micros
			}
		}
		return nil
	})
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}
