"""google-cloud-bigquery against the sandbox: every check uses the client as its documentation does."""

import datetime
import decimal
import io
import json

from google.api_core import exceptions
from google.cloud import bigquery

import checks

PROJECT = checks.ENDPOINTS["project"]
client = checks.bigquery_client()
dataset = bigquery.DatasetReference(PROJECT, "python")
client.create_dataset(dataset, exists_ok=True)


def table_id(name):
    return f"{PROJECT}.python.{name}"


def query(sql, *parameters, **options):
    config = bigquery.QueryJobConfig(query_parameters=list(parameters), default_dataset=dataset, **options)
    return [tuple(row.values()) for row in client.query_and_wait(sql, job_config=config)]


@checks.check
def table_with_bounds():
    """maxLength, precision and scale travel as JSON numbers."""
    fields = [
        bigquery.SchemaField("code", "STRING", max_length=8),
        bigquery.SchemaField("price", "NUMERIC", precision=10, scale=2),
        bigquery.SchemaField("big", "BIGNUMERIC", precision=40, scale=5),
    ]
    client.create_table(bigquery.Table(table_id("bounds"), schema=fields), exists_ok=True)
    got = client.get_table(table_id("bounds")).schema
    assert [(f.max_length, f.precision, f.scale) for f in got] == [(8, None, None), (None, 10, 2), (None, 40, 5)], got


@checks.check
def partitioned_clustered_and_patched():
    t = bigquery.Table(table_id("laid"), schema=[bigquery.SchemaField("at", "TIMESTAMP"), bigquery.SchemaField("kind", "STRING")])
    t.time_partitioning = bigquery.TimePartitioning(type_="DAY", field="at", expiration_ms=86400000)
    t.clustering_fields = ["kind"]
    t = client.create_table(t)
    t.schema = t.schema + [bigquery.SchemaField("more", "NUMERIC", precision=5, scale=1)]
    t.description = "patched"
    t = client.update_table(t, ["schema", "description"])
    got = client.get_table(t)
    assert got.description == "patched" and [f.name for f in got.schema] == ["at", "kind", "more"], got.to_api_repr()
    assert got.time_partitioning.expiration_ms == 86400000, got.to_api_repr()


@checks.check
def dataset_patched():
    d = client.get_dataset(dataset)
    d.description, d.labels, d.default_table_expiration_ms = "about python", {"a": "b"}, 7200000
    client.update_dataset(d, ["description", "labels", "default_table_expiration_ms"])
    got = client.get_dataset(dataset)
    assert (got.description, got.labels, got.default_table_expiration_ms) == ("about python", {"a": "b"}, 7200000), got.to_api_repr()
    got.labels, got.default_table_expiration_ms = {"a": None}, None
    client.update_dataset(got, ["labels", "default_table_expiration_ms"])
    again = client.get_dataset(dataset)
    assert (again.description, again.labels, again.default_table_expiration_ms) == ("about python", {}, None), again.to_api_repr()


@checks.check
def selected_fields_are_those():
    schema = [bigquery.SchemaField(n, "STRING") for n in ("a", "b", "c")] + [
        bigquery.SchemaField("r", "RECORD", fields=[bigquery.SchemaField("x", "INT64"), bigquery.SchemaField("y", "INT64")])
    ]
    t = client.create_table(bigquery.Table(table_id("chosen"), schema=schema))
    assert client.insert_rows_json(t, [{"a": "1", "b": "2", "c": "3", "r": {"x": 4, "y": 5}}]) == []
    rows = client.list_rows(t, selected_fields=[schema[1], schema[2]])
    assert [dict(r.items()) for r in rows] == [{"b": "2", "c": "3"}]
    rows = client.list_rows(t, selected_fields=[schema[0], schema[3]])
    assert [dict(r.items()) for r in rows] == [{"a": "1", "r": {"x": 4, "y": 5}}]


@checks.check
def scalar_parameters():
    now = datetime.datetime(2024, 5, 6, 7, 8, 9, 123456, tzinfo=datetime.timezone.utc)
    values = {
        "INT64": 2**60, "FLOAT64": 1.5, "BOOL": True, "STRING": "it's `q`", "BYTES": b"\x00\xff", "NUMERIC": decimal.Decimal("1.25"),
        "TIMESTAMP": now, "DATE": now.date(), "TIME": datetime.time(1, 2, 3, 4), "DATETIME": now.replace(tzinfo=None),
    }
    for kind, value in values.items():
        assert query("SELECT @p AS p", bigquery.ScalarQueryParameter("p", kind, value)) == [(value,)], kind
        assert query("SELECT @p AS p", bigquery.ScalarQueryParameter("p", kind, None)) == [(None,)], kind
    assert query("SELECT ? + ?", *[bigquery.ScalarQueryParameter(None, "INT64", n) for n in (1, 2)]) == [(3,)]
    assert query("SELECT @`odd` AS x", bigquery.ScalarQueryParameter("odd", "INT64", 3)) == [(3,)]


@checks.check
def array_and_struct_parameters():
    got = query("SELECT x FROM UNNEST(@xs) AS x ORDER BY x", bigquery.ArrayQueryParameter("xs", "INT64", [3, 1, 2]))
    assert got == [(1,), (2,), (3,)], got
    got = query("SELECT 'b' IN UNNEST(@xs), ARRAY_LENGTH(@xs), @xs AS xs", bigquery.ArrayQueryParameter("xs", "STRING", ["a", "b"]))
    assert got == [(True, 2, ["a", "b"])], got
    point = bigquery.StructQueryParameter(
        "p",
        bigquery.ScalarQueryParameter("x", "INT64", 4),
        bigquery.ScalarQueryParameter("name", "STRING", "n"),
        bigquery.ArrayQueryParameter("list", "FLOAT64", [0.5]),
        bigquery.StructQueryParameter("in", bigquery.ScalarQueryParameter("y", "DATE", datetime.date(2020, 1, 2))),
    )
    got = query("SELECT @p.x + 1, @p.name, @p.list[OFFSET(0)], @p.in.y, @p AS p", point)
    day = datetime.date(2020, 1, 2)
    assert got == [(5, "n", 0.5, day, {"x": 4, "name": "n", "list": [0.5], "in": {"y": day}})], got
    many = bigquery.ArrayQueryParameter(
        "ps", "STRUCT", [bigquery.StructQueryParameter(None, bigquery.ScalarQueryParameter("x", "INT64", n)) for n in (1, 2)]
    )
    assert query("SELECT SUM(p.x) FROM UNNEST(@ps) AS p", many) == [(3,)]


@checks.check
def defaults_are_applied():
    schema = [
        bigquery.SchemaField("id", "INT64", mode="REQUIRED"),
        bigquery.SchemaField("state", "STRING", mode="REQUIRED", default_value_expression="'new'"),
        bigquery.SchemaField("at", "TIMESTAMP", default_value_expression="CURRENT_TIMESTAMP()"),
        bigquery.SchemaField("price", "NUMERIC", default_value_expression="1.5"),
    ]
    t = client.create_table(bigquery.Table(table_id("defaults"), schema=schema))
    assert client.get_table(t).schema[1].default_value_expression == "'new'"
    assert client.insert_rows_json(t, [{"id": 1}, {"id": 2, "state": "old", "at": None}]) == []
    got = query("SELECT id, state, at IS NULL, price FROM defaults ORDER BY id")
    assert got == [(1, "new", False, decimal.Decimal("1.5")), (2, "old", True, decimal.Decimal("1.5"))], got
    wrong = [bigquery.SchemaField("n", "INT64", default_value_expression="'text'")]
    checks.raises(exceptions.BadRequest, client.create_table, bigquery.Table(table_id("wrong_default"), schema=wrong))


@checks.check
def jobs_are_listed_in_pages():
    for n in range(5):
        query(f"SELECT {n}")
    assert len(list(client.list_jobs(max_results=3))) == 3
    assert len(list(client.list_jobs(page_size=2, max_results=5))) == 5
    assert all(j.state == "DONE" for j in client.list_jobs(max_results=2, state_filter="done"))
    tables = list(client.list_tables(dataset, max_results=2, page_size=1))
    assert len(tables) == 2 and tables[0].table_id < tables[1].table_id


@checks.check
def partitions_are_listed():
    t = bigquery.Table(table_id("days"), schema=[bigquery.SchemaField("at", "DATE"), bigquery.SchemaField("n", "INT64")])
    t.time_partitioning = bigquery.TimePartitioning(field="at")
    client.create_table(t)
    rows = [{"at": "2024-01-02", "n": 1}, {"at": "2024-01-03", "n": 2}, {"at": "2024-01-02", "n": 3}, {"at": None, "n": 4}]
    assert client.insert_rows_json(t, rows) == []
    assert sorted(client.list_partitions(t)) == ["20240102", "20240103", "__NULL__"]


@checks.check
def information_schema():
    client.create_table(bigquery.Table(table_id("described"), schema=[
        bigquery.SchemaField("id", "INT64", mode="REQUIRED", default_value_expression="7"),
        bigquery.SchemaField("tags", "STRING", mode="REPEATED"),
        bigquery.SchemaField("r", "RECORD", fields=[bigquery.SchemaField("n", "NUMERIC", precision=10, scale=2)]),
    ]))
    got = query(
        "SELECT column_name, ordinal_position, is_nullable, data_type, column_default FROM python.INFORMATION_SCHEMA.COLUMNS"
        " WHERE table_name = 'described' ORDER BY ordinal_position"
    )
    assert got == [
        ("id", 1, "NO", "INT64", "7"), ("tags", 2, "NO", "ARRAY<STRING>", "NULL"), ("r", 3, "YES", "STRUCT<n NUMERIC(10, 2)>", "NULL"),
    ], got
    got = query(f"SELECT table_name, table_type FROM `{PROJECT}.python`.INFORMATION_SCHEMA.TABLES WHERE table_name = 'described'")
    assert got == [("described", "BASE TABLE")], got
    got = query("SELECT field_path FROM python.INFORMATION_SCHEMA.COLUMN_FIELD_PATHS WHERE table_name = 'described' ORDER BY field_path")
    assert got == [("id",), ("r",), ("r.n",), ("tags",)], got


@checks.check
def load_jobs_of_newline_json():
    schema = [bigquery.SchemaField("id", "INT64"), bigquery.SchemaField("name", "STRING")]
    config = bigquery.LoadJobConfig(schema=schema, source_format="NEWLINE_DELIMITED_JSON")
    rows = [{"id": n, "name": f"n{n}"} for n in range(3)]
    job = client.load_table_from_json(rows, table_id("loaded"), job_config=config)
    job.result()
    assert (job.output_rows, client.get_table(table_id("loaded")).num_rows) == (3, 3)
    lines = "\n".join(json.dumps(r) for r in rows).encode()
    client.load_table_from_file(io.BytesIO(lines), table_id("loaded"), job_config=config).result()
    client.load_table_from_file(io.BytesIO(lines), table_id("loaded"), size=len(lines), job_config=config).result()
    assert query("SELECT COUNT(*), COUNT(DISTINCT id) FROM loaded") == [(9, 3)]
    config.write_disposition = "WRITE_EMPTY"
    full = client.load_table_from_file(io.BytesIO(lines), table_id("loaded"), job_config=config)
    checks.raises(exceptions.GoogleAPICallError, full.result)
    config.write_disposition = "WRITE_TRUNCATE"
    error = checks.raises(exceptions.BadRequest, client.load_table_from_file, io.BytesIO(lines), table_id("loaded"), job_config=config)
    assert "sandbox does not truncate" in error.message, error
    bad = client.load_table_from_json([{"id": "x"}], table_id("loaded"), job_config=bigquery.LoadJobConfig(schema=schema))
    checks.raises(exceptions.BadRequest, bad.result)
    assert query("SELECT COUNT(*) FROM loaded") == [(9,)]


@checks.check
def names_follow_the_rules():
    def create(*names):
        client.create_table(bigquery.Table(table_id("names"), schema=[bigquery.SchemaField(n, "STRING") for n in names]))

    for names in (["a", "A"], ["x" * 301], ["_TABLE_x"], ["_file_x"], ["_Partition"], ["_ROW_TIMESTAMPx"], ["__ROOT__"], ["_colidentifier_a"], ["a.b"], [""]):
        checks.raises(exceptions.BadRequest, create, *names)


@checks.check
def what_stays_out_is_said():
    for sql in ("INSERT INTO t VALUES (1)", "SELECT * FROM python.INFORMATION_SCHEMA.PARTITIONS"):
        error = checks.raises(exceptions.BadRequest, query, sql)
        assert "sandbox" in error.message, error
    checks.raises(exceptions.MethodNotImplemented, client.list_routines, dataset, after=list)


checks.run()
