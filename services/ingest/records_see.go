package ingest

import (
	"context"
	"errors"
	"strings"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	adminv1 "github.com/waybill-data/waybill/proto/admin/v1"
	lanev1 "github.com/waybill-data/waybill/proto/lane/v1"
	"github.com/waybill-data/waybill/services/ingest/internal/contract"
	"github.com/waybill-data/waybill/services/ingest/internal/decode"
	"github.com/waybill-data/waybill/services/ingest/internal/record"
	"github.com/waybill-data/waybill/services/ingest/internal/tap"
	"github.com/waybill-data/waybill/services/ingest/internal/tap/where"
)

const (
	// share is how many times as long as it works a tap rests: it takes a tenth of a processor at most, so that lanes
	// have the others. It rests once it has worked for spell.
	share = 9
	spell = 5 * time.Millisecond
	// longestLook is what one record counts at most: more, and the processor was busy with others.
	longestLook = 500 * time.Microsecond
	// learnWithin is how long a tap waits for a schema of the registry.
	learnWithin = time.Second
	// mostValue bounds the value in a sample, and mostHeader each header's.
	mostValue, mostHeader = 64 << 10, 4 << 10
)

// look shows what this ingest's lanes pass until ctx ends.
func (s *records) look(ctx context.Context, t *tap.Tap, w wanted, report func(*adminv1.TapResponse)) {
	defer report(nil)
	seer := newSeer(s.lanes.loaded())
	counts := new(adminv1.TapCounts)
	tell := func() {
		counts.Seen, counts.Dropped = t.Counts()
		report(&adminv1.TapResponse{Message: &adminv1.TapResponse_Counts{Counts: proto.CloneOf(counts)}})
	}
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	var worked time.Duration
	for {
		select {
		case item := <-t.Items:
			began := time.Now()
			sample := seer.see(ctx, &item)
			t.Done(&item)
			taken, err := w.filter.Takes(seen(sample, seer.payload))
			switch {
			case w.table != "" && sample.GetTable() != w.table:
			case err != nil:
				if counts.Failed++; counts.Failed == 1 {
					counts.Failure = err.Error()
				}
			case taken:
				counts.Matched++
				sample.Process = s.self.GetProcess()
				sample.Value = sample.Value[:min(len(sample.Value), mostValue)]
				report(&adminv1.TapResponse{Message: &adminv1.TapResponse_Sample{Sample: sample}})
			}
			if worked += min(time.Since(began), longestLook); worked >= spell {
				rest := time.NewTimer(share * worked)
				select {
				case <-rest.C:
				case <-ctx.Done():
				}
				rest.Stop()
				worked = 0
			}
		case <-tick.C:
			tell()
		case <-ctx.Done():
			tell()
			return
		}
	}
}

// seer turns records into what people see of them, by contracts of its own. Not safe for concurrent use.
type seer struct {
	set    *contract.Set
	topics map[string]*contract.Topic
	rows   map[*lanev1.Route]*rowPrinter
	row    []byte
	// payload is the column of the last row's payload; empty where that was none.
	payload string
}

// payloadNumber is the field of rows that has the payload.
const payloadNumber = 16

func newSeer(set *contract.Set) *seer {
	return &seer{set: set, topics: map[string]*contract.Topic{}, rows: map[*lanev1.Route]*rowPrinter{}}
}

// see decodes a record as its contract does. Why that fails is in the sample.
func (s *seer) see(ctx context.Context, item *tap.Item) *adminv1.Sample {
	r := item.Record
	s.payload = ""
	out := &adminv1.Sample{
		Topic: r.Topic, Partition: r.Partition, Offset: r.Offset, Headers: map[string]string{}, Key: r.Key,
		Value:      r.Value,
		ValueBytes: int32(len(r.Value)), //nolint:gosec // Kafka's records are below 2 GiB
	}
	if r.TimestampMicros >= 0 {
		out.Time = timestamppb.New(time.UnixMicro(r.TimestampMicros))
	}
	for _, h := range r.Headers {
		out.Headers[valid(h.Key)] = valid(h.Value[:min(len(h.Value), mostHeader)])
	}
	if err := s.decode(ctx, r, out); err != nil {
		out.Reason, out.Error = "undecodable", err.Error()
		if fault, ok := errors.AsType[*decode.Error](err); ok {
			place(out, fault.Field, fault.Offset)
		}
	}
	if f := &item.Fault; f.Reason != "" {
		out.Reason, out.Error, out.Field, out.Byte = f.Reason, f.Err, "", nil
		place(out, f.Field, f.Byte)
	}
	return out
}

func place(out *adminv1.Sample, field string, at int) {
	if out.Field = field; at >= 0 {
		out.Byte = proto.Int32(int32(at)) //nolint:gosec // within the value
	}
}

func valid(b []byte) string { return strings.ToValidUTF8(string(b), "\uFFFD") }

// decode adds what the record's contract says of it.
func (s *seer) decode(ctx context.Context, r *record.Record, out *adminv1.Sample) error {
	t := s.topics[r.Topic]
	if t == nil {
		found := s.set.Topic(r.Topic)
		if found == nil {
			return errors.New("no contract is for the topic")
		}
		t = found.Aside()
		s.topics[r.Topic] = t
	}
	bounded, cancel := context.WithTimeout(ctx, learnWithin)
	grown, err := t.Prepare(bounded, []record.Record{*r}, nil)
	cancel()
	if err != nil {
		return errors.New("the schema registry did not respond in time")
	}
	if grown {
		t = t.Aside()
		s.topics[r.Topic] = t
	}
	m := t.Match(r)
	out.Type, out.Contract = valid(m.ItemType()), m.Name
	switch m.Action {
	case record.Ignore:
		out.Reason = "ignored"
		return nil
	case record.Unknown:
		out.Reason, out.Error = "unknown_type", m.Reason
		return nil
	}
	route := t.Routes[m.Route]
	out.Table = route.GetTable()
	row, err := m.Contract.AppendRow(s.row[:0], r, m, time.Now().UnixMicro())
	if err != nil {
		return err
	}
	s.row = row
	printer := s.rows[route]
	if printer == nil {
		if printer, err = newRowPrinter(route); err != nil {
			return err
		}
		s.rows[route] = printer
	}
	if f := printer.message.Fields().ByNumber(payloadNumber); f != nil {
		s.payload = string(f.Name())
	}
	text, err := printer.print(row, "")
	out.Row = string(text)
	return err
}

// seen is a sample as filters see it; payload is the column of its payload.
func seen(s *adminv1.Sample, payload string) *where.Seen {
	out := &where.Seen{
		Topic: s.GetTopic(), Partition: s.GetPartition(), Offset: s.GetOffset(), Key: s.GetKey(),
		Headers: s.GetHeaders(),
		Size:    int(s.GetValueBytes()), Type: s.GetType(), Contract: s.GetContract(), Table: s.GetTable(),
		Reason: s.GetReason(), Error: s.GetError(), Field: s.GetField(), Payload: payload,
	}
	if s.Time != nil {
		out.Time = s.GetTime().AsTime()
	}
	if s.GetRow() != "" {
		out.Row = []byte(s.GetRow())
	}
	return out
}
