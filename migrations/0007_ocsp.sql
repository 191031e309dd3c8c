-- What the index of certificates in memory is read from, in the order in which they were written: no look at the rows,
-- which are a hundred times as large.
CREATE INDEX ca_certificate_index ON ca_certificate (ca, created_at, serial, generation, revoked_at, revocation_reason);

-- What other nodes changed a moment ago.
CREATE INDEX ca_certificate_revoked_at  ON ca_certificate (ca, revoked_at)  WHERE revoked_at IS NOT NULL;
CREATE INDEX ca_certificate_released_at ON ca_certificate (ca, released_at) WHERE released_at IS NOT NULL;

CREATE INDEX ocsp_responder_newest ON ocsp_responder (ca, generation, not_after);
