package ingest

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/timestamppb"

	adminv1 "github.com/waybill-data/waybill/proto/admin/v1"
	columnv1 "github.com/waybill-data/waybill/proto/column/v1"
	lanev1 "github.com/waybill-data/waybill/proto/lane/v1"
)

// mostColumns bounds the columns that are listed of a contract.
const mostColumns = 500

// Contracts implements fleetview.Local.
func (l *local) Contracts(table string) ([]*adminv1.LoadedContract, []*adminv1.UnknownType) {
	set := l.lanes.loaded()
	if set == nil {
		return nil, nil
	}
	var out []*adminv1.LoadedContract
	for _, c := range set.Loaded() {
		if table != "" && c.Now.GetTable() != table {
			continue
		}
		one := &adminv1.LoadedContract{
			Name: c.Name, Topic: c.Topic, TopicPattern: c.TopicPattern, Table: c.Now.GetTable(), Format: c.Kind(),
			Version: c.Version, Grown: int32(c.Grown), Fingerprint: fmt.Sprintf("%016x",
				c.Fingerprint), //nolint:gosec // few
			Subject: c.Subject, Evolution: c.Evolution, Types: c.Types, Schemas: c.Schemas, Warnings: c.Warnings,
		}
		if table != "" {
			one.Columns = columnsOf(c.Now)
		}
		out = append(out, one)
	}
	var unknown []*adminv1.UnknownType
	for _, u := range l.lanes.unknowns.List() {
		unknown = append(unknown, &adminv1.UnknownType{Topic: u.Topic, Type: u.Type, Count: u.Count})
	}
	return out, unknown
}

// columnsOf are the columns of a route's rows; none where its descriptor cannot be read.
func columnsOf(route *lanev1.Route) []*adminv1.Column {
	p, err := newRowPrinter(route)
	if err != nil {
		return nil
	}
	return addColumns(nil, "", p.message)
}

func addColumns(out []*adminv1.Column, prefix string, m protoreflect.MessageDescriptor) []*adminv1.Column {
	for i := range m.Fields().Len() {
		if len(out) >= mostColumns {
			return out
		}
		f := m.Fields().Get(i)
		c := &adminv1.Column{Name: prefix + string(f.Name()), Type: columnType(f), Mode: "NULLABLE"}
		if f.IsList() {
			c.Mode = "REPEATED"
		}
		if out = append(out, c); f.Kind() == protoreflect.MessageKind {
			out = addColumns(out, c.GetName()+".", f.Message())
		}
	}
	return out
}

// columnType is the BigQuery type of a field: what its option says, or what its kind becomes.
func columnType(f protoreflect.FieldDescriptor) string {
	option, _ := proto.GetExtension(f.Options(), columnv1.E_Column).(*columnv1.Column)
	if t := option.GetType(); t != columnv1.ColumnType_COLUMN_TYPE_UNSPECIFIED {
		return strings.TrimPrefix(t.String(), "COLUMN_TYPE_")
	}
	switch f.Kind() {
	case protoreflect.MessageKind:
		return "RECORD"
	case protoreflect.BoolKind:
		return "BOOL"
	case protoreflect.FloatKind, protoreflect.DoubleKind:
		return "FLOAT"
	case protoreflect.BytesKind:
		return "BYTES"
	case protoreflect.StringKind:
		return "STRING"
	}
	return "INTEGER"
}

const (
	// driftKept is how long a response about a table is good: BigQuery is asked for it.
	driftKept = time.Minute
	// driftWithin is how long it may take.
	driftWithin = 10 * time.Second
)

// drifts are the last comparisons. Safe for concurrent use.
type drifts struct {
	mu   sync.Mutex
	last map[string]*drift
}

type drift struct {
	mu   sync.Mutex
	said *adminv1.GetDriftResponse
	err  error
	at   time.Time
}

// of is the place of a table.
func (d *drifts) of(table string) *drift {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.last == nil {
		d.last = map[string]*drift{}
	}
	if d.last[table] == nil {
		d.last[table] = new(drift)
	}
	return d.last[table]
}

// Drift implements fleetview.Local.
func (l *local) Drift(ctx context.Context, table string) (*adminv1.GetDriftResponse, error) {
	set := l.lanes.loaded()
	if set == nil {
		return nil, status.Error(codes.Unavailable, "the contracts are not loaded yet: the schema registry may be away")
	}
	request := &lanev1.DiffRequest{}
	var tables []string
	for _, c := range set.Loaded() {
		if tables = append(tables, c.Now.GetTable()); c.Now.GetTable() == table {
			request.Routes = append(request.Routes, c.Now)
		}
	}
	for _, e := range set.Unknown() {
		if tables = append(tables, e.Route.GetTable()); e.Route.GetTable() == table {
			request.Routes = append(request.Routes, e.Route)
		}
	}
	if len(request.GetRoutes()) == 0 {
		return nil, missing("table", table, tables)
	}
	d := l.drifts.of(table)
	d.mu.Lock()
	defer d.mu.Unlock()
	if time.Since(d.at) < driftKept {
		return d.said, d.err
	}
	d.said, d.err = l.drift(ctx, request)
	d.at = time.Now()
	return d.said, d.err
}

// drift asks a writer.
func (l *local) drift(ctx context.Context, request *lanev1.DiffRequest) (*adminv1.GetDriftResponse, error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), driftWithin) // others may wait for the same
	defer cancel()
	said, err := lanev1.NewTableServiceClient(l.fleet.Conn()).Diff(ctx, request, grpc.WaitForReady(false))
	if err != nil {
		return nil, status.Errorf(codes.Unavailable, "the writer: %s", status.Convert(err).Message())
	}
	out := &adminv1.GetDriftResponse{At: timestamppb.Now()}
	seen := map[string]bool{}
	add := func(text string) {
		if !seen[text] {
			seen[text] = true
			out.Differences = append(out.Differences, text)
		}
	}
	for _, t := range said.GetTables() {
		if !t.GetExists() {
			out.Missing = true
			continue
		}
		if t.GetObstacle() != "" {
			add("takes no rows: " + t.GetObstacle())
		}
		for _, d := range t.GetDifferences() {
			add(difference(d))
		}
		for _, remark := range t.GetRemarks() {
			add(remark)
		}
	}
	return out, nil
}

// difference is a difference of a column in words.
func difference(d *lanev1.Difference) string {
	kind := strings.ToLower(strings.ReplaceAll(strings.TrimPrefix(d.GetKind().String(), "DIFFERENCE_KIND_"), "_", " "))
	text := d.GetColumn() + ": " + kind
	if d.GetHave() != "" {
		text += ", the table has " + d.GetHave()
	}
	if d.GetWant() != "" {
		text += ", the rows have " + d.GetWant()
	}
	if d.GetDefault() != "" {
		text += ", default " + d.GetDefault()
	}
	return text
}
