-- Renewal that cannot fail silently: what the CA says of each certificate, what each issuer did to it, and what was
-- taken of each CA's limits.

-- ACME renewal information (RFC 9773) of a version, as its CA gave it last.
ALTER TABLE version ADD COLUMN ari_start       BIGINT;  -- the suggested window
ALTER TABLE version ADD COLUMN ari_end         BIGINT;
ALTER TABLE version ADD COLUMN ari_instant     BIGINT;  -- chosen once in that window
ALTER TABLE version ADD COLUMN ari_explanation TEXT;    -- a URL
ALTER TABLE version ADD COLUMN ari_ask_at      BIGINT NOT NULL DEFAULT 0;
ALTER TABLE version ADD COLUMN ari_asked_at    BIGINT;
ALTER TABLE version ADD COLUMN ari_error       TEXT;    -- why the last question got no answer
ALTER TABLE version ADD COLUMN ari_failures    BIGINT NOT NULL DEFAULT 0;

-- The CertID of the certificate that an order replaces (RFC 9773, section 5); empty: the CA refused it, ask without.
ALTER TABLE acme_order ADD COLUMN replaces TEXT;

-- How an issuer treats a certificate: a backoff of its own for each.
CREATE TABLE obstacle (
    certificate TEXT   NOT NULL,
    issuer      TEXT   NOT NULL,
    kind        TEXT   NOT NULL,        -- unavailable, held, refused, operator
    failures    BIGINT NOT NULL,        -- in a row
    retry_at    BIGINT NOT NULL,        -- this issuer is not asked before
    error       TEXT   NOT NULL,        -- in the CA's own words
    since       BIGINT NOT NULL,
    last_at     BIGINT NOT NULL,
    urgency     BIGINT NOT NULL,        -- when the certificate expires; 0: there is none yet
    PRIMARY KEY (certificate, issuer)
);
-- Who waits for a CA's limits, the most urgent first.
CREATE INDEX obstacle_held ON obstacle (issuer, kind, urgency, retry_at);

-- What was taken of a CA's limits, and when: one row for each order, each exact set of names, each registered domain,
-- and each failed authorization of a name.
CREATE TABLE spent (
    issuer   TEXT   NOT NULL,
    kind     TEXT   NOT NULL,           -- order, domain, names, failure, advice
    subject  TEXT   NOT NULL,           -- the registered domain, the names, the name; empty: the account
    order_id TEXT   NOT NULL,
    at       BIGINT NOT NULL,
    PRIMARY KEY (issuer, kind, subject, order_id)
);
CREATE INDEX spent_since ON spent (issuer, kind, subject, at);
CREATE INDEX spent_of ON spent (order_id);
CREATE INDEX spent_at ON spent (at);

-- How many attempts can be made before it expires, and whether they are fewer than the config wants.
ALTER TABLE certificate ADD COLUMN attempts_left BIGINT;
ALTER TABLE certificate ADD COLUMN too_few       BIGINT NOT NULL DEFAULT 0;
CREATE INDEX certificate_too_few ON certificate (too_few) WHERE too_few = 1;
