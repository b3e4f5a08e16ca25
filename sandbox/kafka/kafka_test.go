package kafka_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
	"go.uber.org/goleak"

	"github.com/waybill-data/waybill/sandbox/kafka"
	"github.com/waybill-data/waybill/sandbox/sandboxtest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func produce(ctx context.Context, t *testing.T, cl *kgo.Client, topic string, count int, value string) {
	t.Helper()
	for i := range count {
		record := &kgo.Record{Topic: topic, Key: fmt.Appendf(nil, "%d", i), Value: []byte(value)}
		cl.Produce(ctx, record, func(_ *kgo.Record, err error) {
			if err != nil {
				t.Errorf("produce: %v", err)
			}
		})
	}
	if err := cl.Flush(ctx); err != nil {
		t.Fatal(err)
	}
}

func consume(ctx context.Context, t *testing.T, cl *kgo.Client, want int) {
	t.Helper()
	got := 0
	for got < want {
		fetches := cl.PollFetches(ctx)
		if err := fetches.Err0(); err != nil {
			t.Fatalf("after %d of %d records: %v", got, want, err)
		}
		got += fetches.NumRecords()
	}
	if got != want {
		t.Fatalf("%d records, want %d", got, want)
	}
}

func timed(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
	t.Cleanup(cancel)
	return ctx
}

var topics = []kafka.Topic{{Name: "orders", Partitions: 4}}

// A restart over the same directory keeps records, committed offsets and topics, and adds topics that are new.
func TestRestart(t *testing.T) {
	ctx := timed(t)
	dir := filepath.Join(t.TempDir(), "kafka")
	cluster := sandboxtest.Kafka(t, kafka.Config{Dir: dir, Topics: topics})
	writer := sandboxtest.Client(t, cluster)
	produce(ctx, t, writer, "orders", 1000, "v")
	writer.Close()
	reader := sandboxtest.Client(t, cluster, kgo.ConsumeTopics("orders"), kgo.ConsumerGroup("g"),
		kgo.DisableAutoCommit(), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	consume(ctx, t, reader, 1000)
	if err := reader.CommitUncommittedOffsets(ctx); err != nil {
		t.Fatal(err)
	}
	reader.Close()
	cluster.Close()

	topics = append(topics, kafka.Topic{Name: "stock", Partitions: 2})
	cluster = sandboxtest.Kafka(t, kafka.Config{Dir: dir, Topics: topics})
	writer = sandboxtest.Client(t, cluster)
	produce(ctx, t, writer, "orders", 10, "v")
	produce(ctx, t, writer, "stock", 1, "v")
	produce(ctx, t, writer, "orders.dead-letter", 1, "v")
	consume(ctx, t, sandboxtest.Client(t, cluster, kgo.ConsumeTopics("orders"),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart())), 1010)
	consume(ctx, t, sandboxtest.Client(t, cluster, kgo.ConsumeTopics("orders"), kgo.ConsumerGroup("g")), 10)
}

// The log is on disk: memory grows by less than a fiftieth of the data.
func TestMemoryDoesNotGrowWithTheData(t *testing.T) {
	ctx := timed(t)
	cluster := sandboxtest.Kafka(t, kafka.Config{Dir: filepath.Join(t.TempDir(), "kafka"), Topics: topics})
	value := strings.Repeat("x", 9000)
	// write leaves nothing of its client behind, whose buffers vary more than what is measured.
	write := func(count int) {
		writer := sandboxtest.Client(t, cluster, kgo.ProducerBatchCompression(kgo.NoCompression()))
		produce(ctx, t, writer, "orders", count, value)
		writer.Close()
	}
	const count = 20_000
	write(count / 20)
	before := leastHeap(func(uint64) bool { return false })
	write(count)
	bound := before + count*9000/50
	after := leastHeap(func(heap uint64) bool { return heap <= bound })
	t.Logf("heap before %d KiB, after %d MB more %d KiB", before>>10, count*9000/1_000_000, after>>10)
	if after > bound {
		t.Errorf("heap grew from %d to %d bytes over %d bytes of records", before, after, count*9000)
	}
}

// leastHeap is the smallest of some readings of what is reachable, of which it takes no more once one is enough. Only
// the smallest counts: requests that are still under way add to a reading, nothing takes away from it.
func leastHeap(enough func(uint64) bool) uint64 {
	least := uint64(math.MaxUint64)
	for range 10 {
		runtime.GC() // moves what pools hold aside
		runtime.GC() // frees it
		var stats runtime.MemStats
		runtime.ReadMemStats(&stats)
		if least = min(least, stats.HeapAlloc); enough(least) {
			break
		}
		time.Sleep(20 * time.Millisecond) // gives the goroutines of closed connections time to end
	}
	return least
}

func commit(ctx context.Context, cluster *kafka.Cluster, cl *kgo.Client) error {
	request := kmsg.NewPtrOffsetCommitRequest()
	request.Group = "g"
	topic := kmsg.NewOffsetCommitRequestTopic()
	topic.Topic = "orders"
	topic.TopicID = cluster.Fake().TopicInfo("orders").TopicID
	partition := kmsg.NewOffsetCommitRequestTopicPartition()
	partition.Offset = 7
	topic.Partitions = append(topic.Partitions, partition)
	request.Topics = append(request.Topics, topic)
	request.Generation = -1
	response, err := request.RequestWith(ctx, cl)
	if err != nil {
		return err
	}
	return kerr.ErrorForCode(response.Topics[0].Partitions[0].ErrorCode)
}

func TestFaultHandler(t *testing.T) {
	ctx := timed(t)
	cluster := sandboxtest.Kafka(t, kafka.Config{Topics: topics})
	cl := sandboxtest.Client(t, cluster)
	call := func(method, target, body string) (int, string) {
		recorder := httptest.NewRecorder()
		cluster.Handler().ServeHTTP(recorder, httptest.NewRequest(method, target, strings.NewReader(body)))
		return recorder.Code, recorder.Body.String()
	}
	status, body := call(http.MethodPost, "/kafka/faults",
		`{"key":"offsetcommit","error":"ILLEGAL_GENERATION","group":"g","count":2}`)
	if status != http.StatusOK {
		t.Fatal(status, body)
	}
	for i, want := range []error{kerr.IllegalGeneration, kerr.IllegalGeneration, nil} {
		if err := commit(ctx, cluster, cl); !errors.Is(err, want) {
			t.Errorf("commit %d: %v, want %v", i, err, want)
		}
	}
	if _, body := call(http.MethodGet, "/kafka/faults", ""); !strings.Contains(body, `"hits":2`) {
		t.Errorf("list: %s", body)
	}
	call(http.MethodPost, "/kafka/faults", `{"key":"OffsetCommit","error":"ILLEGAL_GENERATION","count":-1}`)
	if _, body := call(http.MethodDelete, "/kafka/faults", ""); !strings.Contains(body, `"removed":2`) {
		t.Errorf("delete: %s", body)
	}
	if err := commit(ctx, cluster, cl); err != nil {
		t.Errorf("commit after delete: %v", err)
	}
	// Every name that the texts of the errors recommend is known.
	for _, name := range []string{
		"NOT_COORDINATOR", "COORDINATOR_LOAD_IN_PROGRESS", "NOT_LEADER_FOR_PARTITION", "REBALANCE_IN_PROGRESS",
		"ILLEGAL_GENERATION", "UNKNOWN_MEMBER_ID", "FENCED_INSTANCE_ID", "REQUEST_TIMED_OUT", "OFFSET_OUT_OF_RANGE",
		"TOPIC_AUTHORIZATION_FAILED",
	} {
		if status, body := call(http.MethodPost, "/kafka/faults",
			`{"key":"LeaveGroup","error":"`+name+`"}`); status != http.StatusOK {
			t.Error(name, body)
		}
	}
	for body, want := range map[string]string{
		`{"key":"Nope","error":"ILLEGAL_GENERATION"}`: "OffsetCommit",
		`{"key":"OffsetCommit","error":"NOPE"}`:       "NOT_COORDINATOR",
		`{"key":"OffsetCommit"}`:                      `unknown error \"\"`,
		`{"error":"NOT_COORDINATOR"}`:                 `unknown key \"\"`,
		`{"action":"explode"}`:                        "move_leaders",
		`{"key":"OffsetCommit","eror":"x"}`:           "eror",
	} {
		if status, response := call(http.MethodPost, "/kafka/faults", body); status != http.StatusBadRequest ||
			!strings.Contains(response, want) {
			t.Errorf("%s: %d %s", body, status, response)
		}
	}
	if status, _ := call(http.MethodDelete, "/kafka/faults?id=x", ""); status != http.StatusBadRequest {
		t.Errorf("delete of a wrong id: %d", status)
	}
}

// Records stay in order and complete when every leader moves, and groups go on when their coordinator does.
func TestMoves(t *testing.T) {
	ctx := timed(t)
	cluster := sandboxtest.Kafka(t, kafka.Config{Topics: topics})
	leader := cluster.Fake().LeaderFor("orders", 0)
	cl := sandboxtest.Client(t, cluster)
	produce(ctx, t, cl, "orders", 100, "v")
	for _, action := range []string{"move_leaders", "rehash_coordinators"} {
		if _, err := cluster.Add(kafka.Fault{Action: action}); err != nil {
			t.Fatal(err)
		}
	}
	if cluster.Fake().LeaderFor("orders", 0) == leader {
		t.Error("the leader did not move")
	}
	produce(ctx, t, cl, "orders", 100, "v")
	consume(ctx, t, sandboxtest.Client(t, cluster, kgo.ConsumeTopics("orders"), kgo.ConsumerGroup("g"),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart())), 200)
}

func TestAdvertise(t *testing.T) {
	cluster := sandboxtest.Kafka(t, kafka.Config{Advertise: "localhost", Topics: topics})
	for _, seed := range cluster.Seeds() {
		if !strings.HasPrefix(seed, "localhost:") {
			t.Errorf("seed %s", seed)
		}
	}
	produce(timed(t), t, sandboxtest.Client(t, cluster), "orders", 10, "v")
}

func TestClosed(t *testing.T) {
	cluster := sandboxtest.Kafka(t, kafka.Config{Topics: topics})
	cluster.Close()
	cluster.Close()
	if err := cluster.MoveLeaders(); !errors.Is(err, kafka.ErrClosed) {
		t.Errorf("MoveLeaders: %v", err)
	}
	if _, err := cluster.Add(kafka.Fault{Key: "Fetch", Error: "NOT_COORDINATOR"}); !errors.Is(err, kafka.ErrClosed) {
		t.Errorf("Add: %v", err)
	}
}
