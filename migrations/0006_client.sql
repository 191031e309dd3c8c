-- Client certificates of the private CAs: who they are for, and each certificate that was issued to them.

-- An identity. It stays when its certificate is renewed; the columns of its current certificate stand here, too, so that
-- every list is read off an index.
CREATE TABLE client (
    id                  TEXT   NOT NULL PRIMARY KEY,  -- UUIDv7: in the order in which they were made
    tenant              TEXT   NOT NULL,              -- empty: nobody's in particular
    identifier          TEXT   NOT NULL,              -- for people
    ca                  TEXT   NOT NULL,
    profile             TEXT   NOT NULL,
    common_name         TEXT   NOT NULL,
    email               TEXT   NOT NULL,              -- empty, like the four below: none
    organization        TEXT   NOT NULL,
    organizational_unit TEXT   NOT NULL,
    country             TEXT   NOT NULL,
    label               TEXT   NOT NULL,              -- what it is used for: api-mtls, vpn, …
    notes               TEXT   NOT NULL,
    names               TEXT   NOT NULL,              -- JSON: further subject alternative names
    sought              TEXT   NOT NULL,              -- what a search looks at, in lower case
    key_type            TEXT   NOT NULL,
    lifetime            BIGINT,                       -- of each certificate; NULL: as the profile says
    auto_renew          BIGINT NOT NULL,
    standing            TEXT   NOT NULL,              -- pending, active, on-hold, revoked: of the current certificate
    certificate_id      TEXT,                         -- the current certificate
    number              BIGINT NOT NULL,
    serial              TEXT,
    not_before          BIGINT,
    not_after           BIGINT,
    renew_at            BIGINT,                       -- a third of its life is left
    renew_next          BIGINT,                       -- the next attempt to renew it by itself; NULL: none
    renew_failures      BIGINT NOT NULL,              -- in a row
    renew_error         TEXT,
    created_at          BIGINT NOT NULL,
    created_by          TEXT   NOT NULL,
    UNIQUE (tenant, identifier)
);
CREATE INDEX client_of_tenant ON client (tenant, id);
CREATE INDEX client_of_ca ON client (ca, id);
CREATE INDEX client_label ON client (label, id);
CREATE INDEX client_standing ON client (standing, id);
CREATE INDEX client_ends ON client (standing, not_after, id, renew_at);
CREATE INDEX client_serial ON client (ca, serial);
CREATE INDEX client_named ON client (common_name, id);
CREATE INDEX client_identifier ON client (identifier);
CREATE INDEX client_renewal ON client (renew_next) WHERE renew_next IS NOT NULL;
CREATE INDEX client_troubled ON client (not_after, id) WHERE renew_failures > 0;

-- One certificate of an identity; the certificate itself stands in ca_certificate, under this id as its order.
CREATE TABLE client_certificate (
    id            TEXT   NOT NULL PRIMARY KEY,        -- UUIDv7
    client        TEXT   NOT NULL,
    number        BIGINT NOT NULL,                    -- 1, 2, …
    ca            TEXT   NOT NULL,
    serial        TEXT,                               -- lower-case hex, once issued
    key_sealed    TEXT,                               -- NULL: it was made from a request
    csr           TEXT,                               -- PEM: the request
    not_before    BIGINT,
    not_after     BIGINT,
    superseded_by TEXT,                               -- the id of the next
    owed          TEXT,                               -- issue: it is not signed yet; revoke: the ones before it go
    requested_by  TEXT   NOT NULL,
    created_at    BIGINT NOT NULL,
    UNIQUE (client, number)
);
CREATE INDEX client_certificate_serial ON client_certificate (serial);
CREATE INDEX client_certificate_owed ON client_certificate (owed, id) WHERE owed IS NOT NULL;
