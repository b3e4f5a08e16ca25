package e2e

import (
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/waybill-data/waybill/e2e/stack"
	"github.com/waybill-data/waybill/sandbox/verify"
)

// interrupted sends good values to a topic, the bad ones among them twice, and kills a writer and an ingest on the way.
// It asserts that each good value is one row and each bad one a dead letter, and returns how many letters name each
// field and byte, with a space between.
func (w *world) interrupted(topic verify.Topic, good int, bad []string, value func(i int) string) map[string]int {
	w.t.Helper()
	client := w.client(kgo.RecordPartitioner(kgo.RoundRobinPartitioner()))
	send := func(value string) {
		client.Produce(w.ctx, &kgo.Record{Topic: topic.Name, Value: []byte(value)}, func(_ *kgo.Record, err error) {
			if err != nil {
				w.t.Error(err)
			}
		})
		w.sent[topic.Name]++
	}
	half := func(from, to int) {
		for i := from; i < to; i++ {
			send(value(i))
			if i%(good/2) == good/4 {
				for _, b := range bad {
					send(b)
				}
			}
		}
		if err := client.Flush(w.ctx); err != nil {
			w.t.Fatal(err)
		}
	}
	half(0, good/2)
	w.committed(topic.Name, int64(good/20))
	w.Writers[0].Kill()
	w.restart(w.Writers[0])
	half(good/2, good)
	w.committed(topic.Name, int64(good/2))
	w.Ingests[0].Kill()
	w.restart(w.Ingests[0])
	w.settled()

	report, err := w.Verify(w.ctx, verify.Config{Sample: -1, Topics: []verify.Topic{topic}})
	if err != nil {
		w.t.Fatal(err)
	}
	if !report.OK() || report.Rows != int64(good) || report.DeadLetters != int64(2*len(bad)) {
		w.t.Errorf("%s", report.Line())
	}
	places := map[string]int{}
	if err := w.log.EachHeaders(w.ctx, topic.Name+stack.DeadLetters, func(h map[string]string) error {
		places[h["waybill-field"]+" "+h["waybill-byte"]]++
		return nil
	}); err != nil {
		w.t.Fatal(err)
	}
	return places
}
