package sandbox_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"net/http/httptest"
	"testing"
	"time"

	"cloud.google.com/go/bigquery/storage/apiv1/storagepb"
	"github.com/twmb/franz-go/pkg/kgo"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"

	"github.com/waybill-data/waybill/sandbox"
	"github.com/waybill-data/waybill/sandbox/sandboxtest"
)

// With a certificate, Kafka and BigQuery's gRPC speak TLS, and nothing else.
func TestTLS(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	site := httptest.NewTLSServer(nil)
	defer site.Close()
	roots := x509.NewCertPool()
	roots.AddCert(site.Certificate())
	trust := &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}

	s := sandboxtest.Start(t, sandbox.Config{
		Dir: t.TempDir(), KafkaPorts: []int{0}, TLS: &tls.Config{
			Certificates: site.TLS.Certificates, MinVersion: tls.VersionTLS12,
		},
	})

	kafka := func(options ...kgo.Opt) error {
		client, err := kgo.NewClient(append(options, kgo.SeedBrokers(s.Endpoints().Kafka...), kgo.RequestRetries(0))...)
		if err != nil {
			t.Fatal(err)
		}
		defer client.Close()
		return client.Ping(ctx)
	}
	if err := kafka(kgo.DialTLSConfig(trust.Clone())); err != nil {
		t.Errorf("Kafka over TLS: %v", err)
	}
	if err := kafka(); err == nil {
		t.Error("Kafka speaks plaintext as well")
	}

	bigquery := func(security credentials.TransportCredentials) codes.Code {
		conn, err := grpc.NewClient(s.Endpoints().BigQueryGRPC, grpc.WithTransportCredentials(security))
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		_, err = storagepb.NewBigQueryWriteClient(conn).GetWriteStream(ctx, &storagepb.GetWriteStreamRequest{
			Name: "projects/sandbox/datasets/waybill/tables/none/streams/none",
		})
		return status.Code(err)
	}
	if code := bigquery(credentials.NewTLS(trust.Clone())); code != codes.NotFound {
		t.Errorf("BigQuery over TLS returns %v, want that there is no such stream", code)
	}
	if code := bigquery(insecure.NewCredentials()); code != codes.Unavailable {
		t.Errorf("BigQuery in plaintext returns %v", code)
	}
}
