package sink

import (
	"encoding/json"
	"fmt"
	"net/url"
	"os"
	"regexp"
	"strings"
	"time"

	"google.golang.org/api/option"
	"google.golang.org/grpc"
	dialing "google.golang.org/grpc/backoff"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/keepalive"

	"github.com/waybill-data/waybill/pkg/config"
)

// Config says which BigQuery, and how to get in: the `bigquery:` section of the writer's configuration.
type Config struct {
	// Project is the Google Cloud project that is billed, and that tables are in when their route names none. Required.
	Project string `yaml:"project"`
	// Dataset is the dataset of tables whose route names none. Required.
	Dataset string `yaml:"dataset"`
	// Allow is what this writer may touch: PROJECT.DATASET, or PROJECT for all of its datasets. Empty: whatever routes
	// name.
	Allow []string `yaml:"allow"`
	// Location is where the dataset is, for example EU: where to create it, and what to expect. Empty: any, and US to
	// create it.
	Location string `yaml:"location"`
	// CreateDataset creates a missing dataset. Without it a missing dataset is an error.
	CreateDataset bool `yaml:"create_dataset"`
	// Credentials is the path of a credentials file; empty: Application Default Credentials.
	Credentials string `yaml:"credentials"`
	// Endpoint replaces Google's.
	Endpoint Endpoint `yaml:"endpoint"`
	// Insecure talks to the endpoint without TLS and credentials: for an emulator.
	Insecure bool `yaml:"insecure"`
	// RequestBytes bounds the rows of one append request. BigQuery documents 20 MB and has been seen to refuse above 10
	// MiB.
	RequestBytes config.Bytes `yaml:"request_bytes"`
	// AppendTimeout is how long an append may go unanswered before its connection is replaced.
	AppendTimeout config.Duration `yaml:"append_timeout"`
	// CreateRate bounds write streams created, in calls a second, of this writer. BigQuery slows down above 40 a
	// project.
	CreateRate float64 `yaml:"create_streams_per_second"`
}

// Defaults are the values for what a configuration leaves out.
func Defaults() Config {
	return Config{Allow: []string{}, RequestBytes: 9 << 20, AppendTimeout: config.Duration(time.Minute), CreateRate: 20}
}

// Endpoint is where an emulator is, or a private endpoint.
type Endpoint struct {
	// GRPC is the Storage Write API, host:port.
	GRPC string `yaml:"grpc"`
	// REST is the BigQuery API, a URL; its path may be left out.
	REST string `yaml:"rest"`
}

// restPath is the path of the BigQuery API, which its client takes with the host.
const restPath = "/bigquery/v2"

// projectName also takes a domain-scoped one, example.com:project.
var (
	projectName  = regexp.MustCompile(`^([a-z0-9.-]+:)?[a-z][a-z0-9-]{3,61}[a-z0-9]$`)
	datasetName  = regexp.MustCompile(`^[A-Za-z0-9_]+$`)
	locationName = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9-]*$`)
)

var appendBounds = config.Bounds{
	Least: time.Second, Short: "BigQuery may take longer to respond", Most: 10 * time.Minute,
	Long: "BigQuery itself ends idle connections by then", Right: time.Minute,
}

// Check implements config.Checker.
func (c *Config) Check(report func(key, message, remedy string)) {
	for i, a := range c.Allow {
		if a == "" || strings.ContainsAny(a, "/ *") {
			report(fmt.Sprintf("allow[%d]", i), fmt.Sprintf("%q names no project or dataset", a),
				"write PROJECT.DATASET, or PROJECT")
		}
	}
	if c.Project != "" && c.Dataset != "" && !c.allows(tableID{project: c.Project, dataset: c.Dataset}) {
		report("allow", fmt.Sprintf("does not have %s.%s, where tables go whose route names none", c.Project,
			c.Dataset), "add it")
	}
	switch {
	case c.Project == "":
		report("project", "no project", "name the Google Cloud project that holds the dataset")
	case !projectName.MatchString(c.Project):
		report("project", fmt.Sprintf("%q is not a project id", c.Project),
			"use the project's id, not its name or number: gcloud projects list")
	}
	switch {
	case c.Dataset == "":
		report("dataset", "no dataset", "name the dataset that the tables are in")
	case !datasetName.MatchString(c.Dataset):
		report("dataset", fmt.Sprintf("%q is not a dataset id", c.Dataset),
			"use letters, digits and underscores, without the project")
	}
	if c.Insecure && (c.Endpoint.GRPC == "" || c.Endpoint.REST == "") {
		report("insecure", "Google's own endpoints take TLS only",
			"name both endpoints of the emulator, or take insecure away")
	}
	if c.Insecure && c.Credentials != "" {
		report("credentials", "credentials are not sent over an insecure connection",
			"take credentials or insecure away")
	}
	if c.Credentials != "" {
		if _, err := credentialsType(c.Credentials); err != nil {
			report("credentials", err.Error(),
				"name a credentials file that this user may read, or leave it empty for the default credentials")
		}
	}
	if strings.Contains(c.Endpoint.GRPC, "//") {
		report("endpoint.grpc", "this is a URL", "write host:port")
	}
	if u, err := url.Parse(c.Endpoint.REST); c.Endpoint.REST != "" &&
		(err != nil || u.Host == "" || !strings.HasPrefix(u.Scheme, "http")) {
		report("endpoint.rest", "this is not a URL", "write http://host:port")
	}
	if c.RequestBytes < 64<<10 || c.RequestBytes > 20<<20 {
		report("request_bytes", fmt.Sprintf("%s is not a useful bound on a request", c.RequestBytes),
			"choose between 64KiB and 20MiB; 9MiB is right")
	}
	appendBounds.Check(report, "append_timeout", c.AppendTimeout)
	if c.Location != "" && !locationName.MatchString(c.Location) {
		report("location", fmt.Sprintf("%q is no location of BigQuery", c.Location),
			"write EU, US, or a region such as europe-west3")
	}
	if c.CreateRate < 0.1 || c.CreateRate > 100 {
		report("create_streams_per_second", fmt.Sprintf("%g is not a useful rate", c.CreateRate),
			"choose 0.1 to 100, at most 40 over all writers; 20 is right for one")
	}
}

// replyWindow and replyConnWindow are HTTP/2 flow-control windows for BigQuery's responses, in bytes: an offset each,
// or a list of refused rows.
const (
	replyWindow     = 256 << 10
	replyConnWindow = 4 << 20
)

const (
	// maxDialPause bounds the pause between two attempts to connect to BigQuery, dialTimeout an attempt.
	maxDialPause = time.Second
	dialTimeout  = 10 * time.Second
)

// clientOptions are those of the Storage Write clients and of the REST client.
func (c *Config) clientOptions(version string) (grpcOptions, restOptions []option.ClientOption, err error) {
	common := []option.ClientOption{
		option.WithUserAgent("waybill-writer/" + version),
		// Their traces and counters cost more a request than the request does; ours are in metrics.go.
		option.WithTelemetryDisabled(),
	}
	switch {
	case c.Insecure:
		common = append(common, option.WithoutAuthentication())
	case c.Credentials != "":
		kind, err := credentialsType(c.Credentials)
		if err != nil {
			return nil, nil, fmt.Errorf("read credentials: %w", err)
		}
		common = append(common, option.WithAuthCredentialsFile(kind, c.Credentials))
	}
	grpcOptions = append(grpcOptions, common...)
	grpcOptions = append(grpcOptions, option.WithGRPCConnectionPool(1),
		option.WithGRPCDialOption(grpc.WithDisableRetry()),
		// gRPC's own back-off grows to two minutes, for which calls fail at once. The queues back off, and probe, on
		// their own.
		option.WithGRPCDialOption(grpc.WithConnectParams(grpc.ConnectParams{
			Backoff: dialing.Config{
				BaseDelay: 100 * time.Millisecond, Multiplier: 1.6, Jitter: 0.2, MaxDelay: maxDialPause,
			},
			MinConnectTimeout: dialTimeout,
		})),
		// Large batches should not wait for a window of 64 KiB a round trip. Receiving is a few bytes an append.
		option.WithGRPCDialOption(grpc.WithWriteBufferSize(256<<10)),
		// Given windows keep gRPC from measuring the connection, with a ping for about every response.
		option.WithGRPCDialOption(grpc.WithStaticStreamWindowSize(replyWindow)),
		option.WithGRPCDialOption(grpc.WithStaticConnWindowSize(replyConnWindow)),
		option.WithGRPCDialOption(grpc.WithKeepaliveParams(keepalive.ClientParameters{
			Time: time.Minute, Timeout: 20 * time.Second,
		})))
	restOptions = append(restOptions, common...)
	if c.Insecure {
		grpcOptions = append(grpcOptions, option.WithGRPCDialOption(
			grpc.WithTransportCredentials(insecure.NewCredentials())))
	}
	if c.Endpoint.GRPC != "" {
		grpcOptions = append(grpcOptions, option.WithEndpoint(c.Endpoint.GRPC))
	}
	if c.Endpoint.REST != "" {
		base := strings.TrimSuffix(strings.TrimSuffix(c.Endpoint.REST, "/"), restPath)
		restOptions = append(restOptions, option.WithEndpoint(base+restPath+"/"))
	}
	return grpcOptions, restOptions, nil
}

// credentialsType reads which kind of credentials a file holds. The client library takes it, so that a file
// from elsewhere is not used unseen; here the operator names the file.
func credentialsType(path string) (option.CredentialsType, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return "", err
	}
	var head struct {
		Type string `json:"type"`
	}
	if err := json.Unmarshal(data, &head); err != nil || head.Type == "" {
		return "", fmt.Errorf("%s is not a Google credentials file: it has no `type`", path)
	}
	return option.CredentialsType(head.Type), nil
}
