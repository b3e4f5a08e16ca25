package tlsfiles

import (
	"errors"
	"net"
	"time"
)

// Judged is a client's TLS connection that says why the other side has ended it. With TLS 1.3 a server judges our
// certificate only after our handshake is done: the first thing that fails is writing, with "broken pipe", while the
// server's alert is there to be read.
func Judged(c net.Conn) net.Conn { return &judged{c} }

type judged struct{ net.Conn }

// Write implements net.Conn.
func (j *judged) Write(p []byte) (int, error) {
	n, err := j.Conn.Write(p)
	if timeout, ok := errors.AsType[net.Error](err); err == nil || ok && timeout.Timeout() || errors.Is(err,
		net.ErrClosed) {
		return n, err
	}
	// Nothing more can be written, so whoever reads has nothing to lose.
	if e := j.SetReadDeadline(time.Now().Add(time.Second)); e == nil {
		if _, e = j.Read(make([]byte, 1)); IsAlert(e) {
			err = e
		}
	}
	return n, err
}

// IsAlert says of an error that the other side has ended the connection with a TLS alert, "remote error: tls: unknown
// certificate authority" for one. crypto/tls has no exported type for it.
func IsAlert(err error) bool {
	op, ok := errors.AsType[*net.OpError](err)
	return ok && op.Op == "remote error"
}
