package main

// service is a program that gets an image, and how the image runs it. deploy/Dockerfile says the same for those who
// build with an engine; a test holds the two together.
type service struct {
	name, module string
	about        string
	env          []string
	ports        []string
	health       []string
	command      []string
	volumes      []string
}

// user runs everything: no name, no home, no rights.
const user = "65532:65532"

// home is the working folder: the sandbox keeps its data there, the services write nothing.
const home = "/data"

var services = []service{
	{
		name: "ingest", module: "services/ingest", about: "Waybill's ingest: Kafka records become rows",
		env:   []string{"WAYBILL_INGEST_CONFIG=/etc/waybill/ingest.yaml"},
		ports: []string{"7080", "7081"}, health: []string{"/bin/ingest", "health"}, command: []string{"serve"},
	},
	{
		name: "writer", module: "services/writer", about: "Waybill's writer: rows into BigQuery, each exactly once",
		env:   []string{"WAYBILL_WRITER_CONFIG=/etc/waybill/writer.yaml"},
		ports: []string{"7070", "7071"}, health: []string{"/bin/writer", "health"}, command: []string{"serve"},
	},
	{
		name: "sandbox", module: "sandbox", about: "Waybill's sandbox: Kafka, BigQuery and a schema registry for tests",
		ports:  []string{"19092", "19093", "19094", "19060", "19050", "18081", "19059"},
		health: []string{"/bin/sandbox", "faults", "list"}, command: []string{"up", "--host", "0.0.0.0"},
		volumes: []string{home},
	},
}
