package fleet

import (
	"cmp"
	"context"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/waybill-data/waybill/e2e/stack"
)

// steady produces to each partition at its speed.
type steady struct {
	client *kgo.Client

	mu     sync.Mutex
	speeds []float64 // bytes a second
	made   int64
	err    error
}

func newSteady(seeds []string, speeds []float64) (*steady, error) {
	client, err := kgo.NewClient(kgo.SeedBrokers(seeds...), kgo.RecordPartitioner(kgo.ManualPartitioner()),
		kgo.ProducerBatchCompression(kgo.NoCompression()), kgo.ProducerLinger(5*time.Millisecond))
	if err != nil {
		return nil, err
	}
	s := &steady{client: client}
	s.set(speeds)
	return s, nil
}

func (s *steady) set(shares []float64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.speeds = s.speeds[:0]
	for _, share := range shares {
		s.speeds = append(s.speeds, share*carries)
	}
}

// at is the speed of a partition, as a share of what a consumer carries.
func (s *steady) at(p place) float64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := range walkTopics {
		if walkTopic(i) == p.topic && int(p.partition) < walkPartitions {
			return s.speeds[i*walkPartitions+int(p.partition)] / carries
		}
	}
	return 0
}

func (s *steady) produced() int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.made
}

func (s *steady) failed() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.err
}

// run produces until ctx ends; what was made is in Kafka when it returns.
func (s *steady) run(ctx context.Context) {
	defer s.client.Close()
	value := []byte(strings.Repeat("0123456789abcdef", recordBytes/16))
	due := make([]float64, walkTopics*walkPartitions)
	for last := time.Now(); stack.Pause(ctx, 20*time.Millisecond) == nil; {
		now := time.Now()
		s.mu.Lock()
		for i := range due {
			due[i] += s.speeds[i] * now.Sub(last).Seconds()
		}
		s.mu.Unlock()
		last = now
		for i := range due {
			for ; due[i] >= recordBytes; due[i] -= recordBytes {
				r := &kgo.Record{
					Topic: walkTopic(i / walkPartitions), Partition: int32(i % walkPartitions),
					Value: value,
				}
				s.client.Produce(context.WithoutCancel(ctx), r, func(_ *kgo.Record, err error) {
					s.mu.Lock()
					defer s.mu.Unlock()
					if s.made++; err != nil && s.err == nil {
						s.err = fmt.Errorf("produce: %w", err)
					}
				})
			}
		}
	}
	flush, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Minute)
	defer cancel()
	if err := s.client.Flush(flush); err != nil {
		s.mu.Lock()
		s.err = cmp.Or(s.err, err)
		s.mu.Unlock()
	}
}
