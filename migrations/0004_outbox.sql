-- Telling people what happened: events, who is to hear of each, and what is told of already.

-- Where people are told, as the config in force names it: written by the daemon, so that an event can be queued in any
-- transaction. How each receiver stands is kept beside it.
CREATE TABLE sink (
    name          TEXT   NOT NULL PRIMARY KEY,
    kinds         TEXT   NOT NULL,      -- JSON: the kinds of events that it hears of
    patterns      TEXT   NOT NULL,      -- JSON: the certificates that it hears of; empty: all, and what concerns none
    failures      BIGINT NOT NULL,      -- in a row, of the receiver itself
    retry_at      BIGINT NOT NULL,      -- nothing is sent before
    failing_since BIGINT,               -- nothing has arrived since
    error         TEXT,
    sent_at       BIGINT,
    sent          BIGINT NOT NULL,      -- ever
    failed        BIGINT NOT NULL,
    given_up      BIGINT NOT NULL
);

CREATE TABLE event (
    id          TEXT   NOT NULL PRIMARY KEY,
    kind        TEXT   NOT NULL,
    severity    TEXT   NOT NULL,
    certificate TEXT,
    issuer      TEXT,
    at          BIGINT NOT NULL,
    body        TEXT   NOT NULL         -- JSON
);
CREATE INDEX event_at ON event (at);

-- One event for one sink.
CREATE TABLE notification (
    event_id TEXT   NOT NULL,
    sink     TEXT   NOT NULL,
    state    TEXT   NOT NULL,           -- due, sent, given_up
    failures BIGINT NOT NULL,
    retry_at BIGINT NOT NULL,
    sent_at  BIGINT,
    error    TEXT,
    PRIMARY KEY (event_id, sink)
);
CREATE INDEX notification_due ON notification (state, sink, event_id);

-- What goes on failing, and when it is told again.
CREATE TABLE alert (
    kind         TEXT   NOT NULL,
    subject      TEXT   NOT NULL,
    certificate  TEXT,
    since        BIGINT NOT NULL,
    last_at      BIGINT NOT NULL,
    times        BIGINT NOT NULL,
    told         BIGINT NOT NULL,
    told_at      BIGINT NOT NULL,
    next_tell_at BIGINT NOT NULL,
    PRIMARY KEY (kind, subject)
);
CREATE INDEX alert_of ON alert (certificate);

-- When a certificate should have been renewed long ago; empty: nobody need be told of its end.
ALTER TABLE certificate ADD COLUMN alarm_at BIGINT;
CREATE INDEX certificate_alarm ON certificate (alarm_at);
UPDATE certificate SET alarm_at = (
    SELECT v.not_after - (v.not_after - v.not_before) / 10 FROM version v WHERE v.id = certificate.version_id
) WHERE retired_at IS NULL;
