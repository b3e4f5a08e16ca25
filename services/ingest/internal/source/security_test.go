package source

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"

	"github.com/waybill-data/waybill/pkg/config"
	"github.com/waybill-data/waybill/pkg/tlsfiles"
)

// selfSigned makes a certificate and the PEM files of it and its key.
func selfSigned(t *testing.T) (pair tls.Certificate, certFile, keyFile string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "waybill"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), DNSNames: []string{"kafka.test"},
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature,
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	certFile, keyFile = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	for file, block := range map[string]*pem.Block{
		certFile: {Type: "CERTIFICATE", Bytes: der},
		keyFile:  {Type: "PRIVATE KEY", Bytes: keyDER},
	} {
		if err := os.WriteFile(file, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, certFile, keyFile
}

func TestTLSAndSASL(t *testing.T) {
	pair, cert, key := selfSigned(t)
	pool := x509.NewCertPool()
	leaf, err := x509.ParseCertificate(pair.Certificate[0])
	if err != nil {
		t.Fatal(err)
	}
	pool.AddCert(leaf)
	for _, mechanism := range []string{SASLPlain, SASLScram256, SASLScram512} {
		t.Run(mechanism, func(t *testing.T) {
			t.Parallel()
			// Mutual TLS and SASL at once.
			c := newCluster(t, kfake.EnableSASL(), kfake.Superuser(strings.ToUpper(mechanism), "u", "secret"),
				kfake.SeedTopics(1, testTopic),
				kfake.TLS(&tls.Config{
					Certificates: []tls.Certificate{pair}, ClientAuth: tls.RequireAndVerifyClientCert,
					ClientCAs: pool,
				}))
			cfg := testConfig(c.ListenAddrs()...).with(func(c *Config) {
				c.Kafka.TLS = tlsfiles.Optional{
					Enable: true, Files: tlsfiles.Files{CA: cert, Cert: cert, Key: key, ServerName: "kafka.test"},
				}
				c.Kafka.SASL = SASL{Mechanism: mechanism, User: "u", Password: config.NewSecret("secret")}
			})
			cfg.Kafka.TLS.Check(func(key, message, _ string) { t.Errorf("%s: %s", key, message) }, "tls")
			cfg.Kafka.SASL.check(func(key, message, _ string) { t.Errorf("%s: %s", key, message) })
			claim := start(t, cfg, false).claim(t)
			mustCommit(t, claim, 1, "secure")
			scanner, err := NewScanner(t.Context(), &cfg.Kafka, []string{testTopic})
			if err != nil {
				t.Fatal(err)
			}
			defer scanner.Close()
			if spans, err := scanner.Spans(t.Context(), testTopic); err != nil || len(spans) != 1 {
				t.Errorf("%v, %v", spans, err)
			}

			wrong := start(t, cfg.with(func(c *Config) { c.Kafka.SASL.Password = config.NewSecret("wrong") }), false)
			eventually(t, "the refusal in the log", func() bool { return wrong.logs.Count("check kafka.") > 0 })
			if strings.Contains(wrong.logs.String(), "wrong") {
				t.Error("the password is in the log")
			}
			wrong.stop()
		})
	}
}

// A broker that hangs must not cost the membership: what is left of a rebalance after the lanes have drained has room
// for the head and the body of the last response, whatever the patience with other requests is.
func TestFetchesEndWithinARebalance(t *testing.T) {
	k := Defaults().Kafka
	for _, request := range []time.Duration{time.Second, 10 * time.Second, time.Minute} {
		k.RequestTimeout = config.Duration(request)
		c, err := k.dataConfig(1<<20, 1<<20)
		if err != nil {
			t.Fatal(err)
		}
		rest := time.Duration(k.RebalanceTimeout - k.DrainTimeout)
		if 2*c.Net.ReadTimeout > rest || c.Net.ReadTimeout > request {
			t.Errorf("with request_timeout %v a fetch takes up to twice %v, and %v are left", request,
				c.Net.ReadTimeout, rest)
		}
	}
}
