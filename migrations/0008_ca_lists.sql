-- Generations above and outside, and what CRLs of many entries need.

-- JSON of base64: the certificates above an issuing one, the root last. Null: the root of generation 0 alone.
ALTER TABLE ca ADD COLUMN above      TEXT;
-- So many leaves of the generation share a CRL; fixed with the generation.
ALTER TABLE ca ADD COLUMN shard_size BIGINT NOT NULL DEFAULT 10000;
-- So many places in the generation's CRLs were given out; it only rises.
ALTER TABLE ca ADD COLUMN leaves     BIGINT NOT NULL DEFAULT 0;

-- Holds all that a CRL's entries are made of: a list is written from the index alone.
DROP INDEX ca_certificate_revoked;
CREATE INDEX ca_certificate_revoked ON ca_certificate (ca, generation, shard, serial, revoked_at, revocation_reason,
    not_after, released_at) WHERE revoked_at IS NOT NULL;

-- Of a delta CRL: its base's this_update.
ALTER TABLE crl ADD COLUMN base_update BIGINT;
