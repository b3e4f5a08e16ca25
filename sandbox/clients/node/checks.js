// @google-cloud/bigquery against the sandbox: every check uses the client as its documentation does.
'use strict';

const assert = require('node:assert');
const {readFileSync, writeFileSync, mkdtempSync} = require('node:fs');
const {tmpdir} = require('node:os');
const {join} = require('node:path');
const {BigQuery} = require('@google-cloud/bigquery');
const {OAuth2Client} = require('google-auth-library');

const endpoints = JSON.parse(readFileSync(process.env.SANDBOX));
// A token, since the client crashes over uploads without one; the sandbox looks at none.
const authClient = new OAuth2Client();
authClient.setCredentials({access_token: 'none', expiry_date: Date.now() + 3600e3});
const client = new BigQuery({projectId: endpoints.project, apiEndpoint: endpoints.bigquery_rest, authClient});
const dataset = client.dataset('node');

async function query(sql, params, types) {
  const [rows] = await client.query({query: sql, params, types, defaultDataset: {datasetId: 'node', projectId: endpoints.project}});
  return rows;
}

const checks = {
  async datasetsArePatched() {
    await dataset.setMetadata({description: 'about node', labels: {a: 'b'}});
    const [metadata] = await dataset.getMetadata();
    assert.strictEqual(metadata.description, 'about node');
    assert.deepStrictEqual(metadata.labels, {a: 'b'});
  },

  async tablesWithBounds() {
    const schema = [{name: 'price', type: 'NUMERIC', precision: 10, scale: 2}, {name: 'code', type: 'STRING', maxLength: 4}];
    const [table] = await dataset.createTable('bounds', {schema});
    const [metadata] = await table.getMetadata();
    assert.deepStrictEqual(metadata.schema.fields.map(f => [f.precision, f.scale, f.maxLength]), [['10', '2', undefined], [undefined, undefined, '4']]);
    await table.setMetadata({schema: [...schema, {name: 'more', type: 'INTEGER'}]});
    assert.strictEqual((await table.getMetadata())[0].schema.fields.length, 3);
  },

  async rowsAndSelectedFields() {
    const [table] = await dataset.createTable('rows', {schema: 'a:string,b:integer,c:boolean'});
    await table.insert([{a: 'x', b: 1, c: true}, {a: 'y', b: 2}]);
    assert.deepStrictEqual((await table.getRows({selectedFields: 'b,c'}))[0], [{b: 1, c: true}, {b: 2, c: null}]);
    await assert.rejects(table.insert([{nothing: 1}]), /PartialFailure|no such field|failure/i);
  },

  async parameters() {
    assert.deepStrictEqual(await query('SELECT @n + 1 AS n, @s AS s', {n: 41, s: "it's"}), [{n: 42, s: "it's"}]);
    assert.deepStrictEqual(await query('SELECT ? AS a, ? AS b', [1, 'two']), [{a: 1, b: 'two'}]);
    assert.deepStrictEqual(await query('SELECT x FROM UNNEST(@xs) AS x ORDER BY x', {xs: ['b', 'a']}), [{x: 'a'}, {x: 'b'}]);
    assert.deepStrictEqual(await query('SELECT @p.x AS x, @p.l[OFFSET(1)] AS l', {p: {x: 7, l: [1, 2]}}), [{x: 7, l: 2}]);
    assert.deepStrictEqual(await query('SELECT ARRAY_LENGTH(@xs) AS n', {xs: []}, {xs: ['INT64']}), [{n: 0}]);
    assert.deepStrictEqual(await query('SELECT @d AS d, @t AS t', {d: BigQuery.date('2024-01-02'), t: new Date('2024-01-02T03:04:05Z')}), [
      {d: BigQuery.date('2024-01-02'), t: BigQuery.timestamp('2024-01-02T03:04:05Z')},
    ]);
  },

  async defaultsAreApplied() {
    const [table] = await dataset.createTable('defaults', {schema: [
      {name: 'id', type: 'INTEGER'}, {name: 'state', type: 'STRING', mode: 'REQUIRED', defaultValueExpression: "'new'"},
    ]});
    await table.insert([{id: 1}]);
    assert.deepStrictEqual((await table.getRows())[0], [{id: 1, state: 'new'}]);
  },

  async loadJobs() {
    const file = join(mkdtempSync(join(tmpdir(), 'load-')), 'rows.json');
    writeFileSync(file, '{"id": 1}\n{"id": 2}\n');
    const [job] = await dataset.table('loaded').load(file, {schema: 'id:integer', sourceFormat: 'NEWLINE_DELIMITED_JSON'});
    assert.strictEqual(job.status.state, 'DONE');
    assert.deepStrictEqual(await query('SELECT SUM(id) AS n FROM loaded'), [{n: 3}]);
  },

  async jobsInPages() {
    const [jobs] = await client.getJobs({maxResults: 2, autoPaginate: false});
    assert.strictEqual(jobs.length, 2);
    const [job] = await client.createQueryJob('SELECT 1 AS one');
    assert.deepStrictEqual((await job.getQueryResults())[0], [{one: 1}]);
  },

  async informationSchema() {
    await dataset.createTable('described', {schema: 'a:string,b:numeric'});
    assert.deepStrictEqual(
      await query("SELECT column_name, data_type FROM INFORMATION_SCHEMA.COLUMNS WHERE table_name = 'described' ORDER BY ordinal_position"),
      [{column_name: 'a', data_type: 'STRING'}, {column_name: 'b', data_type: 'NUMERIC'}],
    );
  },
};

async function main() {
  await dataset.create();
  let failed = 0;
  for (const [name, check] of Object.entries(checks)) {
    try {
      await check();
      console.log(`ok   ${name}`);
    } catch (error) {
      failed++;
      console.log(`FAIL ${name}\n${error.stack}`);
    }
  }
  process.exit(failed ? 1 : 0);
}

main();
