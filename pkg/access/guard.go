package access

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"

	"github.com/waybill-data/waybill/pkg/logging"
)

// Guard lets in who may come. A nil Guard lets everybody do everything.
type Guard struct {
	config  Config
	byName  map[string]grant
	tokens  *file[tokens]
	keys    *file[jose.JSONWebKeySet]
	log     *slog.Logger
	refused *prometheus.CounterVec
	bound   logging.Seldom
}

// New makes a guard of the configuration. It reads the files now, for what is wrong with them, and again when they
// change.
func New(c Config, log *slog.Logger, registry prometheus.Registerer) (*Guard, error) {
	g := &Guard{config: c, byName: map[string]grant{}, log: log, refused: promauto.With(registry).NewCounterVec(
		prometheus.CounterOpts{
			Name: "waybill_access_refused_total",
			Help: "Calls and requests refused: unknown, for who has no valid certificate or token, or denied, for " +
				"who has not the right.",
		}, []string{"why"})}
	for _, why := range []string{unknown, denied} {
		g.refused.WithLabelValues(why)
	}
	for _, id := range c.Identities {
		g.byName[id.Name] = grant{id.Rights, id.Only}
	}
	var err error
	if c.Tokens != "" {
		if g.tokens, err = open(c.Tokens, log, readTokens); err != nil {
			return nil, fmt.Errorf("access.tokens: %w", err)
		}
	}
	if c.JWT.JWKS != "" {
		if g.keys, err = open(c.JWT.JWKS, log, readKeys); err != nil {
			return nil, fmt.Errorf("access.jwt.jwks: %w", err)
		}
	}
	return g, nil
}

// Why somebody is refused.
const (
	unknown = "unknown"
	denied  = "denied"
)

// identify is who shows this certificate and this token; either may be missing. A token that does not hold makes the
// caller unknown, whatever its certificate says: it wanted to be somebody else.
func (g *Guard) identify(state *tls.ConnectionState, bearer string, now time.Time) (Caller, bool) {
	caller, known := g.certified(state, now)
	if !g.config.Enabled() {
		caller.all = true
		return caller, true
	}
	if bearer == "" {
		return caller, known
	}
	if g.tokens != nil {
		if c, ok := g.tokens.get().caller(bearer, now); ok {
			return c, true
		}
	}
	if g.keys != nil {
		if subject, ok := g.config.JWT.subject(g.keys.get(), bearer, now); ok {
			caller = Caller{Name: jwtPrefix + subject}
			caller.give(g.byName[caller.Name])
			return caller, true
		}
	}
	return Caller{}, false
}

// certified is whose certificate the connection has. The handshake has verified it; it may have ended since.
func (g *Guard) certified(state *tls.ConnectionState, now time.Time) (c Caller, known bool) {
	if state == nil || len(state.VerifiedChains) == 0 || now.After(state.PeerCertificates[0].NotAfter) {
		return Caller{}, false
	}
	for _, name := range names(state.PeerCertificates[0]) {
		given, found := g.byName[name]
		if c.Name == "" || found && len(c.rights) == 0 {
			c.Name = name
		}
		c.give(given)
	}
	return c, c.Name != ""
}

// names are those in a certificate, as it has them. One that begins like the subject of a JWT is none.
func names(cert *x509.Certificate) (all []string) {
	for _, u := range cert.URIs {
		all = append(all, u.String())
	}
	all = append(all, cert.DNSNames...)
	return slices.DeleteFunc(all, func(n string) bool { return strings.HasPrefix(n, jwtPrefix) })
}

// refusal is why a caller is not let in.
type refusal struct{ why, message string }

// admit finds who the caller is, and refuses it unless it has a right that the rule takes.
func (g *Guard) admit(
	ctx context.Context, r rule, what, from string, state *tls.ConnectionState, bearer string,
) (context.Context, *refusal) {
	caller, known := g.identify(state, bearer, time.Now())
	if g.isOpen(r) || known && r.admits(caller) {
		return with(ctx, caller), nil
	}
	rights := make([]string, len(r.any))
	for i, right := range r.any {
		rights[i] = string(right)
	}
	need := strings.Join(rights, " or ")
	no := &refusal{unknown, "nobody is known by this certificate or token; come with one that access.identities, " +
		"access.tokens or access.jwt knows: this needs the right " + need}
	if known {
		no = &refusal{denied, fmt.Sprintf("%s has not the right %s that this needs; give it by access.identities or "+
			"access.tokens", caller.Name, need)}
	}
	g.refused.WithLabelValues(no.why).Inc()
	g.warn(what, from, caller.Name, no.why, need)
	return ctx, no
}

func (g *Guard) isOpen(r rule) bool { return r.name != "" && slices.Contains(g.config.Open, r.name) }

func (g *Guard) warn(what, from, name, why, need string) {
	g.bound.Say(func(others int) {
		g.log.Warn("caller refused", "what", what, "from", from, "caller", name, "why", why, "needs", need,
			"others_since_last", others)
	})
}
