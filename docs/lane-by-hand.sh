#!/bin/sh
# Drives one lane by hand: opens it, sends one typed delivery event, confirms the barrier, and closes the lane in order.
# usage: docs/lane-by-hand.sh [WRITER]     WRITER is a writer's gRPC address, default 127.0.0.1:7070; needs bin/grpcurl (make grpcurl)
set -eu
writer=${1:-127.0.0.1:7070}
grpcurl=${GRPCURL:-bin/grpcurl}
responses=$(mktemp)
trap 'rm -f "$responses"' EXIT

# A message must not be sent before the writer has said what it responds.
await() {
	tries=0
	until grep -q "\"$1\"" "$responses"; do
		tries=$((tries + 1))
		[ $tries -le 300 ] || { echo "the writer did not say $1" >&2; exit 1; }
		sleep 0.1
	done
}

{
	cat <<-OPEN
		{"open": {"group": "by-hand", "topic": "by-hand", "partition": 0, "position": "0",
		          "routes": [{"table": "delivery_events", "message": "delivery.v6.DeliveryEvent",
		                      "layout": {"partition_field": "event_time", "cluster_fields": ["event_type"]}}]}}
	OPEN
	await opened
	cat <<-ROWS
		{"durable": {"barrier": "0"}}
		{"append": {"sequence": "1", "end_position": "1", "blocks": [{"route": 0, "rows": 1, "delivery_events": {"rows": [
		  {"event_id": "by-hand-1", "event_type": "DeliveryOnHoldV6", "event_time": "$(date +%s)000000",
		   "kafka_topic": "by-hand", "kafka_partition": 0, "kafka_offset": "0",
		   "delivery": {"id": "by-hand-1", "status": "ON_HOLD", "items": [{"qnt": 0}]}}]}}]}}
	ROWS
	await barrier
	echo '{"durable": {"barrier": "1"}}'
	await settled
} | "$grpcurl" -plaintext -d @ "$writer" lane.v1.LaneService/Lane | tee "$responses"
