package lane

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/waybill-data/waybill/pkg/logging/logtest"
)

// placedCall is an open call at a place, whose log is the second result.
func placedCall(t *testing.T, p *placeOnce) (*call, *logtest.Log) {
	c, n := quietCall(t), new(logtest.Log)
	c.lane.Log = n.Logger()
	c.place, c.woken = p, make(chan struct{}, 1)
	return c, n
}

// counting is an order that counts how often the placer learns that the lane stays.
func counting(stayed *int) Order { return Order{Reason: "test", Stayed: func() { *stayed++ }} }

// A lane goes by an order, or because its writer drains: never by the mere news that there is another writer. An order
// that comes while it goes already is one that it does not follow, and the placer learns so.
func TestOrders(t *testing.T) {
	for name, test := range map[string]struct {
		prepare func(c *call)
		moving  bool // after it
		stayed  int
	}{
		"an order": {func(*call) {}, true, 0},
		"while another one stands": {func(c *call) {
			c.depart.order, c.depart.by = Order{Stayed: func() {}}, time.Now().Add(time.Hour)
		}, true, 1},
		"while its writer drains": {func(c *call) {
			c.depart.drains, c.depart.leaveBy = "stop", time.Now().Add(time.Hour)
		}, false, 1},
	} {
		synctest.Test(t, func(t *testing.T) {
			stayed := 0
			c, _ := placedCall(t, &placeOnce{order: counting(&stayed)})
			test.prepare(c)
			if err := c.lookAround(); err != nil || c.depart.moving() != test.moving || stayed != test.stayed {
				t.Errorf("%s: %v, moves %v, stayed %d", name, err, c.depart.moving(), stayed)
			}
			c.timer.Stop()
			c.cancel()
		})
	}
	p := &placeOnce{elsewhere: true}
	c, log := placedCall(t, p)
	if err := c.lookAround(); err != nil || c.draining || len(p.looks) != 1 || p.looks[0] {
		t.Errorf("%v: drains %v; asked %v", err, c.draining, p.looks)
	}
	if logged := log.Take(); logged != "" {
		t.Errorf("a lane that nobody moves says %s", logged)
	}
	c.depart.drains, c.depart.leaveBy = "stop", time.Now().Add(time.Hour)
	if err := c.lookAround(); err != nil || !c.draining || !p.looks[1] {
		t.Errorf("%v: drains %v; asked %v", err, c.draining, p.looks)
	}
	// From then on it has no use for orders, and leaves them to the placer.
	p.order = Order{Reason: "late", Stayed: func() {}}
	if err := c.lookAround(); err != nil || len(p.looks) != 2 || p.order.Stayed == nil {
		t.Errorf("%v: asked %v", err, p.looks)
	}
	if err := quietCall(t).lookAround(); err != nil { // which is at no place
		t.Error(err)
	}
}

// A writer that drains says how long it waits, and the lane is gone by a part of that. What it says again counts for
// nothing.
func TestWriterSaysHowLongItWaits(t *testing.T) {
	part := func(d time.Duration) time.Duration { return time.Duration(drainPart * float64(d)) }
	for within, want := range map[time.Duration]time.Duration{
		time.Second: part(time.Second), time.Minute: part(time.Minute), 0: part(drainWithin), -1: part(drainWithin),
	} {
		synctest.Test(t, func(t *testing.T) {
			c, _ := placedCall(t, &placeOnce{})
			began := time.Now()
			if err := c.writerDrains("stop", within); err != nil {
				t.Fatal(err)
			}
			time.Sleep(want / 2)
			if err := c.writerDrains("again", time.Hour); err != nil || c.draining {
				t.Fatalf("drains %v, %v", c.draining, err)
			}
			<-c.woken
			if took := time.Since(began); took != want {
				t.Errorf("within %v: looks around after %v", within, took)
			}
			if err := c.lookAround(); err != nil || !c.draining {
				t.Errorf("within %v: drains %v, %v", within, c.draining, err)
			}
			c.timer.Stop()
			c.cancel()
			time.Sleep(2 * time.Hour)
		})
	}
}

// A writer that drains without a word of why is left as any other: writers of other makes may give no reason.
func TestWriterDrainsWithoutAReason(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &placeOnce{}
		c, _ := placedCall(t, p)
		if err := c.writerDrains("", time.Minute); err != nil || len(p.looks) != 1 || !p.looks[0] {
			t.Fatalf("%v: the place was asked %v", err, p.looks)
		}
		c.timer.Stop()
		c.cancel()
	})
}

// While a lane is about to go it sends nothing and takes nothing: what is under way is to run out.
func TestNothingIsSentWhileALaneMoves(t *testing.T) {
	c, _ := placedCall(t, &placeOnce{})
	c.sends(t, "a")
	c.taken(t, "a")
	c.builder.batch.began = time.Now().Add(-time.Hour) // it is due
	c.depart.order = Order{Stayed: func() {}}
	if err := c.advance(); err != nil || c.builder.batch == nil || c.window.count != 1 || c.draining {
		t.Errorf("%v: %d in the window, drains %v", err, c.window.count, c.draining)
	}
	if c.incoming() != nil {
		t.Error("records are taken")
	}
	c.stay()
	if c.incoming() == nil {
		t.Error("records are not taken by a lane that stays")
	}
	if err := c.advance(); err != nil || c.builder.batch != nil || c.window.count != 2 {
		t.Errorf("%v: %d in the window of a lane that stays", err, c.window.count)
	}
}
