module github.com/waybill-data/waybill/e2e

go 1.26.0

require (
	github.com/waybill-data/waybill/pkg v0.0.0
	github.com/waybill-data/waybill/proto v0.0.0
	github.com/waybill-data/waybill/sandbox v0.0.0
	github.com/waybill-data/waybill/services/ingest v0.0.0
	github.com/waybill-data/waybill/services/writer v0.0.0
)

require (
	github.com/alecthomas/kong v1.17.0 // indirect
	github.com/klauspost/compress v1.20.3 // indirect
	github.com/pierrec/lz4/v4 v4.1.33 // indirect
	github.com/prometheus/client_model v0.6.3 // indirect
	github.com/prometheus/common v0.73.1 // indirect
	github.com/twmb/franz-go v1.22.2 // indirect
	github.com/twmb/franz-go/pkg/kadm v1.19.0 // indirect
	github.com/twmb/franz-go/pkg/kmsg v1.15.0 // indirect
	go.uber.org/goleak v1.3.0 // indirect
)

replace github.com/waybill-data/waybill/proto => ../proto

replace github.com/waybill-data/waybill/pkg => ../pkg

replace github.com/waybill-data/waybill/services/ingest => ../services/ingest

replace github.com/waybill-data/waybill/services/writer => ../services/writer

replace github.com/waybill-data/waybill/sandbox => ../sandbox
