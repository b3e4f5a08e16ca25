package sink

import (
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"cloud.google.com/go/bigquery/storage/apiv1/storagepb"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"google.golang.org/grpc/codes"
	grpcstatus "google.golang.org/grpc/status"

	"github.com/waybill-data/waybill/services/writer/internal/lane"
)

// promise is how soon after a storm everything moves again.
const promise = 3 * time.Second

// For a minute BigQuery takes nothing. That is said once when it begins and once when it ends, with what and how long
// it was; it is seen at the table meanwhile; and within three seconds of the end every lane has gone on, however long
// its own back-off has become.
func TestAStormIsSaidTwiceAndOverAtOnce(t *testing.T) {
	for _, c := range []struct {
		state    string
		response func() (*storagepb.AppendRowsResponse, error)
	}{
		{stateQuota, func() (*storagepb.AppendRowsResponse, error) {
			return refusal(codes.ResourceExhausted, 0, "Exceeds 'AppendRows throughput' quota"), nil
		}},
		{
			stateUnavailable,
			func() (*storagepb.AppendRowsResponse, error) { return nil, grpcstatus.Error(codes.Unavailable, "away") },
		},
		{stateUnavailable, func() (*storagepb.AppendRowsResponse, error) {
			return refusal(codes.Internal, 0, "oops"),
				nil
		}},
	} {
		for _, repeats := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, default stream %v", c.state, repeats), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					const lanes, storm = 20, time.Minute
					fake, s, logged := bubble(t, nil)
					var boats []*boat
					for range lanes {
						b := launch(t, s, repeats)
						boats = append(boats, b)
						send(b, 0, "before")
						wantWritten(t, b.results, 0, 1)
					}
					defer func() {
						for _, b := range boats {
							b.Close()
						}
					}()
					tries := 0
					fake.on(func(_ *storagepb.AppendRowsRequest, written bool) (*storagepb.AppendRowsResponse, error) {
						if written {
							return nil, nil
						}
						tries++
						return c.response()
					})
					began := time.Now()
					for i, b := range boats {
						time.Sleep(time.Duration(i) * 10 * time.Millisecond)
						send(b, 1, "during")
					}
					time.Sleep(time.Until(began.Add(10 * time.Second)))
					synctest.Wait()
					if n := logged.At(slog.LevelWarn, "state="+c.state); len(n) != 1 ||
						!strings.Contains(n[0], "physical_stock_events") {
						t.Errorf("said at the beginning: %v", n)
					}
					table, _ := s.Table(t.Context(), stockRoute)
					got := table.(lane.Troubled).Trouble()
					if since := got.Since.Sub(began); got.State != c.state || since < 0 || since > time.Second ||
						got.Faults < 10 ||
						got.Reason == "" {
						t.Errorf("seen at the table: %+v", got)
					}
					if all := s.Troubles(); all[table.Name()].State != c.state || len(all) != 1 {
						t.Errorf("seen at the sink: %v", all)
					}
					if n := testutil.ToFloat64(s.metrics.troubles.WithLabelValues(c.state)); n != 1 {
						t.Errorf("%v tables in trouble", n)
					}
					time.Sleep(time.Until(began.Add(storm)))
					fake.on(nil)
					over := time.Now()
					for _, b := range boats {
						wantWritten(t, b.results, 1, 1)
					}
					if took := time.Since(over); took > promise {
						t.Errorf("all lanes have gone on %v after the storm", took)
					}
					// One probes, once a second; the others keep to their back-off.
					if limit := int(storm/probeEvery) + lanes*12; tries > limit {
						t.Errorf("%d tries, at most %d", tries, limit)
					}
					time.Sleep(calmAfter + time.Second)
					synctest.Wait()
					if n := logged.At(slog.LevelInfo, "again"); len(n) != 1 || !strings.Contains(n[0], "faults=") ||
						!strings.Contains(n[0], "lasted=1m") {
						t.Errorf("said at the end: %v", n)
					}
					if n := logged.At(slog.LevelWarn, ""); len(n) != 1 {
						t.Errorf("warnings: %v", n)
					}
					if got := s.Troubles(); len(got) != 0 ||
						testutil.ToFloat64(s.metrics.troubles.WithLabelValues(c.state)) != 0 {
						t.Errorf("still in trouble: %v", got)
					}
				})
			})
		}
	}
}

// Creating and finalizing write streams and looking at tables meet the same storms in the same way.
func TestCallsAreBackAtOnceAfterAStorm(t *testing.T) {
	const storm = time.Minute
	t.Run("create and finalize", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			fake, s, logged := bubble(t, nil)
			table, err := s.Table(t.Context(), stockRoute)
			if err != nil {
				t.Fatal(err)
			}
			over := time.Now().Add(storm)
			fake.mu.Lock()
			fake.away = func() error {
				if time.Now().Before(over) {
					return grpcstatus.Error(codes.Unavailable, "away")
				}
				return nil
			}
			fake.streams[table.Name()+"/streams/old"] = &fakeStream{}
			fake.mu.Unlock()
			var all sync.WaitGroup
			for range 20 {
				all.Go(func() {
					if _, err := table.Create(t.Context()); err != nil {
						t.Error(err)
					}
				})
				all.Go(func() {
					if _, err := s.Finalize(t.Context(), table.Name()+"/streams/old"); err != nil {
						t.Error(err)
					}
				})
			}
			all.Wait()
			if took := time.Since(over); took > promise {
				t.Errorf("back %v after the storm", took)
			}
			time.Sleep(2 * calmAfter)
			if w, i := logged.At(slog.LevelWarn, ""), logged.At(slog.LevelInfo, "again"); len(w) != 1 || len(i) != 1 {
				t.Errorf("said %v and %v", w, i)
			}
		})
	})
	t.Run("tables", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			over := time.Now().Add(storm)
			_, s, logged := bubble(t, func() int {
				if time.Now().Before(over) {
					return 503
				}
				return 0
			})
			if _, err := s.Table(t.Context(), stockRoute); err != nil {
				t.Fatal(err)
			}
			if took := time.Since(over); took < 0 || took > promise {
				t.Errorf("back %v after the storm", took)
			}
			time.Sleep(2 * calmAfter)
			if w, i := logged.At(slog.LevelWarn, "HTTP_503"), logged.At(slog.LevelInfo, "again"); len(w) != 1 ||
				len(i) != 1 {
				t.Errorf("said %v and %v", w, i)
			}
		})
	})
}

// The network is away altogether, so that no call can be opened: neither gRPC's own back-off nor ours outlasts it.
func TestLanesAreBackAtOnceWhenTheNetworkIs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fake, s, logged := bubble(t, nil)
		var boats []*boat
		for range 3 {
			boats = append(boats, launch(t, s, false), launch(t, s, true))
		}
		defer func() {
			for _, b := range boats {
				b.Close()
			}
		}()
		// The connection that the creations went over does not count: appends have their own.
		fake.unreachable.Store(true)
		began := time.Now()
		for _, b := range boats {
			send(b, 0, "a")
		}
		time.Sleep(5 * time.Minute)
		fake.unreachable.Store(false)
		over := time.Now()
		for _, b := range boats {
			wantWritten(t, b.results, 0, 1)
		}
		if took := time.Since(over); took > promise {
			t.Errorf("back %v after the network, which was away for %v", took, over.Sub(began))
		}
		if n := logged.At(slog.LevelWarn, "state="+stateUnavailable); len(n) != 1 {
			t.Errorf("said %v", n)
		}
	})
}

// When the lane that probes ends, another one does; when nobody is left, the storm is over.
func TestTheProbeIsHandedOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fake, s, logged := bubble(t, nil)
		boats := []*boat{launch(t, s, false), launch(t, s, false), launch(t, s, false)}
		fake.on(func(*storagepb.AppendRowsRequest, bool) (*storagepb.AppendRowsResponse, error) {
			return nil, grpcstatus.Error(codes.Unavailable, "away")
		})
		for _, b := range boats {
			send(b, 0, "a")
			time.Sleep(10 * time.Millisecond)
		}
		time.Sleep(40 * time.Second)
		boats[0].Close() // The first to fail is the one that probes.
		time.Sleep(time.Second)
		fake.on(nil)
		over := time.Now()
		wantWritten(t, boats[1].results, 0, 1)
		wantWritten(t, boats[2].results, 0, 1)
		if took := time.Since(over); took > promise {
			t.Errorf("went on %v after the storm", took)
		}
		fake.on(func(*storagepb.AppendRowsRequest, bool) (*storagepb.AppendRowsResponse, error) {
			return nil, grpcstatus.Error(codes.Unavailable, "away")
		})
		send(boats[1], 1, "b")
		time.Sleep(20 * time.Second)
		if n := len(s.Troubles()); n != 1 {
			t.Fatalf("%d troubles", n)
		}
		boats[1].Close()
		boats[2].Close()
		time.Sleep(2 * calmAfter)
		if n := s.Troubles(); len(n) != 0 || len(logged.At(slog.LevelInfo, "nobody tries any more")) != 1 {
			t.Errorf("nobody tries any more: %v", n)
		}
	})
}

// A connection that ends now and then, and a single turn of quota, are no storm: nothing is said.
func TestAHiccupIsNoStorm(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fake, s, logged := bubble(t, nil)
		b := launch(t, s, false)
		defer b.Close()
		bad := true
		fake.on(func(_ *storagepb.AppendRowsRequest, written bool) (*storagepb.AppendRowsResponse, error) {
			if bad = !bad; bad && !written {
				return nil, grpcstatus.Error(codes.Aborted, "server is restarted")
			}
			return nil, nil
		})
		b.oneASecond(t, 50, "a")
		wantCalm(t, s, logged)
	})
}

// One stream that fails on its own while its table takes what others send is said as well, once each way.
func TestAStreamThatFailsAloneIsSaid(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fake, s, logged := bubble(t, nil)
		good, sick := launch(t, s, false), launch(t, s, false)
		defer good.Close()
		defer sick.Close()
		fake.on(func(r *storagepb.AppendRowsRequest, written bool) (*storagepb.AppendRowsResponse, error) {
			if string(r.GetProtoRows().GetRows().GetSerializedRows()[0]) == "sick" && !written {
				return refusal(codes.Internal, 0, "oops"), nil
			}
			return nil, nil
		})
		send(sick, 0, "sick")
		good.oneASecond(t, 60, "good")
		if n := logged.At(slog.LevelWarn, ""); len(n) != 1 || !strings.Contains(n[0], "stream=") {
			t.Errorf("said %v", n)
		}
		if got := sick.Appender.(*appender).Trouble(); got.State != stateUnavailable ||
			good.Appender.(*appender).Trouble().State != "" {
			t.Errorf("seen %+v", got)
		}
		fake.on(nil)
		wantWritten(t, sick.results, 0, 1)
		if n := logged.At(slog.LevelInfo, "this stream again"); len(n) != 1 {
			t.Errorf("said %v", n)
		}
	})
}

// A success now and then does not end a storm, and does not begin it anew.
func TestAStormWithGapsIsOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, s, logged := bubble(t, nil)
		w := s.weatherOf("projects/p/datasets/d/tables/t")
		a, b := w.traveller(wayAppend), w.traveller(wayFence)
		f := &fault{kind: again, code: "UNAVAILABLE", status: codes.Unavailable}
		for range 10 {
			for range 4 {
				a.fault(f, time.Now())
				b.fault(f, time.Now())
				time.Sleep(time.Second)
			}
			a.success(time.Now())
			b.success(time.Now())
			time.Sleep(time.Second)
		}
		time.Sleep(2 * calmAfter)
		if n, i := logged.At(slog.LevelWarn, ""), logged.At(slog.LevelInfo, "again"); len(n) != 1 || len(i) != 1 ||
			!strings.Contains(i[0], "faults=80") {
			t.Errorf("said %v and %v", n, i)
		}
		a.fault(f, time.Now())
		time.Sleep(stormAfter)
		a.fault(f, time.Now())
		if got := w.trouble(); got.State != stateUnavailable || got.Faults != 2 {
			t.Errorf("the next storm: %+v", got)
		}
		a.leave(time.Now())
		if b.failing || w.fronts[wayAppend].failing != 0 {
			t.Error("somebody fails still")
		}
	})
}
