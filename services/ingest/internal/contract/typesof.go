package contract

import (
	"github.com/waybill-data/waybill/services/ingest/internal/decode/confluent"
	"github.com/waybill-data/waybill/services/ingest/internal/registry"
)

// TypesOf is how the payloads of a schema say their type, as `type_from: schema` reads it. The error is that of the
// schema.
func TypesOf(s *registry.Schema) (confluent.TypeOf, error) { return typesOf(s) }
