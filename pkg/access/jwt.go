package access

import (
	"encoding/json"
	"fmt"
	"os"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
)

// algorithms are those of public keys alone: with a shared secret, whoever can check a token can make one.
var algorithms = []jose.SignatureAlgorithm{
	jose.RS256, jose.RS384, jose.RS512, jose.PS256, jose.PS384, jose.PS512, jose.ES256, jose.ES384, jose.ES512,
	jose.EdDSA,
}

// leeway is by how much clocks may differ.
const leeway = 30 * time.Second

// readKeys reads a JSON Web Key Set. Those of keys that do not sign are left out.
func readKeys(path string) (jose.JSONWebKeySet, error) {
	var all, public jose.JSONWebKeySet
	text, err := os.ReadFile(path)
	if err != nil {
		return public, err
	}
	if err := json.Unmarshal(text, &all); err != nil {
		return public, fmt.Errorf("%s is no JSON Web Key Set", path)
	}
	for _, k := range all.Keys {
		if k.Valid() && k.IsPublic() && k.Use != "enc" {
			public.Keys = append(public.Keys, k)
		}
	}
	if len(public.Keys) == 0 {
		return public, fmt.Errorf("%s holds no public key", path)
	}
	return public, nil
}

// subject is that of a token of the issuer, for the audience, that holds now.
func (j *JWT) subject(keys jose.JSONWebKeySet, presented string, now time.Time) (string, bool) {
	t, err := jwt.ParseSigned(presented, algorithms)
	if err != nil || len(t.Headers) != 1 {
		return "", false
	}
	for _, k := range keys.Keys {
		if id := t.Headers[0].KeyID; id != "" && id != k.KeyID ||
			k.Algorithm != "" && k.Algorithm != t.Headers[0].Algorithm {
			continue
		}
		var c jwt.Claims
		if t.Claims(k.Key, &c) != nil {
			continue
		}
		want := jwt.Expected{Issuer: j.Issuer, AnyAudience: jwt.Audience{j.Audience}, Time: now}
		// One without an end would hold for ever.
		if c.Expiry == nil || c.Subject == "" || c.ValidateWithLeeway(want, leeway) != nil {
			return "", false
		}
		return c.Subject, true
	}
	return "", false
}
