package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/dynamicpb"

	"github.com/waybill-data/waybill/e2e/stack"
	adminv1 "github.com/waybill-data/waybill/proto/admin/v1"
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
		if err != nil || !messages(out) {
			w.t.Errorf("%s\n%v: %s", line, err, out)
		}
		check(line, string(out))
	}
	if lines < least {
		w.t.Errorf("%s has %d lines of grpcurl", page, lines)
	}
}

// messages says whether text is JSON, once or, of a stream, several times.
func messages(text []byte) bool {
	for n, decoder := 0, json.NewDecoder(bytes.NewReader(text)); ; n++ {
		var one json.RawMessage
		switch err := decoder.Decode(&one); {
		case errors.Is(err, io.EOF):
			return n > 0
		case err != nil:
			return false
		}
	}
}

// What the pages say of calls by hand: the README's examples, and a line for each method of admin.v1.
func TestByHand(t *testing.T) {
	t.Parallel()
	w := newWorld(t, stack.Config{DeliveryPartitions: 1, StockPartitions: 1})
	t.Run("grpcurl", func(t *testing.T) { readmeCalls(t, w) })
	t.Run("methods", func(t *testing.T) { eachMethodHasItsLine(t, w) })
}

// eachMethodHasItsLine compares the methods with the lines for grpcurl in the pages: one at an ingest, and one at a
// writer where that serves it; what a writer does not respond says whom to ask.
func eachMethodHasItsLine(t *testing.T, w *world) {
	t.Helper()
	var pages strings.Builder
	for _, page := range []string{"../docs/status.md", "../docs/steering.md"} {
		text, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		pages.Write(text)
	}
	has := func(port, method string) bool {
		return regexp.MustCompile(`(?m)^grpcurl .*:` + port + ` ` + regexp.QuoteMeta(method) + `$`).MatchString(
			pages.String())
	}
	conn, err := grpc.NewClient(w.Writers[0].GRPC, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	methods := 0
	for _, file := range []protoreflect.FileDescriptor{
		adminv1.File_admin_v1_admin_proto, adminv1.File_admin_v1_tap_proto, adminv1.File_admin_v1_steer_proto,
	} {
		for i := range file.Services().Len() {
			service := file.Services().Get(i)
			for j := range service.Methods().Len() {
				methods++
				m := service.Methods().Get(j)
				name := string(service.FullName()) + "/" + string(m.Name())
				if !has("7080", name) {
					t.Errorf("%s has no line for an ingest", name)
				}
				said := status.Convert(w.calls(conn, name, m))
				responses := !strings.Contains(said.Message(), "ask an ingest") || has("7070", name)
				if said.Code() == codes.Unimplemented && !strings.Contains(said.Message(), "ask an ingest") {
					t.Errorf("a writer says of %s: %v", name, said)
				}
				if responses != has("7070", name) {
					t.Errorf("%s has no line for a writer, which says: %v", name, said)
				}
			}
		}
	}
	if methods < 22 {
		t.Errorf("%d methods", methods)
	}
}

// calls calls a method with a request that names nothing but a table, and returns its first error.
func (w *world) calls(conn *grpc.ClientConn, name string, m protoreflect.MethodDescriptor) error {
	w.t.Helper()
	stream, err := conn.NewStream(w.ctx, &grpc.StreamDesc{ServerStreams: true}, "/"+name)
	if err != nil {
		return err
	}
	request := dynamicpb.NewMessage(m.Input())
	if table := m.Input().Fields().ByName("table"); table != nil {
		request.Set(table, protoreflect.ValueOfString("delivery_events"))
	}
	if err := stream.SendMsg(request); err != nil {
		return err
	}
	if err := stream.CloseSend(); err != nil {
		return err
	}
	return stream.RecvMsg(dynamicpb.NewMessage(m.Output()))
}

// readmeCalls are the README's grpcurl examples, with grpcurl itself: list services, health, and a lane driven by hand.
func readmeCalls(t *testing.T, w *world) {
	t.Helper()
	grpcurl := builtGrpcurl(t)
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
