// Package schemas holds the schemas of the topics that the sandbox fills: copies of what the producers publish. They
// are on purpose not shared with the services, so that generator and verifier read an event by a text of their own.
package schemas

import _ "embed"

// DeliveryEventV6 is the schema of every event type on delivery_events_v6_topic.
//
//go:embed delivery_event_v6.avsc
var DeliveryEventV6 string

// PhysicalStockUpdated is the schema of the events on sms_physical_stock_updated_topic.
//
//go:embed physical_stock_updated.avsc
var PhysicalStockUpdated string

// ParcelScan describes the JSON of parcel_scans_json as an Avro record.
//
//go:embed parcel_scan.avsc
var ParcelScan string

// ParcelScanJSON is the JSON Schema of parcel_scans_json.
//
//go:embed parcel_scan.schema.json
var ParcelScanJSON string

// ParcelScanMessage is the full name of the message on parcel_scans_proto.
const ParcelScanMessage = "waybill.sandbox.v1.ParcelScan"

// ParcelScanSet is the FileDescriptorSet of parcel_scan.proto: `buf build parcel_scan.proto --as-file-descriptor-set
// -o parcel_scan.binpb`.
//
//go:embed parcel_scan.binpb
var ParcelScanSet []byte

// Parcels are the versions of the schema of the events on the topic parcels, oldest first. The second adds fields in
// the middle, at the top and in a nested record; the third adds an enum and a list and widens a number.
var Parcels = [...]string{parcelV1, parcelV2, parcelV3}

var (
	//go:embed parcel_v1.avsc
	parcelV1 string
	//go:embed parcel_v2.avsc
	parcelV2 string
	//go:embed parcel_v3.avsc
	parcelV3 string
)
