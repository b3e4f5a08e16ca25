import com.google.api.gax.core.NoCredentialsProvider;
import com.google.api.gax.grpc.InstantiatingGrpcChannelProvider;
import com.google.cloud.NoCredentials;
import com.google.cloud.bigquery.*;
import com.google.cloud.bigquery.storage.v1.AppendRowsResponse;
import com.google.cloud.bigquery.storage.v1.BigQueryWriteClient;
import com.google.cloud.bigquery.storage.v1.BigQueryWriteSettings;
import com.google.cloud.bigquery.storage.v1.FinalizeWriteStreamResponse;
import com.google.cloud.bigquery.storage.v1.JsonStreamWriter;
import com.google.cloud.bigquery.storage.v1.TableName;
import com.google.cloud.bigquery.storage.v1.WriteStream;
import com.google.gson.JsonObject;
import com.google.gson.JsonParser;
import io.grpc.ManagedChannelBuilder;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.TimeUnit;
import org.json.JSONArray;
import org.json.JSONObject;

/** google-cloud-bigquery and google-cloud-bigquerystorage against the sandbox: every check uses the clients as their documentation does. */
public class Checks {
  interface Check {
    void run() throws Exception;
  }

  private final String project;
  private final String grpc;
  private final BigQuery client;

  Checks(JsonObject endpoints) {
    project = endpoints.get("project").getAsString();
    grpc = endpoints.get("bigquery_grpc").getAsString();
    client = BigQueryOptions.newBuilder().setHost(endpoints.get("bigquery_rest").getAsString()).setProjectId(project)
        .setCredentials(NoCredentials.getInstance()).build().getService();
  }

  static void same(Object want, Object got) {
    if (!String.valueOf(want).equals(String.valueOf(got))) {
      throw new AssertionError("want " + want + ", got " + got);
    }
  }

  Table create(String name, Field... fields) {
    return client.create(TableInfo.of(TableId.of("java", name), StandardTableDefinition.of(Schema.of(fields))));
  }

  List<String> query(QueryJobConfiguration.Builder config) throws Exception {
    List<String> out = new ArrayList<>();
    for (FieldValueList row : client.query(config.setDefaultDataset("java").build()).iterateAll()) {
      List<Object> values = new ArrayList<>();
      for (FieldValue value : row) {
        values.add(value.isNull() ? null : value.getValue());
      }
      out.add(values.toString());
    }
    return out;
  }

  List<String> query(String sql) throws Exception {
    return query(QueryJobConfiguration.newBuilder(sql));
  }

  void datasets() {
    Dataset dataset = client.create(DatasetInfo.newBuilder("java").setDescription("first").build());
    dataset.toBuilder().setDescription("second").setLabels(Map.of("a", "b")).build().update();
    Dataset again = client.getDataset("java");
    same("second", again.getDescription());
    same("{a=b}", again.getLabels());
  }

  void tables() {
    create("bounds", Field.newBuilder("price", StandardSQLTypeName.NUMERIC).setPrecision(10L).setScale(2L).build(),
        Field.newBuilder("code", StandardSQLTypeName.STRING).setMaxLength(4L).setDefaultValueExpression("'none'").build());
    FieldList fields = client.getTable("java", "bounds").getDefinition().getSchema().getFields();
    same(10, fields.get(0).getPrecision());
    same(4, fields.get(1).getMaxLength());
    int seen = 0;
    for (Table table : client.listTables("java", BigQuery.TableListOption.pageSize(1)).iterateAll()) {
      seen++;
    }
    same(1, seen);
  }

  void rows() throws Exception {
    Table table = create("rows", Field.of("n", StandardSQLTypeName.INT64), Field.of("s", StandardSQLTypeName.STRING),
        Field.newBuilder("state", StandardSQLTypeName.STRING).setDefaultValueExpression("'new'").build());
    InsertAllResponse response = table.insert(List.of(
        InsertAllRequest.RowToInsert.of(Map.of("n", 1, "s", "ção")), InsertAllRequest.RowToInsert.of(Map.of("n", Long.MAX_VALUE))));
    same(false, response.hasErrors());
    List<String> got = new ArrayList<>();
    for (FieldValueList row : client.listTableData(TableId.of("java", "rows"), table.getDefinition().getSchema(), BigQuery.TableDataListOption.pageSize(1)).iterateAll()) {
      got.add(row.get("n").getLongValue() + " " + row.get("s").getValue() + " " + row.get("state").getStringValue());
    }
    same("[1 ção new, 9223372036854775807 null new]", got);
  }

  void parameters() throws Exception {
    same("[[42, x]]", query(QueryJobConfiguration.newBuilder("SELECT @n + 1, @s")
        .addNamedParameter("n", QueryParameterValue.int64(41)).addNamedParameter("s", QueryParameterValue.string("x"))));
    same("[[a], [b]]", query(QueryJobConfiguration.newBuilder("SELECT x FROM UNNEST(?) AS x ORDER BY x")
        .addPositionalParameter(QueryParameterValue.array(new String[] {"b", "a"}, String.class))));
    same("[[3]]", query(QueryJobConfiguration.newBuilder("SELECT @p.x + @p.y").addNamedParameter("p",
        QueryParameterValue.struct(Map.of("x", QueryParameterValue.int64(1), "y", QueryParameterValue.int64(2))))));
    same("[[null, true]]", query(QueryJobConfiguration.newBuilder("SELECT @n, @b")
        .addNamedParameter("n", QueryParameterValue.int64((Long) null)).addNamedParameter("b", QueryParameterValue.bool(true))));
  }

  void load() throws Exception {
    WriteChannelConfiguration config = WriteChannelConfiguration.newBuilder(TableId.of("java", "loaded"))
        .setFormatOptions(FormatOptions.json()).setSchema(Schema.of(Field.of("n", StandardSQLTypeName.INT64))).build();
    TableDataWriteChannel channel = client.writer(config);
    channel.setChunkSize(256 << 10);
    int rows = 60_000; // several pieces
    StringBuilder lines = new StringBuilder();
    for (int i = 0; i < rows; i++) {
      lines.append("{\"n\": ").append(i).append("}\n");
    }
    ByteBuffer data = ByteBuffer.wrap(lines.toString().getBytes(StandardCharsets.UTF_8));
    while (data.hasRemaining()) {
      channel.write(data);
    }
    channel.close();
    Job job = channel.getJob().waitFor();
    same(null, job.getStatus().getError());
    same(rows, ((JobStatistics.LoadStatistics) job.getStatistics()).getOutputRows());
    same("[[" + rows + "]]", query("SELECT COUNT(DISTINCT n) FROM loaded"));
  }

  void jobs() {
    int seen = 0;
    for (Job job : client.listJobs(BigQuery.JobListOption.pageSize(2)).iterateAll()) {
      seen++;
    }
    if (seen < 3) {
      throw new AssertionError(seen + " jobs");
    }
  }

  BigQueryWriteClient write() throws Exception {
    return BigQueryWriteClient.create(BigQueryWriteSettings.newBuilder().setCredentialsProvider(NoCredentialsProvider.create())
        .setTransportChannelProvider(InstantiatingGrpcChannelProvider.newBuilder().setEndpoint(grpc).setChannelConfigurator(ManagedChannelBuilder::usePlaintext).build())
        .build());
  }

  void storageWrite() throws Exception {
    create("written", Field.newBuilder("n", StandardSQLTypeName.INT64).setMode(Field.Mode.REQUIRED).build(), Field.of("s", StandardSQLTypeName.STRING),
        Field.newBuilder("price", StandardSQLTypeName.NUMERIC).setPrecision(10L).setScale(2L).build(), Field.of("at", StandardSQLTypeName.TIMESTAMP),
        Field.newBuilder("tags", StandardSQLTypeName.STRING).setMode(Field.Mode.REPEATED).build());
    JSONArray rows = new JSONArray();
    rows.put(new JSONObject().put("n", Long.MIN_VALUE).put("s", "ção").put("price", "12.5").put("at", "2024-01-02 03:04:05.123456 UTC")
        .put("tags", new JSONArray(List.of("a", "b"))));
    rows.put(new JSONObject().put("n", 2));
    TableName table = TableName.of(project, "java", "written");
    try (BigQueryWriteClient writer = write()) {
      // The default stream: this writer names it projects/…/tables/T/_default.
      try (JsonStreamWriter rowsOf = JsonStreamWriter.newBuilder(table.toString(), writer).build()) {
        AppendRowsResponse response = rowsOf.append(rows).get(60, TimeUnit.SECONDS);
        same(false, response.hasError());
      }
      WriteStream stream = writer.createWriteStream(table, WriteStream.newBuilder().setType(WriteStream.Type.COMMITTED).build());
      try (JsonStreamWriter rowsOf = JsonStreamWriter.newBuilder(stream.getName(), writer).build()) {
        same(0, rowsOf.append(rows, 0).get(60, TimeUnit.SECONDS).getAppendResult().getOffset().getValue());
        same(2, rowsOf.append(rows, 2).get(60, TimeUnit.SECONDS).getAppendResult().getOffset().getValue());
      }
      FinalizeWriteStreamResponse end = writer.finalizeWriteStream(stream.getName());
      same(4, end.getRowCount());
    }
    same("[[-9223372036854775808, ção, 12.5, true, 2, 3]]",
        query("SELECT n, s, price, at = TIMESTAMP '2024-01-02 03:04:05.123456+00', ARRAY_LENGTH(tags), COUNT(*) FROM written WHERE n < 0 GROUP BY 1, 2, 3, 4, 5"));
  }

  public static void main(String[] arguments) throws Exception {
    Checks checks = new Checks(JsonParser.parseString(Files.readString(Path.of(System.getenv("SANDBOX")))).getAsJsonObject());
    Map<String, Check> all = new java.util.LinkedHashMap<>();
    all.put("datasets", checks::datasets);
    all.put("tables", checks::tables);
    all.put("rows", checks::rows);
    all.put("parameters", checks::parameters);
    all.put("load", checks::load);
    all.put("jobs", checks::jobs);
    all.put("storageWrite", checks::storageWrite);
    int failed = 0;
    for (Map.Entry<String, Check> one : all.entrySet()) {
      try {
        one.getValue().run();
        System.out.println("ok   " + one.getKey());
      } catch (Throwable error) {
        failed++;
        System.out.println("FAIL " + one.getKey());
        error.printStackTrace(System.out);
      }
    }
    System.exit(failed == 0 ? 0 : 1);
  }
}
