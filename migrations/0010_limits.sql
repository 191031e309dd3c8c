-- Which of a CA's limits a certificate waits for together with others: `order`, or `domain` and the registered domain;
-- empty: none, or one of its own alone.
ALTER TABLE obstacle ADD COLUMN waits_for TEXT NOT NULL DEFAULT '';

-- Who waits for a CA's limits, the most urgent first; nothing else is read to count them.
DROP INDEX obstacle_held;
CREATE INDEX obstacle_held ON obstacle (issuer, kind, waits_for, urgency, retry_at, certificate);
