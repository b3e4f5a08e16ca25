package e2e

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kadm"

	"github.com/waybill-data/waybill/e2e/stack"
	"github.com/waybill-data/waybill/sandbox/events"
)

// sealedBy says of which partitions of a topic the committed checkpoint is not sealed by a key, in the words of
// docs/security.md and not by the writer's code.
func (w *world) sealedBy(cluster, topic, key string) error {
	committed, err := kadm.NewClient(w.client()).FetchOffsets(w.ctx, "waybill")
	if err != nil {
		return err
	}
	var wrong []string
	seen := 0
	committed.Each(func(o kadm.OffsetResponse) {
		if o.Topic != topic || o.Metadata == "" {
			return
		}
		seen++
		sealed := o.Metadata[strings.LastIndexByte(o.Metadata, ';')+1:]
		token, seal, _ := strings.Cut(sealed, ".")
		owner := []byte("waybill checkpoint 1")
		for _, part := range []string{cluster, "waybill", topic} {
			owner = append(binary.AppendUvarint(owner, uint64(len(part))), part...)
		}
		owner = binary.BigEndian.AppendUint32(owner, uint32(o.Partition))
		mac := hmac.New(sha256.New, []byte(key))
		mac.Write(owner)
		mac.Write([]byte(token))
		if want := base64.RawURLEncoding.EncodeToString(mac.Sum(nil)[:16]); seal != want {
			wrong = append(wrong, fmt.Sprintf("%d: %s", o.Partition, sealed))
		}
	})
	if len(wrong) > 0 || seen == 0 {
		return fmt.Errorf("of %d partitions not by this key: %v", seen, wrong)
	}
	return nil
}

// Keys of checkpoints are rotated in their files while lanes run on two writers: what is committed is sealed by the new
// key soon, no lane is refused, and once the old key is gone a writer that is killed leaves checkpoints that the others
// believe. Every record is one row.
func TestKeysAreRotatedWhileLanesRun(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	old, renewed, spare := strings.Repeat("o", 40), strings.Repeat("n", 40), strings.Repeat("s", 40)
	write := func(name, key string) {
		t.Helper()
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path+".new", []byte(key+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(path+".new", path); err != nil {
			t.Fatal(err)
		}
	}
	write("first", old)
	write("second", spare)
	write("third", old)
	const partitions = 4
	w := newWorld(t, stack.Config{
		Writers: 2, DeliveryPartitions: 1, StockPartitions: partitions, Contracts: "  - builtin: stock.v1\n",
		WriterYAML: fmt.Sprintf("checkpoint: {keys: [%[1]s/first, %[1]s/second, %[1]s/third]}\n", dir),
	})
	const cluster = "waybill-sandbox"
	produced := func(key string) {
		t.Helper()
		w.until("every partition is sealed", func() error {
			w.produce(stack.StockTopic, 5*partitions, events.Config{})
			w.settled()
			return w.sealedBy(cluster, stack.StockTopic, key)
		})
	}
	produced(old)
	write("second", renewed) // behind
	produced(old)
	write("first", renewed) // in front
	produced(renewed)
	write("third", spare) // the old one is gone
	w.produce(stack.StockTopic, 400, events.Config{})
	w.Writers[0].Kill()
	w.produce(stack.StockTopic, 400, events.Config{})
	w.settled()
	w.restart(w.Writers[0])
	produced(renewed)
	w.verified()
	for _, s := range w.Writers {
		log, err := os.ReadFile(s.Log)
		if err != nil || strings.Contains(string(log), "MAC") {
			t.Errorf("%s refused a checkpoint, or has no log: %v\n%s", s.Name, err, log)
		}
	}
}
