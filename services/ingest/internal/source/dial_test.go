package source

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/IBM/sarama"
	"github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"
	"pgregory.net/rapid"

	"github.com/waybill-data/waybill/pkg/config"
	"github.com/waybill-data/waybill/pkg/findings"
	"github.com/waybill-data/waybill/pkg/tlsfiles"
)

// A listener that is of another kind than the configuration says, or does not take what it says, is told apart: by
// check, by the source's log, and by whoever scans topics.
func TestListenerOfAnotherKind(t *testing.T) {
	pair, cert, key := selfSigned(t)
	_, otherCert, otherKey := selfSigned(t)
	leaf, err := x509.ParseCertificate(pair.Certificate[0])
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(leaf)
	secure := kfake.TLS(&tls.Config{Certificates: []tls.Certificate{pair}})
	mutual := kfake.TLS(&tls.Config{
		Certificates: []tls.Certificate{pair}, ClientAuth: tls.RequireAndVerifyClientCert,
		ClientCAs: pool,
	})
	password := []kfake.Opt{kfake.EnableSASL(), kfake.Superuser("PLAIN", "u", "secret")}
	plain := SASL{Mechanism: SASLPlain, User: "u", Password: config.NewSecret("secret")}
	const silent = "TLS where there is none"
	for name, test := range map[string]struct {
		broker []kfake.Opt
		tls    tlsfiles.Optional
		sasl   SASL
		says   string
		reply  sarama.KError
	}{
		"mechanism not enabled": {password, tlsfiles.Optional{}, SASL{
			Mechanism: SASLScram512, User: "u",
			Password: config.NewSecret("secret"),
		}, "does not offer the mechanism", sarama.ErrUnsupportedSASLMechanism},
		"wrong password": {password, tlsfiles.Optional{}, SASL{
			Mechanism: SASLPlain, User: "u",
			Password: config.NewSecret("s"),
		}, "check kafka.sasl", 0},
		"no SASL where it is wanted": {password, tlsfiles.Optional{}, SASL{}, "as a listener does that wants SASL", 0},
		"SASL where there is none": {
			nil, tlsfiles.Optional{}, plain, "the listener knows no SASL", sarama.ErrIllegalSASLState,
		},
		"no TLS where it is wanted": {[]kfake.Opt{secure}, tlsfiles.Optional{}, SASL{}, "wants TLS", 0},
		silent: {
			nil,
			tlsfiles.Optional{Enable: true, Files: tlsfiles.Files{CA: cert}},
			SASL{},
			"as a listener without TLS does", 0,
		},
		"broker of another authority": {
			[]kfake.Opt{secure},
			tlsfiles.Optional{Enable: true, Files: tlsfiles.Files{CA: otherCert, ServerName: "kafka.test"}},
			SASL{},
			"check kafka.tls.ca", 0,
		},
		"broker of another name": {
			[]kfake.Opt{secure},
			tlsfiles.Optional{Enable: true, Files: tlsfiles.Files{CA: cert, ServerName: "other.test"}},
			SASL{},
			"kafka.tls.server_name", 0,
		},
		"client of another authority": {[]kfake.Opt{mutual}, tlsfiles.Optional{Enable: true, Files: tlsfiles.Files{
			CA: cert, Cert: otherCert, Key: otherKey,
			ServerName: "kafka.test",
		}}, SASL{}, "refuses our certificate", 0},
		"client without a certificate": {
			[]kfake.Opt{mutual},
			tlsfiles.Optional{Enable: true, Files: tlsfiles.Files{CA: cert, ServerName: "kafka.test"}},
			SASL{},
			"wants a client certificate", 0,
		},
		"all as it should be": {[]kfake.Opt{mutual}, tlsfiles.Optional{Enable: true, Files: tlsfiles.Files{
			CA: cert, Cert: cert, Key: key,
			ServerName: "kafka.test",
		}}, SASL{}, "", 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := newCluster(t, append(test.broker, kfake.SeedTopics(1, testTopic))...)
			if test.reply != 0 { // what a real broker says where kfake ends the connection, or takes any credentials
				c.ControlKey(int16(kmsg.SASLHandshake), func(request kmsg.Request) (kmsg.Response, error, bool) {
					c.KeepControl()
					response := request.ResponseKind().(*kmsg.SASLHandshakeResponse)
					response.ErrorCode = int16(test.reply)
					return response, nil, true
				})
			}
			cfg := testConfig(c.ListenAddrs()...).with(func(c *Config) {
				if c.Kafka.TLS, c.Kafka.SASL = test.tls, test.sasl; name != silent {
					// On a busy machine a handshake may take long: only of a listener that says nothing time tells.
					c.Kafka.RequestTimeout = config.Duration(patience)
					c.Kafka.RebalanceTimeout = config.Duration(2 * patience)
				}
			})
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()
			found := Check(ctx, cfg, Topics{Names: []string{testTopic}}, nil)[0]
			if (found.State == findings.OK) != (test.says == "") || !strings.Contains(found.Detail, test.says) {
				t.Errorf("check: %+v", found)
			}
			d, err := NewScanner(ctx, &cfg.Kafka, []string{testTopic})
			if err == nil {
				d.Close()
			}
			if (err == nil) != (test.says == "") || err != nil && !strings.Contains(err.Error(), test.says) {
				t.Errorf("scanner: %v", err)
			}
			s := start(t, cfg, false)
			if test.says == "" {
				s.claim(t)
				return
			}
			eventually(t, test.says+" in the log", func() bool { return s.logs.Count(test.says) > 0 })
		})
	}
}

// Certificates, authority and password that are renewed in place are those of the next connection, of each client: the
// broker ends all connections, takes nothing of what there was before, and the source goes on.
func TestCredentialsRenewedInPlace(t *testing.T) {
	for _, mechanism := range []string{SASLPlain, SASLScram256} {
		t.Run(mechanism, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			file := func(name string) string { return filepath.Join(dir, name) }
			renew := func(password string) (tls.Certificate, *x509.CertPool) {
				pair, cert, key := selfSigned(t)
				for from, to := range map[string][]string{cert: {"ca.pem", "cert.pem"}, key: {"key.pem"}} {
					for _, name := range to {
						content, err := os.ReadFile(from)
						if err == nil {
							err = os.WriteFile(file(name), content, 0o600)
						}
						if err != nil {
							t.Fatal(err)
						}
					}
				}
				if err := os.WriteFile(file("password"), []byte(password+"\n"), 0o600); err != nil {
					t.Fatal(err)
				}
				leaf, err := x509.ParseCertificate(pair.Certificate[0])
				if err != nil {
					t.Fatal(err)
				}
				pool := x509.NewCertPool()
				pool.AddCert(leaf)
				return pair, pool
			}
			door := newDoorway(t)
			cluster := func(password string) *kfake.Cluster {
				pair, pool := renew(password)
				return newCluster(t, door.leadsTo(), kfake.SeedTopics(1, testTopic),
					kfake.EnableSASL(), kfake.Superuser(strings.ToUpper(mechanism), "u", password),
					kfake.TLS(&tls.Config{
						Certificates: []tls.Certificate{pair}, ClientAuth: tls.RequireAndVerifyClientCert,
						ClientCAs: pool,
					}))
			}
			before := cluster("before")
			path := file("kafka.yaml")
			if err := os.WriteFile(path, []byte("password: file:password\n"), 0o600); err != nil {
				t.Fatal(err)
			}
			var section struct {
				Password config.Secret `yaml:"password"`
			}
			if err := config.Load(path, &section); err != nil {
				t.Fatal(err)
			}
			cfg := testConfig(before.ListenAddrs()...).with(func(c *Config) {
				c.Kafka.TLS = tlsfiles.Optional{Enable: true, Files: tlsfiles.Files{
					CA: file("ca.pem"), Cert: file("cert.pem"), Key: file("key.pem"),
					ServerName: "kafka.test",
				}}
				c.Kafka.SASL = SASL{Mechanism: mechanism, User: "u", Password: section.Password}
			})
			s := start(t, cfg, false)
			claim := s.claim(t)
			mustCommit(t, claim, 1, "before")
			before.Close()
			cluster("after")
			claim = s.claim(t) // the membership was of connections that are gone
			mustCommit(t, claim, 2, "after")
			open(t, claim, 0)
		})
	}
}

// What sarama writes with a password of its own, is another client's request with ours.
func TestPasswordIsPutIntoTheRequest(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		version := int16(rapid.IntRange(0, 2).Draw(t, "version"))
		s := &SASL{
			Mechanism: SASLPlain, User: rapid.String().Draw(t, "user"),
			Password: config.NewSecret(rapid.String().Draw(t, "password")),
		}
		layOut := func(password string) []byte {
			r := kmsg.NewSASLAuthenticateRequest()
			r.Version, r.SASLAuthBytes = version, []byte("\x00"+s.User+"\x00"+password)
			return kmsg.NewRequestFormatter(kmsg.FormatterClientID(clientID)).AppendRequest(nil, &r, 7)
		}
		got, ok := withPassword(layOut("another"), s)
		if diff := cmp.Diff(layOut(s.Password.Reveal()), got); !ok || diff != "" {
			t.Fatalf("%v: %s", ok, diff)
		}
		other := kmsg.NewPtrMetadataRequest()
		other.Version = 9
		if _, ok := withPassword(kmsg.NewRequestFormatter().AppendRequest(nil, other, 7), s); ok {
			t.Fatal("another request is changed")
		}
		if _, ok := withPassword(rapid.SliceOf(rapid.Byte()).Draw(t, "bytes"), s); ok {
			t.Log("bytes that look like one are taken for one")
		}
	})
}
