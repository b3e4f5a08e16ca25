package registry

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/twmb/franz-go/pkg/sr"

	"github.com/waybill-data/waybill/pkg/tlsfiles"
	"github.com/waybill-data/waybill/services/ingest/internal/oauth"
)

// Latest is the newest version of a subject.
const Latest = -1

const (
	// maxResponse bounds a response of a registry: foreign input, read into memory.
	maxResponse = 16 << 20
	// maxCached and maxCachedBytes bound the schemas that are kept, maxReferences those that one schema may refer to,
	// maxSchema the bytes of all of these.
	maxCached      = 1000
	maxCachedBytes = 64 << 20
	maxReferences  = 256
	maxSchema      = 1 << 20
)

// Client asks one registry. Safe for concurrent use; close it at the end.
type Client struct {
	nodes     []*sr.Client
	transport *http.Transport
	timeout   time.Duration
	log       *slog.Logger
	metrics   *metrics
	outage    outage
	patience  patience
	flights   flights

	mu sync.Mutex
	// byID are the schemas and the absences by id, bytes the length of their texts; guarded by mu.
	byID  map[int]known
	bytes int
}

// known is what the registry has said: a schema, or that there is none.
type known struct {
	schema  *Schema
	missing *MissingError
}

// expired: an absence is believed for a while only.
func (k known) expired() bool { return k.missing != nil && !time.Now().Before(k.missing.Until) }

func (k known) result() (*Schema, error) {
	if k.missing != nil {
		return nil, k.missing
	}
	return k.schema, nil
}

// reference names a schema that another one refers to.
type reference struct {
	subject string
	version int
}

// patience is how long the client waits for what.
type patience struct {
	// believe is how long a missing schema is requested again before it counts as missing, and disbelieve how long that
	// holds then.
	believe, disbelieve time.Duration
	// again is the pause between two requests for a missing schema; retryMin and retryMax bound those between requests
	// that failed.
	again, retryMin, retryMax time.Duration
}

var defaultPatience = patience{
	believe: 5 * time.Second, disbelieve: 30 * time.Second,
	again: 500 * time.Millisecond, retryMin: 100 * time.Millisecond, retryMax: 5 * time.Second,
}

// New makes a client; it connects with the first call. A nil registerer registers nothing. The error is one of
// configuration.
func New(c Config, log *slog.Logger, registerer prometheus.Registerer) (*Client, error) {
	secure, err := tlsfiles.Client(c.TLS)
	if err != nil {
		return nil, fmt.Errorf("registry.tls.%w", err)
	}
	if len(c.URLs) == 0 {
		return nil, errors.New("registry.urls is empty")
	}
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.TLSClientConfig = secure // through a proxy, which http has no hook for
	transport.DialTLSContext = func(ctx context.Context, network, address string) (net.Conn, error) {
		return dialTLS(ctx, c.TLS, network, address)
	}
	client := &Client{
		transport: transport, timeout: c.Timeout, log: log, metrics: newMetrics(registerer),
		patience: defaultPatience, byID: map[int]known{},
	}
	var issuer *oauth.Source
	if c.OAuth.Enabled() {
		issuer = c.OAuth.Source()
	}
	for _, url := range c.URLs {
		options := []sr.ClientOpt{
			sr.URLs(url), sr.UserAgent("waybill-ingest"),
			sr.HTTPClient(&http.Client{
				Transport: bounded{&authenticated{transport, &c, issuer}},
				Timeout:   client.timeout,
			}),
		}
		node, err := sr.NewClient(options...)
		if err != nil {
			return nil, fmt.Errorf("registry.urls: %w", err)
		}
		client.nodes = append(client.nodes, node)
	}
	return client, nil
}

// Close closes the connections.
func (c *Client) Close() { c.transport.CloseIdleConnections() }

// dialTLS opens a connection with what the files hold when it does.
func dialTLS(ctx context.Context, files tlsfiles.Files, network, address string) (net.Conn, error) {
	secure, err := tlsfiles.Client(files)
	if err != nil {
		return nil, fmt.Errorf("registry.tls.%w", err)
	}
	conn, err := (&tls.Dialer{Config: secure}).DialContext(ctx, network, address)
	if err != nil {
		return nil, err
	}
	return tlsfiles.Judged(conn), nil
}

// authenticated shows each request's password or token, as it is then.
type authenticated struct {
	next   http.RoundTripper
	config *Config
	// oauth gives tokens; nil: there is none.
	oauth *oauth.Source
}

func (a *authenticated) RoundTrip(r *http.Request) (*http.Response, error) {
	token := a.config.Token.Reveal()
	if a.oauth != nil {
		got, err := a.oauth.Token(r.Context())
		if err != nil {
			return nil, fmt.Errorf("registry.oauth: %w", err)
		}
		token = got.Text
	}
	if token == "" && a.config.User == "" {
		return a.next.RoundTrip(r)
	}
	r = r.Clone(r.Context())
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	} else {
		r.SetBasicAuth(a.config.User, a.config.Password.Reveal())
	}
	return a.next.RoundTrip(r)
}

// bounded cuts off endless responses: reading past the bound fails.
type bounded struct{ next http.RoundTripper }

func (b bounded) RoundTrip(r *http.Request) (*http.Response, error) {
	response, err := b.next.RoundTrip(r)
	if err == nil {
		response.Body = http.MaxBytesReader(nil, response.Body, maxResponse)
	}
	return response, err
}

// ByID returns the schema with an id. It waits while the registry is away; the error is a *MissingError or that of ctx.
func (c *Client) ByID(ctx context.Context, id int) (*Schema, error) {
	return c.flights.share(ctx, fmt.Sprint("id ", id), func(ctx context.Context) (*Schema, error) {
		k, ok := c.kept(id)
		if ok && !k.expired() {
			return k.result()
		}
		believe := c.patience.believe
		if ok {
			believe = 0 // it was believed before: one question is enough
		}
		schema, err := c.fetch(ctx, fmt.Sprint("schema id ", id), believe,
			func(ctx context.Context, node *sr.Client) (sr.SubjectSchema, error) {
				text, err := node.SchemaByID(ctx, id)
				return sr.SubjectSchema{ID: id, Schema: text}, err
			})
		var missing *MissingError
		if err != nil && !errors.As(err, &missing) {
			return nil, err
		}
		c.keep(id, known{schema, missing})
		return schema, err
	})
}

// Version returns a version of a subject, or its Latest. It waits while the registry is away; the error is a
// *MissingError or that of ctx.
func (c *Client) Version(ctx context.Context, subject string, version int) (*Schema, error) {
	what := fmt.Sprintf("version %d of subject %s", version, subject)
	if version == Latest {
		what = "subject " + subject
	}
	return c.flights.share(ctx, what, func(ctx context.Context) (*Schema, error) {
		schema, err := c.fetch(ctx, what, c.patience.believe,
			func(ctx context.Context, node *sr.Client) (sr.SubjectSchema, error) {
				return node.SchemaByVersion(ctx, subject, version)
			})
		if err == nil {
			// A copy: what is kept by id knows of no subject.
			byID := *schema
			byID.Subject, byID.Version = "", 0
			c.keep(schema.ID, known{schema: &byID})
		}
		return schema, err
	})
}

// Versions lists the versions of a subject that there are, oldest first; none of a subject that is not there. It waits
// while the registry is away; the error is that of ctx.
func (c *Client) Versions(ctx context.Context, subject string) ([]int, error) {
	return wait(ctx, c, "the versions of subject "+subject, 0,
		func(ctx context.Context, node *sr.Client) ([]int, error) {
			versions, err := node.SubjectVersions(ctx, subject)
			failure := (*sr.ResponseError)(nil)
			if errors.As(err, &failure) && failure.StatusCode == http.StatusNotFound {
				return nil, nil
			}
			slices.Sort(versions)
			return versions, err
		})
}

// Belongs reports whether a schema is a version of a subject. False also when the registry cannot tell: not all have
// this call. It waits while the registry is away; the error is that of ctx.
func (c *Client) Belongs(ctx context.Context, id int, subject string) (bool, error) {
	subjects, err := c.Subjects(ctx, id)
	return slices.Contains(subjects, subject), err
}

// Ping requests the subjects once, of one node after the other. The error is that of the last one.
func (c *Client) Ping(ctx context.Context) error {
	var failed []error
	for _, node := range c.nodes {
		if _, err := node.Subjects(ctx); err != nil {
			failed = append(failed, err)
			continue
		}
		return nil
	}
	return errors.Join(failed...)
}

// fetch gets a schema and what it refers to.
func (c *Client) fetch(
	ctx context.Context, what string, believe time.Duration,
	get func(context.Context, *sr.Client) (sr.SubjectSchema, error),
) (*Schema, error) {
	found, err := wait(ctx, c, what, believe, get)
	if err != nil {
		return nil, err
	}
	if size := len(found.Schema.Schema); size > maxSchema {
		return nil, tooLong(what, size)
	}
	schema := &Schema{
		ID: found.ID, Subject: found.Subject, Version: found.Version, Text: found.Schema.Schema,
		Format: strings.ToLower(found.Type.String()),
	}
	return schema, c.refer(ctx, schema, found.References, map[reference]bool{})
}

// refer appends the references of a schema, those that they refer to before them.
func (c *Client) refer(
	ctx context.Context, into *Schema, references []sr.SchemaReference, met map[reference]bool,
) error {
	for _, r := range references {
		key := reference{r.Subject, r.Version}
		if met[key] {
			continue
		}
		if met[key] = true; len(met) > maxReferences {
			return fmt.Errorf("schema id %d refers to more than %d others", into.ID, maxReferences)
		}
		what := fmt.Sprintf("version %d of subject %s, which schema id %d refers to,", r.Version, r.Subject, into.ID)
		found, err := wait(ctx, c, what, c.patience.believe,
			func(ctx context.Context, node *sr.Client) (sr.SubjectSchema, error) {
				return node.SchemaByVersion(ctx, r.Subject, r.Version)
			})
		if err != nil {
			return err
		}
		if size := into.bytes() + len(found.Schema.Schema); size > maxSchema {
			return tooLong(fmt.Sprint("schema id ", into.ID, " with what it refers to"), size)
		}
		if err := c.refer(ctx, into, found.References, met); err != nil {
			return err
		}
		into.References = append(into.References, Reference{Name: r.Name, Text: found.Schema.Schema})
	}
	return nil
}

// tooLong is the error of a schema that is foreign input without end.
func tooLong(what string, size int) error {
	return fmt.Errorf("%s has %d bytes, more than %d: split it, or give the contract a schema file", what, size,
		maxSchema)
}
