package stack

// Small is for Config.IngestYAML: small batches and windows, so that a kill meets several batches in flight.
const Small = `
batch:
  bytes: 64KiB
  rows: 200
window:
  batches: 8
`

// Quick is for Config.KafkaYAML: the group notices soon that a member is gone. Brokers allow no shorter session.
const Quick = `  session_timeout: 6s
  rebalance_timeout: 10s
  drain_timeout: 5s
`

// Parcels is for Config.Contracts: the sandbox's parcels, whose schema grows, and their table with it.
const Parcels = `  - topic: parcels
    format: avro
    framing: confluent
    subject: parcels-value
    evolution: additive
    table: parcels
    types: [contracts.parcel.*]
    event_id: parcel_id
    event_time: {field: scanned_at}
`
