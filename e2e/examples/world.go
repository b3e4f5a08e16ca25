package examples

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/waybill-data/waybill/e2e/stack"
)

// world is a running example.
type world struct {
	// root is the folder of the source, dir that of the example, config its configuration.
	root, dir, config string
	stack             *stack.Stack
	out               io.Writer
}

// newWorld lays out the processes. The services run with the files of the example; where they meet is set by the
// environment.
func newWorld(c Config, dir string) (*world, error) {
	s, err := stack.New(stack.Config{Dir: c.Dir, Bin: c.Bin})
	if err != nil {
		return nil, err
	}
	w := &world{root: c.Root, dir: dir, config: filepath.Join(dir, "ingest.yaml"), stack: s, out: c.Out}
	writer, ingest := s.Writers[0], s.Ingests[0]
	env := []string{
		"WAYBILL_KAFKA_BROKERS=" + s.Endpoints.Kafka,
		"WAYBILL_REGISTRY=http://" + s.Endpoints.Registry,
		"WAYBILL_BIGQUERY_GRPC=" + s.Endpoints.BigQueryGRPC,
		"WAYBILL_BIGQUERY_REST=http://" + s.Endpoints.BigQueryREST + "/bigquery/v2/",
		"WAYBILL_WRITER_GRPC=" + writer.GRPC, "WAYBILL_WRITER_ADMIN=" + writer.Admin,
		"WAYBILL_INGEST_GRPC=" + ingest.GRPC, "WAYBILL_INGEST_ADMIN=" + ingest.Admin,
	}
	writer.Config, ingest.Config = filepath.Join(c.Root, "examples", "writer.yaml"), w.config
	for _, service := range []*stack.Service{writer, ingest} {
		service.Args, service.Env = []string{"serve", "--config", service.Config}, env
	}
	return w, nil
}

// all runs steps until one fails.
func (w *world) all(steps ...func() error) error {
	for _, step := range steps {
		if err := step(); err != nil {
			return err
		}
	}
	return nil
}

// do runs a command of the project, and shows it and what it said.
func (w *world) do(ctx context.Context, program string, args ...string) error {
	fmt.Fprintf(w.out, "$ bin/%s %s\n", program, w.spelled(args))
	out, err := w.run(ctx, program, args...)
	for line := range strings.Lines(out) {
		fmt.Fprintf(w.out, "  %s", line)
	}
	fmt.Fprintln(w.out)
	return err
}

// run runs a command of the project with the example's environment, and returns all it said.
func (w *world) run(ctx context.Context, program string, args ...string) (string, error) {
	patient := []string{args[0]}
	if program == "sandbox" {
		patient = append(patient, "--sandbox", filepath.Join(w.stack.Config.Dir, "sandbox.json"))
	}
	if program == "sandbox" && args[0] == "query" {
		// A person at a quiet machine gets a result within its default of a minute; here deadlines are for what hangs.
		patient = append(patient, "--timeout", limit.String())
	}
	args = append(patient, args[1:]...)
	cmd := exec.CommandContext(ctx, filepath.Join(w.stack.Config.Bin, program), args...)
	cmd.Env = append(cmd.Environ(), w.stack.Ingests[0].Env...)
	var said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &said, &said
	if err := cmd.Run(); err != nil {
		return said.String(), fmt.Errorf("bin/%s %s: %w: %s", program, w.spelled(args), err,
			strings.TrimSpace(said.String()))
	}
	return said.String(), nil
}

// spelled are the arguments as a person at the root of the source would write them.
func (w *world) spelled(args []string) string {
	out := make([]string, len(args))
	for i, arg := range args {
		if inside, err := filepath.Rel(w.root, arg); err == nil && filepath.IsAbs(arg) &&
			!strings.HasPrefix(inside, "..") {
			arg = inside
		}
		if strings.ContainsAny(arg, " *'") {
			arg = `"` + arg + `"`
		}
		out[i] = arg
	}
	return strings.Join(out, " ")
}

// settled waits until the group has committed everything that the topic holds.
func (w *world) settled(ctx context.Context, topic string) error {
	log, err := w.stack.Log()
	if err != nil {
		return err
	}
	defer log.Close()
	return w.await(ctx, "all of "+topic+" is settled", func() error { return log.Settled(ctx, topic) })
}

// letters checks how many dead letters a topic has.
func (w *world) letters(ctx context.Context, topic string, want int) error {
	log, err := w.stack.Log()
	if err != nil {
		return err
	}
	defer log.Close()
	places := map[string]bool{}
	err = log.EachHeaders(ctx, topic+stack.DeadLetters, func(h map[string]string) error {
		places[h["waybill-partition"]+"/"+h["waybill-offset"]] = true
		return nil
	})
	if err == nil && len(places) != want {
		err = fmt.Errorf("%d records of %s are dead letters, not %d", len(places), topic, want)
	}
	return err
}

// await waits for something that must come, for as long as the services run.
func (w *world) await(ctx context.Context, what string, f func() error) error {
	return stack.Poll(ctx, 50*time.Millisecond, what, f, w.stack.Ingests[0].Process, w.stack.Writers[0].Process)
}
