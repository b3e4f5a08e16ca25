package contract

import (
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/descriptorpb"

	columnv1 "github.com/waybill-data/waybill/proto/column/v1"
	"github.com/waybill-data/waybill/proto/image"
	lanev1 "github.com/waybill-data/waybill/proto/lane/v1"
	"github.com/waybill-data/waybill/services/ingest/internal/decode"
)

// route is the table of an entry and the descriptor of its rows; message names a built-in one.
func route(c *Config, plan decode.Plan, message string) (*lanev1.Route, error) {
	r := &lanev1.Route{
		Table: c.Table, Layout: &lanev1.Layout{}, Delivery: deliveries[c.Delivery], Evolution: evolutions[c.Evolution],
		MissingValues: missingValues[c.MissingValues],
	}
	if c.PartitionBy != none {
		r.Layout.PartitionUnit = partitionUnits[c.PartitionUnit]
		if c.PartitionBy != ingestion {
			r.Layout.PartitionField = c.PartitionBy
		}
	}
	if c.ClusterBy[0] != none {
		r.Layout.ClusterFields = c.ClusterBy
	}
	if message != "" {
		r.Row = &lanev1.Route_Message{Message: message}
		return r, nil
	}
	descriptor, err := rowDescriptor(plan, c.Payload, c.Operation != "")
	if err != nil {
		return nil, err
	}
	r.Row = &lanev1.Route_Descriptor_{Descriptor_: descriptor}
	return r, nil
}

// rowDescriptor builds the row message of a contract without a .proto: the envelope and the payload's columns.
func rowDescriptor(plan decode.Plan, payload string, operation bool) (*descriptorpb.DescriptorProto, error) {
	row, err := image.Self("envelope.v1.Envelope")
	if err != nil {
		return nil, err
	}
	row.Name = proto.String(decode.TypeName(payload) + "Event")
	if operation {
		row.Field = append(row.Field, &descriptorpb.FieldDescriptorProto{
			Name: proto.String("operation"), Number: proto.Int32(operationNumber),
			Label:   descriptorpb.FieldDescriptorProto_LABEL_OPTIONAL.Enum(),
			Type:    descriptorpb.FieldDescriptorProto_TYPE_STRING.Enum(),
			Options: decode.ColumnOptions(&columnv1.Column{Description: operationDoc}),
		})
	}
	return row, plan.AddPayload(row, payload, payloadNumber)
}

const operationDoc = "What was done to the row of the source, as the payload says it, for " +
	"example c, u, d or r of Debezium."
