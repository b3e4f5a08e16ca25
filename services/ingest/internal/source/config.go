package source

import (
	"fmt"
	"net"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/IBM/sarama"

	"github.com/waybill-data/waybill/pkg/config"
	"github.com/waybill-data/waybill/pkg/tlsfiles"
	"github.com/waybill-data/waybill/services/ingest/internal/oauth"
)

// Words of the configuration.
const (
	ReadCommitted   = "read_committed"
	ReadUncommitted = "read_uncommitted"
	AssignSticky    = "sticky"
	AssignRange     = "range"

	// AssignCooperative is the only one that lets partitions run that stay with their member.
	AssignCooperative = "cooperative-sticky"
	// AssignLoad is cooperative too, and assigns by bytes a second.
	AssignLoad = "load"

	SASLPlain    = "plain"
	SASLScram256 = "scram-sha-256"
	SASLScram512 = "scram-sha-512"
	SASLOAuth    = "oauthbearer"
)

// Config is all that the source is given.
type Config struct {
	Kafka  Kafka
	Commit Commit
}

// Kafka says how to reach the brokers and how to read.
type Kafka struct {
	// Brokers are host:port addresses to start from.
	Brokers []string `yaml:"brokers"`
	// Group is the consumer group.
	Group string `yaml:"group"`
	// InstanceID makes the membership static: a restart within the session timeout causes no rebalance. Unique in the
	// group.
	InstanceID string `yaml:"instance_id"`
	// Leave has a static member leave the group when it stops in order, as dynamic ones always do. Without it, its
	// partitions rest until it is back or its session times out.
	Leave bool `yaml:"leave"`
	// Version is the oldest Kafka protocol version to speak.
	Version string `yaml:"version"`
	// Rack lets brokers serve fetches from a replica nearby.
	Rack string            `yaml:"rack"`
	TLS  tlsfiles.Optional `yaml:"tls"`
	SASL SASL              `yaml:"sasl"`
	// Isolation is read_committed or read_uncommitted.
	Isolation string `yaml:"isolation"`
	// Reset says where a partition starts without a usable committed offset: earliest, latest or none. The source
	// reports offsets; it is the lane that acts on this.
	Reset string `yaml:"auto_offset_reset"`
	// Assignment is cooperative-sticky, load, or sticky or range, both eager: those stop all partitions in a rebalance.
	// Several, with commas between them, are for moving a group from one to another: it uses what all its members name.
	Assignment string `yaml:"assignment"`
	// Capacity is how many bytes a second, as brokers send them, this process can carry; for load.
	Capacity config.Bytes `yaml:"capacity"`
	// SessionTimeout is how long the group waits for a heartbeat.
	SessionTimeout config.Duration `yaml:"session_timeout"`
	// RebalanceTimeout is how long the group waits for members to give up their partitions.
	RebalanceTimeout config.Duration `yaml:"rebalance_timeout"`
	// DrainTimeout is how long a revoked lane may settle and commit. Less than RebalanceTimeout.
	DrainTimeout config.Duration `yaml:"drain_timeout"`
	// RequestTimeout bounds dialling and one request, long polls excepted.
	RequestTimeout config.Duration `yaml:"request_timeout"`
	// TopicRefresh is how often topics and partitions are looked up.
	TopicRefresh config.Duration `yaml:"topic_refresh"`
	Fetch        Fetch           `yaml:"fetch"`
}

// Fetch bounds what is fetched and not yet taken by a lane.
type Fetch struct {
	// Bytes is the largest fetch of one partition. With many partitions it shrinks to fit the memory.
	Bytes config.Bytes `yaml:"bytes"`
	// Prefetch is the budget that all partitions share, a part of the memory of the process.
	Prefetch config.Bytes `yaml:"-"`
	// Records bounds what one partition prefetches beside its bytes.
	Records int `yaml:"-"`
	// Clients is how many connections to each broker share the partitions; 0: 2, or 1 where there is one processor.
	Clients int `yaml:"-"`
}

// Older says what became of keys.
func (*Fetch) Older() map[string]string {
	return map[string]string{
		"clients": "connections follow the number of processors", "records": "memory.budget and fetch.bytes bound it",
	}
}

// SASL is authentication towards the brokers.
type SASL struct {
	// Mechanism is plain, scram-sha-256, scram-sha-512, oauthbearer, or empty for none.
	Mechanism string        `yaml:"mechanism"`
	User      string        `yaml:"user"`
	Password  config.Secret `yaml:"password"`
	// OAuth is where the tokens of oauthbearer come from.
	OAuth oauth.Config `yaml:"oauth"`
}

// Commit says when settled positions are committed.
type Commit struct {
	// Interval is the time between two commits. Barriers do not wait for it.
	Interval config.Duration `yaml:"interval"`
}

// Defaults is the one place of the source's defaults.
func Defaults() Config {
	return Config{
		Kafka: Kafka{
			Version:          "3.6.0",
			Isolation:        ReadCommitted,
			Reset:            "earliest",
			Assignment:       AssignCooperative,
			SessionTimeout:   config.Duration(45 * time.Second),
			RebalanceTimeout: config.Duration(60 * time.Second),
			DrainTimeout:     config.Duration(30 * time.Second),
			RequestTimeout:   config.Duration(10 * time.Second),
			TopicRefresh:     config.Duration(15 * time.Second),
			Fetch:            Fetch{Bytes: 1 << 20, Prefetch: 32 << 20, Records: 20_000},
		},
		Commit: Commit{Interval: config.Duration(time.Second)},
	}
}

// Check reports what is wrong with the section.
func (k *Kafka) Check(report func(key, message, remedy string)) {
	if len(k.Brokers) == 0 {
		report("brokers", "is empty", "list at least one broker as host:port")
	}
	for i, b := range k.Brokers {
		if !address(b) {
			report(fmt.Sprintf("brokers[%d]", i), fmt.Sprintf("%q is not an address", b), "write host:port")
		}
	}
	if k.Group == "" {
		report("group", "is empty", "name the consumer group; all ingest processes that share the work use the "+
			"same name")
	}
	if v, err := sarama.ParseKafkaVersion(k.Version); err != nil || !v.IsAtLeast(sarama.V2_5_0_0) {
		report("version", fmt.Sprintf("%q is not a Kafka version from 2.5.0 on", k.Version),
			"write the version of your oldest broker, for example 3.6.0")
	}
	oneOf(report, "isolation", k.Isolation, ReadCommitted, ReadUncommitted)
	oneOf(report, "auto_offset_reset", k.Reset, "earliest", "latest", "none")
	for _, name := range k.assignments() {
		oneOf(report, "assignment", name, AssignCooperative, AssignLoad, AssignSticky, AssignRange)
		if name == AssignLoad && k.Capacity <= 0 {
			report("capacity", "is not set, and assignment is load", "write how many bytes a second this process can "+
				"carry as they come from the brokers, for example 50MiB; what it takes at most under load says so")
		}
	}
	if k.Capacity < 0 {
		report("capacity", "is negative", "write bytes a second, for example 50MiB")
	}
	if k.InstanceID != "" && !kafkaName.MatchString(k.InstanceID) {
		report("instance_id", fmt.Sprintf("%q is no name of a member: the brokers refuse it", k.InstanceID),
			"use letters, digits, dots, underscores and hyphens")
	}
	if k.Leave && k.InstanceID == "" {
		report("leave", "is set without instance_id", "remove it: a member without a name of its own always leaves")
	}
	k.checkTimes(report)
	if k.Fetch.Bytes < minFetch || k.Fetch.Bytes > 64<<20 {
		report("fetch.bytes", "is out of range", "write 32KiB to 64MiB")
	}
	k.TLS.Check(report, "tls")
	k.SASL.check(report)
}

// The bounds of durations. Those of the session are the brokers' own defaults.
var (
	sessionBounds = config.Bounds{
		Least: 6 * time.Second, Short: "brokers refuse such a member (group.min.session.timeout.ms)",
		Most: 30 * time.Minute, Long: "brokers refuse such a member (group.max.session.timeout.ms)",
		Right: 45 * time.Second,
	}
	rebalanceBounds = config.Bounds{
		Least: 5 * time.Second, Short: "members lose their partitions before they have settled",
		Most: 30 * time.Minute, Long: "one member that hangs holds up all the others for as long", Right: time.Minute,
	}
	drainBounds = config.Bounds{
		Least: time.Second, Short: "lanes are cut before BigQuery can respond", Most: 30 * time.Minute,
		Long: "a rebalance waits for it", Right: 30 * time.Second,
	}
	requestBounds = config.Bounds{
		Least: time.Second, Short: "a broker that is busy for a moment counts as dead",
		Most: 5 * time.Minute, Long: "a broker that is dead goes unnoticed for as long", Right: 10 * time.Second,
	}
	refreshBounds = config.Bounds{
		Least: time.Second, Short: "the brokers would do little else than list topics",
		Most: time.Hour, Long: "new partitions are not read for as long", Right: 15 * time.Second,
	}
	commitBounds = config.Bounds{
		Least: 10 * time.Millisecond, Short: "the coordinator would do little else than write commits",
		Most: 10 * time.Minute, Long: "after a crash all records since the last commit are read again",
		Right: time.Second,
	}
)

// minRest is what a rebalance leaves, after the lanes have drained, to the fetches under way and the last commits.
const minRest = config.Duration(time.Second)

func (k *Kafka) checkTimes(report func(key, message, remedy string)) {
	sessionBounds.Check(report, "session_timeout", k.SessionTimeout)
	rebalanceBounds.Check(report, "rebalance_timeout", k.RebalanceTimeout)
	requestBounds.Check(report, "request_timeout", k.RequestTimeout)
	refreshBounds.Check(report, "topic_refresh", k.TopicRefresh)
	if k.RequestTimeout > k.RebalanceTimeout && k.RequestTimeout.Std() <= requestBounds.Most &&
		k.RebalanceTimeout.Std() >= rebalanceBounds.Least {
		report("request_timeout", fmt.Sprintf("%s is longer than rebalance_timeout", k.RequestTimeout),
			"write less: the group drops a member that waits for a broker that hangs")
	}
	if k.DrainTimeout+minRest > k.RebalanceTimeout {
		report("drain_timeout", "is not shorter than rebalance_timeout by a second or more",
			"leave some seconds between them: the group drops a member that drains too long, or waits for its last "+
				"fetches")
		return
	}
	drainBounds.Check(report, "drain_timeout", k.DrainTimeout)
}

// kafkaName is what brokers take for the name of a topic or of a static member.
var kafkaName = regexp.MustCompile(`^[a-zA-Z0-9._-]{1,249}$`)

func (s *SASL) check(report func(key, message, remedy string)) {
	oneOf(report, "sasl.mechanism", s.Mechanism, "", SASLPlain, SASLScram256, SASLScram512, SASLOAuth)
	if s.Mechanism == SASLOAuth {
		if !s.OAuth.Enabled() {
			report("sasl.oauth.provider", "is empty", "say where tokens come from")
		}
		if s.User != "" || s.Password.Reveal() != "" {
			report("sasl.user", "there is a user or password, which oauthbearer has not",
				"remove them, or write sasl.oauth")
		}
		return
	}
	if s.OAuth.Enabled() {
		report("sasl.oauth", "is set, and the mechanism is another one", "write mechanism: oauthbearer, or remove it")
	}
	if s.Mechanism == "" && (s.User != "" || s.Password.Reveal() != "") {
		report("sasl.mechanism", "is empty while a user or password is set: neither would be sent",
			"choose "+choices([]string{SASLPlain, SASLScram256, SASLScram512, SASLOAuth})+", or remove them")
	}
	if s.Mechanism != "" && (s.User == "" || s.Password.Reveal() == "") {
		report("sasl.user", "user or password is empty", "set both; the password may come from ${VARIABLE} or a file")
	}
}

// Check reports what is wrong with the section.
func (c *Commit) Check(report func(key, message, remedy string)) {
	commitBounds.Check(report, "interval", c.Interval)
}

func oneOf(report func(key, message, remedy string), key, value string, allowed ...string) {
	if !slices.Contains(allowed, value) {
		report(key, fmt.Sprintf("unknown value %q", value), "choose "+choices(allowed))
	}
}

// address says whether s is host:port.
func address(s string) bool {
	host, port, err := net.SplitHostPort(s)
	if err != nil || host == "" {
		return false
	}
	n, err := strconv.Atoi(port)
	return err == nil && n > 0 && n < 1<<16
}

// choices are the values allowed, as a list for people.
func choices(allowed []string) string {
	text := strings.Join(allowed, ", ")
	if allowed[0] == "" {
		text = "nothing" + text
	}
	return text
}
