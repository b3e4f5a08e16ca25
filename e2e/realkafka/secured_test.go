//go:build realkafka

package realkafka

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"text/template"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/waybill-data/waybill/e2e/stack"
	"github.com/waybill-data/waybill/pkg/tlsfiles"
	"github.com/waybill-data/waybill/pkg/tlsfiles/tlstest"
)

// secured is one broker with a listener of each kind, and an authorizer. Who comes by the plaintext one may do
// anything.
type secured struct {
	t     *testing.T
	ctx   context.Context
	admin *kadm.Client

	plaintext, sasl, tls, oauth, jwks string
	// keys signs the tokens that the listener jwks takes.
	keys *keys
	// trusted is who signs the certificates that the TLS listener takes, and its own.
	trusted *tlstest.Authority
	dir     string
}

var securedProperties = template.Must(template.New("secured.properties").Parse(`# Written by the tests.
process.roles=broker,controller
node.id=1
listeners=PLAINTEXT://{{.Plaintext}},SASL_PLAINTEXT://{{.SASL}},SSL://{{.TLS}},OAUTH://{{.OAuth}},JWKS://{{.JWKS}},\
  CONTROLLER://{{.Controller}}
advertised.listeners=PLAINTEXT://{{.Plaintext}},SASL_PLAINTEXT://{{.SASL}},SSL://{{.TLS}},OAUTH://{{.OAuth}},\
  JWKS://{{.JWKS}}
controller.listener.names=CONTROLLER
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,SASL_PLAINTEXT:SASL_PLAINTEXT,SSL:SSL,OAUTH:SASL_PLAINTEXT,\
  JWKS:SASL_PLAINTEXT,CONTROLLER:PLAINTEXT
controller.quorum.voters=1@{{.Controller}}
log.dirs={{.Dir}}
num.network.threads=2
num.io.threads=4
offsets.topic.replication.factor=1
offsets.topic.num.partitions=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=1
auto.create.topics.enable=false
group.initial.rebalance.delay.ms=0
authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer
super.users=User:ANONYMOUS;User:ingest-oauth
sasl.enabled.mechanisms=PLAIN
listener.name.sasl_plaintext.plain.sasl.jaas.config=org.apache.kafka.common.security.plain.PlainLoginModule required \
  user_u="secret";
listener.name.oauth.sasl.enabled.mechanisms=OAUTHBEARER
listener.name.oauth.oauthbearer.sasl.jaas.config=\
  org.apache.kafka.common.security.oauthbearer.OAuthBearerLoginModule required;
listener.name.oauth.oauthbearer.connections.max.reauth.ms=2000
listener.name.jwks.sasl.enabled.mechanisms=OAUTHBEARER
listener.name.jwks.oauthbearer.sasl.jaas.config=\
  org.apache.kafka.common.security.oauthbearer.OAuthBearerLoginModule required;
listener.name.jwks.oauthbearer.sasl.server.callback.handler.class=\
  org.apache.kafka.common.security.oauthbearer.OAuthBearerValidatorCallbackHandler
# Without this one Kafka 4.1.1 takes tokens whatever their signature is.
sasl.oauthbearer.jwt.validator.class=org.apache.kafka.common.security.oauthbearer.BrokerJwtValidator
sasl.oauthbearer.jwks.endpoint.url={{.Keys}}
sasl.oauthbearer.expected.issuer={{.Issuer}}
sasl.oauthbearer.expected.audience={{.Audience}}
ssl.client.auth=required
ssl.keystore.type=PEM
ssl.keystore.location={{.Store}}
ssl.truststore.type=PEM
ssl.truststore.location={{.CA}}
`))

// newSecured starts the broker. It ends with the test.
func newSecured(t *testing.T) *secured {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 4*time.Minute)
	t.Cleanup(cancel)
	addresses, err := stack.Addresses(6)
	if err != nil {
		t.Fatal(err)
	}
	s := &secured{
		t: t, ctx: ctx, dir: t.TempDir(), trusted: tlstest.NewAuthority(t), plaintext: addresses[0], sasl: addresses[1],
		tls: addresses[2], oauth: addresses[4], jwks: addresses[5], keys: newKeys(t),
	}
	files := tlstest.Files(t)
	tlstest.Renew(t, files, s.trusted, s.trusted)
	store := s.write("keystore.pem", s.read(files.Key)+s.read(files.Cert))
	var b strings.Builder
	err = securedProperties.Execute(&b, map[string]string{
		"Plaintext": s.plaintext, "SASL": s.sasl, "TLS": s.tls, "Controller": addresses[3], "Dir": filepath.Join(s.dir,
			"data"),
		"Store": store, "CA": files.CA, "OAuth": s.oauth, "JWKS": s.jwks, "Keys": s.keys.url, "Issuer": tokenIssuer,
		"Audience": tokenAudience,
	})
	if err != nil {
		t.Fatal(err)
	}
	c := &Cluster{classpath: kafka.classpath, configs: []string{s.write("secured.properties", b.String())}}
	java := kafka.Brokers[0].Path
	if err := c.format(ctx, java); err != nil {
		t.Fatal(err)
	}
	broker := &stack.Process{
		Name: "secured", Path: java, Log: filepath.Join(s.dir, "broker.log"),
		// Kafka asks no address that is not named here.
		Args: append([]string{"-Dorg.apache.kafka.sasl.oauthbearer.allowed.urls=" + s.keys.url},
			c.args("256m", "kafka.Kafka", c.configs[0])...),
	}
	if err := broker.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		broker.Kill()
		if t.Failed() {
			t.Log(stack.Tail(broker.Log, 40))
		}
	})
	s.admin = kadm.NewClient(s.client())
	err = broker.Await(ctx, func(ctx context.Context) error {
		ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
		defer cancel()
		_, err := s.admin.Metadata(ctx)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// client is one that may do anything.
func (s *secured) client(options ...kgo.Opt) *kgo.Client {
	s.t.Helper()
	c, err := kgo.NewClient(append(options, kgo.SeedBrokers(s.plaintext), kgo.MetadataMinAge(50*time.Millisecond))...)
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(c.Close)
	return c
}

func (s *secured) create(topics ...string) {
	s.t.Helper()
	if _, err := s.admin.CreateTopics(s.ctx, 2, 1, nil, topics...); err != nil {
		s.t.Fatal(err)
	}
}

func (s *secured) write(name, text string) string {
	s.t.Helper()
	path := filepath.Join(s.dir, name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		s.t.Fatal(err)
	}
	return path
}

func (s *secured) read(path string) string {
	s.t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		s.t.Fatal(err)
	}
	return string(text)
}

// check runs `ingest check` and returns what it says of Kafka. kafka is more of that section.
func (s *secured) check(topic, address, group, kafka string) string {
	s.t.Helper()
	path := s.write("check.yaml", fmt.Sprintf(`kafka: {brokers: ['%s'], group: %s, request_timeout: 3s%s}
writer: {endpoints: ['127.0.0.1:1']}
contracts: [{builtin: delivery.v6, topic: %s}]
`, address, group, kafka, topic))
	out, err := exec.CommandContext(s.ctx, filepath.Join(bin, "ingest"), "check", "--config", path).CombinedOutput()
	if err == nil {
		s.t.Errorf("check finds a writer where none is:\n%s", out)
	}
	// The writer is not there, and the password goes in the clear: that is said as well.
	var lines []string
	for line := range strings.Lines(string(out)) {
		if !strings.Contains(line, "writer") && !strings.Contains(line, "kafka.sasl    ") && !strings.Contains(line,
			"scram-sha-512\n") && !strings.HasSuffix(line, "set kafka.tls.enable: true\n") {
			lines = append(lines, line)
		}
	}
	return strings.Join(lines, "")
}

const plainSASL = ", sasl: {mechanism: plain, user: u, password: secret}"

// What check says of Kafka itself: rights that its authorizer withholds, listeners of another kind, members that are
// other programs.
func TestCheckOfASecuredBroker(t *testing.T) {
	t.Parallel()
	s := newSecured(t)
	t.Run("rights", func(t *testing.T) { checkRights(t, s) })
	t.Run("listeners", func(t *testing.T) { checkListeners(t, s) })
	t.Run("tokens", func(t *testing.T) { checkTokens(t, s) })
	t.Run("signed", func(t *testing.T) { checkSignedTokens(t, s) })
	t.Run("members", func(t *testing.T) { checkMembers(t, s) })
}

// checkRights takes rights away: check names each, and nothing else is wrong.
func checkRights(t *testing.T, s *secured) {
	type right struct {
		kind, name string
		operation  kadm.ACLOperation
	}
	for i, test := range []struct {
		letters bool // the dead-letter topic is there
		without []right
		more    []right
		says    []string
	}{
		{letters: true},
		{letters: false},
		{letters: true, without: []right{{"topic", "T", kadm.OpRead}}, says: []string{"grant READ on the topic"}},
		{
			letters: true, without: []right{{"topic", "T", kadm.OpRead}},
			more: []right{{"topic", "T", kadm.OpDescribe}}, says: []string{"may be seen and not read"},
		},
		{
			letters: true, without: []right{{"topic", "T.dead-letter", kadm.OpWrite}},
			says: []string{"may not be written: WRITE is missing"},
		},
		{
			letters: false, without: []right{{"topic", "T.dead-letter", kadm.OpWrite}},
			says: []string{"could be created and not written"},
		},
		{letters: false, without: []right{{"topic", "T.dead-letter", kadm.OpCreate}}, says: []string{
			"cannot be created",
			"grant CREATE",
		}},
		{letters: true, without: []right{{"group", "G", kadm.OpRead}}, says: []string{"grant READ on the group"}},
		{
			letters: true, without: []right{{"group", "G", kadm.OpRead}},
			more: []right{{"group", "G", kadm.OpDescribe}}, says: []string{"may be seen and not joined"},
		},
		{letters: true, without: []right{{"topic", "T", kadm.OpWrite}}, says: []string{"replays of ", "WRITE on "}},
		{
			letters: true, without: []right{{"txn", "waybill-replay-T.dead-letter", kadm.OpWrite}},
			says: []string{"replays of ", "transactional id"},
		},
		{
			letters: true, without: []right{{"group", "G-steering", kadm.OpRead}},
			says: []string{"operators cannot pause lanes"},
		},
	} {
		topic, group := fmt.Sprintf("rights%d", i), fmt.Sprintf("group%d", i)
		s.create(topic)
		if test.letters {
			s.create(topic + stack.DeadLetters)
		}
		rights := []right{
			{"topic", "T", kadm.OpRead},
			{"topic", "T", kadm.OpWrite},
			{"topic", "T.dead-letter", kadm.OpRead},
			{"topic", "T.dead-letter", kadm.OpWrite},
			{"topic", "T.dead-letter", kadm.OpCreate},
			{"group", "G", kadm.OpRead},
			{"group", "G-steering", kadm.OpRead},
			{"txn", "waybill-replay-T.dead-letter", kadm.OpWrite},
		}
		for _, r := range append(rights, test.more...) {
			if slices.Contains(test.without, r) {
				continue
			}
			name := strings.NewReplacer("T", topic, "G", group).Replace(r.name)
			acl := kadm.NewACLs().Allow("User:u").AllowHosts("*").Operations(r.operation).
				ResourcePatternType(kadm.ACLPatternLiteral)
			switch r.kind {
			case "topic":
				acl.Topics(name)
			case "group":
				acl.Groups(name)
			case "txn":
				acl.TransactionalIDs(name)
			}
			results, err := s.admin.CreateACLs(s.ctx, acl)
			if err != nil || results[0].Err != nil {
				t.Fatal(err, results)
			}
		}
		var out string
		wrong := func() string {
			out = s.check(topic, s.sasl, group, plainSASL)
			for _, want := range test.says {
				if !strings.Contains(out, want) {
					return "does not say " + want
				}
			}
			if len(test.says) == 0 && (strings.Contains(out, "FAIL") || strings.Contains(out, "warn")) {
				return "says that something is wrong"
			}
			return ""
		}
		// The broker learns of a right a moment after the controller has taken it.
		why := wrong()
		for end := time.Now().Add(time.Minute); why != "" && time.Now().Before(end); why = wrong() {
			time.Sleep(200 * time.Millisecond)
		}
		if why != "" {
			t.Errorf("case %d %s:\n%s", i, why, out)
		}
		if topics, err := s.admin.ListTopics(s.ctx); err != nil || topics.Has(topic+stack.DeadLetters) != test.letters {
			t.Errorf("case %d: check has changed the topics: %v, %v", i, topics.Names(), err)
		}
	}
}

// checkListeners comes to each listener as to one of another kind.
func checkListeners(t *testing.T, s *secured) {
	s.create("listeners", "listeners"+stack.DeadLetters)
	other := tlstest.NewAuthority(t)
	tlsOf := func(signedBy, trusts *tlstest.Authority, certificate bool) string {
		f := tlstest.Files(t)
		tlstest.Renew(t, f, signedBy, trusts)
		if !certificate {
			f.Cert, f.Key = "", ""
		}
		return yamlTLS(f)
	}
	for name, test := range map[string]struct{ address, kafka, says string }{
		"mechanism not enabled": {
			s.sasl, ", sasl: {mechanism: scram-sha-512, user: u, password: secret}",
			"does not offer the mechanism",
		},
		"wrong password": {
			s.sasl, ", sasl: {mechanism: plain, user: u, password: wrong}",
			"the brokers refuse our credentials",
		},
		"no SASL where it is wanted": {s.sasl, "", "as a listener does that wants SASL"},
		"SASL where there is none":   {s.plaintext, plainSASL, "the listener knows no SASL"},
		"SASL at a TLS listener":     {s.tls, plainSASL, "wants TLS"},
		"no TLS where it is wanted":  {s.tls, "", "wants TLS"},
		"TLS where there is none": {
			s.plaintext, tlsOf(s.trusted, s.trusted, true),
			"as a listener without TLS does",
		},
		"broker of another authority":  {s.tls, tlsOf(s.trusted, other, true), "check kafka.tls.ca"},
		"client of another authority":  {s.tls, tlsOf(other, s.trusted, true), "refuses our certificate"},
		"client without a certificate": {s.tls, tlsOf(s.trusted, s.trusted, false), "wants a client certificate"},
	} {
		if out := s.check("listeners", test.address, "listeners", test.kafka); !strings.Contains(out, test.says) {
			t.Errorf("%s: does not say %q:\n%s", name, test.says, out)
		}
	}
	if out := s.check("listeners", s.plaintext, "listeners", ""); strings.Contains(out, "FAIL") {
		t.Errorf("all as it should be:\n%s", out)
	}
}

func yamlTLS(f tlsfiles.Files) string {
	text := ", tls: {enable: true, ca: " + f.CA
	if f.Cert != "" {
		text += ", cert: " + f.Cert + ", key: " + f.Key
	}
	return text + "}"
}

// checkMembers has members of either protocol, which are other programs, named.
func checkMembers(t *testing.T, s *secured) {
	s.create("others", "others"+stack.DeadLetters)
	for group, option := range map[string]kgo.Opt{
		"classic": kgo.Balancers(kgo.RangeBalancer()), "newer": kgo.ServerSideBalancer(),
	} {
		c := s.client(kgo.ConsumerGroup(group), kgo.ConsumeTopics("others"), kgo.ClientID("somebody-else"), option)
		out := ""
		for end := time.Now().Add(time.Minute); !strings.Contains(out, "somebody-else") && time.Now().Before(end); {
			ctx, cancel := context.WithTimeout(s.ctx, 100*time.Millisecond)
			c.PollFetches(ctx) // joins
			cancel()
			out = s.check("others", s.plaintext, group, "")
		}
		if !strings.Contains(out, "has members that are other programs: somebody-else") {
			t.Errorf("%s:\n%s", group, out)
		}
	}
	if out := s.check("others", s.plaintext, "nobody", ""); strings.Contains(out, "FAIL") {
		t.Errorf("a group of its own:\n%s", out)
	}
}
