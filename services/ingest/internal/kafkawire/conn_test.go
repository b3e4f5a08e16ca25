package kafkawire

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// broker responds to the requests of one connection after the other with what reply makes of them: the body of a
// response, nil for none.
func broker(t *testing.T, reply func(key, version int16, body []byte) []byte) (address string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				for {
					var size [4]byte
					if _, err := io.ReadFull(c, size[:]); err != nil {
						return
					}
					request := make([]byte, binary.BigEndian.Uint32(size[:]))
					if _, err := io.ReadFull(c, request); err != nil {
						return
					}
					body := reply(int16(binary.BigEndian.Uint16(request)), int16(binary.BigEndian.Uint16(request[2:])),
						request)
					if body == nil {
						continue
					}
					out := binary.BigEndian.AppendUint32(nil, uint32(len(body)+4))
					if _, err := c.Write(append(append(out, request[4:8]...), body...)); err != nil {
						return
					}
				}
			}()
		}
	}()
	return l.Addr().String()
}

// speaks responds to the first request of a connection: all versions of these kinds.
func speaks(keys ...kmsg.Key) []byte {
	r := &kmsg.ApiVersionsResponse{}
	for _, k := range keys {
		r.ApiKeys = append(r.ApiKeys,
			kmsg.ApiVersionsResponseApiKey{ApiKey: int16(k), MaxVersion: kmsg.RequestForKey(int16(k)).MaxVersion()})
	}
	return r.AppendTo(nil)
}

func testDialer() *Dialer {
	return &Dialer{ClientID: "test", Timeout: time.Minute, MaxResponse: 1 << 20}
}

// A request that nobody responds ends with its context, not with its timeout, and says what it was.
func TestRequestsEndWithTheirContext(t *testing.T) {
	requested := make(chan struct{})
	address := broker(t, func(key, _ int16, _ []byte) []byte {
		if key == int16(kmsg.ApiVersions) {
			return speaks(kmsg.Fetch)
		}
		close(requested)
		return nil
	})
	c, err := testDialer().Dial(t.Context(), address)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Close() }()
	request := &kmsg.FetchRequest{Version: FetchOldest}
	if err := c.Speak(request, FetchNewest); err != nil || request.Version != FetchNewest {
		t.Fatalf("version %d, %v", request.Version, err)
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	stop := errors.New("stop")
	go func() {
		<-requested
		cancel(stop)
	}()
	err = c.Fetch(ctx, request, new(FetchResponse))
	if !errors.Is(err, stop) || !strings.Contains(err.Error(), "Fetch at "+address) {
		t.Errorf("got %v", err)
	}
}

// A broker that is silent from the start holds up nobody for longer than the timeout.
func TestDialEndsWithItsTimeout(t *testing.T) {
	address := broker(t, func(int16, int16, []byte) []byte { return nil })
	d := testDialer()
	d.Timeout = 10 * time.Millisecond
	if _, err := d.Dial(t.Context(), address); !errors.Is(err, context.DeadlineExceeded) &&
		!strings.Contains(err.Error(), "timeout") {
		t.Errorf("got %v", err)
	}
}

func TestResponsesThatAreNone(t *testing.T) {
	for name, test := range map[string]struct {
		reply func(request []byte) []byte
		want  string
	}{
		"of another request": {
			func(request []byte) []byte { request[7]++; return []byte{} },
			"request 3, and 2 was sent",
		},
		"too large": {func([]byte) []byte { return make([]byte, 1<<20+1) }, "1048577 bytes, of 1048576 at most"},
		"cut off":   {func([]byte) []byte { return []byte{0, 0} }, "enough data to be valid"},
	} {
		t.Run(name, func(t *testing.T) {
			address := broker(t, func(key, _ int16, request []byte) []byte {
				if key == int16(kmsg.ApiVersions) {
					return speaks(kmsg.ListOffsets)
				}
				return test.reply(request)
			})
			c, err := testDialer().Dial(t.Context(), address)
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = c.Close() }()
			if _, err := c.Do(t.Context(), &kmsg.ListOffsetsRequest{Version: 1}, 4); err == nil ||
				!strings.Contains(err.Error(), test.want) {
				t.Errorf("got %v, want %q", err, test.want)
			}
		})
	}
}

func TestVersionsThatDoNotMeet(t *testing.T) {
	address := broker(t, func(int16, int16, []byte) []byte { return speaks(kmsg.ListOffsets) })
	c, err := testDialer().Dial(t.Context(), address)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Close() }()
	if err := c.Speak(&kmsg.FetchRequest{Version: FetchOldest}, FetchNewest); err == nil ||
		!strings.Contains(err.Error(), "too old or too new") {
		t.Errorf("got %v", err)
	}
}

// A connection whose authentication ends is authenticated again before the broker would close it (KIP-368).
func TestAuthenticatesAgain(t *testing.T) {
	var logins, refused atomic.Int32
	address := broker(t, func(key, _ int16, request []byte) []byte {
		switch kmsg.Key(key) {
		case kmsg.ApiVersions:
			return speaks(kmsg.SASLHandshake, kmsg.SASLAuthenticate, kmsg.ListOffsets)
		case kmsg.SASLHandshake:
			return (&kmsg.SASLHandshakeResponse{Version: 1}).AppendTo(nil)
		case kmsg.SASLAuthenticate:
			r := &kmsg.SASLAuthenticateResponse{Version: 2, SessionLifetimeMillis: 50}
			if !strings.Contains(string(request), "\x00u\x00secret") {
				refused.Add(1)
				r.ErrorCode, r.ErrorMessage = 58, kmsg.StringPtr("no such user")
			}
			logins.Add(1)
			return append([]byte{0}, r.AppendTo(nil)...) // the tags of a flexible head
		}
		return (&kmsg.ListOffsetsResponse{Version: 4}).AppendTo(nil)
	})
	d := testDialer()
	d.SASL = &SASL{Mechanism: "PLAIN", User: "u", Password: "secret"}
	c, err := d.Dial(t.Context(), address)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Close() }()
	for logins.Load() < 3 {
		if _, err := c.Do(t.Context(), &kmsg.ListOffsetsRequest{Version: 4}, 4); err != nil {
			t.Fatal(err)
		}
	}
	d.SASL.Password = "wrong"
	var auth *AuthError
	if _, err := d.Dial(t.Context(), address); !errors.As(err, &auth) ||
		!strings.Contains(err.Error(), "no such user") ||
		refused.Load() != 1 {
		t.Errorf("got %v", err)
	}
}
