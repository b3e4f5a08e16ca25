package lane

import (
	"fmt"

	lanev1 "github.com/waybill-data/waybill/proto/lane/v1"
)

// maxStrangers bounds the streams that a process remembers as accused.
const maxStrangers = 10_000

// accuse ends the lane because a stream of its holds rows that none of its owners appended. Nothing can be counted by
// that stream any more: the next opening would take the stranger's rows for its own, and drop as many records. So the
// stream is marked in the checkpoint, durably, before the lane ends; the mark refuses every opening until an operator
// has acted. docs/exactly-once.md has the argument.
func (l *lane) accuse(t *table, err error) error {
	l.service.remember(suspectOf(l.open, t.stream))
	t.tainted = true
	t.appender.Close()
	t.appender = nil
	l.log.Error("a write stream holds rows that this lane did not append; the lane is refused from now on", "stream",
		t.stream, "rows", t.settled, "error", err)
	l.endOnce(fatal("%s (%v)", foreign(t.stream, t.name, l.open), err))
	return nil
}

// endOnce has the lane append nothing more, and end with an error once the next version of its state is durable. The
// first error counts.
func (l *lane) endOnce(err error) {
	l.endsAt = l.change()
	l.wanted = l.endsAt
	if l.ending == nil {
		l.ending = err
	}
}

// foreign says what is wrong with a stream that holds rows of a stranger, and the way out.
func foreign(stream, table string, open *lanev1.Open) string {
	return fmt.Sprintf("write stream %s holds rows that no owner of this lane has appended: somebody else writes to "+
		"it, or a checkpoint was forged or copied from elsewhere. Nothing is counted by it, so that no record is "+
		"taken for written that is not. Way out: find who else appends to table %s, and end it; then %s",
		stream, table, startAnew(open))
}

// suspect is a stream as a lane knows it. Of two lanes that share one, because offsets were copied to another group,
// one sees rows of a stranger in it and the other its own.
type suspect struct {
	group, cluster, topic string
	partition             int32
	stream                string
}

func suspectOf(open *lanev1.Open, stream string) suspect {
	return suspect{open.GetGroup(), open.GetCluster(), open.GetTopic(), open.GetPartition(), stream}
}

// remember keeps in mind that a stream holds rows of a stranger, for as long as its mark may not be durable: ingest may
// open again before it is.
func (s *Service) remember(p suspect) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.strangers) < maxStrangers {
		s.strangers[p] = struct{}{}
	}
}

// suspects reports whether the process has seen rows of a stranger in a stream.
func (s *Service) suspects(p suspect) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, found := s.strangers[p]
	return found
}
