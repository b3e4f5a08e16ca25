-- Every record that is no dead letter and not ignored is a row, once.
-- expect: [[true, true]]
SELECT COUNT(*) > 4000 AS many, COUNT(*) = COUNT(DISTINCT CONCAT(CAST(kafka_partition AS STRING), '/', CAST(kafka_offset AS STRING))) AS once FROM delivery_events;

-- Nested Avro became nested columns; null stays null.
-- expect: [[true, true]]
SELECT COUNTIF(delivery.billing_address.country_iso2code IS NOT NULL) = COUNT(*) AS invoiced, COUNTIF(delivery.waybill IS NULL) > 0 AS without_waybill FROM delivery_events;

-- The table under the names of the system it replaces.
-- expect: [[true, true, true]]
SELECT COUNT(*) > 4000 AS many, COUNTIF(JSON_VALUE(event_json, '$.id') = event_id) = COUNT(*) AS same, COUNTIF(is_current_version) = COUNT(*) AS v6 FROM delivery_events_legacy;
