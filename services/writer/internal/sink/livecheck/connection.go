package livecheck

import (
	"context"
	"fmt"
	"net/url"
	"strings"

	"cloud.google.com/go/bigquery/storage/apiv1/storagepb"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

// Fields of the row message.
const (
	fieldN      = 1
	fieldS      = 2
	fieldAmount = 3
	fieldAdded  = 4
	fieldDated  = 5
)

// datedColumn is what the table of farDates is partitioned by.
const datedColumn = "at"

// rowMessage describes rows; with added it has the column that comes later, and with dated it is of the table that is
// partitioned.
func rowMessage(added, dated bool) *descriptorpb.DescriptorProto {
	field := func(
		name string, number int32, kind descriptorpb.FieldDescriptorProto_Type,
	) *descriptorpb.FieldDescriptorProto {
		return &descriptorpb.FieldDescriptorProto{
			Name: &name, Number: &number, Type: kind.Enum(),
			Label: descriptorpb.FieldDescriptorProto_LABEL_OPTIONAL.Enum(),
		}
	}
	name := "Row"
	d := &descriptorpb.DescriptorProto{Name: &name, Field: []*descriptorpb.FieldDescriptorProto{
		field("n", fieldN, descriptorpb.FieldDescriptorProto_TYPE_INT64),
		field("s", fieldS, descriptorpb.FieldDescriptorProto_TYPE_STRING),
		field("amount", fieldAmount, descriptorpb.FieldDescriptorProto_TYPE_STRING),
	}}
	if dated {
		d.Field = append(d.Field[:1], field(datedColumn, fieldDated, descriptorpb.FieldDescriptorProto_TYPE_INT64))
	}
	if added {
		d.Field = append(d.Field, field(addedColumn, fieldAdded, descriptorpb.FieldDescriptorProto_TYPE_STRING))
	}
	return d
}

// row encodes a row.
func row(n int64, text, amount string) []byte {
	b := protowire.AppendVarint(protowire.AppendTag(nil, fieldN, protowire.VarintType), uint64(n))
	b = protowire.AppendString(protowire.AppendTag(b, fieldS, protowire.BytesType), text)
	return protowire.AppendString(protowire.AppendTag(b, fieldAmount, protowire.BytesType), amount)
}

// rows makes a few good rows.
func rows() [][]byte {
	out := make([][]byte, few)
	for i := range out {
		out[i] = row(int64(i), "a row of waybill's live check", "1.5")
	}
	return out
}

// connection is one AppendRows call.
type connection struct {
	bench  *bench
	name   string
	stream storagepb.BigQueryWrite_AppendRowsClient
	cancel context.CancelFunc
	// said is whether the schema has been sent; added and dated, which one it is.
	said, added, dated bool
}

func (b *bench) connect(ctx context.Context, stream string) (*connection, error) {
	ctx, cancel := context.WithCancel(ctx)
	// The API finds the region of the stream by this header.
	ctx = metadata.AppendToOutgoingContext(ctx, "x-goog-request-params", "write_stream="+url.QueryEscape(stream))
	call, err := b.write.AppendRows(ctx)
	if err != nil {
		cancel()
		return nil, fmt.Errorf("open an append connection: %w", err)
	}
	return &connection{bench: b, name: stream, stream: call, cancel: cancel}, nil
}

// send sends rows without waiting for the response.
func (c *connection) send(offset int64, rows [][]byte) error {
	data := &storagepb.AppendRowsRequest_ProtoData{Rows: &storagepb.ProtoRows{SerializedRows: rows}}
	r := &storagepb.AppendRowsRequest{
		Offset: wrapperspb.Int64(offset), Rows: &storagepb.AppendRowsRequest_ProtoRows{ProtoRows: data},
	}
	if !c.said {
		c.said = true
		r.WriteStream, r.TraceId = c.name, "waybill:live-check:"+c.bench.version
		data.WriterSchema = &storagepb.ProtoSchema{ProtoDescriptor: rowMessage(c.added, c.dated)}
	}
	return c.stream.Send(r)
}

// outcome is what BigQuery said of one append.
type outcome struct {
	code    codes.Code
	storage storagepb.StorageError_StorageErrorCode
	text    string
	// listed is how many rows are listed as bad; ended says that the response ended the connection.
	listed int
	ended  bool
}

func (a outcome) ok() bool { return a.code == codes.OK }

// away says that the response is about the network or about load, and not about the append.
func (a outcome) away() bool {
	switch a.code {
	case codes.Unavailable, codes.Aborted, codes.Canceled, codes.DeadlineExceeded, codes.Internal,
		codes.Unauthenticated:
		return true
	default:
		return false
	}
}

// is reports whether the response is the error assumed: by storage code where there is one, else by the gRPC code.
func (a outcome) is(code codes.Code, storage storagepb.StorageError_StorageErrorCode) bool {
	return a.storage == storage || a.storage == storagepb.StorageError_STORAGE_ERROR_CODE_UNSPECIFIED && a.code == code
}

func (a outcome) String() string {
	name := a.code.String()
	if a.storage != storagepb.StorageError_STORAGE_ERROR_CODE_UNSPECIFIED {
		name += "/" + a.storage.String()
	}
	text, _, _ := strings.Cut(a.text, " Entity:") // which names the stream, at length
	if text = strings.Join(strings.Fields(text), " "); text != "" {
		name += ` "` + text[:min(len(text), 160)] + `"`
	}
	return name
}

func outcomeOf(st *status.Status) outcome {
	a := outcome{code: st.Code(), text: st.Message()}
	for _, detail := range st.Details() {
		if e, ok := detail.(*storagepb.StorageError); ok {
			a.storage = e.GetCode()
		}
	}
	return a
}

// receive awaits the next response; that of a connection that ends is the connection's.
func (c *connection) receive() outcome {
	response, err := c.stream.Recv()
	if err != nil {
		a := outcomeOf(status.Convert(err))
		a.ended = true
		return a
	}
	if response.GetError().GetCode() == 0 && len(response.GetRowErrors()) == 0 {
		if response.GetAppendResult() == nil {
			return outcome{code: codes.Unknown, text: "neither a result nor an error"}
		}
		return outcome{}
	}
	a := outcomeOf(status.FromProto(response.GetError()))
	a.listed = len(response.GetRowErrors())
	return a
}

// append sends rows and awaits the response.
func (c *connection) append(offset int64, rows [][]byte) outcome {
	// A send that fails has its reason in the response.
	_ = c.send(offset, rows)
	a := c.receive()
	if a.ok() {
		c.bench.written += int64(len(rows))
	}
	return a
}

func notFound(err error) bool { return status.Code(err) == codes.NotFound }

// denied says that BigQuery denies what may not exist: it says so of a table that is gone, and of its streams.
func denied(err error) bool {
	return status.Code(err) == codes.PermissionDenied && strings.Contains(err.Error(), "may not exist")
}
