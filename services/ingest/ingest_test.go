package ingest

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	reflectionv1 "google.golang.org/grpc/reflection/grpc_reflection_v1"

	"github.com/waybill-data/waybill/pkg/admin"
	"github.com/waybill-data/waybill/pkg/config"
	"github.com/waybill-data/waybill/pkg/service"
	"github.com/waybill-data/waybill/services/ingest/internal/contract"
	"github.com/waybill-data/waybill/services/ingest/internal/decode/decodetest"
	"github.com/waybill-data/waybill/services/ingest/internal/kafkatest"
)

const (
	deliveryTopic = "delivery_events_v6_topic"
	patience      = kafkatest.Patience
)

func newCluster(t *testing.T, opts ...kfake.Opt) *kfake.Cluster {
	t.Helper()
	return kafkatest.Cluster(t, append([]kfake.Opt{kfake.GroupMinSessionTimeout(100 * time.Millisecond)}, opts...)...)
}

func testConfig(c *kfake.Cluster, writer string) Config {
	cfg := Defaults()
	cfg.Kafka.Brokers, cfg.Kafka.Group = c.ListenAddrs(), "g"
	cfg.Kafka.SessionTimeout = config.Duration(30 * time.Second)
	cfg.Kafka.TopicRefresh = config.Duration(200 * time.Millisecond)
	cfg.Writer.Endpoints = []string{writer}
	cfg.Contracts = []contract.Config{{Builtin: "delivery.v6"}}
	cfg.Commit.Interval = config.Duration(50 * time.Millisecond)
	return cfg
}

// deliveries are real delivery events as Avro.
func deliveries(t *testing.T) (types []string, payloads [][]byte) {
	t.Helper()
	for _, v := range decodetest.Read[struct {
		Type string `json:"item_type_name"`
		Avro []byte `json:"avro_base64"`
	}](t, "internal/decode/avro/testdata/delivery_event_v6.jsonl.gz") {
		types, payloads = append(types, v.Type), append(payloads, v.Avro)
	}
	return types, payloads
}

// produce writes n delivery events over the partitions, every 50th undecodable, and returns how many are good.
func produce(t *testing.T, c *kfake.Cluster, partitions, from, n int) (good, bad int) {
	t.Helper()
	types, payloads := deliveries(t)
	p := kafkatest.Producer(t, c)
	var records []*kgo.Record
	for i := from; i < from+n; i++ {
		r := &kgo.Record{
			Topic: deliveryTopic, Partition: int32(i % partitions), Value: payloads[i%len(payloads)],
			Headers: []kgo.RecordHeader{{Key: "item_type_name", Value: []byte(types[i%len(types)])}},
		}
		if i%50 == 49 {
			r.Value = r.Value[:len(r.Value)/2]
			bad++
		} else {
			good++
		}
		records = append(records, r)
	}
	if err := p.ProduceSync(t.Context(), records...).FirstErr(); err != nil {
		t.Fatal(err)
	}
	return good, bad
}

// running is an ingest under test.
type running struct {
	grpc, admin string
	stop        func()
}

func run(t *testing.T, c Config) *running {
	t.Helper()
	var env service.Env
	var logs strings.Builder // written by Run alone, read after it
	pipe, lines := io.Pipe()
	copied := make(chan struct{})
	go func() { defer close(copied); _, _ = io.Copy(&logs, pipe) }()
	env.Log = slog.New(slog.NewTextHandler(lines, nil))
	for _, l := range []*net.Listener{&env.GRPC, &env.Admin} {
		var err error
		if *l, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
			t.Fatal(err)
		}
	}
	s := &running{grpc: env.GRPC.Addr().String(), admin: "http://" + env.Admin.Addr().String()}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- Run(ctx, c, env) }()
	done := false
	s.stop = func() {
		if done {
			return
		}
		done = true
		cancel()
		select {
		case err := <-ended:
			if err != nil {
				t.Errorf("Run: %v", err)
			}
		case <-time.After(patience):
			t.Error("Run did not end")
			return
		}
		_ = lines.Close() // a pipe's end never fails
		<-copied
		if t.Failed() {
			t.Log(logs.String())
		}
	}
	t.Cleanup(s.stop)
	return s
}

func get(t *testing.T, url string) string {
	t.Helper()
	resp, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	http.DefaultClient.CloseIdleConnections()
	return string(body)
}

// From Kafka to a writer and back, with real sockets: every good record becomes one row, every bad one a dead letter,
// and a restart goes on exactly behind the last.
func TestRun(t *testing.T) {
	const partitions, n = 4, 1000
	kafka := newCluster(t, kfake.SeedTopics(partitions, deliveryTopic))
	writer := &memoryWriter{}
	c := testConfig(kafka, startWriter(t, writer))
	good, bad := produce(t, kafka, partitions, 0, n)
	s := run(t, c)
	kafkatest.Eventually(t, "all rows", func() bool { return len(writer.events()) >= good })

	c.Admin.Listen = strings.TrimPrefix(s.admin, "http://")
	kafkatest.Eventually(t, "health", func() bool {
		return admin.Probe(t.Context(), c.Admin.Listen, nil,
			admin.IsReady) == nil
	})
	if ready := get(t, s.admin+"/readyz"); ready != "ok\n" {
		t.Errorf("/readyz: %s", ready)
	}
	var lanes []struct{ State, Writer string }
	if err := json.Unmarshal([]byte(get(t, s.admin+"/lanes")), &lanes); err != nil || len(lanes) != partitions ||
		lanes[0].State != "open" || lanes[0].Writer != "memory" {
		t.Errorf("/lanes: %+v, %v", lanes, err)
	}
	if got := services(t, s.grpc); !strings.Contains(got, "grpc.health.v1.Health") {
		t.Errorf("reflection lists %s", got)
	}
	metrics := get(t, s.admin+"/metrics")
	for _, name := range []string{
		"waybill_ingest_rows_total", "waybill_ingest_source_claims 4", "waybill_ingest_source_connected 1",
		"grpc_client_started_total", "grpc_server_",
	} {
		if !strings.Contains(metrics, name) {
			t.Errorf("/metrics has no %s", name)
		}
	}

	s.stop()
	committed := kafka.GroupInfo("g").Commits[deliveryTopic]
	for p := range int32(partitions) {
		// Before the checkpoint stands which topic and log the position is of.
		got := committed[p]
		if mark, checkpoint, _ := strings.Cut(got.Metadata, "leader_epoch=0;"); got.Offset != n/partitions ||
			checkpoint != token(n/partitions) ||
			!strings.HasPrefix(mark, "topic_id=") {
			t.Errorf("partition %d: committed %d %q", p, got.Offset, got.Metadata)
		}
	}

	more, _ := produce(t, kafka, partitions, n, n/2)
	run(t, c)
	kafkatest.Eventually(t, "the rows of the second run", func() bool { return len(writer.events()) >= good+more })
	seen := map[string]int{}
	for _, e := range writer.events() {
		seen[fmt.Sprint(e.GetKafkaPartition(), "@", e.GetKafkaOffset())]++
	}
	for place, times := range seen {
		if times != 1 {
			t.Errorf("%s is there %d times", place, times)
		}
	}
	if len(seen) != good+more || len(writer.opens()) != 2*partitions {
		t.Errorf("%d rows of %d, %d lanes opened", len(seen), good+more, len(writer.opens()))
	}
	if letters := kafka.TopicInfo(deliveryTopic + ".dead-letter"); letters == nil || bad == 0 {
		t.Error("no dead letters")
	}
}

// services lists what reflection lists, as grpcurl does.
func services(t *testing.T, address string) string {
	t.Helper()
	conn, err := grpc.NewClient(address, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	stream, err := reflectionv1.NewServerReflectionClient(conn).ServerReflectionInfo(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if err := stream.Send(&reflectionv1.ServerReflectionRequest{
		MessageRequest: &reflectionv1.ServerReflectionRequest_ListServices{},
	}); err != nil {
		t.Fatal(err)
	}
	resp, err := stream.Recv()
	if err != nil {
		t.Fatal(err)
	}
	return resp.String()
}

func TestRunFailsWhenAnAddressIsTaken(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	c := testConfig(newCluster(t), "127.0.0.1:1")
	c.GRPC.Listen, c.Admin.Listen = l.Addr().String(), "127.0.0.1:0"
	if err := Run(t.Context(), c, service.Env{}); err == nil || !strings.Contains(err.Error(), "grpc.listen") {
		t.Errorf("got %v", err)
	}
}

// Nothing that ingest needs is there: it runs, says that it is not ready, and stops when told.
func TestRunWaitsForEverything(t *testing.T) {
	c := Defaults()
	c.Kafka.Brokers, c.Kafka.Group = []string{"127.0.0.1:1"}, "g"
	c.Writer.Target = "dns:///127.0.0.1:1"
	s := run(t, c)
	kafkatest.Eventually(t, "the reason", func() bool {
		return strings.Contains(get(t, s.admin+"/readyz"), "brokers do not respond")
	})
	c.Admin.Listen = strings.TrimPrefix(s.admin, "http://")
	if err := admin.Probe(t.Context(), c.Admin.Listen, nil, admin.IsReady); err == nil ||
		!strings.Contains(err.Error(), "not ready") {
		t.Errorf("health: %v", err)
	}
}
