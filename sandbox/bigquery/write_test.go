package bigquery_test

import (
	"net/url"
	"strings"
	"testing"
	"time"

	"cloud.google.com/go/bigquery/storage/apiv1/storagepb"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	emulator "github.com/waybill-data/waybill/sandbox/bigquery"
	"github.com/waybill-data/waybill/sandbox/bigquery/fault"
)

func TestOffsetRules(t *testing.T) {
	b := start(t, emulator.Config{})
	b.createTable()
	stream := b.createStream(storagepb.WriteStream_COMMITTED)
	a := b.open(stream)
	a.mustAppend(0, encoded(t, 0, 10))
	for _, c := range []struct {
		name   string
		offset int64
		rows   int64
		code   codes.Code
		detail storagepb.StorageError_StorageErrorCode
		says   string
	}{
		{
			"the same again", 0, 10, codes.AlreadyExists, storagepb.StorageError_OFFSET_ALREADY_EXISTS,
			"expected offset 10, received 0",
		},
		{
			"partial overlap", 5, 10, codes.AlreadyExists, storagepb.StorageError_OFFSET_ALREADY_EXISTS,
			"expected offset 10, received 5",
		},
		{
			"last row again", 9, 1, codes.AlreadyExists, storagepb.StorageError_OFFSET_ALREADY_EXISTS,
			"expected offset 10, received 9",
		},
		{"gap", 11, 1, codes.OutOfRange, storagepb.StorageError_OFFSET_OUT_OF_RANGE, "expected offset 10, received 11"},
	} {
		t.Run(c.name, func(t *testing.T) {
			err := status.ErrorProto(a.append(c.offset, encoded(t, 100, 100+c.rows)).GetError())
			wantCode(t, err, c.code)
			if got := storageCode(t, err); got != c.detail {
				t.Errorf("detail %v, want %v", got, c.detail)
			}
			if !strings.Contains(err.Error(), c.says) {
				t.Errorf("%q does not say %q", err, c.says)
			}
		})
	}
	a.mustAppend(10, encoded(t, 10, 12)) // refusals leave the call open and nothing behind
	b.wantCount(12)

	for range 2 {
		out, err := b.write.FinalizeWriteStream(t.Context(), &storagepb.FinalizeWriteStreamRequest{Name: stream})
		if err != nil || out.RowCount != 12 {
			t.Fatalf("finalize: %v %v", out, err)
		}
	}
	err := status.ErrorProto(a.append(12, encoded(t, 12, 13)).GetError())
	wantCode(t, err, codes.InvalidArgument)
	if storageCode(t, err) != storagepb.StorageError_STREAM_FINALIZED {
		t.Fatalf("got %v", err)
	}
	_, err = b.write.FinalizeWriteStream(t.Context(),
		&storagepb.FinalizeWriteStreamRequest{Name: tableName + "/streams/none"})
	wantCode(t, err, codes.NotFound)
	if storageCode(t, err) != storagepb.StorageError_STREAM_NOT_FOUND {
		t.Fatalf("got %v", err)
	}
}

func TestCallEndingErrors(t *testing.T) {
	b := start(t, emulator.Config{RequireParams: true})
	b.createTable()
	a := b.open(b.createStream(storagepb.WriteStream_COMMITTED))
	a.send(0, encoded(t, 0, 1))
	_, err := a.rpc.Recv()
	wantCode(t, err, codes.InvalidArgument)
	if !strings.Contains(err.Error(), "x-goog-request-params") {
		t.Fatal(err)
	}

	stream := b.createStream(storagepb.WriteStream_COMMITTED)
	ctx := metadata.AppendToOutgoingContext(t.Context(), "x-goog-request-params", "write_stream="+
		url.QueryEscape(stream))
	rpc, err := b.write.AppendRows(ctx)
	if err != nil {
		t.Fatal(err)
	}
	(&appender{b: b, rpc: rpc, stream: stream, schema: descriptor(t)}).mustAppend(0, encoded(t, 0, 1))

	b = start(t, emulator.Config{StreamRequestLimit: 2000})
	b.createTable()
	stream = b.createStream(storagepb.WriteStream_COMMITTED)
	for name, c := range map[string]struct {
		stream string
		rows   int64
		schema bool
		code   codes.Code
	}{
		"unknown stream": {tableName + "/streams/none", 1, true, codes.NotFound},
		"no stream":      {"", 1, true, codes.InvalidArgument},
		"no schema":      {stream, 1, false, codes.InvalidArgument},
		"too large":      {stream, 100, true, codes.InvalidArgument},
	} {
		a := b.open(c.stream)
		if !c.schema {
			a.schema = nil
		}
		a.send(0, encoded(t, 0, c.rows))
		_, err := a.rpc.Recv()
		if status.Code(err) != c.code {
			t.Errorf("%s: %v, want %v", name, err, c.code)
		}
	}
}

func TestBadRowsStopTheirRequest(t *testing.T) {
	b := start(t, emulator.Config{})
	b.createTable()
	a := b.open(b.createStream(storagepb.WriteStream_COMMITTED))
	rows := encoded(t, 0, 5)
	rows[1] = []byte{0x0a, 2, 0xff, 0xfe}                                                  // event_id: not UTF-8
	rows[3] = []byte{0x0a, 50}                                                             // cut short
	rows[4] = append([]byte{0x20}, []byte{255, 255, 255, 255, 255, 255, 255, 255, 127}...) // event_time: far out
	out := a.append(0, rows)
	wantCode(t, status.ErrorProto(out.GetError()), codes.InvalidArgument)
	var bad []int64
	for _, e := range out.RowErrors {
		bad = append(bad, e.Index)
	}
	if len(bad) != 3 || bad[0] != 1 || bad[1] != 3 || bad[2] != 4 {
		t.Fatalf("row errors %v", out.RowErrors)
	}
	b.wantCount(0)
	a.mustAppend(0, [][]byte{rows[0], rows[2]})
	b.wantCount(2)
}

func TestSchemaMismatch(t *testing.T) {
	b := start(t, emulator.Config{})
	b.createTable()
	stream := b.createStream(storagepb.WriteStream_COMMITTED)
	a := b.open(stream)
	a.schema.ProtoDescriptor.Field[0].Name = new(string)
	*a.schema.ProtoDescriptor.Field[0].Name = "unheard_of"
	err := status.ErrorProto(a.append(0, encoded(t, 0, 1)).GetError())
	if storageCode(t, err) != storagepb.StorageError_SCHEMA_MISMATCH_EXTRA_FIELDS ||
		!strings.Contains(err.Error(), "unheard_of") {
		t.Fatal(err)
	}
	a = b.open(stream)
	*a.schema.ProtoDescriptor.Field[0].Name = "kafka_offset"
	a.schema.ProtoDescriptor.Field = a.schema.ProtoDescriptor.Field[:1] // event_id's STRING in an INTEGER column
	err = status.ErrorProto(a.append(0, encoded(t, 0, 1)).GetError())
	wantCode(t, err, codes.InvalidArgument)
	if storageCode(t, err) != storagepb.StorageError_STORAGE_ERROR_CODE_UNSPECIFIED {
		t.Fatal(err)
	}
}

func TestStreamTypes(t *testing.T) {
	b := start(t, emulator.Config{})
	b.createTable()
	pending, buffered := b.createStream(storagepb.WriteStream_PENDING), b.createStream(storagepb.WriteStream_BUFFERED)
	b.open(pending).mustAppend(0, encoded(t, 0, 3))
	b.open(buffered).mustAppend(0, encoded(t, 3, 6))
	d := b.open(tableName + "/streams/_default")
	d.mustAppend(-1, encoded(t, 6, 8))
	wantCode(t, status.ErrorProto(d.append(0, encoded(t, 8, 9)).GetError()), codes.InvalidArgument)
	b.wantCount(2)

	commit := func() *storagepb.BatchCommitWriteStreamsResponse {
		out, err := b.write.BatchCommitWriteStreams(t.Context(), &storagepb.BatchCommitWriteStreamsRequest{
			Parent: tableName, WriteStreams: []string{pending},
		})
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	const state = storagepb.StorageError_INVALID_STREAM_STATE
	if out := commit(); out.CommitTime != nil || out.StreamErrors[0].Code != state {
		t.Fatal(out)
	}
	if _, err := b.write.FinalizeWriteStream(t.Context(),
		&storagepb.FinalizeWriteStreamRequest{Name: pending}); err != nil {
		t.Fatal(err)
	}
	if out := commit(); out.CommitTime == nil {
		t.Fatal(out)
	}
	if out := commit(); out.StreamErrors[0].Code != storagepb.StorageError_STREAM_ALREADY_COMMITTED {
		t.Fatal(out)
	}
	b.wantCount(5)
	flush := func(n int64) error {
		r := &storagepb.FlushRowsRequest{WriteStream: buffered}
		r.Offset = int64Value(n)
		_, err := b.write.FlushRows(t.Context(), r)
		return err
	}
	if err := flush(1); err != nil {
		t.Fatal(err)
	}
	b.wantCount(7)
	wantCode(t, flush(3), codes.OutOfRange)
}

func TestFaults(t *testing.T) {
	b := start(t, emulator.Config{})
	b.createTable()
	stream := b.createStream(storagepb.WriteStream_COMMITTED)
	add := func(f fault.Fault) {
		t.Helper()
		if _, err := b.e.Faults().Add(f); err != nil {
			t.Fatal(err)
		}
	}
	add(fault.Fault{Kind: fault.LostReply, Count: 1})
	a := b.open(stream)
	a.send(0, encoded(t, 0, 2))
	_, err := a.rpc.Recv()
	wantCode(t, err, codes.Aborted)
	b.wantCount(2) // applied all the same

	add(fault.Fault{Kind: fault.Reset, Count: 1, Method: fault.Append})
	a = b.open(stream)
	a.send(2, encoded(t, 2, 3))
	_, err = a.rpc.Recv()
	wantCode(t, err, codes.Unavailable)

	add(fault.Fault{Kind: fault.RowErrors, Offsets: []int64{3}})
	a = b.open(stream)
	out := a.append(2, encoded(t, 2, 5))
	if len(out.RowErrors) != 1 || out.RowErrors[0].Index != 1 {
		t.Fatal(out)
	}
	b.wantCount(2)
	b.e.Faults().Clear("")

	const delay = 500 * time.Millisecond
	add(fault.Fault{Kind: fault.Latency, Delay: fault.Duration(delay), Method: fault.Append})
	// One after the other eight of them take 8 delays. On a machine that is busy with something else they may do so all
	// the same, now and then.
	rows, pipelined := int64(2), false
	for try := 0; try < 10 && !pipelined; try++ {
		begin := time.Now()
		for range 8 {
			a.send(rows, encoded(t, rows, rows+1))
			rows++
		}
		for range 8 {
			if out, err := a.rpc.Recv(); err != nil || out.GetError() != nil {
				t.Fatal(out, err)
			}
		}
		took := time.Since(begin)
		if pipelined = took < 8*delay; took < delay {
			t.Errorf("eight appends behind %v took %v", delay, took)
		}
	}
	if !pipelined {
		t.Error("pipelined appends wait for one another")
	}
	b.e.Faults().Clear("")
	add(fault.Fault{Kind: fault.ClockJump, Delay: fault.Duration(73 * time.Hour)})
	_, err = b.write.GetWriteStream(t.Context(), &storagepb.GetWriteStreamRequest{Name: stream})
	wantCode(t, err, codes.NotFound)
	b.wantCount(rows)
}
