package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/waybill-data/waybill/e2e/stack"
	"github.com/waybill-data/waybill/sandbox/verify"
)

func showStack(out io.Writer, s *stack.Stack) {
	e := s.Endpoints
	fmt.Fprintf(out, "  sandbox  pid %-7d Kafka %s, BigQuery %s (SQL and tables %s)\n",
		s.Sandbox.Pid(), e.Kafka, e.BigQueryGRPC, e.BigQueryREST)
	for _, w := range s.Writers {
		fmt.Fprintf(out, "  %-8s pid %-7d gRPC %s, admin http://%s\n", w.Name, w.Pid(), w.GRPC, w.Admin)
	}
	for _, i := range s.Ingests {
		fmt.Fprintf(out, "  %-8s pid %-7d gRPC %s, admin http://%s\n", i.Name, i.Pid(), i.GRPC, i.Admin)
	}
	fmt.Fprintln(out)
}

// show draws one reading.
func (j *job) show(now reading) {
	done := now.settled >= int64(j.Events)
	since := now.at.Sub(j.began).Seconds()
	rate := now.rowBytes / max(since, 0.001)
	lines := []string{fmt.Sprintf("%s  produced %*s  settled %*s %3d%%  lag %*s  %6.1f MB/s",
		j.clock(), len(count(int64(j.Events))), count(now.produced), len(count(int64(j.Events))), count(now.settled),
		100*now.settled/int64(j.Events), len(count(int64(j.Events))), count(max(0, now.produced-now.settled)),
		rate/1e6)}
	if j.Lanes {
		lines = append(lines, fmt.Sprintf("       %9s  %-8s %10s %8s %7s %9s %8s",
			"partition", "state", "position", "lag", "window", "MB", "dropped"))
		for _, l := range now.lanes {
			lines = append(lines, fmt.Sprintf("       %9d  %-8s %10s %8s %7d %9.1f %8d",
				l.Partition, l.State, count(l.Position), count(l.Lag), l.WindowBatches, float64(l.Bytes)/1e6,
				l.Dropped))
		}
	}
	j.screen.block(lines, done)
	j.last = now
}

// samples are queries that a user of the table would ask.
var samples = []struct{ what, sql string }{
	{
		"Events by type", "SELECT event_type, COUNT(*) AS events, COUNT(DISTINCT event_id) AS deliveries FROM " +
			"delivery_events GROUP BY event_type ORDER BY events DESC",
	},
	{
		"Nested fields are columns",
		"SELECT delivery.billing_address.country_iso2code AS country, COUNT(*) AS events, " +
			"ROUND(AVG(delivery.delivery_value_total), 2) AS mean_value FROM delivery_events GROUP BY " +
			"country ORDER BY events DESC LIMIT 5",
	},
	{
		"Each offset once, by partition",
		"SELECT kafka_partition, COUNT(*) AS num_rows, COUNT(DISTINCT kafka_offset) AS offsets, MIN(kafka_offset) AS " +
			"first, MAX(kafka_offset) AS last FROM delivery_events GROUP BY kafka_partition ORDER BY kafka_partition " +
			"LIMIT 8",
	},
}

func (c *command) show(ctx context.Context, out io.Writer, s *stack.Stack) error {
	for _, q := range samples {
		fmt.Fprintf(out, "%s\n  %s\n\n", q.what, q.sql)
		ctx, cancel := context.WithTimeout(ctx, time.Minute)
		cmd := exec.CommandContext(ctx, s.Sandbox.Path, "query", "--sandbox", filepath.Join(c.Dir, "sandbox.json"),
			q.sql)
		text, err := cmd.CombinedOutput()
		cancel()
		if err != nil {
			return fmt.Errorf("query %q: %w\n%s", q.sql, err, text)
		}
		for line := range strings.Lines(string(text)) {
			fmt.Fprintf(out, "  %s", line)
		}
		fmt.Fprintln(out)
	}
	return nil
}

// verify compares Kafka with the tables and returns the last line to print.
func (c *command) verify(ctx context.Context, out io.Writer, s *stack.Stack) (string, error) {
	report, err := s.Verify(ctx, verify.Config{Topics: verify.Builtin(stack.Dataset)[:1], Seed: c.Seed})
	if err != nil {
		return "", err
	}
	body := strings.TrimRight(stack.Text(report), "\n")
	body = strings.TrimRight(strings.TrimSuffix(body, report.Line()), "\n")
	fmt.Fprintf(out, "What Kafka holds against what the table holds, offset by offset\n\n%s\n\n", body)
	if !report.OK() {
		return "", fmt.Errorf("%s", report.Line())
	}
	if report.Events != int64(c.Events) {
		return "", fmt.Errorf("produced %d events, but Kafka holds %d", c.Events, report.Events)
	}
	return report.Line(), nil
}

// showNext prints commands that work as they stand where this one was called.
func (c *command) showNext(out io.Writer, s *stack.Stack) {
	how := "make run KEEP=1 stays up, then"
	if c.Keep {
		how = "in another terminal"
	}
	bin, dir, sandbox := here(c.Bin), here(c.Dir), ""
	if dir != ".waybill" {
		sandbox = " --sandbox=" + filepath.Join(dir, "sandbox.json")
	}
	fmt.Fprintf(out, `How to look further: %s
  http://%s/   the status page: which table is stale, and why; in the terminal: %s/ingest top -c %s
  %s/sandbox query%s "SELECT event_type, COUNT(*) FROM delivery_events GROUP BY event_type"
  %s/sandbox verify%s
  %s/grpcurl -plaintext %s list                       (make grpcurl builds it)
  %s/grpcurl -plaintext %s grpc.health.v1.Health/Check
  curl -s http://%s/lanes; curl -s http://%s/metrics
  tail -f %s/logs/*.log

`, how, s.Ingests[0].Admin, bin, here(s.Ingests[0].Config), bin, sandbox, bin, sandbox, bin,
		s.Writers[0].GRPC, bin, s.Ingests[0].GRPC, s.Ingests[0].Admin, s.Writers[0].Admin, dir)
}

// here is the path from the working directory, where that is the shorter way to say it.
func here(path string) string {
	wd, err := os.Getwd()
	if err != nil {
		return path
	}
	rel, err := filepath.Rel(wd, path)
	if err != nil || !filepath.IsLocal(rel) {
		return path
	}
	return rel
}

// count writes a number with thousands separators.
func count(n int64) string {
	if n < 0 {
		return "-" + count(-n)
	}
	digits := strconv.FormatInt(n, 10)
	var b strings.Builder
	for i, d := range digits {
		if i > 0 && (len(digits)-i)%3 == 0 {
			b.WriteByte(',')
		}
		b.WriteRune(d)
	}
	return b.String()
}
