"""The script that a team would write, for `bench peer`: JSON records into BigQuery's default stream, at least once.

Fetches in chunks, lays each chunk out as protobuf rows, keeps some appends in flight, and commits offsets behind what is confirmed.
"""

import collections
import os
import signal

import grpc
import orjson
from confluent_kafka import Consumer, TopicPartition
from google.cloud.bigquery_storage_v1 import BigQueryWriteClient, types, writer
from google.cloud.bigquery_storage_v1.services.big_query_write.transports import BigQueryWriteGrpcTransport
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

CHUNK = 5000  # records an append
IN_FLIGHT = 8  # appends

Field = descriptor_pb2.FieldDescriptorProto
COLUMNS = {
    "seq": Field.TYPE_INT64,
    "scan_id": Field.TYPE_STRING,
    "hub": Field.TYPE_STRING,
    "status": Field.TYPE_STRING,
    "weight_g": Field.TYPE_INT64,
    "price": Field.TYPE_DOUBLE,
    "insured": Field.TYPE_BOOL,
    "scanned_at": Field.TYPE_INT64,
    "remark": Field.TYPE_STRING,
}


def row_type():
    """The message of a row, and its descriptor."""
    file = descriptor_pb2.FileDescriptorProto(name="scan.proto", syntax="proto2")
    message = file.message_type.add(name="Scan")
    for number, (name, kind) in enumerate(COLUMNS.items(), start=1):
        message.field.add(name=name, number=number, type=kind, label=Field.LABEL_OPTIONAL)
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("Scan")), message


def main():
    env = {name: os.environ["PEER_" + name] for name in ("KAFKA", "TOPIC", "GROUP", "BIGQUERY_GRPC", "PROJECT", "DATASET", "TABLE")}
    going = True

    def stop(*_):
        nonlocal going
        going = False

    signal.signal(signal.SIGTERM, stop)

    scan, descriptor = row_type()
    client = BigQueryWriteClient(transport=BigQueryWriteGrpcTransport(channel=grpc.insecure_channel(env["BIGQUERY_GRPC"])))
    template = types.AppendRowsRequest(
        write_stream=f"projects/{env['PROJECT']}/datasets/{env['DATASET']}/tables/{env['TABLE']}/streams/_default",
        proto_rows=types.AppendRowsRequest.ProtoData(writer_schema=types.ProtoSchema(proto_descriptor=descriptor)),
    )
    stream = writer.AppendRowsStream(client, template)
    consumer = Consumer({
        "bootstrap.servers": env["KAFKA"],
        "group.id": env["GROUP"],
        "auto.offset.reset": "earliest",
        "enable.auto.commit": False,
    })
    consumer.subscribe([env["TOPIC"]])

    flying = collections.deque()

    def land():
        response, ends = flying.popleft()
        response.result()
        consumer.commit(offsets=[TopicPartition(env["TOPIC"], p, o) for p, o in ends.items()], asynchronous=True)

    while going:
        records = consumer.consume(CHUNK, timeout=0.1)
        rows, ends = [], {}
        for record in records:
            if record.error():
                raise SystemExit(f"Kafka: {record.error()}")
            rows.append(scan(**orjson.loads(record.value())).SerializeToString())
            ends[record.partition()] = record.offset() + 1
        if rows:
            request = types.AppendRowsRequest(proto_rows=types.AppendRowsRequest.ProtoData(rows=types.ProtoRows(serialized_rows=rows)))
            flying.append((stream.send(request), ends))
        while len(flying) > (IN_FLIGHT if rows else 0):
            land()

    while flying:
        land()
    stream.close()
    consumer.close()


if __name__ == "__main__":
    main()
