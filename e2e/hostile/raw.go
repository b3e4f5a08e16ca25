package hostile

import (
	"bytes"
	"context"
	"encoding/binary"
	"net"
	"slices"
	"sync"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// lanePath is the call that attacks are made with.
const lanePath = "/lane.v1.LaneService/Lane"

// raw is an HTTP/2 connection by hand, for what no client of gRPC does. It keeps to flow control, or the server would
// end it for that and for nothing else.
type raw struct {
	conn   net.Conn
	framer *http2.Framer
	header []byte

	mu      sync.Mutex // of writes, and of what follows
	more    *sync.Cond
	room    int64
	streams map[uint32]int64
	next    uint32
	gone    bool
}

const (
	initialWindow = 1<<16 - 1
	// frame is the longest that every peer takes.
	frame = 16 << 10
)

// dialRaw connects for calls that have this metadata beside what they need.
func dialRaw(ctx context.Context, address string, more ...[2]string) (*raw, error) {
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", address)
	if err != nil {
		return nil, err
	}
	r := &raw{
		conn: conn, framer: http2.NewFramer(conn, conn), room: initialWindow, streams: map[uint32]int64{}, next: 1,
	}
	r.more = sync.NewCond(&r.mu)
	var header bytes.Buffer
	encoder := hpack.NewEncoder(&header)
	encoder.SetMaxDynamicTableSize(0)
	for _, f := range slices.Concat([][2]string{
		{":method", "POST"},
		{":scheme", "http"},
		{":path", lanePath},
		{":authority", address},
		{"content-type", "application/grpc"},
		{"te", "trailers"},
	}, more) {
		if err := encoder.WriteField(hpack.HeaderField{Name: f[0], Value: f[1]}); err != nil {
			return nil, err
		}
	}
	r.header = header.Bytes()
	if _, err := conn.Write([]byte(http2.ClientPreface)); err != nil {
		return nil, err
	}
	if err := r.framer.WriteSettings(); err != nil {
		return nil, err
	}
	stop := context.AfterFunc(ctx, r.close)
	go func() {
		defer stop()
		r.read()
	}()
	return r, nil
}

func (r *raw) close() {
	_ = r.conn.Close() // it may be closed already
	r.mu.Lock()
	defer r.mu.Unlock()
	r.gone = true
	r.more.Broadcast()
}

// read keeps account of the windows until the connection ends.
func (r *raw) read() {
	defer r.close()
	initial := int64(initialWindow)
	for {
		f, err := r.framer.ReadFrame()
		if err != nil {
			return
		}
		r.mu.Lock()
		switch f := f.(type) {
		case *http2.SettingsFrame:
			if size, ok := f.Value(http2.SettingInitialWindowSize); ok {
				for id := range r.streams {
					r.streams[id] += int64(size) - initial
				}
				initial = int64(size)
			}
			if !f.IsAck() {
				err = r.framer.WriteSettingsAck()
			}
		case *http2.PingFrame:
			if !f.IsAck() {
				err = r.framer.WritePing(true, f.Data)
			}
		case *http2.WindowUpdateFrame:
			if f.StreamID == 0 {
				r.room += int64(f.Increment)
			} else if _, open := r.streams[f.StreamID]; open {
				r.streams[f.StreamID] += int64(f.Increment)
			}
		case *http2.RSTStreamFrame:
			delete(r.streams, f.StreamID)
		case *http2.MetaHeadersFrame, *http2.HeadersFrame:
			if f.Header().Flags.Has(http2.FlagHeadersEndStream) {
				delete(r.streams, f.Header().StreamID)
			}
		}
		r.more.Broadcast()
		r.mu.Unlock()
		if err != nil {
			return
		}
	}
}

// open begins a call.
func (r *raw) open() (uint32, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	id := r.next
	r.next += 2
	r.streams[id] = initialWindow
	first, rest := r.header[:min(len(r.header), frame)], r.header[min(len(r.header), frame):]
	err := r.framer.WriteHeaders(http2.HeadersFrameParam{
		StreamID: id, BlockFragment: first, EndHeaders: len(rest) == 0,
	})
	for len(rest) > 0 && err == nil {
		first, rest = rest[:min(len(rest), frame)], rest[min(len(rest), frame):]
		err = r.framer.WriteContinuation(id, len(rest) == 0, first)
	}
	return id, err
}

// ended waits until a call, or the connection, has ended.
func (r *raw) ended(id uint32) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for {
		if _, open := r.streams[id]; !open || r.gone {
			return
		}
		r.more.Wait()
	}
}

// over waits until the connection has ended.
func (r *raw) over() {
	r.mu.Lock()
	defer r.mu.Unlock()
	for !r.gone {
		r.more.Wait()
	}
}

// reset takes a call back.
func (r *raw) reset(id uint32) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.streams, id)
	return r.framer.WriteRSTStream(id, http2.ErrCodeCancel)
}

// begin says that a message of so many bytes comes.
func (r *raw) begin(id uint32, size int) bool {
	return r.data(id, binary.BigEndian.AppendUint32([]byte{0}, uint32(size)))
}

// data sends bytes when there is room for them; false: the call or the connection has ended.
func (r *raw) data(id uint32, b []byte) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	for {
		left, open := r.streams[id]
		if !open || r.gone {
			return false
		}
		if n := int64(len(b)); r.room >= n && left >= n {
			r.room -= n
			r.streams[id] -= n
			return r.framer.WriteData(id, false, b) == nil
		}
		r.more.Wait()
	}
}
