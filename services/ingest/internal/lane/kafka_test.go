package lane

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/waybill-data/waybill/services/ingest/internal/kafkawire"
	"github.com/waybill-data/waybill/services/ingest/internal/record"
)

var errDead = errors.New("process is dead")

// partitionLog is a Kafka partition in memory: its records, the group's committed pair and generation, and the
// dead-letter topic.
type partitionLog struct {
	mu         sync.Mutex
	records    []record.Record // by offset from 0; those of a hole have a nil Value
	oldest     int64
	committed  Pair
	commits    int
	history    []Pair
	generation int
	letters    []record.Record
	reasons    map[int64]string
	grown      chan struct{} // closed and replaced when records come or go
}

func newPartitionLog() *partitionLog {
	return &partitionLog{committed: Pair{Position: -1}, reasons: map[int64]string{}, grown: make(chan struct{})}
}

// produce appends a record; kind is its key, text what follows its offset in the value. It returns the offset.
func (l *partitionLog) produce(kind, text string) int64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	offset := int64(len(l.records))
	l.records = append(l.records, record.Record{
		Topic: "orders", Partition: 3, Offset: offset, TimestampMicros: time.Now().UnixMicro(),
		Key: []byte(kind), Value: fmt.Appendf(nil, "%d:%s", offset, text),
	})
	close(l.grown)
	l.grown = make(chan struct{})
	return offset
}

// hole appends an offset without a record, as a transaction marker does.
func (l *partitionLog) hole() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.records = append(l.records, record.Record{Offset: int64(len(l.records))})
}

// truncate removes the records before an offset, as retention does.
func (l *partitionLog) truncate(oldest int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.oldest = oldest
	close(l.grown)
	l.grown = make(chan struct{})
}

func (l *partitionLog) end() int64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return int64(len(l.records))
}

func (l *partitionLog) pair() Pair {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.committed
}

// member is one process's claim on the partition.
type member struct {
	log        *partitionLog
	generation int
	// step is called before (and after) every effect; false means that the process has died: no effect, no response.
	step func(what string) bool
	// slow delays commits and dead letters.
	slow time.Duration
	// denied, when it is there, keeps dead letters from being produced until it is closed.
	denied chan struct{}
	// commitErr, when set, may fail an awaited commit after its effect.
	commitErr func() error

	tick time.Duration
	mu   sync.Mutex
	// unread: nobody has said where the partition ends. reading is what Trouble says.
	unread  bool
	reading string
	// readers are those not closed.
	readers int
	pending *Pair
	busy    chan struct{} // full during a commit: the broker gets one at a time, in order; no mutex, for the fake clock
}

// join starts a new generation.
func (l *partitionLog) join(step func(string) bool) *member {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.generation++
	return &member{log: l, generation: l.generation, step: step, tick: time.Second, busy: make(chan struct{}, 1)}
}

func (m *member) Topic() string   { return "orders" }
func (m *member) Number() int32   { return 3 }
func (m *member) Cluster() string { return "fake" }

func (m *member) Committed(context.Context) (Pair, error) {
	if !m.step("committed") {
		return Pair{}, errDead
	}
	return m.log.pair(), nil
}

func (m *member) Commit(ctx context.Context, p Pair) error {
	m.mu.Lock()
	m.pending = nil
	m.mu.Unlock()
	return m.commit(ctx, p)
}

func (m *member) commit(ctx context.Context, p Pair) error {
	m.busy <- struct{}{}
	defer func() { <-m.busy }()
	if m.slow > 0 {
		select {
		case <-time.After(m.slow):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if !m.step("commit") {
		return errDead
	}
	if err := m.write(p); err != nil {
		return err
	}
	if !m.step("commit confirmed") {
		return errDead
	}
	if m.commitErr != nil {
		return m.commitErr()
	}
	return nil
}

func (m *member) write(p Pair) error {
	m.log.mu.Lock()
	defer m.log.mu.Unlock()
	if m.generation != m.log.generation {
		return ErrFenced
	}
	m.log.committed = p
	m.log.commits++
	m.log.history = append(m.log.history, p)
	return nil
}

func (m *member) CommitLater(p Pair) {
	m.mu.Lock()
	m.pending = &p
	m.mu.Unlock()
}

// commitTicks commits what CommitLater was given, until ctx ends. end is called when the group has fenced the member.
func (m *member) commitTicks(ctx context.Context, end func()) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-time.After(m.tick):
		}
		m.busy <- struct{}{}
		m.mu.Lock()
		p := m.pending
		m.pending = nil
		m.mu.Unlock()
		if p != nil && m.step("tick") {
			_ = m.write(*p)
			m.step("tick confirmed")
		}
		<-m.busy
		// The heartbeat finds out as well, if the commit has not.
		m.log.mu.Lock()
		fenced := m.generation != m.log.generation
		m.log.mu.Unlock()
		if fenced {
			end()
		}
	}
}

func (m *member) Range(context.Context) (int64, int64, error) {
	m.log.mu.Lock()
	defer m.log.mu.Unlock()
	return m.log.oldest, int64(len(m.log.records)), nil
}

// Behind counts like the source: what is read and holds no record is no backlog.
func (m *member) Behind(position int64) int64 {
	m.log.mu.Lock()
	defer m.log.mu.Unlock()
	m.mu.Lock()
	unread := m.unread
	m.mu.Unlock()
	if unread {
		return -1
	}
	end := int64(len(m.log.records))
	for end > position && m.log.records[end-1].Value == nil {
		end--
	}
	return max(0, end-position)
}

func (m *member) Trouble() string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.reading
}

func (m *member) Read(ctx context.Context, from int64) (Reader, error) {
	if !m.step("read") {
		return nil, errDead
	}
	m.log.mu.Lock()
	defer m.log.mu.Unlock()
	if from < m.log.oldest || from > int64(len(m.log.records)) {
		return nil, ErrOffsetGone
	}
	m.mu.Lock()
	m.readers++
	m.mu.Unlock()
	return &logReader{member: m, next: from}, nil
}

func (m *member) DeadLetter(ctx context.Context, letters []DeadLetter, waits func(string)) error {
	if m.denied != nil {
		waits("the right to write")
		defer waits("")
		select {
		case <-m.denied:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	if m.slow > 0 {
		select {
		case <-time.After(m.slow):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	if !m.step("dead letter") {
		return errDead
	}
	m.log.mu.Lock()
	for _, l := range letters {
		r := *l.Record
		r.Key, r.Value = bytes.Clone(r.Key), bytes.Clone(r.Value) // they are not ours to keep
		m.log.letters = append(m.log.letters, r)
		m.log.reasons[l.Record.Offset] = l.Reason
	}
	m.log.mu.Unlock()
	if !m.step("dead letter confirmed") {
		return errDead
	}
	return nil
}

type logReader struct {
	member *member
	next   int64
}

func (r *logReader) Next(ctx context.Context, dst []record.Record, deadline time.Time) ([]record.Record, error) {
	for {
		l := r.member.log
		l.mu.Lock()
		if r.next < l.oldest {
			l.mu.Unlock()
			return dst, ErrOffsetGone
		}
		var found []record.Record
		for r.next < int64(len(l.records)) && len(found) < cap(dst)-len(dst) {
			if rec := l.records[r.next]; rec.Value != nil {
				found = append(found, rec)
			}
			r.next++
		}
		grown := l.grown
		l.mu.Unlock()
		dst, err := fetched(dst, found)
		if err != nil {
			return dst, err
		}
		if len(dst) > 0 {
			if !r.member.step("records") {
				return dst[:0], errDead
			}
			return dst, nil
		}
		select {
		case <-ctx.Done():
			return dst, ctx.Err()
		case <-time.After(time.Until(deadline)):
			return dst, nil
		case <-grown:
		}
	}
}

func (r *logReader) Ready() <-chan struct{} {
	r.member.log.mu.Lock()
	defer r.member.log.mu.Unlock()
	if r.next < int64(len(r.member.log.records)) || r.next < r.member.log.oldest {
		return ready(true)
	}
	return r.member.log.grown
}

// fetched appends records as they come of a fetch: in memory that is used again once they are released.
func fetched(dst, records []record.Record) ([]record.Record, error) {
	if len(records) == 0 {
		return dst, nil
	}
	first := records[0]
	var raw []byte
	for _, r := range records {
		body := binary.AppendVarint([]byte{0}, (r.TimestampMicros-first.TimestampMicros)/1000)
		body = binary.AppendVarint(body, r.Offset-first.Offset)
		body = append(binary.AppendVarint(body, int64(len(r.Key))), r.Key...)
		body = append(binary.AppendVarint(body, int64(len(r.Value))), r.Value...)
		body = append(body, 0) // headers
		raw = append(binary.AppendVarint(raw, int64(len(body))), body...)
	}
	m := kafkawire.NewBuffer(len(raw))
	copy(m.Bytes(), raw)
	m.Retain(len(records) - 1) // one there is
	b := record.NewBatch(record.Batch{
		Topic: first.Topic, Partition: first.Partition, Base: first.Offset, Millis: first.TimestampMicros / 1000,
		Raw: m.Bytes(), Buffer: m,
	})
	p := 0
	for range records {
		dst = dst[:len(dst)+1]
		var err error
		if p, err = b.Read(p, &dst[len(dst)-1], nil); err != nil {
			return dst, err
		}
	}
	return dst, nil
}

func (r *logReader) Backlog() int64 { return r.member.log.end() - r.next }

func (r *logReader) Close() {
	r.member.mu.Lock()
	defer r.member.mu.Unlock()
	r.member.readers--
}
