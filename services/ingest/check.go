package ingest

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	healthv1 "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"

	"github.com/waybill-data/waybill/pkg/config"
	"github.com/waybill-data/waybill/pkg/findings"
	"github.com/waybill-data/waybill/pkg/memory"
	"github.com/waybill-data/waybill/pkg/service"
	"github.com/waybill-data/waybill/services/ingest/internal/contract"
	"github.com/waybill-data/waybill/services/ingest/internal/deadletter"
	"github.com/waybill-data/waybill/services/ingest/internal/source"
)

// Check looks at everything that a configuration points to: contracts, brokers, topics, dead-letter topics, the group,
// the writers. It changes nothing.
func Check(ctx context.Context, c Config) []findings.Finding {
	found, schemas := checkRegistry(ctx, &c)
	found = append(c.doubts(), found...)
	defer schemas.close()
	set, err := c.contracts(ctx, schemas.env)
	if err != nil {
		f := findings.Finding{
			What: "contracts", State: findings.Fail, Detail: err.Error(), Remedy: "correct the contracts section",
		}
		if errors.As(err, new(config.Problems)) {
			f.Remedy = "" // each has its own
		}
		// What does not depend on them is looked at all the same.
		found = append(found, f)
		set = &contract.Set{}
	}
	for _, name := range set.Topics() {
		found = append(found, compiled("contract of "+name, set.Topic(name))...)
	}
	for _, t := range set.Patterns() {
		found = append(found, compiled("contract of topics like "+t.Name, t)...)
	}
	kafka, cancel := context.WithTimeout(ctx, source.CheckTimeout)
	defer cancel()
	found = append(found, source.Check(kafka, c.source(), c.topicsOf(set), deadletter.Check(&c.DeadLetter))...)
	found = append(found, checkLanes(kafka, &c, c.topicsOf(set))...)
	return append(found, checkWriters(ctx, c.Writer)...)
}

// doubts are values that work and are hardly meant.
func (c *Config) doubts() (found []findings.Finding) {
	if c.Kafka.SASL.Mechanism == source.SASLPlain && !c.Kafka.TLS.Enable {
		found = append(found, findings.Finding{
			What: "kafka.sasl", State: findings.Warn, Detail: "the password goes to the brokers in the clear",
			Remedy: "set kafka.tls.enable: true, or use scram-sha-512",
		})
	}
	if c.Kafka.SASL.Mechanism == source.SASLOAuth && !c.Kafka.TLS.Enable {
		found = append(found, findings.Finding{
			What: "kafka.sasl", State: findings.Warn, Detail: "access tokens go to the brokers in the clear",
			Remedy: "set kafka.tls.enable: true",
		})
	}
	found = append(found, service.PortDoubts(&c.GRPC, &c.Admin, &c.Access)...)
	return append(found, c.Memory.Doubts()...)
}

// checkLanes warns of a container that has no room for the lanes of a member that is alone in its group. What the
// budget alone is too large for, doubts says.
func checkLanes(ctx context.Context, c *Config, topics source.Topics) []findings.Finding {
	if _, limited := memory.Limit(); !limited {
		return nil
	}
	partitions, err := source.CountPartitions(ctx, c.source(), topics)
	if err != nil {
		return nil // why, the other checks say
	}
	return tooManyLanes(c.Memory.Size(), partitions, memory.TooLarge)
}

func tooManyLanes(
	budget int64, partitions int, tooLarge func(budget int64, lanes int) (need, limit int64, much bool),
) []findings.Finding {
	need, limit, much := tooLarge(budget, partitions)
	if _, _, anyhow := tooLarge(budget, 0); anyhow || !much {
		return nil
	}
	return []findings.Finding{{
		What: "memory", State: findings.Warn,
		Detail: fmt.Sprintf("one ingest alone has %d partitions and takes about %d MiB with them, and the container "+
			"has %d",
			partitions, need>>20, limit>>20),
		Remedy: "raise the container's limit, or run more ingests at all times",
	}}
}

func compiled(what string, t *contract.Topic) (found []findings.Finding) {
	var tables []string
	for _, r := range t.Routes {
		tables = append(tables, r.GetTable())
	}
	found = append(found, findings.Finding{What: what, Detail: "compiles; rows go to " + strings.Join(tables, ", ")})
	for _, w := range t.Warnings() {
		found = append(found, findings.Finding{
			What: what, State: findings.Warn, Detail: w,
			Remedy: "nothing has to be done; correct the schema, or ask for another column by columns",
		})
	}
	return found
}

// checkRegistry asks the schema registry once. What needs one that is away is left out of the other checks.
func checkRegistry(ctx context.Context, c *Config) ([]findings.Finding, schemas) {
	s, err := c.schemas(service.Env{Log: slog.New(slog.DiscardHandler), Registry: prometheus.NewRegistry()})
	f := findings.Finding{What: "schema registry", State: findings.Fail, Remedy: "correct the registry section"}
	switch {
	case err != nil:
		f.Detail = err.Error()
	case s.client == nil:
		return nil, s
	default:
		ctx, cancel := context.WithTimeout(ctx, c.Registry.Timeout)
		defer cancel()
		if err := s.client.Ping(ctx); err != nil {
			f.Detail, f.Remedy = err.Error(), "start the registry, or correct registry.urls, its credentials and "+
				"registry.tls"
			s.env.Schemas = nil
		} else {
			f = findings.Finding{What: f.What, State: findings.OK, Detail: "responds"}
		}
	}
	return []findings.Finding{f}, s
}

func checkWriters(ctx context.Context, w Writer) []findings.Finding {
	if w.Target != "" {
		return []findings.Finding{checkWriter(ctx, w, w.Target)}
	}
	var found []findings.Finding
	for _, e := range w.Endpoints {
		one := w
		one.Endpoints = []string{e}
		found = append(found, checkWriter(ctx, one, e))
	}
	return found
}

func checkWriter(ctx context.Context, w Writer, name string) findings.Finding {
	f := findings.Finding{What: "writer " + name, State: findings.Fail}
	conn, err := w.dial()
	if err != nil {
		f.Detail, f.Remedy = err.Error(), "correct the writer section"
		return f
	}
	defer conn.Close()
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	// Without waiting: an unreachable writer says at once why it is. The balancer takes writers that do not serve for
	// unreachable too.
	resp, err := healthv1.NewHealthClient(conn).Check(ctx, &healthv1.HealthCheckRequest{}, grpc.WaitForReady(false))
	switch {
	case status.Code(err) == codes.Unimplemented:
		f.Detail, f.Remedy = "has no health service", "check that this address is a writer's gRPC port"
	case err != nil:
		f.Detail, f.Remedy = status.Convert(err).Message(),
			"start the writer, or correct writer.target, writer.endpoints and writer.tls"
	case resp.GetStatus() != healthv1.HealthCheckResponse_SERVING:
		f.Detail, f.Remedy = fmt.Sprintf("says %s", resp.GetStatus()), "run `writer check` there"
	default:
		f.State, f.Detail = findings.OK, "serves"
	}
	return f
}
