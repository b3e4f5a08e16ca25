package source

import (
	"context"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"sync/atomic"
	"time"

	"github.com/waybill-data/waybill/pkg/tlsfiles"
)

// dialer opens the connections of every client. Certificates, authorities and the password are those that the files
// hold when it does. It is what sarama takes for the dialer of a proxy.
type dialer struct {
	kafka *Kafka
}

// Dial is DialContext as sarama takes it.
func (d *dialer) Dial(network, address string) (net.Conn, error) {
	return d.DialContext(context.Background(), network, address)
}

// DialContext opens a connection, TLS handshake included.
func (d *dialer) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, time.Duration(d.kafka.RequestTimeout))
	defer cancel()
	raw, err := new(net.Dialer).DialContext(ctx, network, address)
	if err != nil {
		return nil, err
	}
	c := &conn{Conn: raw, address: address, kafka: d.kafka}
	if !d.kafka.TLS.Enable {
		return c, nil
	}
	config, err := tlsfiles.Client(d.kafka.TLS.Files)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("kafka.tls.%w", err), raw.Close())
	}
	if config.ServerName == "" {
		if config.ServerName, _, err = net.SplitHostPort(address); err != nil {
			return nil, errors.Join(err, raw.Close())
		}
	}
	secure := tls.Client(raw, config)
	if err := secure.HandshakeContext(ctx); err != nil {
		return nil, errors.Join(explainHandshake(address, err), raw.Close())
	}
	c.Conn, c.secure = tlsfiles.Judged(secure), true
	return c, nil
}

// listenerError says that a listener is of another kind than the configuration says, or does not take what we show it,
// and what to do.
type listenerError struct {
	text string
	err  error
}

func (l *listenerError) Error() string { return l.text + ": " + l.err.Error() }
func (l *listenerError) Unwrap() error { return l.err }

func explainHandshake(address string, err error) error {
	var header tls.RecordHeaderError
	var certificate *tls.CertificateVerificationError
	timeout, ok := errors.AsType[net.Error](err)
	switch {
	case errors.As(err, &header):
		return &listenerError{address + " responds without TLS: check its port, or set kafka.tls.enable: false", err}
	case errors.As(err, &certificate):
		return &listenerError{
			"the certificate of " + address + " is not trusted: check kafka.tls.ca and kafka.tls.server_name",
			err,
		}
	case tlsfiles.IsAlert(err):
		return &listenerError{address + " refuses the TLS handshake: check kafka.tls.cert and kafka.tls.key", err}
	case errors.Is(err, io.EOF), ok && timeout.Timeout(), errors.Is(err, context.DeadlineExceeded):
		// The text of a time that has run out is ours alone to give: whoever has set no deadline must not take it for
		// its own.
		return &listenerError{
			address + " does not end the TLS handshake, as a listener without TLS does: check its port and " +
				"kafka.tls.enable",
			errors.New(err.Error()),
		}
	}
	return fmt.Errorf("TLS handshake with %s: %w", address, err)
}

// conn is a connection to a broker. It says what a broken one means, and sends the password that holds now.
type conn struct {
	net.Conn
	address string
	kafka   *Kafka
	secure  bool
	// responded says that the broker has sent something; written counts the requests.
	responded atomic.Bool
	written   atomic.Int32
	// verdict is what was found out first: sarama may go on with another request, which fails in another way.
	verdict atomic.Pointer[listenerError]
}

// Write implements net.Conn. sarama writes a request in one call.
func (c *conn) Write(p []byte) (int, error) {
	c.written.Add(1)
	if c.kafka.SASL.Mechanism == SASLPlain {
		if renewed, ok := withPassword(p, &c.kafka.SASL); ok {
			if _, err := c.Conn.Write(renewed); err != nil {
				return 0, c.explain(err)
			}
			return len(p), nil
		}
	}
	n, err := c.Conn.Write(p)
	if err != nil {
		err = c.explain(err)
	}
	return n, err
}

// Read implements net.Conn.
func (c *conn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if n > 0 && !c.responded.Swap(true) && !c.secure && p[0] == tlsAlert {
		return 0, c.judge(" wants TLS: set kafka.tls.enable: true, or use the port of a listener without TLS", errAlert)
	}
	if err != nil {
		err = c.explain(err)
	}
	return n, err
}

// tlsAlert is how a response begins that is a TLS alert. As the head of Kafka's it would be of more than 300 MB.
const tlsAlert = 21

var errAlert = errors.New("it responds with a TLS alert")

// introduction is how many requests there are at most before a broker has accepted us: versions, mechanism, two of
// SCRAM.
const introduction = 4

// explain says what it means that a broker ends a connection before it has accepted us.
func (c *conn) explain(err error) error {
	if verdict := c.verdict.Load(); verdict != nil {
		return verdict
	}
	timeout, ok := errors.AsType[net.Error](err)
	if ok && timeout.Timeout() || errors.Is(err, net.ErrClosed) || c.written.Load() > introduction {
		return err
	}
	responded := c.responded.Load()
	sasl := c.kafka.SASL.Mechanism != ""
	var text string
	switch {
	case tlsfiles.IsAlert(err) && c.kafka.TLS.Cert == "":
		text = " refuses us, as a listener does that wants a client certificate: set kafka.tls.cert and kafka.tls.key"
	case tlsfiles.IsAlert(err):
		text = " refuses our certificate: is kafka.tls.cert of an authority that the brokers trust, and not expired?"
	case responded && sasl:
		text = " ends the connection while we authenticate: check kafka.sasl"
	case responded && c.written.Load() <= 2:
		text = " ends the connection after its versions, as a listener does that wants SASL: set kafka.sasl, " +
			"or use another port"
	case responded:
		return err
	case c.secure:
		text = " ends the connection at the first request: check its port, kafka.tls.cert and kafka.sasl"
	default:
		text = " ends the connection at the first request, as a listener does that wants TLS: check its port, " +
			"kafka.tls and kafka.sasl"
	}
	return c.judge(text, err)
}

// judge says what the listener is, unless that was said before.
func (c *conn) judge(text string, err error) error {
	c.verdict.CompareAndSwap(nil, &listenerError{c.address + text, err})
	return c.verdict.Load()
}

// saslAuthenticate is the key of requests that carry the client's part of an authentication.
const saslAuthenticate = 36

// withPassword lays out anew a request that sarama has made of SASL/PLAIN (RFC 4616), for which it knows but one
// password for the life of a client: length, key, version, correlation id and client id stay, the message behind them
// is the one of now. ok is false for any other request.
func withPassword(request []byte, s *SASL) (renewed []byte, ok bool) {
	const head = 4 + 2 + 2 + 4
	if len(request) < head+2 || binary.BigEndian.Uint16(request[4:]) != saslAuthenticate {
		return nil, false
	}
	body := head + 2 + int(binary.BigEndian.Uint16(request[head:]))
	if body > len(request) {
		return nil, false
	}
	message := "\x00" + s.User + "\x00" + s.Password.Reveal()
	renewed = append(renewed, request[:body]...)
	switch version := binary.BigEndian.Uint16(request[6:]); version {
	case 0, 1:
		renewed = binary.BigEndian.AppendUint32(renewed, uint32(len(message)))
		renewed = append(renewed, message...)
	case 2: // the first of the flexible versions (KIP-482): tags behind the head and the body, none of them used
		renewed = append(renewed, 0)
		renewed = binary.AppendUvarint(renewed, uint64(len(message)+1))
		renewed = append(renewed, message...)
		renewed = append(renewed, 0)
	default:
		return nil, false
	}
	binary.BigEndian.PutUint32(renewed, uint32(len(renewed)-4))
	return renewed, true
}
