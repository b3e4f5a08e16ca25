package main

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/waybill-data/waybill/sandbox"
)

// The life of a sandbox, by its command line alone.
func TestUp(t *testing.T) {
	dir := t.TempDir()
	ctx, interrupt := context.WithTimeout(t.Context(), 20*time.Minute)
	defer interrupt()
	var out, errs strings.Builder
	stopped := make(chan int)
	go func() {
		stopped <- run(ctx, strings.Fields("up --dir "+dir+
			" --kafka-ports 0,0 --grpc-port 0 --rest-port 0 --registry-port 0 --admin-port 0 "+
			"--seed-topics delivery_events_v6_topic:3,sms_physical_stock_updated_topic:2"), &out, &errs)
	}()
	file := filepath.Join(dir, sandbox.EndpointsFile)
	for ready := false; !ready; {
		select {
		case code := <-stopped:
			t.Fatalf("up ended: %d, %s", code, errs.String())
		case <-time.After(20 * time.Millisecond):
			_, err := os.Stat(file)
			ready = err == nil
		}
	}
	expect := func(wantCode int, says string, args ...string) {
		t.Helper()
		code, out, errs := command(ctx, t, append(args, "--sandbox="+file)...)
		if code != wantCode || !strings.Contains(out+errs, says) {
			t.Errorf("%v: %d, %s%s; want %q", args, code, out, errs, says)
		}
	}
	expect(0, "produced 100 events", "produce", "--events=100")
	expect(1, "NOT verified: events 100, rows 0, missing 100", "verify", "--sample=0")
	expect(1, `"missing":100`, "verify", "--json", "--topics=delivery_events_v6_topic")
	expect(0, "1 row in", "query", "SELECT 1 AS one")
	expect(0, "added bigquery f1", "faults", "add", "bigquery", "kind=latency", "delay=5ms", "method=append")
	expect(0, "bigquery  f1", "faults")
	e, err := sandbox.ReadEndpoints(file)
	if err != nil {
		t.Fatal(err)
	}
	code, _, said := command(ctx, t, "up", "--dir="+t.TempDir(),
		"--kafka-ports="+e.Kafka[0][strings.LastIndexByte(e.Kafka[0], ':')+1:], "--grpc-port=0", "--rest-port=0")
	if code != 1 || !strings.Contains(said, "a port of 0 is a free one") {
		t.Errorf("a second sandbox: %d, %s", code, said)
	}
	interrupt()
	if code := <-stopped; code != 0 || !strings.Contains(out.String(), "sandbox is ready") {
		t.Errorf("up: %d\n%s%s", code, out.String(), errs.String())
	}
	code, _, said = command(t.Context(), t, "verify", "--sandbox="+file)
	if code != 1 || !strings.Contains(said, "Start one with") {
		t.Errorf("verify after the end: %d, %s", code, said)
	}
}
