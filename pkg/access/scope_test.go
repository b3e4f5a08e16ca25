package access

import (
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"
)

var inProject = FullTable("p", "d")

// The right lane may be for some groups, topics and tables alone; a table is the same however it is written. Of several
// grants one must cover all of a lane, and whoever has no grant of the right may carry nothing.
func TestScopesLimitLanes(t *testing.T) {
	g := newGuard(t, Config{Identities: []Identity{
		{Name: "any", Rights: []Right{Lane}},
		{Name: "orders", Rights: []Right{Lane, Viewer}, Only: Scope{
			Groups: []string{"g"}, Topics: []string{"orders", "eu.*"}, Tables: []string{"orders", "d2.ord*", "q.d.t"},
		}},
		{Name: "stock", Rights: []Right{Lane}, Only: Scope{Topics: []string{"stock"}}},
		{Name: "viewer", Rights: []Right{Viewer}},
		{Name: "operator", Rights: []Right{Operator}},
	}})
	for _, tt := range []struct {
		name, group, topic, tables, want string
	}{
		{"any", "x", "y", "z", ""},
		{"orders", "g", "orders", "orders", ""},
		{"orders", "g", "orders", "p.d.orders d2.orders_eu q.d.t", ""},
		{"orders", "g", "eu.orders", "d.orders", ""},
		{"orders", "h", "orders", "orders", "group h"},
		{"orders", "g", "orders2", "orders", "topic orders2"},
		{"orders", "g", "orders", "orders stock", "table p.d.stock"},
		{"orders", "g", "orders", "q.d.orders", "table q.d.orders"},
		{"orders", "g", "orders", "d.d2.ord", "table d.d2.ord"},
		{"stock", "g", "stock", "anything", ""},
		{"orders stock", "g", "stock", "anything", ""},
		{"orders stock", "g", "orders", "orders", ""},
		{"stock orders", "g", "orders", "anything", "table p.d.anything"},
		{"viewer", "g", "orders", "orders", "any lane"},
		{"operator", "g", "orders", "orders", "any lane"},
	} {
		c, known := g.identify(certificate(time.Now().Add(time.Minute), "", strings.Fields(tt.name)...), "", time.Now())
		if got := c.MayCarry(tt.group, tt.topic, strings.Fields(tt.tables), inProject); !known || got != tt.want {
			t.Errorf("%+v: refused %q", tt, got)
		}
		if tt.want == "any lane" || strings.Contains(tt.name, " ") {
			continue
		}
		want := ""
		if strings.HasPrefix(tt.want, "table") {
			want = tt.want
		}
		if got := c.MayTouch(strings.Fields(tt.tables), inProject); got != want {
			t.Errorf("%+v: tables refused: %q", tt, got)
		}
	}
	tables := []string{"secret"}
	if got := (Caller{rights: []Right{Operator}}).MayTouch(tables, inProject); got != "" {
		t.Errorf("an operator may not look at %s", got)
	}
	if got := (Caller{rights: []Right{Viewer}}).MayTouch(tables, inProject); got != "any table" {
		t.Errorf("a viewer may: %q", got)
	}
	if got := (Caller{all: true}).MayCarry("g", "t", tables, inProject); got != "" {
		t.Errorf("where nobody is told apart: %q", got)
	}
}

// The file of tokens says the same in a line.
func TestScopesOfTokens(t *testing.T) {
	const hash = "2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae" // of foo
	g := newGuard(t, Config{Tokens: write(t, "tokens",
		hash+" a lane topics=orders,eu.* until=2030-01-01T00:00:00Z tables=d.*\n")})
	c, known := g.identify(nil, "foo", time.Date(2029, 1, 1, 0, 0, 0, 0, time.UTC))
	if !known || c.MayCarry("g", "eu.x", []string{"t"}, inProject) != "" ||
		c.MayCarry("g", "us.x", []string{"t"}, inProject) != "topic us.x" ||
		c.MayCarry("g", "orders", []string{"e.t"}, inProject) != "table p.e.t" {
		t.Errorf("%+v, %v", c, known)
	}
	if _, known := g.identify(nil, "foo", time.Date(2031, 1, 1, 0, 0, 0, 0, time.UTC)); known {
		t.Error("known after its end")
	}
	for line, want := range map[string]string{
		" a lane topics=": "field 4 is not", " a lane topic=x": "field 4 is not", " a lane tables=a*b": "tables[0]: ",
	} {
		if _, err := readTokens(write(t, "t", hash+line)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", line, err)
		}
	}
}

func TestScopesAreChecked(t *testing.T) {
	for want, id := range map[string]Identity{
		"only.topics[1]: ": {Rights: []Right{Lane}, Only: Scope{Topics: []string{"a", "*b"}}},
		"only.groups[0]: ": {Rights: []Right{Lane}, Only: Scope{Groups: []string{""}}},
		"only: limits ":    {Rights: []Right{Viewer}, Only: Scope{Topics: []string{"a"}}},
	} {
		id.Name = "x"
		var got []string
		c := Config{Identities: []Identity{id}}
		c.Check(func(key, message, _ string) { got = append(got, key+": "+message) })
		if len(got) != 1 || !strings.HasPrefix(got[0], "identities[0]."+want) {
			t.Errorf("%q, want %s", got, want)
		}
	}
}

// A call that lasts ends when what its caller may carry has changed: it was judged when it began.
func TestCallsEndWithTheirScope(t *testing.T) {
	g := newGuard(t, Config{Identities: []Identity{{Name: "a", Rights: []Right{Lane, Operator}}}})
	state := certificate(time.Now().Add(time.Minute), "", "a")
	ctx := peer.NewContext(t.Context(), &peer.Peer{Addr: address("x"), AuthInfo: credentials.TLSInfo{State: *state}})
	err := g.Stream()(nil, fakeStream{ctx: ctx}, &grpc.StreamServerInfo{FullMethod: "/lane.v1.LaneService/Lane"},
		func(_ any, s grpc.ServerStream) error {
			for _, only := range []Scope{{}, {Topics: []string{"orders"}}} {
				g.byName["a"] = grant{[]Right{Lane, Operator}, only}
				s.(*lasting).next = time.Now().Add(-time.Second)
				if err := s.RecvMsg(nil); (err == nil) != only.empty() {
					t.Errorf("%+v: %v", only, err)
				} else if err != nil {
					return err
				}
			}
			return nil
		})
	if status.Code(err) != codes.Aborted || !strings.Contains(err.Error(), "which lanes a may carry has changed") {
		t.Error(err)
	}
}
