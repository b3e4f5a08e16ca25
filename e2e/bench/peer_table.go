package bench

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/descriptorpb"

	"github.com/waybill-data/waybill/e2e/stack"
	"github.com/waybill-data/waybill/sandbox/events/schemas"
)

// columnTypes are those of a parcel scan's fields.
var columnTypes = map[descriptorpb.FieldDescriptorProto_Type]string{
	descriptorpb.FieldDescriptorProto_TYPE_INT64:  "INTEGER",
	descriptorpb.FieldDescriptorProto_TYPE_INT32:  "INTEGER",
	descriptorpb.FieldDescriptorProto_TYPE_STRING: "STRING",
	descriptorpb.FieldDescriptorProto_TYPE_DOUBLE: "FLOAT",
	descriptorpb.FieldDescriptorProto_TYPE_BOOL:   "BOOLEAN",
}

// column is a field of a table as BigQuery's REST API has it.
type column struct {
	Name string `json:"name"`
	Type string `json:"type"`
}

// peerColumns are the fields of a parcel scan in the order of their numbers, so that a row is a record as it lies.
func peerColumns() ([]column, error) {
	var set descriptorpb.FileDescriptorSet
	if err := proto.Unmarshal(schemas.ParcelScanSet, &set); err != nil {
		return nil, fmt.Errorf("schema of parcel scans: %w", err)
	}
	var columns []column
	for _, field := range set.GetFile()[0].GetMessageType()[0].GetField() {
		kind, ok := columnTypes[field.GetType()]
		if !ok || int(field.GetNumber()) != len(columns)+1 {
			return nil, fmt.Errorf("field %s of parcel scans has type %v and number %d: no column of the "+
				"peer's table can hold it as it lies", field.GetName(), field.GetType(), field.GetNumber())
		}
		columns = append(columns, column{field.GetName(), kind})
	}
	return columns, nil
}

// createPeerTable makes the peer's table.
func (w *world) createPeerTable(ctx context.Context) error {
	columns, err := peerColumns()
	if err != nil {
		return err
	}
	return w.stack.CreateTable(ctx, peerTable, columns)
}

// lookRows are so many that a program sends several requests.
const lookRows = 20_000

// look lets the program move a few records into an emulator that keeps rows, and looks at them: while it is measured
// nobody does.
func (p *Peer) look(ctx context.Context, b *Bench, v Variant, path string) (err error) {
	w, err := b.raise(ctx, v, func(c *stack.Config) { c.SandboxArgs = nil })
	if err != nil {
		return err
	}
	defer w.fall()
	if err := w.createPeerTable(ctx); err != nil {
		return err
	}
	if _, err := w.produce(ctx, lookRows, 0); err != nil {
		return err
	}
	m := p.mover(w, path)
	defer func() { err = errors.Join(err, m.stop()) }()
	if err := w.moved(ctx, m, lookRows, func(int64) error { return nil }); err != nil {
		return err
	}
	columns, err := peerColumns()
	if err != nil {
		return err
	}
	// Every record has every field; seq counts from 0.
	counts := []string{"COUNT(*)", "COUNT(DISTINCT scan_id)", "SUM(seq)"}
	want := []any{lookRows, lookRows, lookRows * (lookRows - 1) / 2}
	for _, c := range columns {
		counts = append(counts, "COUNT("+c.Name+")")
		want = append(want, lookRows)
	}
	sql := "SELECT " + strings.Join(counts, ", ") + " FROM " + peerTable
	query := exec.CommandContext(ctx, w.stack.Sandbox.Path, "query", "--sandbox", filepath.Join(w.dir, "sandbox.json"),
		"--json", "--arrays", sql)
	got, err := query.CombinedOutput()
	if err != nil {
		return fmt.Errorf("query the rows of %s: %w\n%s", p.Name, err, got)
	}
	wanted, err := json.Marshal(want)
	if err != nil {
		return err
	}
	if text := strings.TrimSpace(string(got)); text != string(wanted) {
		return fmt.Errorf("the %d rows of %s are not the records: rows, different scan_id, sum of seq, and values of "+
			"each column are %s instead of %s", lookRows, p.Name, text, wanted)
	}
	return nil
}
