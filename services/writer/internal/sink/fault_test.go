package sink

import (
	"context"
	"errors"
	"io"
	"testing"

	"cloud.google.com/go/bigquery/storage/apiv1/storagepb"
	"google.golang.org/grpc/codes"
	grpcstatus "google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

// What BigQuery says, as seen from real services and in its comments, and what the queue is to do about it.
func TestFaults(t *testing.T) {
	plain := grpcstatus.Error
	for _, test := range []struct {
		name      string
		err       error
		inStream  bool
		kind      kind
		uncertain bool
		code      string
		expected  int64
		limit     int
	}{
		{
			"offset exists", storageError(codes.AlreadyExists, storagepb.StorageError_OFFSET_ALREADY_EXISTS,
				"The offset is within stream, expected offset 15000, received 5000"), true, exists, false,
			"OFFSET_ALREADY_EXISTS", 15000, 0,
		},
		{
			"offset beyond", storageError(codes.OutOfRange, storagepb.StorageError_OFFSET_OUT_OF_RANGE,
				"The offset is beyond stream, expected offset 10, received 20"), true, beyond, false, "OFFSET_OUT_OF_RANGE",
			10, 0,
		},
		{
			"finalized",
			storageError(codes.InvalidArgument, storagepb.StorageError_STREAM_FINALIZED, "Stream has been finalized"),
			true, finalized, false, "STREAM_FINALIZED", -1, 0,
		},
		{
			"no stream", storageError(codes.NotFound, storagepb.StorageError_STREAM_NOT_FOUND,
				"Requested entity was not found"),
			false, gone, false, "STREAM_NOT_FOUND", -1, 0,
		},
		{
			"schema behind",
			storageError(codes.InvalidArgument, storagepb.StorageError_SCHEMA_MISMATCH_EXTRA_FIELDS,
				"Input schema has more fields"),
			true, renew, false, "SCHEMA_MISMATCH_EXTRA_FIELDS", -1, 0,
		},
		{
			"schema behind, without its code", plain(codes.InvalidArgument, "Found extra proto fields: b"), true, renew,
			false, "SCHEMA_MISMATCH_EXTRA_FIELDS", -1, 0,
		},
		{
			"schema behind, by its message",
			plain(codes.InvalidArgument, "Input schema has more fields than BigQuery schema, extra fields: 'b'"),
			false, renew, false, "SCHEMA_MISMATCH_EXTRA_FIELDS", -1, 0,
		},
		{
			"schema wrong", plain(codes.InvalidArgument, "Invalid proto schema: BqMessage.proto: x: no such type"),
			true, fatal, false, "INVALID_ARGUMENT", -1, 0,
		},
		{
			"rows wrong", plain(codes.InvalidArgument, "Cannot parse serialized row"), true, suspect, false,
			"INVALID_ARGUMENT", -1, 0,
		},
		{
			"rows wrong, call ended", plain(codes.InvalidArgument, "Cannot parse serialized row"), false, suspect,
			false, "INVALID_ARGUMENT", -1, 0,
		},
		{
			"call wrong", plain(codes.InvalidArgument, "Invalid resource name"), false, fatal, false, "INVALID_ARGUMENT",
			-1, 0,
		},
		{
			"too large", plain(codes.InvalidArgument, "AppendRows request too large: 10637354 limit 10485760"), false,
			tooLarge, false, "INVALID_ARGUMENT", -1, 10485760,
		},
		{
			"too large for gRPC",
			plain(codes.ResourceExhausted, "grpc: received message larger than max (20971530 vs. 10485760)"),
			false, tooLarge, false, "RESOURCE_EXHAUSTED", -1, 10485760,
		},
		{
			"quota", plain(codes.ResourceExhausted, "Exceeds 'AppendRows throughput' quota"), true, again, true,
			"RESOURCE_EXHAUSTED", -1, 0,
		},
		{"internal", plain(codes.Internal, "oops"), true, again, true, "INTERNAL", -1, 0},
		{
			"idle", plain(codes.Aborted, "Closing the stream because it is idle for 600 seconds"), false, renew, true,
			"ABORTED", -1, 0,
		},
		{"away", plain(codes.Unavailable, "transport is closing"), false, renew, true, "UNAVAILABLE", -1, 0},
		{"end of call", io.EOF, false, renew, true, "EOF", -1, 0},
		{"not allowed", plain(codes.PermissionDenied, "no"), false, denied, false, "PERMISSION_DENIED", -1, 0},
		{
			"deleted, or not allowed",
			plain(codes.PermissionDenied,
				"Permission 'TABLES_UPDATE_DATA' denied on resource 'projects/p/datasets/d/tables/t' (or it may not "+
					"exist)."),
			false, denied, false, "PERMISSION_DENIED", -1, 0,
		},
		{
			"a value too large", plain(codes.InvalidArgument, "Field amount: value is too large for NUMERIC(5, 2)"),
			true, suspect, false, "INVALID_ARGUMENT", -1, 0,
		},
		{
			"a frame too large", plain(codes.Unavailable, "error reading from server: http2: frame too large"), false,
			renew, true, "UNAVAILABLE", -1, 0,
		},
		{
			"a request too large, from a proxy", plain(codes.Unavailable, "request too large, limit 1"), false, renew,
			true, "UNAVAILABLE", -1, 0,
		},
		{
			"a frame too large, as quota", plain(codes.ResourceExhausted, "http2: frame too large"), false, again, true,
			"RESOURCE_EXHAUSTED", -1, 0,
		},
		{
			"a finalized value", plain(codes.InvalidArgument, "Cannot parse value 'finalized' of field state"), true,
			suspect, false, "INVALID_ARGUMENT", -1, 0,
		},
		{
			"finalized, by its message", plain(codes.InvalidArgument, "Stream s has been finalized"), false, finalized,
			false, "INVALID_ARGUMENT", -1, 0,
		},
		{
			"a value of some schema", plain(codes.InvalidArgument, "Value does not fit the JSON schema"), true, suspect,
			false, "INVALID_ARGUMENT", -1, 0,
		},
		{
			"a proxy's page",
			plain(codes.PermissionDenied,
				`unexpected HTTP status code received from server: 403 (Forbidden); `+
					`transport: received unexpected content-type "text/html"`),
			false, renew, true, "PERMISSION_DENIED", -1, 0,
		},
		{
			"a proxy's other page",
			plain(codes.Unimplemented, "unexpected HTTP status code received from server: 404 (Not Found)"), false,
			renew, true, "UNIMPLEMENTED", -1, 0,
		},
		{"no such method", plain(codes.Unimplemented, "unknown method"), false, fatal, false, "UNIMPLEMENTED", -1, 0},
		{
			"keys away", storageError(codes.Internal, storagepb.StorageError_KMS_SERVICE_ERROR, "KMS"), true, again,
			true, "KMS_SERVICE_ERROR", -1, 0,
		},
		{
			"table gone", storageError(codes.NotFound, storagepb.StorageError_TABLE_NOT_FOUND, "no table"), true, gone,
			false, "TABLE_NOT_FOUND", -1, 0,
		},
		{"not found", plain(codes.NotFound, "entity"), false, gone, false, "NOT_FOUND", -1, 0},
		{
			"storage code before text",
			storageError(codes.InvalidArgument, storagepb.StorageError_INVALID_STREAM_STATE, "request too large"), true,
			fatal, false, "INVALID_STREAM_STATE", -1, 0,
		},
		{
			"offset exists, without its code", plain(codes.AlreadyExists, "expected offset 7, received 3"), true,
			exists, false, "ALREADY_EXISTS", 7, 0,
		},
		{
			"offset beyond, without its code", plain(codes.OutOfRange, "expected offset 7, received 9"), true, beyond,
			false, "OUT_OF_RANGE", 7, 0,
		},
		{"too late", plain(codes.DeadlineExceeded, "deadline"), true, again, true, "DEADLINE_EXCEEDED", -1, 0},
		{"credentials", plain(codes.Unauthenticated, "token"), false, renew, true, "UNAUTHENTICATED", -1, 0},
		{
			"too large, in the stream", plain(codes.InvalidArgument, "AppendRows request too large: 20 limit 10"), true,
			tooLarge, false, "INVALID_ARGUMENT", -1, 10,
		},
		{
			"too large, with rows", plain(codes.InvalidArgument, "request too large for 7 rows"), false, tooLarge,
			false, "INVALID_ARGUMENT", -1, 0,
		},
		{
			"finalized, in the stream", plain(codes.InvalidArgument, "Stream s is finalized"), true, finalized, false,
			"INVALID_ARGUMENT", -1, 0,
		},
		{
			"of rows, with another code", plain(codes.FailedPrecondition, "the table takes no rows"), false, fatal,
			false, "FAILED_PRECONDITION", -1, 0,
		},
		{
			"of rows, with another code, in the stream", plain(codes.FailedPrecondition, "the table takes no rows"),
			true, fatal, false, "FAILED_PRECONDITION", -1, 0,
		},
		{
			"an offset that does not matter", plain(codes.ResourceExhausted, "quota; expected offset 5"), true, again,
			true, "RESOURCE_EXHAUSTED", -1, 0,
		},
		{
			"an offset beyond belief", plain(codes.OutOfRange, "expected offset 99999999999999999999"), true, beyond,
			false, "OUT_OF_RANGE", -1, 0,
		},
		{"no error", nil, false, renew, true, "EOF", -1, 0},
		{"cancelled", context.Canceled, false, renew, true, "CANCELLED", -1, 0},
		{"something else", errors.New("x"), false, renew, true, "UNKNOWN", -1, 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			f := ended(test.err)
			if test.inStream {
				f = inStream(grpcstatus.Convert(test.err).Proto(), nil)
			}
			if f.kind != test.kind || f.uncertain != test.uncertain || f.code != test.code ||
				f.expected != test.expected ||
				f.limit != test.limit {
				t.Errorf("got %s %+v", f.kind, *f)
			}
		})
	}
}

// BigQuery's storage code counts wherever it is among the details, and row errors count more than the code beside them.
func TestDetailsOfFaults(t *testing.T) {
	st := grpcstatus.Convert(storageError(codes.InvalidArgument, storagepb.StorageError_STREAM_FINALIZED, "x"))
	st, err := st.WithDetails(wrapperspb.String("something else"))
	if err != nil {
		t.Fatal(err)
	}
	if f := inStream(st.Proto(), nil); f.kind != finalized {
		t.Errorf("got %v", f.kind)
	}
	f := inStream(grpcstatus.New(codes.Internal, "rows").Proto(), []*storagepb.RowError{{
		Index: 3, Code: storagepb.RowError_FIELDS_ERROR, Message: "m",
	}})
	if f.kind != refused || f.uncertain || len(f.rows) != 1 || f.rows[0].Row != 3 || f.rows[0].Code != "FIELDS_ERROR" ||
		f.rows[0].Message != "m" {
		t.Errorf("got %+v", f)
	}
	if got, want := withoutDigits("offset 129 of 0: /a:9!"), "offset  of : /a:!"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}
