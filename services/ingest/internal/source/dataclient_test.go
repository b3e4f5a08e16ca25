package source

import (
	"bytes"
	"errors"
	"testing"

	"github.com/IBM/sarama"
)

// Through sarama's own encoding and decoding: the records of one partition come as bytes, messages of an old format in another as objects.
func TestAnswersInTwoParts(t *testing.T) {
	broker := sarama.NewMockBroker(t, 1)
	t.Cleanup(broker.Close)
	old := &sarama.FetchResponse{Version: 4}
	old.AddMessage(testTopic, 4, nil, sarama.StringEncoder("old"), 9)
	response := &sarama.FetchResponse{Version: 11, Blocks: map[string]map[int32]*sarama.FetchResponseBlock{testTopic: {
		3: {HighWaterMarkOffset: 1000, RecordsSet: []*sarama.Records{{RecordBatch: batchOf(10, 12, 10, 11, 12)}}},
		4: old.GetBlock(testTopic, 4),
	}}}
	broker.SetHandlerByMap(map[string]sarama.MockResponse{
		"MetadataRequest": sarama.NewMockMetadataResponse(t).SetBroker(broker.Addr(), 1).SetLeader(testTopic, 3, 1).SetLeader(testTopic, 4, 1),
		"FetchRequest":    sarama.NewMockWrapper(response),
	})
	k := Defaults().Kafka
	config, err := k.dataConfig(minFetch, minFetch)
	if err != nil {
		t.Fatal(err)
	}
	config.ApiVersionsRequest = false
	client, err := newDataClient([]string{broker.Addr()}, config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = client.Close() })
	leader, err := client.Leader(testTopic, 3)
	if err != nil {
		t.Fatal(err)
	}
	request := &sarama.FetchRequest{Version: 11, SessionEpoch: noSession}
	request.AddBlock(testTopic, 3, 10, minFetch, -1)
	request.AddBlock(testTopic, 4, 9, minFetch, -1)
	got, records, err := client.fetch(leader, request)
	if err != nil {
		t.Fatal(err)
	}
	if n := len(got.GetBlock(testTopic, 3).RecordsSet); n != 0 {
		t.Errorf("sarama has decoded %d batches", n)
	}
	for partition, want := range map[int32]struct {
		from   int64
		values []string
	}{3: {11, []string{"v11", "v12"}}, 4: {9, []string{"old"}}} {
		c, err := unpack(topicPartition{testTopic, partition}, got.GetBlock(testTopic, partition), records.Records(testTopic, partition), want.from, true)
		if err != nil {
			t.Fatal(err)
		}
		found := c.drained()
		for i, value := range want.values {
			if len(found) != len(want.values) || !bytes.Equal(found[i].Value, []byte(value)) || found[i].Offset != want.from+int64(i) {
				t.Errorf("partition %d: %+v, want %v from %d on", partition, found, want.values, want.from)
			}
		}
	}
	if records.Records(testTopic, 4) != nil {
		t.Error("messages of an old format came as bytes")
	}

	// An answer that was not taken apart is an error, for its records went elsewhere.
	response.Version, request.Version = 10, 10
	if _, _, err := client.fetch(leader, request); !errors.Is(err, errNoRecords) {
		t.Errorf("an answer of version 10: %v", err)
	}
}
