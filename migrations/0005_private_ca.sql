-- Revocation, CRLs and OCSP of the private CAs.

ALTER TABLE ca_certificate ADD COLUMN profile           TEXT   NOT NULL DEFAULT 'server';
ALTER TABLE ca_certificate ADD COLUMN subject           TEXT   NOT NULL DEFAULT '';  -- the common name, for lists
ALTER TABLE ca_certificate ADD COLUMN shard             BIGINT NOT NULL DEFAULT 0;   -- fixed when it is written: its CRL
ALTER TABLE ca_certificate ADD COLUMN revoked_at        BIGINT;
ALTER TABLE ca_certificate ADD COLUMN revocation_reason BIGINT;                      -- RFC 5280's code; 6: on hold
ALTER TABLE ca_certificate ADD COLUMN released_at       BIGINT;                      -- a hold ended: deltas say removeFromCRL
-- Holds all that a CRL's entries are made of: a list is written from the index alone.
CREATE INDEX ca_certificate_revoked ON ca_certificate (ca, generation, shard, serial, revoked_at, revocation_reason,
    not_after, released_at) WHERE revoked_at IS NOT NULL;
CREATE INDEX ca_certificate_released ON ca_certificate (ca, generation, shard) WHERE released_at IS NOT NULL;
CREATE INDEX ca_certificate_ends ON ca_certificate (ca, generation, not_after);

-- A key in a PKCS#11 token has a URI (RFC 7512) in place of its sealed octets; both are empty for a key that is not here.
ALTER TABLE ca ADD COLUMN key_uri    TEXT;
-- JSON of base64: the certificates above an issuing one, the root last. Null: the root of generation 0 alone.
ALTER TABLE ca ADD COLUMN above      TEXT;
-- So many leaves of the generation share a CRL; fixed with the generation.
ALTER TABLE ca ADD COLUMN shard_size BIGINT NOT NULL DEFAULT 10000;
-- So many places in the generation's CRLs were given out; it only rises.
ALTER TABLE ca ADD COLUMN leaves     BIGINT NOT NULL DEFAULT 0;


-- Lists of one CA's generation that were published. A number is written before the list that bears it.
CREATE TABLE crl (
    ca           TEXT   NOT NULL,
    generation   BIGINT NOT NULL,
    shard        BIGINT NOT NULL,       -- -1: all shards in one list, which no leaf names
    delta        BIGINT NOT NULL,       -- 1: a delta CRL
    number       BIGINT NOT NULL,       -- the highest that was ever given out for it
    base_number  BIGINT,                -- of a delta
    base_update  BIGINT,                -- of a delta: its base's this_update
    this_update  BIGINT NOT NULL,
    next_update  BIGINT NOT NULL,
    published_at BIGINT,                -- of the list with that number; NULL: it is being made, or is to be made anew
    PRIMARY KEY (ca, generation, shard, delta)
);

-- Certificates that sign OCSP answers for a generation; their serials stand in ca_certificate like all others.
CREATE TABLE ocsp_responder (
    ca          TEXT   NOT NULL,
    generation  BIGINT NOT NULL,
    serial      TEXT   NOT NULL,
    key_sealed  TEXT   NOT NULL,
    certificate TEXT,                   -- base64, once signed
    not_before  BIGINT NOT NULL,
    not_after   BIGINT NOT NULL,
    created_at  BIGINT NOT NULL,
    PRIMARY KEY (ca, serial)
);
