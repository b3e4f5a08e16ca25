package main

import (
	"slices"
	"testing"
	"time"

	"github.com/alecthomas/kong"
)

func parse(t *testing.T, args ...string) (*command, string, error) {
	t.Helper()
	var c command
	parser, err := kong.New(&c)
	if err != nil {
		t.Fatal(err)
	}
	parsed, err := parser.Parse(args)
	if err != nil {
		return &c, "", err
	}
	return &c, parsed.Command(), nil
}

// Without a command bench runs; lists take commas, as `make bench` passes them.
func TestCommandLine(t *testing.T) {
	c, name, err := parse(t, "--workload=avro-v6,json-270", "--lanes=1,8", "--latency=0,100", "--loads=0.1,0.01",
		"--runs=5", "--live=2s")
	if err != nil || name != "run" {
		t.Fatalf("%q, %v", name, err)
	}
	if !slices.Equal(c.Run.Workload, []string{"avro-v6", "json-270"}) || !slices.Equal(c.Run.Lanes, []int{1, 8}) ||
		!slices.Equal(c.Run.Latency, []int{0, 100}) ||
		!slices.Equal(c.Run.Loads, []float64{0.1, 0.01}) || c.Run.Runs != 5 || c.Run.Live != 2*time.Second ||
		c.Run.Out != "bench.json" {
		t.Errorf("%+v", c.Run)
	}
	if c, name, err := parse(t, "scale", "--gb=2.5", "--region=single"); err != nil || name != "scale" ||
		c.Scale.GB != 2.5 || c.Scale.Partitions != 1000 {
		t.Errorf("%q, %v: %+v", name, err, c.Scale)
	}
	if c, name, err := parse(t, "memory", "--case=stock-8,v6-8-stall", "--stall=5m"); err != nil || name != "memory" ||
		len(c.Memory.Case) != 2 || c.Memory.Stall != 5*time.Minute {
		t.Errorf("%q, %v: %+v", name, err, c.Memory)
	}
	if c, name, err := parse(t, "cores", "--slice=2ms,0s"); err != nil || name != "cores" ||
		!slices.Equal(c.Cores.Slice, []time.Duration{2 * time.Millisecond, 0}) ||
		!slices.Equal(c.Cores.Lanes, []int{8, 16}) {
		t.Errorf("%q, %v: %+v", name, err, c.Cores)
	}
	want := []string{"bento", "run", "--log.level=warn", "e2e/peers/bento.yaml"}
	for _, args := range [][]string{{"peer", "--runs=5", "--"}, {"peer", "--runs=5"}} {
		if c, name, err := parse(t, append(args, want...)...); err != nil || name != "peer <command>" ||
			c.Peer.Runs != 5 ||
			!slices.Equal(c.Peer.program(), want) {
			t.Errorf("%q, %v: %+v", name, err, c.Peer)
		}
	}
	for _, wrong := range [][]string{
		{"--matrix=some"},
		{"--lanes=many"},
		{"scale", "--region=moon"},
		{"compare", "one.json"},
		{"linger", "--lanes=1,8"},
	} {
		if _, _, err := parse(t, wrong...); err == nil {
			t.Errorf("%q is taken", wrong)
		}
	}
}

func TestOnOff(t *testing.T) {
	if got, err := onOff([]string{"both"}); err != nil || !slices.Equal(got, []bool{false, true}) {
		t.Errorf("both: %v, %v", got, err)
	}
	if got, err := onOff([]string{"ON", "0"}); err != nil || !slices.Equal(got, []bool{true, false}) {
		t.Errorf("ON, 0: %v, %v", got, err)
	}
	if _, err := onOff([]string{"maybe"}); err == nil {
		t.Error("maybe is taken")
	}
	if got, err := onOff(nil); err != nil || got != nil {
		t.Errorf("nothing: %v, %v", got, err)
	}
}
