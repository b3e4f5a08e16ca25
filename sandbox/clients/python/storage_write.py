"""google-cloud-bigquery-storage against the sandbox: rows of the Storage Write API, value for value."""

import datetime
import decimal

import grpc
from google.api_core import exceptions
from google.auth import credentials
from google.cloud import bigquery
from google.cloud.bigquery_storage_v1 import services, types, writer
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

import checks

client = checks.bigquery_client()
PROJECT = checks.ENDPOINTS["project"]
client.create_dataset(bigquery.DatasetReference(PROJECT, "python_write"), exists_ok=True)

transport = services.big_query_write.transports.BigQueryWriteGrpcTransport(channel=grpc.insecure_channel(checks.ENDPOINTS["bigquery_grpc"]))
write = services.big_query_write.BigQueryWriteClient(transport=transport)


def message(name, *fields):
    file = descriptor_pb2.FileDescriptorProto(name=name + ".proto", package="rows", syntax="proto2")
    row = file.message_type.add(name=name)
    for number, (field, kind) in enumerate(fields, 1):
        row.field.add(name=field, number=number, type=kind, label=1)
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("rows." + name))


def schema_of(row):
    out = descriptor_pb2.DescriptorProto()
    row.DESCRIPTOR.CopyToProto(out)
    return types.ProtoSchema(proto_descriptor=out)


def append(stream, row, rows, offset=None, **more):
    request = types.AppendRowsRequest(write_stream=stream, **more)
    request.proto_rows = types.AppendRowsRequest.ProtoData(
        writer_schema=schema_of(row), rows=types.ProtoRows(serialized_rows=[r.SerializeToString() for r in rows])
    )
    if offset is not None:
        request.offset = offset
    return next(iter(write.append_rows(iter([request]))))


INT64, DOUBLE, STRING, BYTES, BOOL, INT32 = 3, 1, 9, 12, 8, 5


@checks.check
def committed_stream():
    table = client.create_table(bigquery.Table(f"{PROJECT}.python_write.events", schema=[
        bigquery.SchemaField("id", "INT64", mode="REQUIRED"), bigquery.SchemaField("name", "STRING"), bigquery.SchemaField("raw", "BYTES"),
        bigquery.SchemaField("price", "NUMERIC", precision=10, scale=2), bigquery.SchemaField("at", "TIMESTAMP"), bigquery.SchemaField("day", "DATE"),
        bigquery.SchemaField("ok", "BOOL"), bigquery.SchemaField("f", "FLOAT64"),
    ]))
    row = message("Event", ("id", INT64), ("name", STRING), ("raw", BYTES), ("price", STRING), ("at", INT64), ("day", INT32), ("ok", BOOL), ("f", DOUBLE))
    parent = f"projects/{PROJECT}/datasets/python_write/tables/events"
    stream = write.create_write_stream(parent=parent, write_stream=types.WriteStream(type_=types.WriteStream.Type.COMMITTED))
    at = datetime.datetime(2024, 5, 6, 7, 8, 9, 123456, tzinfo=datetime.timezone.utc)
    sent = row(id=-(2**63), name="ção", raw=b"\x00\xff", price="12.5", at=int(at.timestamp()) * 10**6 + at.microsecond, day=19849, ok=True, f=0.1)
    assert append(stream.name, row, [sent, row(id=2)], offset=0).append_result.offset == 0
    again = append(stream.name, row, [sent], offset=0)
    assert again.error.code == 6, again
    assert write.finalize_write_stream(name=stream.name).row_count == 2
    got = sorted((tuple(r.values()) for r in client.list_rows(table)), key=lambda r: r[0])
    want = (-(2**63), "ção", b"\x00\xff", decimal.Decimal("12.5"), at, datetime.date(2024, 5, 6), True, 0.1)
    assert got == [want, (2,) + (None,) * 7], got


@checks.check
def pending_streams_commit_together():
    client.create_table(bigquery.Table(f"{PROJECT}.python_write.pending", schema=[bigquery.SchemaField("id", "INT64")]))
    row = message("Pending", ("id", INT64))
    parent = f"projects/{PROJECT}/datasets/python_write/tables/pending"
    stream = write.create_write_stream(parent=parent, write_stream=types.WriteStream(type_=types.WriteStream.Type.PENDING))
    template = types.AppendRowsRequest(write_stream=stream.name)
    template.proto_rows = types.AppendRowsRequest.ProtoData(writer_schema=schema_of(row))
    rows = writer.AppendRowsStream(write, template)
    for n in range(5):
        request = types.AppendRowsRequest(offset=n)
        request.proto_rows = types.AppendRowsRequest.ProtoData(rows=types.ProtoRows(serialized_rows=[row(id=n).SerializeToString()]))
        assert rows.send(request).result(30).append_result.offset == n
    rows.close()
    assert client.get_table(f"{PROJECT}.python_write.pending").num_rows == 0
    write.finalize_write_stream(name=stream.name)
    committed = write.batch_commit_write_streams(types.BatchCommitWriteStreamsRequest(parent=parent, write_streams=[stream.name]))
    assert not committed.stream_errors, committed
    assert client.get_table(f"{PROJECT}.python_write.pending").num_rows == 5


@checks.check
def missing_values():
    client.create_table(bigquery.Table(f"{PROJECT}.python_write.missing", schema=[
        bigquery.SchemaField("id", "INT64"), bigquery.SchemaField("state", "STRING", default_value_expression="'new'"),
        bigquery.SchemaField("kind", "STRING", mode="REQUIRED", default_value_expression="'k'"),
    ]))
    row = message("Missing", ("id", INT64), ("state", STRING))
    stream = f"projects/{PROJECT}/datasets/python_write/tables/missing/streams/_default"
    interpretation = types.AppendRowsRequest.MissingValueInterpretation
    append(stream, row, [row(id=1)])
    append(stream, row, [row(id=2)], default_missing_value_interpretation=interpretation.DEFAULT_VALUE)
    append(stream, row, [row(id=3)], missing_value_interpretations={"state": interpretation.DEFAULT_VALUE})
    got = sorted(tuple(r.values()) for r in client.list_rows(f"{PROJECT}.python_write.missing"))
    assert got == [(1, None, "k"), (2, "new", "k"), (3, "new", "k")], got


@checks.check
def errors_are_grpc_codes():
    checks.raises(exceptions.NotFound, write.create_write_stream, parent=f"projects/{PROJECT}/datasets/python_write/tables/none",
                  write_stream=types.WriteStream(type_=types.WriteStream.Type.COMMITTED))


checks.run()
