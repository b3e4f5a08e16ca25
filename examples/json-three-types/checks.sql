-- Placed orders, with their items: times are UTC, what was missing is null.
-- expect: [["A-1", "2026-05-04 10:00:00+00", "PT", 2], ["A-2", "2026-05-04 08:00:03.5+00", null, 1], ["A-3", "2026-05-04 10:00:09+00", null, 0]]
SELECT event_id, CAST(event_time AS STRING) AS placed, details.customer.country AS country, ARRAY_LENGTH(details.items) AS items FROM orders_placed ORDER BY event_id;

-- Payments: a NUMERIC column, exact.
-- expect: [["A-1", "19", "card"], ["A-2", "12.3", null]]
SELECT event_id, CAST(payment.amount AS STRING) AS amount, payment.method AS method FROM orders_paid ORDER BY event_id;

-- Shipments: what the schema does not know is in _extra.
-- expect: [["A-1", 1, "CTT"], ["A-3", 2, null]]
SELECT event_id, shipment.parcels AS parcels, JSON_VALUE(shipment._extra, '$.carrier') AS carrier FROM orders_shipped ORDER BY event_id;

-- Each record once.
-- expect: [[3, 3]]
SELECT COUNT(*) AS n, COUNT(DISTINCT CONCAT(CAST(kafka_partition AS STRING), '/', CAST(kafka_offset AS STRING))) AS places FROM orders_placed;
