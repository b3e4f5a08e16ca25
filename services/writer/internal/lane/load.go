package lane

import (
	"sync/atomic"
	"time"
)

// Load is what the lanes of a process carry, counted since it began but for Lanes and Full.
type Load struct {
	// Lanes are those whose call is open, Busy those of them with batches, and Full those of which ingest may send
	// nothing more until some settle.
	Lanes, Busy, Full int
	// Bytes of rows were settled.
	Bytes int64
	// Settling is the time from receiving batches to settling them, added up; Responding is the part of it after their
	// rows had gone to the sink.
	Settling, Responding time.Duration
}

// work counts what is settled; the owners of lanes write it, once a batch.
type work struct {
	bytes, settling, responding atomic.Int64
}

func (w *work) settled(b *batch, now int64) {
	w.bytes.Add(b.bytes)
	w.settling.Add(now - b.received)
	if b.launched > 0 {
		w.responding.Add(now - b.launched)
	}
}

// Load is the load as of now.
func (s *Service) Load() Load {
	s.init()
	load := Load{
		Bytes: s.work.bytes.Load(), Settling: time.Duration(s.work.settling.Load()),
		Responding: time.Duration(s.work.responding.Load()),
	}
	for _, l := range s.list() {
		load.Lanes++
		b := &l.status
		b.mu.Lock()
		if b.now.Window > 0 {
			load.Busy++
		}
		if b.now.Window >= s.Limits.WindowBatches || b.now.Bytes >= s.Limits.WindowBytes {
			load.Full++
		}
		b.mu.Unlock()
	}
	return load
}
