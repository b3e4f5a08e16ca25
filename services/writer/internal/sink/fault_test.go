package sink

import (
	"context"
	"errors"
	"io"
	"testing"

	"cloud.google.com/go/bigquery/storage/apiv1/storagepb"
	"google.golang.org/grpc/codes"
	grpcstatus "google.golang.org/grpc/status"
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
		{"offset exists", storageError(codes.AlreadyExists, storagepb.StorageError_OFFSET_ALREADY_EXISTS,
			"The offset is within stream, expected offset 15000, received 5000"), true, exists, false, "OFFSET_ALREADY_EXISTS", 15000, 0},
		{"offset beyond", storageError(codes.OutOfRange, storagepb.StorageError_OFFSET_OUT_OF_RANGE,
			"The offset is beyond stream, expected offset 10, received 20"), true, beyond, false, "OFFSET_OUT_OF_RANGE", 10, 0},
		{
			"finalized", storageError(codes.InvalidArgument, storagepb.StorageError_STREAM_FINALIZED, "Stream has been finalized"),
			true, finalized, false, "STREAM_FINALIZED", -1, 0,
		},
		{
			"no stream", storageError(codes.NotFound, storagepb.StorageError_STREAM_NOT_FOUND, "Requested entity was not found"),
			false, gone, false, "STREAM_NOT_FOUND", -1, 0,
		},
		{
			"schema behind", storageError(codes.InvalidArgument, storagepb.StorageError_SCHEMA_MISMATCH_EXTRA_FIELDS, "Input schema has more fields"),
			true, renew, false, "SCHEMA_MISMATCH_EXTRA_FIELDS", -1, 0,
		},
		{"schema behind, without its code", plain(codes.InvalidArgument, "Found extra proto fields: b"), true, renew, false, "SCHEMA_MISMATCH_EXTRA_FIELDS", -1, 0},
		{
			"schema behind, by its message", plain(codes.InvalidArgument, "Input schema has more fields than BigQuery schema, extra fields: 'b'"),
			false, renew, false, "SCHEMA_MISMATCH_EXTRA_FIELDS", -1, 0,
		},
		{"schema wrong", plain(codes.InvalidArgument, "Invalid proto schema: BqMessage.proto: x: no such type"), true, fatal, false, "INVALID_ARGUMENT", -1, 0},
		{"rows wrong", plain(codes.InvalidArgument, "Cannot parse serialized row"), true, suspect, false, "INVALID_ARGUMENT", -1, 0},
		{"rows wrong, call ended", plain(codes.InvalidArgument, "Cannot parse serialized row"), false, suspect, false, "INVALID_ARGUMENT", -1, 0},
		{"call wrong", plain(codes.InvalidArgument, "Invalid resource name"), false, fatal, false, "INVALID_ARGUMENT", -1, 0},
		{"too large", plain(codes.InvalidArgument, "AppendRows request too large: 10637354 limit 10485760"), false, tooLarge, false, "INVALID_ARGUMENT", -1, 10485760},
		{
			"too large for gRPC", plain(codes.ResourceExhausted, "grpc: received message larger than max (20971530 vs. 10485760)"),
			false, tooLarge, false, "RESOURCE_EXHAUSTED", -1, 10485760,
		},
		{"quota", plain(codes.ResourceExhausted, "Exceeds 'AppendRows throughput' quota"), true, again, true, "RESOURCE_EXHAUSTED", -1, 0},
		{"internal", plain(codes.Internal, "oops"), true, again, true, "INTERNAL", -1, 0},
		{"idle", plain(codes.Aborted, "Closing the stream because it is idle for 600 seconds"), false, renew, true, "ABORTED", -1, 0},
		{"away", plain(codes.Unavailable, "transport is closing"), false, renew, true, "UNAVAILABLE", -1, 0},
		{"end of call", io.EOF, false, renew, true, "EOF", -1, 0},
		{"not allowed", plain(codes.PermissionDenied, "no"), false, fatal, false, "PERMISSION_DENIED", -1, 0},
		{"cancelled", context.Canceled, false, renew, true, "CANCELLED", -1, 0},
		{"something else", errors.New("x"), false, renew, true, "UNKNOWN", -1, 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			f := ended(test.err)
			if test.inStream {
				f = inStream(grpcstatus.Convert(test.err).Proto(), nil)
			}
			if f.kind != test.kind || f.uncertain != test.uncertain || f.code != test.code || f.expected != test.expected || f.limit != test.limit {
				t.Errorf("got %s %+v", f.kind, *f)
			}
		})
	}
}
