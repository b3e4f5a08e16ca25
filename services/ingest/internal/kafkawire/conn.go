package kafkawire

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// Dialer opens connections to brokers.
type Dialer struct {
	// ClientID is how brokers name us in their logs and quotas.
	ClientID string
	// Connect opens a connection, with the TLS handshake where there is one. Nil is TCP alone.
	Connect func(ctx context.Context, network, address string) (net.Conn, error)
	// SASL is nil for none.
	SASL *SASL
	// Timeout bounds dialing with all handshakes, and every request beyond the time that it lets the broker wait. It
	// must be there.
	Timeout time.Duration
	// MaxResponse is the largest response in bytes. A larger one is an error.
	MaxResponse int
}

// Conn is a connection to a broker. One request is under way at a time; it is not safe for concurrent use, but for
// Close. After an error of Do or Fetch it is to be closed.
type Conn struct {
	dialer    *Dialer
	address   string
	raw       net.Conn
	in        *bufio.Reader
	formatter *kmsg.RequestFormatter
	out       []byte
	// id is the correlation id of the last request.
	id int32
	// versions are what the broker speaks, by the key of the request.
	versions map[int16]kmsg.ApiVersionsResponseApiKey
	// login is when the broker wants the next authentication (KIP-368); zero for never.
	login time.Time
}

// Dial opens a connection, handshakes included: of TLS, of versions (KIP-35) and of SASL.
func (d *Dialer) Dial(ctx context.Context, address string) (_ *Conn, err error) {
	ctx, cancel := context.WithTimeout(ctx, d.Timeout)
	defer cancel()
	connect := d.Connect
	if connect == nil {
		connect = new(net.Dialer).DialContext
	}
	raw, err := connect(ctx, "tcp", address)
	if err != nil {
		return nil, err // names the address
	}
	formatter := kmsg.NewRequestFormatter(kmsg.FormatterClientID(d.ClientID))
	c := &Conn{dialer: d, address: address, raw: raw, formatter: formatter}
	defer func() {
		if err != nil {
			err = errors.Join(err, c.raw.Close())
		}
	}()
	c.in = bufio.NewReader(c.raw)
	// Version 0 is what every broker responds, whatever else it speaks.
	response, err := c.exchange(ctx, &kmsg.ApiVersionsRequest{})
	if err != nil {
		return nil, err
	}
	known := response.(*kmsg.ApiVersionsResponse)
	c.versions = make(map[int16]kmsg.ApiVersionsResponseApiKey, len(known.ApiKeys))
	for _, k := range known.ApiKeys {
		c.versions[k.ApiKey] = k
	}
	if d.SASL != nil {
		if err := c.authenticate(ctx); err != nil {
			return nil, err
		}
	}
	return c, nil
}

// Close ends the connection, and the request under way with an error.
func (c *Conn) Close() error { return c.raw.Close() }

// Speak sets the version of a request: the newest that the broker knows and is not newer than the given one.
func (c *Conn) Speak(request kmsg.Request, newest int16) error {
	k, ok := c.versions[request.Key()]
	if !ok || k.MinVersion > newest || k.MaxVersion < request.GetVersion() {
		return fmt.Errorf("%s at %s: the broker speaks versions %d to %d, we speak %d to %d: "+
			"it is too old or too new for this ingest",
			kmsg.NameForKey(request.Key()), c.address, k.MinVersion, k.MaxVersion, request.GetVersion(), newest)
	}
	request.SetVersion(min(newest, k.MaxVersion))
	return nil
}

// Do sends a request in the newest version up to the given one and reads its response. The version that the request
// has is the oldest that will do.
func (c *Conn) Do(ctx context.Context, request kmsg.Request, newest int16) (kmsg.Response, error) {
	if err := c.renew(ctx); err != nil {
		return nil, err
	}
	if err := c.Speak(request, newest); err != nil {
		return nil, err
	}
	return c.exchange(ctx, request)
}

// Fetch sends a request whose version Speak has set and reads its response, to where the one before may have been:
// what a fetcher of thousands of partitions gets each second uses the same memory.
func (c *Conn) Fetch(ctx context.Context, request *kmsg.FetchRequest, response *FetchResponse) error {
	if err := c.renew(ctx); err != nil {
		return err
	}
	requested := 0
	for i := range request.Topics {
		requested += len(request.Topics[i].Partitions)
	}
	return c.during(ctx, request, time.Duration(request.MaxWaitMillis)*time.Millisecond, func(left int) error {
		return readFetch(c.in, left, request.Version, requested, response)
	})
}

// exchange sends a request as it is and reads its response.
func (c *Conn) exchange(ctx context.Context, request kmsg.Request) (kmsg.Response, error) {
	response := request.ResponseKind()
	err := c.during(ctx, request, 0, func(left int) error {
		body, err := readBytes(c.in, left)
		if err != nil {
			return err
		}
		return response.ReadFrom(body)
	})
	return response, err
}

// during sends a request and reads the response's head; read reads its body of so many bytes. When ctx ends, all of
// it ends.
func (c *Conn) during(
	ctx context.Context, request kmsg.Request, wait time.Duration, read func(left int) error,
) (err error) {
	if err := c.raw.SetDeadline(time.Now().Add(c.dialer.Timeout + wait)); err != nil {
		return err
	}
	done := context.AfterFunc(ctx, func() { _ = c.raw.SetDeadline(time.Unix(1, 0)) })
	defer func() {
		if !done() {
			err = context.Cause(ctx)
		}
		if err != nil {
			err = fmt.Errorf("%s at %s: %w", kmsg.NameForKey(request.Key()), c.address, err)
		}
	}()
	c.id++
	c.out = c.formatter.AppendRequest(c.out[:0], request, c.id)
	if _, err := c.raw.Write(c.out); err != nil {
		return err
	}
	var head [8]byte
	if _, err := io.ReadFull(c.in, head[:]); err != nil {
		return err
	}
	left, id := int(int32(binary.BigEndian.Uint32(head[:])))-4, int32(binary.BigEndian.Uint32(head[4:]))
	switch {
	case id != c.id:
		return fmt.Errorf("the response is to request %d, and %d was sent: this is no Kafka broker, or out of step",
			id, c.id)
	case left < 0 || left > c.dialer.MaxResponse:
		return fmt.Errorf("the response has %d bytes, of %d at most", left, c.dialer.MaxResponse)
	}
	// KIP-511: never in the response that lists versions.
	if request.IsFlexible() && request.Key() != int16(kmsg.ApiVersions) {
		body := cursor{in: c.in, left: left, flexible: true}
		body.tags()
		if body.err != nil {
			return body.err
		}
		left = body.left
	}
	return read(left)
}
