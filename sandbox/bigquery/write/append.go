package write

import (
	"errors"
	"fmt"
	"io"
	"time"

	"cloud.google.com/go/bigquery/storage/apiv1/storagepb"
	rpcstatus "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/waybill-data/waybill/sandbox/bigquery/fault"
	"github.com/waybill-data/waybill/sandbox/bigquery/row"
	"github.com/waybill-data/waybill/sandbox/bigquery/store"
)

// inFlight is how many requests of one call may wait for their responses: past it the call takes in no more.
const inFlight = 1000

// reply is a response, or the end of the call, and when it is due.
type reply struct {
	response *storagepb.AppendRowsResponse
	err      error
	due      time.Time
	reset    bool
}

// AppendRows implements storagepb.BigQueryWriteServer. A goroutine takes in and applies requests; this one responds
// them in order, each when it is due. It may return first (idle, broken connection): the goroutine then ends at its
// next receive.
func (s *Server) AppendRows(rpc storagepb.BigQueryWrite_AppendRowsServer) error {
	s.stats.calls.Add(1)
	s.stats.callsTotal.Add(1)
	defer s.stats.calls.Add(-1)
	ctx := rpc.Context()
	replies := make(chan reply, inFlight)
	s.appliers.Go(func() {
		defer close(replies)
		c := call{server: s, rpc: rpc}
		defer c.leave()
		for {
			r := c.next()
			select {
			case replies <- r:
			case <-ctx.Done():
				return
			}
			if r.err != nil || r.reset {
				return
			}
		}
	})
	idle := time.NewTimer(idleLimit)
	defer idle.Stop()
	for {
		select {
		case r, more := <-replies:
			switch {
			case !more:
				return status.FromContextError(ctx.Err()).Err()
			case errors.Is(r.err, io.EOF):
				return nil
			}
			if wait := time.Until(r.due); wait > 0 {
				select {
				case <-time.After(wait):
				case <-ctx.Done():
					return status.FromContextError(ctx.Err()).Err()
				}
			}
			if r.reset {
				s.reset(ctx)
				return status.Error(codes.Unavailable, "connection reset")
			}
			if r.err != nil {
				return r.err
			}
			if err := rpc.Send(r.response); err != nil {
				return err
			}
			idle.Reset(idleLimit)
		case <-idle.C:
			return status.Error(codes.Aborted,
				"Closing the stream because there has been no activity for a while. This is expected and "+
					"client is advised to reconnect.")
		}
	}
}

// call is the receiving side of one AppendRows call.
type call struct {
	server *Server
	rpc    storagepb.BigQueryWrite_AppendRowsServer

	stream *store.Stream
	schema *schema
	known  []*row.Column // columns the client knows
	// missing is what the call makes of missing values from here on, where a request does not say otherwise.
	missing storagepb.AppendRowsRequest_MissingValueInterpretation
}

// schema is a writer schema fitted to a stream's table.
type schema struct {
	sent string // the writer's descriptor
	// kept is the descriptor that rows are kept with: sent, and fields for the values of gaps.
	kept   string
	gaps   []row.Gap
	shape  *row.Shape
	number *row.Projection // kafka_offset, for faults
	err    error
}

func (c *call) leave() {
	if c.stream != nil {
		_ = c.stream.Release() // its last write has its response; closing a file that is only read back loses nothing
	}
}

func endWith(err error) reply { return reply{err: err} }

// next receives and applies one request.
func (c *call) next() reply {
	var r request
	if err := c.rpc.RecvMsg(&r); err != nil {
		return endWith(err)
	}
	defer r.free()
	if err := c.address(&r); err != nil {
		return endWith(err)
	}
	s := c.server
	e := s.cfg.Faults.At(fault.Call{Method: fault.Append, Table: c.stream.Table().ID(), Stream: c.stream.Name()})
	out := reply{due: time.Now().Add(e.Delay)}
	switch {
	case e.Reset:
		out.reset = true
		return out
	case e.Refuse != nil && e.Refuse.InStream:
		out.response = c.refuse(refusal(e.Refuse).Proto())
	case e.Refuse != nil:
		out.err = refusal(e.Refuse).Err()
		return out
	default:
		out.response = c.apply(&r, e.Rows)
	}
	if e.LoseReply != nil {
		out.response, out.err = nil, status.Error(codes.Aborted,
			"Closing the stream because server is restarted. This is expected and client is advised to reconnect.")
	}
	return out
}

// address finds the stream and schema a request is for. Its errors end the call.
func (c *call) address(r *request) error {
	s := c.server
	first := c.stream == nil
	if r.stream == "" && first {
		return status.Error(codes.InvalidArgument, "write_stream is required on the first request of a connection")
	}
	moved := r.stream != "" && (first || store.CanonicalStream(r.stream) != c.stream.Name())
	if moved {
		if first {
			if err := s.params(c.rpc.Context(), r.stream); err != nil {
				return err
			}
		}
		st, err := s.stream(fault.Append, r.stream)
		if err != nil {
			return err
		}
		c.leave()
		st.Retain()
		c.stream = st
	}
	limit := s.cfg.StreamRequestLimit
	if c.stream.IsDefault() {
		limit = defaultRequestLimit
	}
	switch {
	case r.size > limit:
		return status.Errorf(codes.InvalidArgument, "AppendRows request too large: %d limit %d", r.size, limit)
	case r.arrow:
		return status.Error(codes.Unimplemented, "Arrow rows are not supported by the sandbox: send proto_rows")
	case moved && !r.hasSchema:
		return status.Errorf(codes.InvalidArgument,
			"Invalid stream schema: proto_rows.writer_schema is required on the first request to %s", r.stream)
	case moved || r.hasSchema && c.stream.IsDefault() && string(r.schema) != c.schema.sent:
		c.schema = c.fit(string(r.schema))
	}
	return nil
}

func (c *call) fit(descriptor string) *schema {
	out := &schema{sent: descriptor, kept: descriptor}
	if c.server.cfg.Discard {
		return out
	}
	c.known = c.stream.Table().WriteColumns()
	if err := out.fit(c.stream.Table(), c.known); err != nil {
		refusal := &store.Error{
			Code: codes.InvalidArgument, Entity: c.stream.Name(), Message: err.Error() + " Entity: " + c.stream.Name(),
		}
		if extra, ok := errors.AsType[*row.ExtraFieldsError](err); ok {
			refusal.Storage = storagepb.StorageError_SCHEMA_MISMATCH_EXTRA_FIELDS
			refusal.Message = fmt.Sprintf("Input schema has more fields than BigQuery schema, extra fields: '%s' "+
				"Entity: %s",
				extra.Error(), c.stream.Name())
		}
		out.err = refusal
	}
	return out
}

func (s *schema) fit(t *store.Table, columns []*row.Column) error {
	kept, gaps, err := row.Gaps([]byte(s.sent), columns)
	if err != nil {
		return err
	}
	s.kept, s.gaps = string(kept), gaps
	if s.shape, err = t.Shape(s.kept, columns); err == nil {
		s.number = s.shape.Project([][]string{{"kafka_offset"}})
	}
	return err
}

// apply appends a request's rows, all or none.
func (c *call) apply(r *request, faults []fault.Fault) *storagepb.AppendRowsResponse {
	s := c.server
	if err := c.stream.Accept(r.offset); err != nil {
		return c.refuse(statusOf(s.concealed(fault.Append, c.stream.Name(), err)))
	}
	if c.schema.err != nil {
		return c.refuse(statusOf(c.schema.err))
	}
	if r.count == 0 {
		return c.refuse(status.New(codes.InvalidArgument, "The request has no rows. Entity: "+c.stream.Name()).Proto())
	}
	rows, err := c.fill(r)
	if err != nil {
		return c.refuse(statusOf(err))
	}
	r.rows = rows
	if !s.cfg.Discard {
		if bad := c.check(r, faults); len(bad) > 0 {
			s.stats.rowErrors.Add(int64(len(bad)))
			out := c.refuse(status.New(codes.InvalidArgument,
				fmt.Sprintf("Errors found while processing rows. Please refer to the row_errors field for details. "+
					"The list may not be complete because of the size limitations. Entity: %s",
					c.stream.Name())).Proto())
			out.RowErrors = bad
			return out
		}
	}
	offset, err := c.stream.Append(store.Append{
		Offset: r.offset, Descriptor: c.schema.kept, Rows: r.count, Bytes: r.rows, Size: r.rowBytes,
	})
	if err != nil {
		return c.refuse(statusOf(err))
	}
	s.stats.took(r.count, r.rowBytes)
	result := &storagepb.AppendRowsResponse_AppendResult{}
	if !c.stream.IsDefault() {
		result.Offset = wrapperspb.Int64(offset)
	}
	return c.announce(&storagepb.AppendRowsResponse{
		WriteStream: c.stream.Name(),
		Response:    &storagepb.AppendRowsResponse_AppendResult_{AppendResult: result},
	})
}

// announce adds the table's new schema to the first response after it changed.
func (c *call) announce(out *storagepb.AppendRowsResponse) *storagepb.AppendRowsResponse {
	if c.server.cfg.Discard {
		return out
	}
	if now := c.stream.Table().WriteColumns(); len(now) > 0 && (len(c.known) == 0 || &now[0] != &c.known[0]) {
		c.known = now
		out.UpdatedSchema = tableSchema(now)
	}
	return out
}

func (c *call) refuse(st *rpcstatus.Status) *storagepb.AppendRowsResponse {
	c.server.stats.refused.Add(1)
	return c.announce(&storagepb.AppendRowsResponse{
		WriteStream: c.stream.Name(), Response: &storagepb.AppendRowsResponse_Error{Error: st},
	})
}

// check validates every row and gives the errors, by index.
func (c *call) check(r *request, faults []fault.Fault) []*storagepb.RowError {
	var bad []*storagepb.RowError
	next := max(r.offset, 0)
	if r.offset < 0 && len(faults) > 0 {
		next = c.stream.Info().Rows
	}
	index := int64(0)
	for rest := r.rows; len(rest) > 0; index++ {
		b, n := protowire.ConsumeBytes(rest[1:])
		rest = rest[1+n:]
		err := c.schema.shape.Check(b)
		if err == nil && len(faults) > 0 {
			err = c.fault(b, next+index, faults, len(bad))
		}
		if errors.Is(err, errUnlisted) {
			continue
		}
		if err != nil {
			bad = append(bad, &storagepb.RowError{
				Index: index, Code: storagepb.RowError_FIELDS_ERROR,
				Message: err.Error(),
			})
		}
	}
	return bad
}

var errUnlisted = errors.New("left out of the list of row errors")

// fault says whether a row_errors fault refuses a row.
func (c *call) fault(b []byte, number int64, faults []fault.Fault, listed int) error {
	var offset [1]any
	if err := c.schema.number.Read(b, offset[:]); err != nil {
		return err
	}
	if n, ok := offset[0].(int64); ok {
		number = n
	}
	for i := range faults {
		f := &faults[i]
		if !f.RefusesRow(number) {
			continue
		}
		if f.Listed > 0 && listed >= f.Listed {
			return errUnlisted
		}
		c.server.cfg.Faults.Struck(f.ID)
		return fmt.Errorf("Field kafka_offset: row %d is refused on request (fault %s)", number, f.ID)
	}
	return nil
}
