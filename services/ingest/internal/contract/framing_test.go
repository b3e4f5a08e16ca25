package contract_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/waybill-data/waybill/pkg/config"
	lanev1 "github.com/waybill-data/waybill/proto/lane/v1"
	"github.com/waybill-data/waybill/services/ingest/internal/contract"
	"github.com/waybill-data/waybill/services/ingest/internal/record"
)

// A newer schema makes a new version: its fields get numbers behind those that are there, forks keep theirs, and what
// is old stays readable.
func TestContractGrowsInFlight(t *testing.T) {
	s := &shelf{}
	s.put("parcels-value", 3, v1)
	d := open(t, s, nil)
	old := d.fork()
	if got, grown := d.take(old, framed(3, "\x04ab\x0a")); got != "id=ab grams=5" || grown {
		t.Errorf("%q, grown %v", got, grown)
	}
	s.put("parcels-value", 8, v2)
	if _, grown := d.take(old, framed(8, "\x01\x04cd\x02\x0c")); !grown {
		t.Fatal("a record with a new field does not want a new version")
	}
	if got, grown := d.take(old, framed(3, "\x04ab\x0a")); !grown {
		t.Errorf("%q: the old fork goes on, other lanes would never follow", got)
	}
	now := d.fork()
	for r, want := range map[*record.Record]string{
		framed(8, "\x01\x04cd\x02\x0c"): "fragile=1 id=cd grams=6",
		framed(8, "\x00\x04cd\x00"):     "fragile=0 id=cd",
		framed(3, "\x04ab\x0a"):         "id=ab grams=5",
	} {
		if got, grown := d.take(now, r); got != want || grown {
			t.Errorf("%q, want %q; grown %v", got, want, grown)
		}
	}
	if before, after := numbers(old.Routes[0]), numbers(now.Routes[0]); !cmp.Equal(before,
		map[string]int32{"id": 1, "grams": 2}) ||
		!cmp.Equal(after, map[string]int32{"id": 1, "grams": 2, "fragile": 3}) {
		t.Errorf("numbers %v, then %v", before, after)
	}
	if now.Routes[0].GetEvolution() != lanev1.Evolution_EVOLUTION_ADDITIVE || old.Fingerprint != now.Fingerprint {
		t.Errorf("route %v", now.Routes[0])
	}
	if n := d.versions(); n != 2 {
		t.Errorf("%v versions", n)
	}
	if lines := d.log.String(); strings.Count(lines, "\n") != 1 || !strings.Contains(lines, "added=[payload.fragile]") {
		t.Errorf("log:\n%s", lines)
	}
}

// Without leave to grow, new fields are left out and said once.
func TestContractDoesNotGrow(t *testing.T) {
	for name, change := range map[string]func(*contract.Config){
		"off":            func(c *contract.Config) { c.Evolution = "off" },
		"default":        func(c *contract.Config) { c.Evolution = "" },
		"pinned version": func(c *contract.Config) { c.SubjectVersion = "1" },
	} {
		t.Run(name, func(t *testing.T) {
			s := &shelf{}
			s.put("parcels-value", 3, v1)
			d := open(t, s, change)
			s.put("parcels-value", 8, `{"name":"fragile","type":"boolean"},`+v1)
			topic := d.fork()
			for range 3 {
				if got, grown := d.take(topic, framed(8, "\x01\x04cd\x0c")); got != "id=cd grams=6" || grown {
					t.Errorf("%q, grown %v", got, grown)
				}
			}
			if lines := d.log.String(); strings.Count(lines, "\n") != 1 ||
				!strings.Contains(lines, "payload.fragile") ||
				d.versions() != 1 {
				t.Errorf("%v versions, log:\n%s", d.versions(), lines)
			}
			if n, err := testutil.GatherAndCount(d.metrics, "waybill_ingest_schemas_with_more_fields_total"); n != 1 ||
				err != nil {
				t.Errorf("%d, %v", n, err)
			}
		})
	}
}

// What cannot be read is refused record by record, with the reason; the lane and what is readable go on.
func TestRefusedRecords(t *testing.T) {
	s := &shelf{}
	s.put("parcels-value", 3, v1)
	d := open(t, s, nil)
	s.put("parcels-value", 4,
		`{"name":"id","type":"string"},{"name":"grams","type":["null","string"]},{"name":"new","type":"int"}`)
	s.put("parcels-value", 5, v1+`,{"name":"ID","type":"string"}`)
	s.put("Customer-value", 6, v1+`,{"name":"secret","type":"string"}`)
	s.put("parcels-value", 7, `{"name":"broken"`)
	if _, grown := d.take(d.fork(), framed(4, "\x02a\x02\x02b\x02")); !grown {
		t.Fatal("the new field is not seen")
	}
	topic := d.fork()
	for _, v := range []struct {
		record *record.Record
		want   string
	}{
		{framed(3, "\x04ab\x0a"), "id=ab grams=5"},
		{
			framed(4, "\x02a\x02\x02b\x02"),
			"parcels-value: payload.grams at byte 8: schema 4's string cannot be read as the contract's int",
		},
		{framed(4, "\x02a\x00\x02"), "id=a new=1"},
		{
			framed(5, "\x02a\x02\x00"),
			"parcels-value: payload at byte 0: schema id 5: its fields cannot become columns: payload.ID: another " +
				"column has this name but for its case; BigQuery does not tell them apart; " +
				`write columns: {"ID": {name: ID_2}, or {skip: true}}`,
		},
		{
			framed(6, "\x02a\x02\x00"),
			"parcels-value: payload at byte 0: schema id 6: it is no version of subject parcels-value, and is " +
				"called Customer instead of parcels",
		},
		{framed(7, ""), "parcels-value: payload at byte 0: schema id 7: "},
		{framed(99, ""), "parcels-value: payload at byte 0: schema id 99 is not in the registry"},
		{framed(3, "\x04a"), "parcels-value: payload.id at byte 5: the length reaches past the end of the payload"},
		{
			&record.Record{Topic: "parcels", Value: []byte{}},
			"parcels-value: payload at byte 0: the payload is empty; a zero byte and a schema id come first",
		},
		{
			&record.Record{Topic: "parcels", Value: []byte("\x04ab\x0a  ")},
			"parcels-value: payload at byte 0: the first byte is not zero: there is no schema id before the payload",
		},
		{
			&record.Record{Topic: "parcels", Value: []byte{0, 0, 0}},
			"parcels-value: payload at byte 0: the payload ends within the schema id",
		},
		{framed(3, "\x04ab\x0a"), "id=ab grams=5"},
	} {
		v.record.TimestampMicros = -1
		if got, grown := d.take(topic, v.record); !strings.HasPrefix(got, v.want) || grown {
			t.Errorf("%q, want %q; grown %v", got, v.want, grown)
		}
	}
	if lines := d.log.String(); !strings.Contains(lines, "field=payload.grams have=int want=string") {
		t.Errorf("log:\n%s", lines)
	}
}

// An absence is asked about again when its time has come.
func TestMissingSchemaComesLater(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &shelf{}
		s.put("parcels-value", 3, v1)
		d := open(t, s, nil)
		topic := d.fork()
		refused := "parcels-value: payload at byte 0: schema id 8 is not in the registry"
		for range 3 {
			if got, _ := d.take(topic, framed(8, "\x04ab\x0a")); got != refused {
				t.Error(got)
			}
		}
		if s.requested != 2 { // once at the start
			t.Errorf("asked %d times", s.requested)
		}
		s.put("parcels-value", 8, v1)
		time.Sleep(31 * time.Second)
		if got, _ := d.take(topic, framed(8, "\x04ab\x0a")); got != "id=ab grams=5" {
			t.Error(got)
		}
	})
}

// The subject is looked up now and then, so that the table has its columns before the records come.
func TestWatch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &shelf{}
		s.put("parcels-value", 3, v1)
		d := open(t, s, nil)
		ctx, stop := context.WithCancel(t.Context())
		defer stop()
		go d.set.Watch(ctx, 30*time.Second)
		topic := d.fork()
		s.put("parcels-value", 8, v2)
		if _, grown := d.take(topic, framed(3, "\x04ab\x0a")); grown {
			t.Error("grown before anybody looked")
		}
		time.Sleep(31 * time.Second)
		synctest.Wait()
		if _, grown := d.take(topic, framed(3, "\x04ab\x0a")); !grown || d.versions() != 2 {
			t.Errorf("grown %v, %v versions", grown, d.versions())
		}
		s.mu.Lock()
		requested := s.requested
		s.mu.Unlock()
		time.Sleep(60 * time.Second)
		synctest.Wait()
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.requested != requested+2 || d.versions() != 2 {
			t.Errorf("%d questions, %v versions", s.requested-requested, d.versions())
		}
	})
}

// Lanes of a process learn, grow and decode at once.
func TestManyLanesGrow(t *testing.T) {
	s := &shelf{}
	s.put("parcels-value", 1, v1)
	d := open(t, s, nil)
	const last = 9
	for id := 2; id <= last; id++ {
		fields := v1
		for n := 2; n <= id; n++ {
			fields = fmt.Sprintf(`{"name":"n%d","type":["null","int"]},`, n) + fields
		}
		s.put("parcels-value", id, fields)
	}
	var wait sync.WaitGroup
	for lane := range 8 {
		wait.Go(func() {
			topic := d.fork()
			for i := range 200 {
				id := uint32((i+lane)%last) + 1
				datum := strings.Repeat("\x02\x02", int(id)-1) + "\x04ab\x0a"
				r := framed(id, datum)
				for {
					grown, err := topic.Prepare(t.Context(), []record.Record{*r}, nil)
					if err != nil {
						t.Error(err)
						return
					}
					if !grown {
						break
					}
					topic = d.fork()
				}
				m := topic.Match(r)
				row, err := m.Contract.AppendRow(nil, r, m, 1)
				if err != nil {
					t.Error(err)
					return
				}
				text := payload(t, topic.Routes[0], row)
				if n := strings.Count(text, "=1"); n != int(id)-1 || !strings.Contains(text, "id=ab") {
					t.Errorf("schema %d: %q", id, text)
				}
			}
		})
	}
	wait.Wait()
}

// Neither preparing nor laying down allocates for a row, also where schemas alternate.
func TestFramedRowsAllocateNothing(t *testing.T) {
	s := &shelf{}
	s.put("parcels-value", 3, v1)
	s.put("parcels-value", 1_000_000, v2)
	d := open(t, s, nil)
	_, _ = d.take(d.fork(), framed(3, "\x04ab\x0a"))
	topic := d.fork()
	records := []record.Record{
		*framed(3, "\x04ab\x0a"), *framed(1_000_000, "\x01\x04cd\x02\x0c"), *framed(3, "\x04ab\x0a"),
	}
	ctx, dst := t.Context(), make([]byte, 0, 1024)
	if n := testing.AllocsPerRun(100, func() {
		if grown, err := topic.Prepare(ctx, records, nil); grown || err != nil {
			t.Fatal(grown, err)
		}
		for i := range records {
			m := topic.Match(&records[i])
			if _, err := m.Contract.AppendRow(dst, &records[i], m, 1); err != nil {
				t.Fatal(err)
			}
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestSubjectProblems(t *testing.T) {
	s := &shelf{}
	s.put("parcels-value", 3, v1)
	for _, v := range []struct {
		key    string
		change func(*contract.Config)
	}{
		{"subject", func(c *contract.Config) { c.Schema = "parcel.avsc" }},
		{"subject", func(c *contract.Config) { c.Subject = "nobody" }},
		{"subject", func(c *contract.Config) { c.SubjectVersion = "2" }},
		{"subject_version", func(c *contract.Config) { c.SubjectVersion = "newest" }},
		{"framing", func(c *contract.Config) { c.Framing = "thrift" }},
		{"evolution", func(c *contract.Config) { c.Evolution = "on" }},
		{"event_id", func(c *contract.Config) { c.EventID = "number" }},
		{"", func(c *contract.Config) { c.Framing = "" }},
	} {
		c := parcels(v.change)
		_, err := contract.Load(t.Context(), []contract.Config{c}, t.TempDir(), contract.Env{Schemas: s})
		var problems config.Problems
		switch {
		case v.key == "" && err != nil:
			t.Error(err)
		case v.key == "":
		case !errors.As(err, &problems) || len(problems) != 1 || problems[0].Key != "contracts[0]."+v.key:
			t.Errorf("want a problem with %s: %v", v.key, err)
		}
	}
	// Without a registry the entry is checked as far as that goes.
	if set, err := contract.Load(t.Context(), []contract.Config{parcels(nil)}, t.TempDir(),
		contract.Env{}); err != nil ||
		len(set.Topics()) != 0 {
		t.Errorf("%v", err)
	}
	if _, err := contract.Load(t.Context(), []contract.Config{
		parcels(func(c *contract.Config) { c.Evolution = "on" }),
	}, t.TempDir(), contract.Env{}); err == nil {
		t.Error("no problem")
	}
}

// The reader of a lane prepares what comes while its owner lays down what came before.
func TestPrepareBesideAppendRow(t *testing.T) {
	s := &shelf{}
	s.put("parcels-value", 3, v1)
	d := open(t, s, func(c *contract.Config) { c.Evolution = "off" })
	topic := d.fork()
	ready := make(chan *record.Record, 16)
	var reader sync.WaitGroup
	reader.Go(func() {
		defer close(ready)
		for id := uint32(4); id < 100; id++ {
			s.put("parcels-value", int(id), v1)
			r := framed(id, "\x04ab\x0a")
			if grown, err := topic.Prepare(t.Context(), []record.Record{*r}, nil); grown || err != nil {
				t.Error(grown, err)
				return
			}
			ready <- r
		}
	})
	for r := range ready {
		m := topic.Match(r)
		if _, err := m.Contract.AppendRow(nil, r, m, 1); err != nil {
			t.Error(err)
		}
	}
	reader.Wait()
}

// Prepare says what it waits for while it asks, and only then.
func TestPrepareSaysWhatItWaitsFor(t *testing.T) {
	s := &shelf{}
	s.put("parcels-value", 3, v1)
	d := open(t, s, nil)
	var said []string
	waits := func(what string) { said = append(said, what) }
	topic := d.fork()
	for range 2 {
		for _, id := range []uint32{3, 99} {
			if _, err := topic.Prepare(t.Context(), []record.Record{*framed(id, "\x04ab\x0a")}, waits); err != nil {
				t.Fatal(err)
			}
		}
	}
	want := []string{"schema id 3 of the schema registry", "", "schema id 99 of the schema registry", ""}
	if diff := cmp.Diff(want, said); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}
