-- Old producers and new ones wrote side by side: each record once, whatever its schema.
-- expect: [["v1", 2000, 2000], ["v2", 600, 600]]
SELECT SUBSTR(event_id, 1, 2) AS producer, COUNT(*) AS n, COUNT(DISTINCT CONCAT(CAST(kafka_partition AS STRING), '/', CAST(kafka_offset AS STRING))) AS places FROM page_views GROUP BY producer ORDER BY producer;

-- The new columns hold what new producers sent, and null in the rows of old ones.
-- expect: [["v1", 2000, 0, 0], ["v2", 0, 300, 300]]
SELECT SUBSTR(event_id, 1, 2) AS producer, COUNTIF(view.country IS NULL) AS without_country, COUNTIF(view.country = 'PT') AS from_portugal, COUNTIF(view.device.width = 390) AS phones FROM page_views GROUP BY producer ORDER BY producer;

-- No record was lost between the first offset and the last.
-- expect: [[0]]
SELECT COUNTIF(missing > 0) AS partitions_with_gaps FROM (SELECT kafka_partition, MAX(kafka_offset) + 1 - COUNT(*) AS missing FROM page_views GROUP BY kafka_partition);
