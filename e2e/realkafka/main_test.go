//go:build realkafka

package realkafka

import (
	"context"
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/waybill-data/waybill/e2e/stack"
)

var (
	// bin holds the binaries under test, built once.
	bin string
	// kafka is the cluster that all tests share; each has topics and a group of its own.
	kafka *Cluster
)

// The tests that disturb the brokers are not parallel, so they run before the parallel ones.
func TestMain(m *testing.M) {
	os.Exit(run(m))
}

func run(m *testing.M) int {
	dir, err := os.MkdirTemp("", "waybill-kafka-")
	if err == nil {
		defer func() { _ = os.RemoveAll(dir) }() // a temporary folder
		err = start(dir)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer kafka.Stop()
	code := m.Run()
	if code != 0 {
		for _, b := range kafka.Brokers {
			fmt.Fprintf(os.Stderr, "%s\n%s\n", b.Name, stack.Tail(b.Log, 15))
		}
	}
	return code
}

func start(dir string) error {
	bin = dir
	if err := stack.Build(dir, false); err != nil {
		return err
	}
	jars := os.Getenv("KAFKA_JARS")
	if jars == "" {
		jars = "../../bin/kafka"
	}
	ctx, cancel := context.WithTimeout(context.Background(), 90*time.Second)
	defer cancel()
	began := time.Now()
	var err error
	if kafka, err = New(ctx, dir, jars); err != nil {
		return err
	}
	if err := kafka.Start(ctx); err != nil {
		kafka.Stop()
		return err
	}
	fmt.Printf("Apache Kafka 4.1.1: %d brokers after %v\n", Brokers, time.Since(began).Round(time.Millisecond))
	return nil
}
