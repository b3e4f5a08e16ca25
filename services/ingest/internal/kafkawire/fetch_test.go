package kafkawire

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"runtime"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/twmb/franz-go/pkg/kmsg"
	"pgregory.net/rapid"
)

// fetched is a response as another implementation has decoded it, in our form.
func fetched(r *kmsg.FetchResponse) *FetchResponse {
	out := &FetchResponse{ErrorCode: r.ErrorCode}
	for _, t := range r.Topics {
		for _, p := range t.Partitions {
			q := FetchedPartition{Topic: t.Topic, TopicID: t.TopicID, FetchResponseTopicPartition: p}
			if len(p.RecordBatches) > 0 {
				q.Records = NewBuffer(len(p.RecordBatches))
				copy(q.Records.Bytes(), p.RecordBatches)
			}
			out.Partitions = append(out.Partitions, q)
		}
	}
	return out
}

var fetchedAlike = cmp.Options{
	cmpopts.EquateEmpty(),
	cmpopts.IgnoreFields(kmsg.FetchResponseTopicPartition{}, "RecordBatches", "DivergingEpoch", "CurrentLeader",
		"SnapshotID", "UnknownTags"),
	cmpopts.IgnoreUnexported(kmsg.FetchResponseTopicPartitionAbortedTransaction{}, kmsg.Tags{}),
	cmp.Comparer(func(a, b *Buffer) bool { return (a == nil) == (b == nil) && bytes.Equal(a.Bytes(), b.Bytes()) }),
}

// Whatever another implementation writes is read as it was, in each version that is spoken.
func TestResponsesOfAnotherImplementation(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := kmsg.NewPtrFetchResponse()
		want.Version = rapid.Int16Range(FetchOldest, FetchNewest).Draw(t, "version")
		want.ThrottleMillis, want.ErrorCode = rapid.Int32().Draw(t, "throttle"), rapid.Int16().Draw(t, "error")
		for range rapid.IntRange(0, 3).Draw(t, "topics") {
			topic := kmsg.NewFetchResponseTopic()
			if want.Version <= FetchByName {
				topic.Topic = rapid.StringN(1, 20, 200).Draw(t, "topic")
			} else {
				copy(topic.TopicID[:], rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, "id"))
			}
			for i := range rapid.Int32Range(0, 3).Draw(t, "partitions") {
				p := kmsg.NewFetchResponseTopicPartition()
				p.Partition, p.ErrorCode, p.HighWatermark = i, rapid.Int16().Draw(t, "code"),
					rapid.Int64().Draw(t, "end")
				p.LastStableOffset, p.LogStartOffset, p.PreferredReadReplica = 1, 2, rapid.Int32().Draw(t, "replica")
				for range rapid.IntRange(0, 3).Draw(t, "aborted") {
					p.AbortedTransactions = append(p.AbortedTransactions,
						kmsg.FetchResponseTopicPartitionAbortedTransaction{ProducerID: 7, FirstOffset: int64(i)})
				}
				if rapid.Bool().Draw(t, "records") {
					p.RecordBatches = rapid.SliceOfN(rapid.Byte(), 0, 20_000).Draw(t, "bytes")
				}
				if want.Version >= FetchByName && rapid.Bool().Draw(t, "tags") {
					p.CurrentLeader.LeaderID, p.CurrentLeader.LeaderEpoch = 3, 4
					p.UnknownTags.Set(99, []byte("later"))
				}
				topic.Partitions = append(topic.Partitions, p)
			}
			want.Topics = append(want.Topics, topic)
		}
		raw := want.AppendTo(nil)
		got, err := readAgain(bytes.NewReader(append(raw, "the next response"...)), len(raw), want.Version,
			len(fetched(want).Partitions))
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(fetched(want), got, fetchedAlike); diff != "" {
			t.Fatal(diff)
		}
		cut := rapid.IntRange(0, len(raw)-1).Draw(t, "cut")
		if _, err := readAgain(bytes.NewReader(raw), cut, want.Version, 9); err == nil {
			t.Fatalf("read from %d of %d bytes", cut, len(raw))
		}
		if _, err := readAgain(bytes.NewReader(raw[:cut]), len(raw), want.Version, 9); err == nil {
			t.Fatalf("read from %d of %d bytes that came", cut, len(raw))
		}
	})
}

// readAgain reads a response to where another one was, of which nothing is left.
func readAgain(in io.Reader, left int, version int16, requested int) (*FetchResponse, error) {
	before := FetchedPartition{Topic: "before", TopicID: [16]byte{1}, Records: NewBuffer(1)}
	before.AbortedTransactions = make([]kmsg.FetchResponseTopicPartitionAbortedTransaction, 1)
	r := &FetchResponse{ErrorCode: 7, Partitions: []FetchedPartition{before, before}}
	all := r.Partitions
	err := readFetch(in, left, version, requested, r)
	for i := range all[min(len(r.Partitions), len(all)):] {
		if p := &all[len(all)-1-i]; p.Topic != "" || p.Records != nil || p.AbortedTransactions != nil {
			return r, fmt.Errorf("%+v is kept", p)
		}
	}
	return r, err
}

// Kafka's protocol has null where there is nothing: of the records of a partition with an error, above all.
func TestNullRecords(t *testing.T) {
	body := []byte("\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00") // throttle, error, session
	body = binary.BigEndian.AppendUint32(body, 1)              // topics
	body = append(body, "\x00\x01t"...)                        // name
	body = binary.BigEndian.AppendUint32(body, 1)              // partitions
	body = append(body, "\x00\x00\x00\x05\x00\x06"...)         // number 5, NOT_LEADER
	body = append(body, bytes.Repeat([]byte{0xff}, 3*8+4+4+4)...)
	r, err := readAgain(bytes.NewReader(body), len(body), 11, 1)
	if err != nil || len(r.Partitions) != 1 || r.Partitions[0].ErrorCode != 6 || r.Partitions[0].Records != nil ||
		r.Partitions[0].Partition != 5 {
		t.Errorf("%+v, %v", r, err)
	}
}

// A length is believed as far as there are bytes for it.
func TestLengthsThatLie(t *testing.T) {
	lies := func(n uint32) []byte { return binary.BigEndian.AppendUint32(make([]byte, 4+2+4), n) }
	partition := func(n uint32) []byte {
		return binary.BigEndian.AppendUint32(append(lies(1), "\x00\x01t"...), n)
	}
	records := append(append(partition(1), make([]byte, 4+2+3*8+4+4)...), "\x05\xf5\xe1\x00"...)
	const most = 64 << 20
	for name, body := range map[string][]byte{
		"topics": lies(most), "partitions": partition(most), "negative": lies(1 << 31), "records": records,
		"aborted": append(append(partition(1), make([]byte, 4+2+3*8)...), "\x03\x00\x00\x00"...),
	} {
		t.Run(name, func(t *testing.T) {
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			// The response says that it is large as well, and ends.
			_, err := readAgain(io.MultiReader(bytes.NewReader(body), bytes.NewReader(make([]byte, 1<<20))),
				100_000_000+len(body), 11, 9)
			runtime.ReadMemStats(&after)
			if got := after.TotalAlloc - before.TotalAlloc; err == nil && name != "negative" || got > 3*trusted {
				t.Errorf("took %d bytes, %v", got, err)
			}
		})
	}
}

func FuzzFetchResponse(f *testing.F) {
	for version := int16(FetchOldest); version <= FetchNewest; version++ {
		r := kmsg.NewPtrFetchResponse()
		r.Version = version
		p := kmsg.NewFetchResponseTopicPartition()
		p.RecordBatches = []byte("records")
		p.AbortedTransactions = make([]kmsg.FetchResponseTopicPartitionAbortedTransaction, 1)
		r.Topics = []kmsg.FetchResponseTopic{{Topic: "t", Partitions: []kmsg.FetchResponseTopicPartition{p, p}}}
		f.Add(r.AppendTo(nil), uint8(version))
	}
	f.Fuzz(func(t *testing.T, raw []byte, v uint8) {
		version := FetchOldest + int16(v)%(FetchNewest-FetchOldest+1)
		got, err := readAgain(bytes.NewReader(raw), len(raw), version, 1000)
		if err != nil {
			return
		}
		// What we read, another implementation reads alike, if it reads it: it knows what is in tags.
		want := kmsg.NewPtrFetchResponse()
		want.Version = version
		if want.ReadFrom(raw) != nil {
			return
		}
		if diff := cmp.Diff(fetched(want), got, fetchedAlike); diff != "" {
			t.Fatal(diff)
		}
	})
}
