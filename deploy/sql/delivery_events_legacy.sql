-- delivery_events under the names and types of the system that Waybill replaces, so that its queries go on working:
-- read `delivery_events_legacy` where they read its table. A view holds no data and costs nothing until it is read; queries of it
-- are pruned to partitions by `timestamp`, as the table is partitioned on event_time.
--
--   bq query --use_legacy_sql=false --dataset_id=PROJECT:DATASET < deploy/sql/delivery_events_legacy.sql
--
-- On the sandbox: bin/sandbox query --file deploy/sql/delivery_events_legacy.sql
CREATE OR REPLACE VIEW delivery_events_legacy AS
SELECT
  event_time AS timestamp,                                -- when the event happened, by its payload
  event_id,                                               -- id in the payload
  event_type,                                             -- last segment of item_type_name, for example DeliveryShippedV6
  TO_JSON_STRING(delivery) AS event_json,                 -- the whole payload, names as in its schema, null as null
  topic_version,                                          -- v6
  topic_version = 'v6' AS is_current_version,             -- whether that is the newest version of the topic
  ingest_time AS stream_timestamp,                        -- when the record was read from Kafka
  DATE(ingest_time) AS stream_timestamp_date,             -- its day, UTC
  EXTRACT(HOUR FROM ingest_time) AS stream_timestamp_hour -- its hour of the day, 0 to 23, UTC
FROM delivery_events
