package lanewire

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/gob"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/mem"

	lanev1 "github.com/waybill-data/waybill/proto/lane/v1"
)

// hop is what the floor of the hop is given in the file $WAYBILL_FLOOR.
type hop struct {
	// Blocks is a file of blocks of rows, in gob. CA, Cert and Key are PEM files; empty: no TLS.
	Blocks, CA, Cert, Key string
	// Lanes is the number of calls at once.
	Lanes int
}

const (
	hopChild = "WAYBILL_FLOOR_CHILD"
	// hopWindow is the batches of a call that are under way; the others are the writer's HTTP/2 windows, in bytes.
	hopWindow     = 16
	hopLane       = 1 << 20
	hopConnection = 8 << 20
)

// BenchmarkFloor sends blocks of rows over one gRPC hop between two processes, through this codec and nothing else: no
// lane, no window by bytes, no checkpoint. Processor time is that of both processes. `make bench` runs it, on rows of
// its workload.
func BenchmarkFloor(b *testing.B) {
	path := os.Getenv("WAYBILL_FLOOR")
	if path == "" {
		b.Skip("make bench runs this: it needs blocks of rows, named in the file $WAYBILL_FLOOR")
	}
	var h hop
	text, err := os.ReadFile(path)
	if err == nil {
		err = json.Unmarshal(text, &h)
	}
	if err != nil {
		b.Fatal(err)
	}
	if os.Getenv(hopChild) != "" {
		h.serve(b)
		return
	}
	f, err := os.Open(h.Blocks)
	if err != nil {
		b.Fatal(err)
	}
	defer f.Close()
	var blocks []struct {
		Rows  int
		Bytes []byte
	}
	if err := gob.NewDecoder(f).Decode(&blocks); err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		address, end := h.child(b)
		conn, err := grpc.NewClient(address, grpc.WithTransportCredentials(h.client(b)))
		if err != nil {
			b.Fatal(err)
		}
		var calls []*hopCall
		for range h.Lanes {
			calls = append(calls, newHopCall(b, conn))
		}
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		began, wall := processorTime(), time.Now()
		rows := make([]int, h.Lanes)
		var senders sync.WaitGroup
		for lane, call := range calls {
			senders.Go(func() {
				for sequence := uint64(1); sequence <= hopWindow ||
					time.Since(wall) < 700*time.Millisecond; sequence++ {
					k := blocks[(int(sequence)+lane)%len(blocks)]
					call.send(b, sequence, k.Rows, k.Bytes)
					rows[lane] += k.Rows
				}
				call.close(b)
			})
		}
		senders.Wait()
		used := processorTime() - began
		runtime.ReadMemStats(&after)
		conn.Close()
		there := end()
		n := 0
		for _, r := range rows {
			n += r
		}
		b.ReportMetric(float64(used+there)/float64(n), "cpu-ns/row")
		b.ReportMetric(float64(after.TotalAlloc-before.TotalAlloc)/float64(n), "alloc-B/row")
	}
}

// child starts this program again as the other end. end stops it and gives the processor time it took, in nanoseconds.
func (h *hop) child(b *testing.B) (address string, end func() int64) {
	cmd := exec.Command(os.Args[0], "-test.run", "^$", "-test.bench", "^BenchmarkFloor$", "-test.benchtime", "1x")
	cmd.Env = append(os.Environ(), hopChild+"=1")
	cmd.Stderr = os.Stderr
	stdin, err := cmd.StdinPipe()
	if err != nil {
		b.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		b.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	lines := bufio.NewScanner(stdout)
	await := func(word string) string {
		for lines.Scan() {
			if _, value, ok := strings.Cut(lines.Text(), word+"="); ok {
				return value
			}
		}
		b.Fatalf("the other end did not say its %s", word)
		return ""
	}
	address = await("address")
	return address, func() (used int64) {
		stdin.Close() // the child ends by it
		if _, err := fmt.Sscan(await("processor"), &used); err != nil {
			b.Fatal(err)
		}
		if err := cmd.Wait(); err != nil {
			b.Fatal(err)
		}
		return used
	}
}

// serve takes blocks until standard input ends.
func (h *hop) serve(b *testing.B) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	security := insecure.NewCredentials()
	if h.CA != "" {
		pair, err := tls.LoadX509KeyPair(h.Cert, h.Key)
		if err != nil {
			b.Fatal(err)
		}
		security = credentials.NewTLS(&tls.Config{Certificates: []tls.Certificate{pair}})
	}
	server := grpc.NewServer(grpc.Creds(security), grpc.ForceServerCodecV2(Codec()), grpc.MaxRecvMsgSize(32<<20),
		grpc.InitialWindowSize(hopLane), grpc.InitialConnWindowSize(hopConnection))
	lanev1.RegisterLaneServiceServer(server, hopServer{})
	go server.Serve(listener) //nolint:errcheck // Stop ends it.
	began := processorTime()
	fmt.Printf("\naddress=%s\n", listener.Addr())
	if _, err := io.Copy(io.Discard, os.Stdin); err != nil {
		b.Fatal(err)
	}
	fmt.Printf("\nprocessor=%d\n", processorTime()-began)
	server.Stop()
}

func (h *hop) client(b *testing.B) credentials.TransportCredentials {
	if h.CA == "" {
		return insecure.NewCredentials()
	}
	pem, err := os.ReadFile(h.CA)
	if err != nil {
		b.Fatal(err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(pem) {
		b.Fatalf("%s holds no certificate", h.CA)
	}
	return credentials.NewTLS(&tls.Config{RootCAs: pool})
}

// hopServer responds to every block at once and looks into none.
type hopServer struct {
	lanev1.UnimplementedLaneServiceServer
}

func (hopServer) Lane(stream grpc.BidiStreamingServer[lanev1.LaneRequest, lanev1.LaneResponse]) error {
	for {
		var r Request
		if err := stream.RecvMsg(&r); err != nil {
			return nil //nolint:nilerr // The client is done, which is how every call ends.
		}
		settled := &lanev1.Settled{Sequence: r.Append.Sequence, Position: r.Append.EndPosition, Checkpoint: "settled"}
		r.Free()
		response := &lanev1.LaneResponse{Message: &lanev1.LaneResponse_Settled{Settled: settled}}
		if err := stream.Send(response); err != nil {
			return err
		}
	}
}

// hopCall is one call with a window of batches.
type hopCall struct {
	stream  grpc.BidiStreamingClient[lanev1.LaneRequest, lanev1.LaneResponse]
	credits chan struct{}
	ended   chan struct{}
}

func newHopCall(b *testing.B, conn *grpc.ClientConn) *hopCall {
	stream, err := lanev1.NewLaneServiceClient(conn).Lane(context.Background(), grpc.ForceCodecV2(Codec()))
	if err != nil {
		b.Fatal(err)
	}
	c := &hopCall{stream: stream, credits: make(chan struct{}, hopWindow), ended: make(chan struct{})}
	go func() {
		defer close(c.ended)
		for {
			if _, err := stream.Recv(); err != nil {
				return
			}
			<-c.credits
		}
	}()
	return c
}

func (c *hopCall) send(b *testing.B, sequence uint64, rows int, data []byte) {
	c.credits <- struct{}{}
	block := Block{Rows: uint32(rows), Bytes: mem.BufferSlice{mem.SliceBuffer(data)}}
	if err := c.stream.SendMsg(&Append{
		Sequence: sequence, EndPosition: int64(sequence), Blocks: []Block{block},
	}); err != nil {
		b.Error(err)
	}
}

func (c *hopCall) close(b *testing.B) {
	for range hopWindow {
		c.credits <- struct{}{}
	}
	if err := c.stream.CloseSend(); err != nil {
		b.Error(err)
	}
	<-c.ended
}

// processorTime is that of this process in nanoseconds, user and system.
func processorTime() int64 {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		panic(err)
	}
	return u.Utime.Nano() + u.Stime.Nano()
}
