package contract

import (
	"strings"

	"github.com/waybill-data/waybill/services/ingest/internal/decode"
	"github.com/waybill-data/waybill/services/ingest/internal/decode/within"
)

// reading has the contract make rows by another plan than that of the whole payload, nil for that one.
func (c *Contract) reading(rows decode.Plan, cloudEvents bool) *Contract {
	c.cloudEvents = cloudEvents
	if rows != nil {
		c.rows, c.decoder = rows, rows.NewDecoder()
		c.within, _ = c.decoder.(*within.Decoder)
	}
	return c
}

// rows is the plan of the record that payload_path names; nil without one.
func (c *Config) rows(whole decode.Plan, o *decode.Options) (decode.Plan, error) {
	if c.PayloadPath == "" {
		return nil, nil
	}
	return plan(within.New(whole, o, c.PayloadPath, c.Operation))
}

// either is the first plan that there is.
func either(rows, whole decode.Plan) decode.Plan {
	if rows != nil {
		return rows
	}
	return whole
}

// only are the paths that need columns where the payload's column is a record of it; nil for all.
func (c *Config) only() []string {
	if c.PayloadPath == "" {
		return nil
	}
	paths := []string{c.PayloadPath}
	for _, path := range []string{c.Operation, c.EventID, c.EventTime.Field} {
		if path != "" {
			paths = append(paths, path)
		}
	}
	return paths
}

// checkWithin reports what is wrong with payload_path and operation.
func (c *Config) checkWithin(report func(key, message, remedy string)) {
	if c.PayloadPath == "" {
		if c.Operation != "" {
			report("operation", "it is a field beside the record of payload_path, and there is none",
				"write payload_path, for example after")
		}
		return
	}
	switch {
	case c.Builtin != "":
		report("payload_path", "the built-in contract "+c.Builtin+" settles this", "remove it, or remove builtin")
	case c.Format == "raw":
		report("payload_path", "a raw payload has no records in it", "remove it, or write another format")
	case c.UnknownFields == "keep":
		report("payload_path", "unknown_fields: keep has a column of the whole payload",
			"write unknown_fields: drop or refuse")
	}
	if strings.Contains(c.Operation, ".") {
		report("operation", c.Operation+" is not a field of the payload itself",
			"name a field beside the record, for example op")
	}
}
