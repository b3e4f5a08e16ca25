package kafkawire

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"os"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/twmb/franz-go/pkg/kmsg"
	"pgregory.net/rapid"
)

// maxAnswer is the largest answer that the connections of these tests take apart.
const maxAnswer = 1 << 20

// dial is a connection and the broker's end of it.
func dial(t *testing.T) (client net.Conn, broker net.Conn, answers *Answers) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	answers = new(Answers)
	d := &Dialer{Connect: (&net.Dialer{Timeout: time.Minute}).Dial, BodyTimeout: time.Minute, MaxAnswer: maxAnswer, Answers: answers}
	if client, err = d.Dial("tcp", l.Addr().String()); err != nil {
		t.Fatal(err)
	}
	if broker, err = l.Accept(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = client.Close() // a test may have closed it
		_ = broker.Close()
	})
	return client, broker, answers
}

// frame puts a length before a message.
func frame(message []byte) []byte {
	return append(binary.BigEndian.AppendUint32(nil, uint32(len(message))), message...)
}

func request(key, version int16, id int32, body ...byte) []byte {
	head := binary.BigEndian.AppendUint16(nil, uint16(key))
	head = binary.BigEndian.AppendUint16(head, uint16(version))
	return frame(append(binary.BigEndian.AppendUint32(head, uint32(id)), body...))
}

func reply(id int32, body []byte) []byte {
	return frame(append(binary.BigEndian.AppendUint32(nil, uint32(id)), body...))
}

// fetched is an answer with some records in two partitions of a topic, none in a third, and messages of an old format in a fourth.
func fetched(records string) *kmsg.FetchResponse {
	r := kmsg.NewPtrFetchResponse()
	r.Version = FetchVersion
	topic := kmsg.NewFetchResponseTopic()
	topic.Topic = "t"
	for i, raw := range []string{records + "0", records + "1", "", oldMessage + records + "behind"} {
		p := kmsg.NewFetchResponseTopicPartition()
		p.Partition, p.HighWatermark, p.RecordBatches = int32(i), int64(100*i), []byte(raw)
		p.AbortedTransactions = make([]kmsg.FetchResponseTopicPartitionAbortedTransaction, i)
		topic.Partitions = append(topic.Partitions, p)
	}
	r.Topics = append(r.Topics, topic)
	return r
}

// oldMessage is one of format 1: offset, size, checksum, format and all the rest.
const oldMessage = "\x00\x00\x00\x00\x00\x00\x00\x09" + "\x00\x00\x00\x08" + "\x00\x00\x00\x00" + "\x01" + "abc"

// batchy are records that begin as a batch does.
const batchy = "\x00\x00\x00\x00\x00\x00\x00\x0a" + "\x00\x00\x00\x01" + "\x00\x00\x00\x00" + "\x02"

// without is an answer as the client should see it.
func without(r *kmsg.FetchResponse, ticket int32) *kmsg.FetchResponse {
	r.SessionID = ticket
	for i := range r.Topics {
		for j := range r.Topics[i].Partitions {
			p := &r.Topics[i].Partitions[j]
			p.RecordBatches = p.RecordBatches[:legacyEnd(p.RecordBatches)]
		}
	}
	return r
}

var answersAlike = cmp.Options{cmpopts.EquateEmpty(), cmp.Exporter(func(reflect.Type) bool { return true })}

// read reads one answer.
func read(t *testing.T, conn net.Conn) (id int32, body []byte) {
	t.Helper()
	head := make([]byte, answerHead)
	if _, err := io.ReadFull(conn, head); err != nil {
		t.Fatal(err)
	}
	body = make([]byte, binary.BigEndian.Uint32(head)-4)
	if _, err := io.ReadFull(conn, body); err != nil {
		t.Fatal(err)
	}
	return int32(binary.BigEndian.Uint32(head[4:])), body
}

func TestRecordsAreTakenOut(t *testing.T) {
	client, broker, answers := dial(t)
	go func() { _, _ = broker.Write(reply(7, fetched(batchy).AppendTo(nil))) }() // read fails if it does
	if _, err := client.Write(request(fetchKey, FetchVersion, 7)); err != nil {
		t.Fatal(err)
	}
	id, body := read(t, client)
	got := kmsg.NewPtrFetchResponse()
	got.Version = FetchVersion
	if err := got.ReadFrom(body); err != nil || id != 7 {
		t.Fatalf("answer %d, %v", id, err)
	}
	if diff := cmp.Diff(without(fetched(batchy), got.SessionID), got, answersAlike); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	a := answers.Take(got.SessionID)
	if a == nil || answers.Take(got.SessionID) != nil {
		t.Fatal("an answer is there once")
	}
	for partition, want := range []string{batchy + "0", batchy + "1", "", ""} {
		if got := string(a.Records("t", int32(partition)).Bytes()); got != want {
			t.Errorf("partition %d: %q, want %q", partition, got, want)
		}
	}
	if a.Records("other", 0) != nil {
		t.Error("records of a topic that was not asked for")
	}
}

// What is no answer to a fetch of our version passes as it is, byte for byte, however requests and answers are cut.
func TestTheRestPasses(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		client, broker, answers := dial(t)
		var requests, replies []byte
		var want [][]byte
		var apart []bool
		for id := range int32(rapid.IntRange(1, 6).Draw(rt, "requests")) {
			body := rapid.SliceOfN(rapid.Byte(), 0, 40).Draw(rt, "body")
			sent := fetched(batchy).AppendTo(nil)
			ours := false
			switch rapid.IntRange(0, 3).Draw(rt, "kind") {
			case 0:
				requests = append(requests, request(3, 9, id, body...)...)
			case 1:
				requests = append(requests, request(fetchKey, FetchVersion+1, id, body...)...)
			case 2:
				requests = append(requests, request(fetchKey, FetchVersion, id, body...)...)
				sent = make([]byte, maxAnswer+1)
			default:
				requests = append(requests, request(fetchKey, FetchVersion, id, body...)...)
				ours = true
			}
			replies = append(replies, reply(id, sent)...)
			want, apart = append(want, sent), append(apart, ours)
		}
		for len(requests) > 0 {
			n := rapid.IntRange(1, len(requests)).Draw(rt, "written")
			if _, err := client.Write(requests[:n]); err != nil {
				rt.Fatal(err)
			}
			requests = requests[n:]
		}
		go func() {
			for len(replies) > 0 {
				n := min(len(replies), 1000)
				if _, err := broker.Write(replies[:n]); err != nil {
					return // read fails
				}
				replies = replies[n:]
			}
		}()
		for i, sent := range want {
			id, body := read(t, client)
			if int(id) != i {
				rt.Fatalf("answer %d, want %d", id, i)
			}
			if apart[i] {
				if len(body) >= len(sent) {
					rt.Fatalf("answer %d was not taken apart", i)
				}
				continue
			}
			if !bytes.Equal(body, sent) {
				rt.Fatalf("answer %d: %d bytes, want %d", i, len(body), len(sent))
			}
		}
		if err := client.Close(); err != nil {
			rt.Fatal(err)
		}
		if len(answers.kept) > 0 {
			rt.Fatal("a closed connection keeps answers")
		}
	})
}

func TestUnclaimedAnswersAreBounded(t *testing.T) {
	a := new(Answers)
	var one, other tickets
	a.last = 1<<31 - 3
	first := a.put(new(Answer), &one)
	elsewhere := a.put(new(Answer), &other)
	for range unclaimed {
		if a.put(new(Answer), &one) <= 0 {
			t.Fatal("a ticket is no number of a session")
		}
	}
	if a.Take(first) != nil || a.Take(elsewhere) == nil || len(a.kept) != unclaimed {
		t.Errorf("%d answers are kept", len(a.kept))
	}
	a.drop(&one)
	a.put(new(Answer), &one)
	if len(a.kept) != 0 {
		t.Errorf("%d answers of a closed connection are kept", len(a.kept))
	}
}

// An answer that is none is an error, and nothing is read behind it.
func TestAnswerOfAnotherForm(t *testing.T) {
	whole := fetched(batchy).AppendTo(nil)
	for name, body := range map[string][]byte{
		"empty": {0}, "cut off": whole[:len(whole)-1], "with more behind it": append(slices.Clip(whole), 0),
		"of a long topic": append(append([]byte{}, whole[:14]...), append([]byte{0x7f}, whole[15:]...)...),
	} {
		t.Run(name, func(t *testing.T) {
			client, broker, answers := dial(t)
			if _, err := client.Write(request(fetchKey, FetchVersion, 7)); err != nil {
				t.Fatal(err)
			}
			if _, err := broker.Write(append(reply(7, body), reply(8, nil)...)); err != nil {
				t.Fatal(err)
			}
			for range 2 {
				if n, err := client.Read(make([]byte, 100)); n != 0 || !errors.Is(err, errAnswer) {
					t.Errorf("%d bytes, %v", n, err)
				}
			}
			if len(answers.kept) > 0 {
				t.Error("it is kept")
			}
		})
	}
}

// An answer that does not go on fails at the deadline, and so does everything behind it.
func TestAnswerThatBreaksOff(t *testing.T) {
	client, broker, _ := dial(t)
	client.(*conn).dialer.BodyTimeout = 50 * time.Millisecond
	if _, err := client.Write(request(fetchKey, FetchVersion, 7)); err != nil {
		t.Fatal(err)
	}
	whole := reply(7, fetched(batchy).AppendTo(nil))
	if _, err := broker.Write(whole[:len(whole)-1]); err != nil {
		t.Fatal(err)
	}
	buf := make([]byte, 100)
	if n, err := client.Read(buf); n != 0 || !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Fatalf("%d bytes, %v", n, err)
	}
	if _, err := broker.Write(whole[len(whole)-1:]); err != nil {
		t.Fatal(err)
	}
	if n, err := client.Read(buf); n != 0 || !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("%d bytes, %v, behind an answer that was lost", n, err)
	}
}

// What is taken apart, another implementation reads alike, with and without its records.
func FuzzApart(f *testing.F) {
	f.Add(fetched(batchy).AppendTo(nil))
	f.Add(fetched("").AppendTo(nil))
	f.Fuzz(func(t *testing.T, body []byte) {
		out, at, a, err := apart([]byte("head"), bytes.NewReader(body), len(body))
		if err != nil {
			return
		}
		want, got := kmsg.NewPtrFetchResponse(), kmsg.NewPtrFetchResponse()
		want.Version, got.Version = FetchVersion, FetchVersion
		if err := want.ReadFrom(body); err != nil {
			t.Fatalf("taken apart, and others cannot read it: %v", err)
		}
		binary.BigEndian.PutUint32(out[at:], 5)
		if err := got.ReadFrom(out[len("head"):]); err != nil {
			t.Fatal(err)
		}
		records := map[part][]byte{}
		for _, topic := range want.Topics {
			for _, p := range topic.Partitions {
				if legacyEnd(p.RecordBatches) == 0 && len(p.RecordBatches) > 0 {
					records[part{topic.Topic, p.Partition}] = p.RecordBatches
				}
			}
		}
		taken := map[part][]byte{}
		for at, m := range a.parts {
			taken[at] = m.Bytes()
		}
		if diff := cmp.Diff(records, taken, answersAlike); diff != "" {
			t.Fatal(diff)
		}
		if diff := cmp.Diff(without(want, 5), got, answersAlike); diff != "" {
			t.Fatal(diff)
		}
	})
}
