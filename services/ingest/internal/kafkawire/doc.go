// Package kafkawire speaks Kafka's protocol as far as fetches need it: connections to brokers, and the records in
// what they send. It knows no client library; requests and the smaller responses are those of franz-go's kmsg.
//
//	conn.go      connections: TLS, versions, requests that end with their context
//	sasl.go      authentication
//	fetch.go     the response to a fetch, records read straight from the socket into a buffer of each partition
//	batch.go     record batches
//	compress.go  undoing compression, within as much memory as the caller has
//	record.go    records of a batch
//	legacy.go    messages from before Kafka 0.11
//	buffer.go    buffers that records lie in, which are used again
//
// What a broker sends is not trusted: no length is believed beyond the bytes that have come for it, and none grows
// what is allocated by more than a small multiple.
package kafkawire
