module github.com/waybill-data/waybill/tools/kubeschemas

go 1.26.0
