module github.com/waybill-data/waybill/e2e

go 1.26.0

require (
	github.com/waybill-data/waybill/pkg v0.0.0
	github.com/waybill-data/waybill/proto v0.0.0
	github.com/waybill-data/waybill/sandbox v0.0.0
	github.com/waybill-data/waybill/services/ingest v0.0.0
	github.com/waybill-data/waybill/services/writer v0.0.0
)

replace github.com/waybill-data/waybill/proto => ../proto

replace github.com/waybill-data/waybill/pkg => ../pkg

replace github.com/waybill-data/waybill/services/ingest => ../services/ingest

replace github.com/waybill-data/waybill/services/writer => ../services/writer

replace github.com/waybill-data/waybill/sandbox => ../sandbox
