package source

import (
	"encoding/json"
	"os"
	"runtime"
	"sync"
	"syscall"
	"testing"

	"github.com/IBM/sarama"

	"github.com/waybill-data/waybill/pkg/tlsfiles"
)

// BenchmarkFloor drains a topic with sarama and nothing else: no group, no pump, no lane. It has ingest's settings,
// clients included. The processor time is that of this process, so the consuming end only. `make bench` runs it,
// against the Kafka of its sandbox.
func BenchmarkFloor(b *testing.B) {
	path := os.Getenv("WAYBILL_FLOOR")
	if path == "" {
		b.Skip("make bench runs this: it needs a Kafka with a filled topic, named in the file $WAYBILL_FLOOR")
	}
	var floor struct {
		Brokers []string
		Topic   string
		Records int
		CA      string
	}
	text, err := os.ReadFile(path)
	if err == nil {
		err = json.Unmarshal(text, &floor)
	}
	if err != nil {
		b.Fatal(err)
	}
	k := Defaults().Kafka
	k.Brokers, k.TLS = floor.Brokers, tlsfiles.Optional{
		Enable: floor.CA != "", Files: tlsfiles.Files{CA: floor.CA},
	}
	config, err := k.dataConfig(int32(k.Fetch.Bytes), sarama.MaxResponseSize)
	if err != nil {
		b.Fatal(err)
	}
	var consumers []sarama.Consumer
	for range fewClients() {
		consumer, err := sarama.NewConsumer(floor.Brokers, config)
		if err != nil {
			b.Fatal(err)
		}
		b.Cleanup(func() { _ = consumer.Close() }) // nothing is under way then
		consumers = append(consumers, consumer)
	}
	partitions, err := consumers[0].Partitions(floor.Topic)
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		began := processorTime()
		got := make(chan int, 1024)
		var parts []sarama.PartitionConsumer
		var readers sync.WaitGroup
		for i, p := range partitions {
			part, err := consumers[i%len(consumers)].ConsumePartition(floor.Topic, p, sarama.OffsetOldest)
			if err != nil {
				b.Fatal(err)
			}
			parts = append(parts, part)
			readers.Go(func() { drain(part, got) })
		}
		for n := 0; n < floor.Records; {
			n += <-got
		}
		used := processorTime() - began
		runtime.ReadMemStats(&after)
		for _, part := range parts {
			part.AsyncClose()
		}
		go func() {
			readers.Wait()
			close(got)
		}()
		for range got {
			b.Error("more records than the topic was filled with")
		}
		b.ReportMetric(float64(used)/float64(floor.Records), "cpu-ns/row")
		b.ReportMetric(float64(after.TotalAlloc-before.TotalAlloc)/float64(floor.Records), "alloc-B/row")
	}
}

// drain counts the messages of a partition until it is closed. Counts go out in strides, so that counting costs
// nothing.
func drain(part sarama.PartitionConsumer, got chan<- int) {
	messages, n := part.Messages(), 0
	for {
		select {
		case _, ok := <-messages:
			if !ok {
				return
			}
			if n++; n < 64 && len(messages) > 0 {
				continue
			}
		case _, ok := <-part.Errors():
			if !ok {
				return
			}
		}
		if n > 0 {
			got <- n
			n = 0
		}
	}
}

// processorTime is that of this process in nanoseconds, user and system.
func processorTime() int64 {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		panic(err)
	}
	return u.Utime.Nano() + u.Stime.Nano()
}
