package lane

import (
	"context"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"

	"github.com/waybill-data/waybill/pkg/logging/logtest"
	lanev1 "github.com/waybill-data/waybill/proto/lane/v1"
)

// A host whose lanes open and fail without end has its share of the log; what lanes of others do is logged beside it,
// and the next line of the first says how many were left out. All are counted.
func TestLanesOfAHostHaveTheirShareOfTheLog(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log logtest.Log
		s := &Service{Sink: &odd{}, Log: log.Logger()}
		s.init()
		ends := func(host byte, port int) {
			ctx := peer.NewContext(context.Background(), &peer.Peer{
				Addr: &net.TCPAddr{IP: net.IPv4(10, 0, 0, host), Port: port},
			})
			l := &lane{service: s, log: s.Log.With("topic", "t"), ctx: ctx, open: &lanev1.Open{Topic: "t"}}
			if err := l.logEnd(status.Error(codes.InvalidArgument, "lies")); status.Code(err) != codes.InvalidArgument {
				t.Errorf("got %v", err)
			}
		}
		const hostile = 5000
		for i := range hostile {
			ends(1, i)
		}
		if n := log.Count("others_since_last"); n != 0 {
			t.Errorf("%d lines count others, and there were none", n)
		}
		lines := log.Count("lane ended")
		if lines < 100 || lines > hostile/2 {
			t.Errorf("%d lines of %d", lines, hostile)
		}
		ends(2, 1)
		if n := log.Count("lane ended"); n != lines+1 {
			t.Errorf("another host has %d lines", n-lines)
		}
		time.Sleep(time.Second)
		log.Take()
		ends(1, 1)
		if got := log.Take(); strings.Count(got, "others_since_last=") != 1 || strings.Count(got, "level=ERROR") != 1 {
			t.Errorf("the next line does not count the others: %s", got)
		}
	})
}
