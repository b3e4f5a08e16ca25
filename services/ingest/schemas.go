package ingest

import (
	"context"
	"fmt"

	"github.com/waybill-data/waybill/pkg/findings"
	"github.com/waybill-data/waybill/services/ingest/internal/contract"
	"github.com/waybill-data/waybill/services/ingest/internal/registry"
)

// schemas is the schema registry as contracts see it. Without one they have none.
type schemas struct {
	env    contract.Env
	client *registry.Client
}

func (c *Config) schemas(env Env) (schemas, error) {
	s := schemas{env: contract.Env{Log: env.Log, Registerer: env.Registry}}
	if len(c.Registry.URLs) == 0 {
		return s, nil
	}
	client, err := registry.New(c.Registry, env.Log, env.Registry)
	if err != nil {
		return s, fmt.Errorf("schema registry: %w", err)
	}
	s.client, s.env.Schemas = client, client
	return s, nil
}

// compile compiles the contracts for a command: it asks the schema registry once, and does not wait for one that is away. Close what it returns.
func (c *Config) compile(ctx context.Context) (*contract.Set, schemas, error) {
	found, s := checkRegistry(ctx, c)
	for _, f := range found {
		if f.State == findings.Fail {
			s.close()
			return nil, s, fmt.Errorf("%s: %s; %s", f.What, f.Detail, f.Remedy)
		}
	}
	set, err := c.contracts(ctx, s.env)
	if err != nil {
		s.close()
	}
	return set, s, err
}

func (s schemas) close() {
	if s.client != nil {
		s.client.Close()
	}
}
