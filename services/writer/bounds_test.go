package writer

import (
	"encoding/binary"
	"io"
	"net"
	"testing"
	"time"
)

// A writer says to each connection how many calls it may have open, and how large the metadata of a call may be: gRPC
// holds clients to that, and ends those that do not keep to it.
func TestThePortSaysItsBounds(t *testing.T) {
	conn, stop, ran := start(t)
	raw, err := new(net.Dialer).DialContext(t.Context(), "tcp", conn.Target())
	if err != nil {
		t.Fatal(err)
	}
	defer raw.Close()
	if err := raw.SetDeadline(time.Now().Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	// The preface of HTTP/2, and SETTINGS that say nothing (RFC 9113, sections 3.4 and 6.5).
	const handshake = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00"
	if _, err := io.WriteString(raw, handshake); err != nil {
		t.Fatal(err)
	}
	var header [9]byte
	if _, err := io.ReadFull(raw, header[:]); err != nil || header[3] != 4 {
		t.Fatalf("the first frame is of type %d: %v", header[3], err)
	}
	body := make([]byte, int(header[0])<<16|int(header[1])<<8|int(header[2]))
	if _, err := io.ReadFull(raw, body); err != nil {
		t.Fatal(err)
	}
	said := map[uint16]uint32{}
	for ; len(body) >= 6; body = body[6:] {
		said[binary.BigEndian.Uint16(body)] = binary.BigEndian.Uint32(body[2:])
	}
	const maxConcurrentStreams, maxHeaderListSize = 3, 6
	if said[maxConcurrentStreams] != 8192 || said[maxHeaderListSize] != 64<<10 {
		t.Errorf("settings %v", said)
	}
	stop()
	finished(t, ran)
}

// Connections that come together are greeted at a pace, every one of them.
func TestThePortTakesConnectionsAtAPace(t *testing.T) {
	conn, stop, ran := start(t, func(*Config) {})
	const atOnce, later = 64, 64 // 256 a second
	began := time.Now()
	var raw []net.Conn
	hangUp := func() {
		for _, c := range raw {
			_ = c.Close() // the server need not wait for them
		}
	}
	defer hangUp()
	for range atOnce + later {
		c, err := new(net.Dialer).DialContext(t.Context(), "tcp", conn.Target())
		if err != nil {
			t.Fatal(err)
		}
		raw = append(raw, c)
		if err := c.SetDeadline(time.Now().Add(time.Minute)); err != nil {
			t.Fatal(err)
		}
	}
	for i, c := range raw {
		if _, err := io.ReadFull(c, make([]byte, 9)); err != nil {
			t.Fatalf("connection %d: %v", i, err)
		}
	}
	if took := time.Since(began); took < time.Second/5 {
		t.Errorf("%d connections are greeted within %v", len(raw), took)
	}
	hangUp()
	stop()
	finished(t, ran)
}
