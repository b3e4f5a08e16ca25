package sink

import (
	"errors"
	"io"
	"regexp"
	"strconv"

	"cloud.google.com/go/bigquery/storage/apiv1/storagepb"
	"google.golang.org/genproto/googleapis/rpc/code"
	rpcstatus "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/waybill-data/waybill/services/writer/internal/lane"
)

// kind is what an append queue does about a fault.
type kind int

const (
	// again: try again after a back-off, on the same connection if it stands.
	again kind = iota
	// renew: try again after a back-off, on a new connection.
	renew
	// refused: the rows listed will never be taken.
	refused
	// suspect: some rows will never be taken, and BigQuery does not say which.
	suspect
	// tooLarge: the request is above the size limit.
	tooLarge
	// exists: rows are at this offset already.
	exists
	// beyond: rows before this offset are missing.
	beyond
	// finalized: the stream takes no more rows.
	finalized
	// gone: there is no such stream or table.
	gone
	// denied: the writer may not write to the table, or there is none: BigQuery says the same of both.
	denied
	// fatal: whatever we did next would be a guess.
	fatal
)

var kindNames = [...]string{
	"again", "renew", "refused", "suspect", "too large", "exists", "beyond", "finalized", "gone", "denied", "fatal",
}

func (k kind) String() string { return kindNames[k] }

// fault is one thing BigQuery said no to, classified.
type fault struct {
	kind kind
	// code is the name of BigQuery's code for metrics and dead letters, for example OFFSET_ALREADY_EXISTS; status is
	// the gRPC code beneath it.
	code   string
	status codes.Code
	// text is BigQuery's message.
	text string
	// uncertain says that the rows may have been written all the same.
	uncertain bool
	// shared says that it ended a call on which requests of other queues were unanswered as well: it may be about one
	// of theirs.
	shared bool
	// expected is the offset BigQuery expects next and received the one it was sent; -1 when it does not say.
	expected, received int64
	// limit is the request size limit in bytes; 0 when BigQuery does not say.
	limit int
	// rows are the refused rows, by index in the request.
	rows []lane.RefusedRow
}

// Error names code and text.
func (f *fault) Error() string { return f.code + ": " + f.text }

// transient says that trying again is what to do about it.
func (f *fault) transient() bool { return f.kind == again || f.kind == renew }

// codeNoResult is the code of a response that says neither that rows are written nor that they are not.
const codeNoResult = "NO_RESULT"

// noResult is the fault of such a response. The rows may be written.
func noResult() *fault {
	return &fault{
		kind: renew, code: codeNoResult, text: "BigQuery responded to an append with neither a result nor an error",
		uncertain: true, expected: -1, received: -1,
	}
}

// inStream classifies response.error and row_errors of a response. The call stays open.
func inStream(st *rpcstatus.Status, rows []*storagepb.RowError) *fault {
	f := classify(status.FromProto(st))
	if len(rows) > 0 {
		// Row errors speak for themselves, whatever the code: no row of the request is written.
		f.kind, f.uncertain = refused, false
		for _, row := range rows {
			f.rows = append(f.rows, lane.RefusedRow{
				Row: int(row.GetIndex()), Code: row.GetCode().String(), Message: row.GetMessage(),
			})
		}
		return f
	}
	if f.kind == fatal && f.code == "INVALID_ARGUMENT" && !aboutSchema.MatchString(f.text) {
		// The stream, its schema and the offset have codes of their own: what is left of a request is its rows.
		f.kind = suspect
	}
	return f
}

// ended classifies the error that ended a call.
func ended(err error) *fault {
	if err == nil || errors.Is(err, io.EOF) {
		return &fault{
			kind: renew, code: "EOF", status: codes.Unavailable, text: "BigQuery closed the connection",
			uncertain: true, expected: -1, received: -1,
		}
	}
	st := status.Convert(err)
	if st.Code() == codes.Unknown {
		st = status.FromContextError(err)
	}
	f := classify(st)
	if f.kind == fatal && f.code == "INVALID_ARGUMENT" && aboutRows.MatchString(f.text) {
		f.kind = suspect
	}
	return f
}

var (
	expectedOffset = regexp.MustCompile(`(?i)expected offset:? (\d+)`)
	receivedOffset = regexp.MustCompile(`(?i)received:? (?:offset:? )?(\d+)`)
	sizeLimit      = regexp.MustCompile(`(?i)(?:limit|maximum|vs\.)[^0-9]{0,40}(\d+)`)
	// extraFields are the forms in which a schema mismatch has been seen without a code of its own.
	extraFields = regexp.MustCompile(`(?i)extra (proto )?field|schema_mismatch_extra_field|more fields than`)
	aboutRows   = regexp.MustCompile(`(?i)\brows?\b`)
	aboutSchema = regexp.MustCompile(
		`(?i)(proto|input|table|bigquery|writer('s)?) schema|schema mismatch|proto field mismatch`)
	// requestTooLarge is about a request. A value that is too large is about a row, and a frame that is too large about
	// the network.
	requestTooLarge = regexp.MustCompile(`(?i)request( is)? too large|request size|message larger than max|` +
		`request.{0,40} exceeds .{0,40}(size|bytes|limit)`)
	// streamFinalized is not about a row that holds the word.
	streamFinalized = regexp.MustCompile(`(?i)stream.{0,200} finalized`)
	// fromProxy is how gRPC puts a response over HTTP that is none of BigQuery's: a proxy's or a load balancer's.
	fromProxy = regexp.MustCompile(`(?i)unexpected HTTP status code|unexpected content-type|malformed header`)
)

// classify decides by BigQuery's storage code where there is one, else by the gRPC code.
func classify(st *status.Status) *fault {
	f := &fault{text: st.Message(), code: codeName(st.Code()), status: st.Code(), expected: -1, received: -1}
	storage := storagepb.StorageError_STORAGE_ERROR_CODE_UNSPECIFIED
	for _, detail := range st.Details() {
		if e, ok := detail.(*storagepb.StorageError); ok {
			storage = e.GetCode()
		}
	}
	if storage != 0 {
		f.code = storage.String()
	}
	switch storage {
	case storagepb.StorageError_STREAM_FINALIZED:
		f.kind = finalized
	case storagepb.StorageError_STREAM_NOT_FOUND, storagepb.StorageError_TABLE_NOT_FOUND:
		f.kind = gone
	case storagepb.StorageError_SCHEMA_MISMATCH_EXTRA_FIELDS:
		f.kind = renew
	case storagepb.StorageError_OFFSET_ALREADY_EXISTS:
		f.kind = exists
	case storagepb.StorageError_OFFSET_OUT_OF_RANGE:
		f.kind = beyond
	case storagepb.StorageError_KMS_SERVICE_ERROR:
		f.kind, f.uncertain = again, true
	case storagepb.StorageError_STORAGE_ERROR_CODE_UNSPECIFIED:
		f.kind, f.uncertain = kindOf(st.Code(), f.text)
		if f.kind == renew && st.Code() == codes.InvalidArgument {
			f.code = codeExtraFields
		}
	default:
		f.kind = fatal
	}
	if f.kind == exists || f.kind == beyond {
		f.expected, f.received = number(expectedOffset, f.text), number(receivedOffset, f.text)
	}
	if f.kind == tooLarge {
		f.limit = int(max(0, number(sizeLimit, f.text)))
	}
	return f
}

// kindOf decides where BigQuery gives no storage code: by the gRPC code, and by the text only between what one code may
// mean.
func kindOf(c codes.Code, text string) (k kind, uncertain bool) {
	switch c {
	case codes.ResourceExhausted:
		if requestTooLarge.MatchString(text) {
			return tooLarge, false
		}
		return again, true
	case codes.Internal, codes.DeadlineExceeded:
		return again, true
	case codes.Aborted, codes.Unavailable, codes.Canceled, codes.Unknown, codes.Unauthenticated:
		return renew, true
	case codes.AlreadyExists:
		return exists, false
	case codes.OutOfRange:
		return beyond, false
	case codes.NotFound:
		return gone, false
	case codes.PermissionDenied:
		if !fromProxy.MatchString(text) {
			return denied, false
		}
		return renew, true
	case codes.InvalidArgument:
		switch {
		case requestTooLarge.MatchString(text):
			return tooLarge, false
		case streamFinalized.MatchString(text):
			return finalized, false
		case extraFields.MatchString(text):
			return renew, false
		}
	default:
		if fromProxy.MatchString(text) {
			return renew, true
		}
	}
	return fatal, false
}

// number is the number a message names, -1 when it names none.
func number(pattern *regexp.Regexp, text string) int64 {
	match := pattern.FindStringSubmatch(text)
	if match == nil {
		return -1
	}
	n, err := strconv.ParseInt(match[1], 10, 64)
	if err != nil {
		return -1
	}
	return n
}

// codeName is the gRPC code in the spelling of its specification.
func codeName(c codes.Code) string { return code.Code(c).String() }
