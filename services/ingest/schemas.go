package ingest

import (
	"fmt"

	"github.com/waybill-data/waybill/pkg/service"
	"github.com/waybill-data/waybill/services/ingest/internal/contract"
	"github.com/waybill-data/waybill/services/ingest/internal/registry"
)

// schemas is the schema registry as contracts see it. Without one they have none.
type schemas struct {
	env    contract.Env
	client *registry.Client
}

func (c *Config) schemas(env service.Env) (schemas, error) {
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

func (s schemas) close() {
	if s.client != nil {
		s.client.Close()
	}
}
