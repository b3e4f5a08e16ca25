package contract_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/protobuf/encoding/protowire"

	lanev1 "github.com/waybill-data/waybill/proto/lane/v1"
	"github.com/waybill-data/waybill/services/ingest/internal/contract"
	"github.com/waybill-data/waybill/services/ingest/internal/record"
	"github.com/waybill-data/waybill/services/ingest/internal/registry"
)

// shelf is a schema registry that responds at once.
type shelf struct {
	mu        sync.Mutex
	schemas   map[int]*registry.Schema
	subjects  map[string][]int // ids by version
	requested int
}

func (s *shelf) put(subject string, id int, fields string) {
	s.putText(subject, id, "avro",
		`{"type":"record","name":"`+strings.TrimSuffix(subject, "-value")+`","fields":[`+fields+`]}`)
}

func (s *shelf) putText(subject string, id int, format, text string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.schemas == nil {
		s.schemas, s.subjects = map[int]*registry.Schema{}, map[string][]int{}
	}
	s.schemas[id] = &registry.Schema{ID: id, Format: format, Text: text}
	s.subjects[subject] = append(s.subjects[subject], id)
}

func (s *shelf) ByID(_ context.Context, id int) (*registry.Schema, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.requested++
	schema, ok := s.schemas[id]
	if !ok {
		return nil, &registry.MissingError{What: fmt.Sprint("schema id ", id), Until: time.Now().Add(30 * time.Second)}
	}
	return schema, nil
}

func (s *shelf) Version(ctx context.Context, subject string, version int) (*registry.Schema, error) {
	s.mu.Lock()
	ids := s.subjects[subject]
	s.mu.Unlock()
	if version == registry.Latest {
		version = len(ids)
	}
	if version < 1 || version > len(ids) {
		return nil, &registry.MissingError{What: "subject " + subject}
	}
	found, err := s.ByID(ctx, ids[version-1])
	if err != nil {
		return nil, err
	}
	named := *found
	named.Subject, named.Version = subject, version
	return &named, nil
}

func (s *shelf) Versions(_ context.Context, subject string) (all []int, _ error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := range s.subjects[subject] {
		all = append(all, i+1)
	}
	return all, nil
}

func (s *shelf) Belongs(_ context.Context, id int, subject string) (bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Contains(s.subjects[subject], id), nil
}

// parcels is a contract of the subject parcels-value.
func parcels(change func(*contract.Config)) contract.Config {
	c := contract.Config{
		Topic: "parcels", Format: "avro", Framing: "confluent", Subject: "parcels-value", Evolution: "additive",
		Table: "parcels", Types: []string{"*"}, EventID: "id",
	}
	if change != nil {
		change(&c)
	}
	return c
}

const (
	v1 = `{"name":"id","type":"string"},{"name":"grams","type":"int"}`
	v2 = `{"name":"fragile","type":"boolean"},{"name":"id","type":"string"},{"name":"grams","type":["null","int"]}`
)

// depot is a contract in use.
type depot struct {
	*testing.T
	shelf   *shelf
	set     *contract.Set
	log     bytes.Buffer
	metrics *prometheus.Registry
}

func open(t *testing.T, s *shelf, change func(*contract.Config)) *depot {
	t.Helper()
	d := &depot{T: t, shelf: s, metrics: prometheus.NewRegistry()}
	set, err := contract.Load(t.Context(), []contract.Config{parcels(change)}, t.TempDir(), contract.Env{
		Schemas: s, Log: slog.New(slog.NewTextHandler(&d.log, nil)), Registerer: d.metrics,
	})
	if err != nil {
		t.Fatal(err)
	}
	d.set = set
	return d
}

func (d *depot) fork() *contract.Topic { return d.set.Topic("parcels").Fork() }

// header is the magic byte and a schema id.
func header(id uint32) []byte { return binary.BigEndian.AppendUint32([]byte{0}, id) }

func framed(id uint32, datum string) *record.Record {
	return &record.Record{Topic: "parcels", TimestampMicros: -1, Value: append(header(id), datum...)}
}

// take prepares and lays down a record; the result is its payload as text, or the error.
func (d *depot) take(topic *contract.Topic, r *record.Record) (text string, grown bool) {
	d.Helper()
	grown, err := topic.Prepare(d.Context(), []record.Record{*r}, nil)
	if err != nil {
		d.Fatal(err)
	}
	if grown {
		return "", true
	}
	m := topic.Match(r)
	row, err := m.Contract.AppendRow(nil, r, m, 1)
	if err != nil {
		return err.Error(), false
	}
	return payload(d.T, topic.Routes[m.Route], row), false
}

// payload renders the payload of a framed row by the route's descriptor: number=value.
func payload(t *testing.T, route *lanev1.Route, row []byte) string {
	t.Helper()
	row, _ = protowire.ConsumeBytes(row[1:])
	for len(row) > 0 {
		number, kind, n := protowire.ConsumeTag(row)
		row = row[n:]
		n = protowire.ConsumeFieldValue(number, kind, row)
		if number == 16 {
			body, _ := protowire.ConsumeBytes(row[:n])
			return render(t, route, body)
		}
		row = row[n:]
	}
	t.Fatal("the row has no payload")
	return ""
}

func render(t *testing.T, route *lanev1.Route, body []byte) string {
	names := map[protowire.Number]string{}
	for name, number := range numbers(route) {
		names[protowire.Number(number)] = name
	}
	var out []string
	for len(body) > 0 {
		number, kind, n := protowire.ConsumeTag(body)
		body = body[n:]
		if kind == protowire.BytesType {
			text, n := protowire.ConsumeBytes(body)
			out = append(out, fmt.Sprintf("%s=%s", names[number], text))
			body = body[n:]
			continue
		}
		v, n := protowire.ConsumeVarint(body)
		if n < 0 {
			t.Fatal("not a varint")
		}
		out = append(out, fmt.Sprintf("%s=%d", names[number], v))
		body = body[n:]
	}
	return strings.Join(out, " ")
}

func (d *depot) versions() float64 {
	d.Helper()
	families, err := d.metrics.Gather()
	if err != nil {
		d.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() == "waybill_ingest_contract_versions" {
			return f.GetMetric()[0].GetGauge().GetValue()
		}
	}
	d.Fatal("no such metric")
	return 0
}

// numbers are those of the payload's columns.
func numbers(r *lanev1.Route) map[string]int32 {
	found := map[string]int32{}
	row := r.GetDescriptor_()
	for _, payload := range row.GetField() {
		for _, m := range row.GetNestedType() {
			if payload.GetNumber() == 16 && m.GetName() == payload.GetTypeName() {
				for _, f := range m.Field {
					found[f.GetName()] = f.GetNumber()
				}
			}
		}
	}
	return found
}
