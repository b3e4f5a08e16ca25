package writer

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/descriptorpb"

	lanev1 "github.com/waybill-data/waybill/proto/lane/v1"
)

// field is a nullable field of a row: of a type, or a text.
func field(number int, name, of string) *descriptorpb.FieldDescriptorProto {
	f := &descriptorpb.FieldDescriptorProto{
		Name: &name, Number: proto.Int32(int32(number)),
		Label: descriptorpb.FieldDescriptorProto_LABEL_OPTIONAL.Enum(),
		Type:  descriptorpb.FieldDescriptorProto_TYPE_STRING.Enum(),
	}
	if of != "" {
		f.TypeName, f.Type = &of, descriptorpb.FieldDescriptorProto_TYPE_MESSAGE.Enum()
	}
	return f
}

// levels is a row of so many types, each of which has the next one, so many times.
func levels(n, times int) *descriptorpb.DescriptorProto {
	row := &descriptorpb.DescriptorProto{Name: proto.String("R")}
	at := row
	for i := range n {
		for j := range times {
			at.Field = append(at.Field, field(j+1, string(rune('a'+j)), fmt.Sprintf("R.T%d", i)))
		}
		next := &descriptorpb.DescriptorProto{Name: proto.String(fmt.Sprintf("T%d", i))}
		row.NestedType = append(row.NestedType, next)
		at = next
	}
	at.Field = append(at.Field, field(1, "x", ""))
	return row
}

func columns(n int) *descriptorpb.DescriptorProto {
	row := &descriptorpb.DescriptorProto{Name: proto.String("R")}
	for i := range n {
		row.Field = append(row.Field, field(i+1, fmt.Sprintf("c%d", i), ""))
	}
	return row
}

// routesOf are so many, to tables of their own; with a row they all have that.
func routesOf(n int, row *descriptorpb.DescriptorProto) (all []*lanev1.Route) {
	for i := range n {
		r := routeTo(fmt.Sprintf("t%d", i))
		if row != nil {
			r.Row = &lanev1.Route_Descriptor_{Descriptor_: row}
		}
		all = append(all, r)
	}
	return all
}

func openOf(routes ...*lanev1.Route) *lanev1.LaneRequest {
	return &lanev1.LaneRequest{Message: &lanev1.LaneRequest_Open{
		Open: &lanev1.Open{Group: "g", Topic: "orders", Partition: 1, Routes: routes},
	}}
}

func appendOf(sequence uint64, end int64, rows uint32, encoded string) *lanev1.LaneRequest {
	a := &lanev1.Append{Sequence: sequence, EndPosition: end}
	if encoded != "" {
		a.Blocks = []*lanev1.Block{{Rows: rows, Encoding: &lanev1.Block_Encoded{Encoded: []byte(encoded)}}}
	}
	return &lanev1.LaneRequest{Message: &lanev1.LaneRequest_Append{Append: a}}
}

// Whatever a broken or hostile client sends, its call ends with what is wrong with it as the client's fault, nothing is
// asked of BigQuery for it, which is away here and would be tried for ever, and the lane beside it goes on.
func TestPeersOutOfBounds(t *testing.T) {
	conn, stop, ran := start(t, func(c *Config) { c.BigQuery.Allow = []string{"test-project.d"} })
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	service := lanev1.NewLaneServiceClient(conn)
	honest, err := service.Lane(ctx)
	if err != nil {
		t.Fatal(err)
	}
	sequence := uint64(0)
	settles := func(after string) {
		t.Helper()
		sequence++
		if err := honest.Send(appendOf(sequence, int64(sequence), 0, "")); err != nil {
			t.Fatal(err)
		}
		if m, err := honest.Recv(); m.GetSettled().GetPosition() != int64(sequence) {
			t.Fatalf("after %s the honest lane got %v, %v", after, m, err)
		}
	}
	say := func(m *lanev1.LaneRequest) {
		t.Helper()
		if err := honest.Send(m); err != nil {
			t.Fatal(err)
		}
	}
	say(openOf(routeTo("delivery_events")))
	if m, err := honest.Recv(); m.GetOpened() == nil {
		t.Fatalf("%v, %v", m, err)
	}
	say(&lanev1.LaneRequest{Message: &lanev1.LaneRequest_Durable{Durable: &lanev1.Durable{}}})

	durable := func(barrier uint64) *lanev1.LaneRequest {
		return &lanev1.LaneRequest{Message: &lanev1.LaneRequest_Durable{
			Durable: &lanev1.Durable{Barrier: barrier},
		}}
	}
	leftOut := func(n int) *lanev1.LaneRequest {
		m := new(lanev1.LeftOut)
		for i := range n {
			m.Offsets = append(m.Offsets, int64(2*i))
		}
		return &lanev1.LaneRequest{Message: &lanev1.LaneRequest_LeftOut{LeftOut: m}}
	}
	open := openOf(routeTo("delivery_events"))
	small := levels(20, 2)
	if size := proto.Size(small); size > 1000 {
		t.Fatalf("the small descriptor has %d bytes", size)
	}
	for _, test := range []struct {
		name string
		says []*lanev1.LaneRequest
		want string
	}{
		{"2^20 columns in a KB", []*lanev1.LaneRequest{openOf(routesOf(1, small)...)}, "15 levels"},
		{"2^14 columns", []*lanev1.LaneRequest{openOf(routesOf(1, levels(14, 2))...)}, "more than 10000 columns"},
		{"5,000 levels", []*lanev1.LaneRequest{openOf(routesOf(1, levels(5000, 1))...)}, "15 levels"},
		{"59,000 columns", []*lanev1.LaneRequest{openOf(routesOf(1, columns(59_000))...)}, "more than 20000 types"},
		{"10,001 columns", []*lanev1.LaneRequest{openOf(routesOf(1, columns(10_001))...)}, "more than 10000 columns"},
		{"100,000 routes", []*lanev1.LaneRequest{openOf(routesOf(100_000, nil)...)}, "1048576"},
		{"20,000 routes", []*lanev1.LaneRequest{openOf(routesOf(20_000, nil)...)}, "20000 entries, at most 1024"},
		{
			"another project",
			[]*lanev1.LaneRequest{openOf(routeTo("other-project.d.t")), durable(0), appendOf(1, 1, 1, "\x0a\x01\x08")},
			"bigquery.allow",
		},
		{"900,000 offsets left out", []*lanev1.LaneRequest{open, durable(0), leftOut(900_000)}, "1048576"},
		{"100,000 offsets left out", []*lanev1.LaneRequest{open, durable(0), leftOut(100_000)}, "at most 10000"},
		{"2^32-1 rows", []*lanev1.LaneRequest{open, durable(0), appendOf(1, 1, 1<<32-1, "\x0a\x00")}, "rows"},
		{
			"4,500,000 empty rows",
			[]*lanev1.LaneRequest{
				open, durable(0), appendOf(1, 1<<40, 4_500_000, strings.Repeat("\x0a\x00", 4_500_000)),
			},
			"rows",
		},
		{"no framing", []*lanev1.LaneRequest{open, durable(0), appendOf(1, 1, 1, "\xff\xff\xff")}, "blocks[0]"},
		{"a sequence that skips", []*lanev1.LaneRequest{open, durable(0), appendOf(7, 1, 0, "")}, "sequence"},
		{"a barrier that nobody raised", []*lanev1.LaneRequest{open, durable(99)}, "barrier"},
		{"no Open", []*lanev1.LaneRequest{durable(0)}, "open"},
		{"two of them", []*lanev1.LaneRequest{open, open}, "open"},
	} {
		call, err := service.Lane(ctx)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range test.says {
			_ = call.Send(m) // what Recv returns says how the call ended
		}
		for err == nil {
			_, err = call.Recv()
		}
		code := codes.InvalidArgument
		if test.name == "another project" { // which an operator may allow
			code = codes.FailedPrecondition
		}
		if status.Code(err) != code || !strings.Contains(strings.ToLower(err.Error()), test.want) {
			t.Errorf("%s: %.300v, want %q", test.name, err, test.want)
		}
		settles(test.name)
	}

	for name, begin := range map[string]string{
		"HTTP/1":                          "GET / HTTP/1.1\r\nHost: x\r\n\r\n",
		"garbage":                         strings.Repeat("\xff", 1<<12),
		"a preface and frames of nothing": "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + strings.Repeat("\x00\xff\xff", 100),
	} {
		raw, err := new(net.Dialer).DialContext(ctx, "tcp", conn.Target())
		if err != nil {
			t.Fatal(err)
		}
		deadline, _ := ctx.Deadline()
		if err := raw.SetDeadline(deadline); err != nil {
			t.Fatal(err)
		}
		_, _ = io.WriteString(raw, begin)    // the writer may have ended it already
		_, ended := io.Copy(io.Discard, raw) // by the end of the connection, in whichever way
		if ctx.Err() != nil {
			t.Errorf("%s: the connection lasts: %v", name, ended)
		}
		raw.Close()
		settles(name)
	}
	secure := &tls.Dialer{Config: &tls.Config{MinVersion: tls.VersionTLS12, ServerName: "writer"}}
	if c, err := secure.DialContext(ctx, "tcp", conn.Target()); err == nil {
		t.Error("a port without TLS shook hands")
		c.Close()
	}
	settles("TLS")
	if err := honest.CloseSend(); err != nil {
		t.Fatal(err)
	}
	stop()
	finished(t, ran)
}
