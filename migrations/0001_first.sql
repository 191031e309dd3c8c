-- Runs unchanged on SQLite and PostgreSQL: BIGINT and TEXT only. Times are milliseconds since 1970, truth values 0 and 1,
-- lists JSON. Columns ending in _sealed hold `v1:<key id>:<base64>`, bound to table, row and column.

CREATE TABLE meta (
    name  TEXT NOT NULL PRIMARY KEY,
    value TEXT NOT NULL
);

-- An ACME account. One name may have had accounts at several directories.
CREATE TABLE account (
    name            TEXT   NOT NULL,
    directory_url   TEXT   NOT NULL,
    key_sealed      TEXT   NOT NULL,
    next_key_sealed TEXT,               -- a key on its way to replace the other (RFC 8555, section 7.3.5)
    url             TEXT,               -- known once the CA has registered the key
    contact         TEXT   NOT NULL,
    created_at      BIGINT NOT NULL,
    registered_at   BIGINT,
    PRIMARY KEY (name, directory_url)
);

CREATE TABLE certificate (
    name          TEXT   NOT NULL PRIMARY KEY,
    definition    TEXT   NOT NULL,      -- fingerprint of what the config wants
    state         TEXT   NOT NULL,
    problem       TEXT,
    reason        TEXT,                 -- JSON: why the last action was taken
    decided_at    BIGINT,
    look_again_at BIGINT NOT NULL,
    inspected     BIGINT NOT NULL,      -- 1: the stores were searched for something to adopt
    failures      BIGINT NOT NULL,      -- failed orders in a row
    retry_at      BIGINT NOT NULL,      -- no new order before this
    last_error    TEXT,
    last_error_at BIGINT,
    version_id    TEXT,                 -- the current version
    not_after     BIGINT,               -- of the current version
    created_at    BIGINT NOT NULL,
    retired_at    BIGINT
);
CREATE INDEX certificate_due ON certificate (look_again_at);
CREATE INDEX certificate_state ON certificate (state);

-- A certificate that was issued or adopted, with its key.
CREATE TABLE version (
    id                TEXT   NOT NULL PRIMARY KEY,
    certificate       TEXT   NOT NULL,
    number            BIGINT NOT NULL,
    order_id          TEXT,
    issuer            TEXT   NOT NULL,
    directory_url     TEXT,
    order_url         TEXT,
    profile           TEXT,
    serial            TEXT   NOT NULL,
    names             TEXT   NOT NULL,
    key_type          TEXT   NOT NULL,
    key_sealed        TEXT   NOT NULL,
    chain             TEXT   NOT NULL,  -- PEM, leaf first
    not_before        BIGINT NOT NULL,
    not_after         BIGINT NOT NULL,
    jitter            BIGINT NOT NULL,  -- 0 to 999,999: chosen once, moves the renewal
    created_at        BIGINT NOT NULL,
    revoked_at        BIGINT,
    revocation_reason TEXT,
    not_replaced      BIGINT NOT NULL,  -- 1: revoked, and whoever asked wanted no replacement
    UNIQUE (certificate, number)
);
CREATE INDEX version_serial ON version (serial);

-- An order, from the decision to the chain. `acme_order`, because ORDER is a word of SQL.
CREATE TABLE acme_order (
    id            TEXT   NOT NULL PRIMARY KEY,
    certificate   TEXT   NOT NULL,
    issuer        TEXT   NOT NULL,
    reason        TEXT   NOT NULL,
    names         TEXT   NOT NULL,
    key_type      TEXT   NOT NULL,
    key_sealed    TEXT   NOT NULL,
    profile       TEXT,
    directory_url TEXT,
    url           TEXT,
    chain         TEXT,
    state         TEXT   NOT NULL,      -- open, done, failed
    next_step_at  BIGINT NOT NULL,
    presented_at  BIGINT,               -- when the TXT values were first presented
    created_at    BIGINT NOT NULL,
    finished_at   BIGINT,
    error         TEXT,
    waits_for     TEXT                  -- what the operator must do before it can go on
);
CREATE INDEX acme_order_of ON acme_order (certificate, state);
CREATE INDEX acme_order_state ON acme_order (state);

-- A TXT value that we owe a deletion, until withdrawn_at is set.
CREATE TABLE txt (
    id             TEXT   NOT NULL PRIMARY KEY,
    order_id       TEXT   NOT NULL,
    certificate    TEXT   NOT NULL,
    instance       TEXT   NOT NULL,
    zone           TEXT   NOT NULL,
    name           TEXT   NOT NULL,
    value          TEXT   NOT NULL,
    challenge_name TEXT   NOT NULL,     -- the name before CNAMEs were followed
    created_at     BIGINT NOT NULL,
    withdrawn_at   BIGINT,
    failures       BIGINT NOT NULL,
    retry_at       BIGINT NOT NULL,
    error          TEXT,
    UNIQUE (order_id, instance, zone, name, value)
);
CREATE INDEX txt_owed ON txt (certificate, withdrawn_at);

-- One version in one store. `node` is empty for a store that all nodes share.
CREATE TABLE delivery (
    version_id  TEXT   NOT NULL,
    store       TEXT   NOT NULL,
    node        TEXT   NOT NULL,
    certificate TEXT   NOT NULL,
    state       TEXT   NOT NULL,        -- due, stored
    failures    BIGINT NOT NULL,
    retry_at    BIGINT NOT NULL,
    stored_at   BIGINT,
    error       TEXT,
    PRIMARY KEY (version_id, store, node)
);
CREATE INDEX delivery_stored ON delivery (node, state, certificate);

-- Telling one consumer of one version (a command), and looking at what it serves (verify).
CREATE TABLE deployment (
    version_id  TEXT   NOT NULL,
    node        TEXT   NOT NULL,
    kind        TEXT   NOT NULL,        -- command, verify
    target      TEXT   NOT NULL,        -- JSON: the command, or the address
    certificate TEXT   NOT NULL,
    state       TEXT   NOT NULL,        -- due, done
    due_since   BIGINT NOT NULL,
    failures    BIGINT NOT NULL,
    retry_at    BIGINT NOT NULL,
    done_at     BIGINT,
    error       TEXT,
    PRIMARY KEY (version_id, node, kind, target)
);
CREATE INDEX deployment_due ON deployment (node, kind, state, target);

-- What somebody asked for: renew, revoke, deploy, rotate-key.
CREATE TABLE job (
    id           TEXT   NOT NULL PRIMARY KEY,
    kind         TEXT   NOT NULL,
    subject      TEXT   NOT NULL,       -- the certificate's or the account's name
    arguments    TEXT   NOT NULL,       -- JSON
    requested_by TEXT   NOT NULL,
    state        TEXT   NOT NULL,       -- queued, running, succeeded, failed
    submitted_at BIGINT NOT NULL,
    started_at   BIGINT,
    finished_at  BIGINT,
    result       TEXT,
    error        TEXT
);
CREATE INDEX job_open ON job (state, subject);

-- Credentials that a DNS host handed out for one name (acme-dns).
CREATE TABLE registration (
    instance      TEXT   NOT NULL,
    name          TEXT   NOT NULL,
    target        TEXT   NOT NULL,
    secret_sealed TEXT   NOT NULL,
    created_at    BIGINT NOT NULL,
    PRIMARY KEY (instance, name)
);
