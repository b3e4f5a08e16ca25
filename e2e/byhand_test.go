package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/waybill-data/waybill/e2e/stack"
)

// builtGrpcurl builds grpcurl and returns its path.
func builtGrpcurl(t *testing.T) string {
	t.Helper()
	grpcurl := filepath.Join(t.TempDir(), "grpcurl")
	build := exec.CommandContext(t.Context(), "go", "build", "-o", grpcurl,
		"github.com/fullstorydev/grpcurl/cmd/grpcurl")
	build.Dir, build.Env = "../tools/grpcurl", append(os.Environ(), "GOWORK=off", "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build grpcurl: %v\n%s", err, out)
	}
	return grpcurl
}

// byHand runs the lines of a page for grpcurl as they are, in order, but for the addresses. There are at least so many,
// each prints JSON, and check looks at it.
func (w *world) byHand(page string, least int, check func(line, out string)) {
	w.t.Helper()
	doc, err := os.ReadFile(page)
	if err != nil {
		w.t.Fatal(err)
	}
	grpcurl, lines := builtGrpcurl(w.t), 0
	for line := range strings.Lines(string(doc)) {
		if !strings.HasPrefix(line, "grpcurl ") {
			continue
		}
		lines++
		line = strings.NewReplacer("grpcurl ", grpcurl+" ", "127.0.0.1:7080", w.Ingests[0].GRPC,
			"127.0.0.1:7070", w.Writers[0].GRPC).Replace(line)
		ctx, cancel := context.WithTimeout(w.ctx, 5*time.Minute)
		out, err := exec.CommandContext(ctx, "sh", "-c", line).CombinedOutput()
		cancel()
		if err != nil || !json.Valid(out) {
			w.t.Errorf("%s\n%v: %s", line, err, out)
		}
		check(line, string(out))
	}
	if lines < least {
		w.t.Errorf("%s has %d lines of grpcurl", page, lines)
	}
}

// The README's grpcurl examples, with grpcurl itself: list services, health, and a lane driven by hand.
func TestGrpcurl(t *testing.T) {
	t.Parallel()
	grpcurl := builtGrpcurl(t)
	w := newWorld(t, stack.Config{})
	run := func(name string, args ...string) string {
		t.Helper()
		ctx, cancel := context.WithTimeout(w.ctx, 5*time.Minute)
		defer cancel()
		cmd := exec.CommandContext(ctx, name, args...)
		cmd.Dir, cmd.Env = "..", append(os.Environ(), "GRPCURL="+grpcurl)
		var errs bytes.Buffer
		cmd.Stderr = &errs
		out, err := cmd.Output()
		if err != nil {
			t.Fatalf("%s %s: %v\n%s%s", filepath.Base(name), strings.Join(args, " "), err, out, &errs)
		}
		return string(out)
	}
	writer, ingest := w.Writers[0].GRPC, w.Ingests[0].GRPC
	for _, c := range []struct{ address, method, want string }{
		{writer, "list", "lane.v1.LaneService"},
		{ingest, "list", "grpc.health.v1.Health"},
		{writer, "grpc.health.v1.Health/Check", "SERVING"},
		{ingest, "grpc.health.v1.Health/Check", "SERVING"},
	} {
		if out := run(grpcurl, "-plaintext", c.address, c.method); !strings.Contains(out, c.want) {
			t.Errorf("grpcurl %s %s says %q, not %s", c.address, c.method, out, c.want)
		}
	}
	if out := run(grpcurl, "-plaintext", writer, "describe", "delivery.v6.DeliveryEvent"); !strings.Contains(out,
		"kafka_offset") {
		t.Errorf("the typed row is not described: %s", out)
	}
	out := run("docs/lane-by-hand.sh", writer)
	for _, word := range []string{`"opened"`, `"checkpoint"`, `"settled"`, `"closed"`} {
		if !strings.Contains(out, word) {
			t.Errorf("the lane by hand did not come to %s:\n%s", word, out)
		}
	}
	row := run(filepath.Join(bin, "sandbox"), "query", "--sandbox", filepath.Join(w.Config.Dir, "sandbox.json"),
		"SELECT event_id, delivery.status, topic_version FROM delivery_events WHERE kafka_topic = 'by-hand'")
	if !strings.Contains(row, "by-hand-1") || !strings.Contains(row, "ON_HOLD") || !strings.Contains(row, "null") {
		t.Errorf("the row that was written by hand is not in the table:\n%s", row)
	}
}
