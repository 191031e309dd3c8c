-- Roots offline, and issuing certificates that somebody else signs.

-- A key that waits for its certificate.
CREATE TABLE ca_request (
    ca         TEXT   NOT NULL PRIMARY KEY,
    key_type   TEXT   NOT NULL,
    key_sealed TEXT   NOT NULL,         -- empty: in a token
    key_uri    TEXT,
    request    TEXT   NOT NULL,         -- base64 of a PKCS#10
    created_at BIGINT NOT NULL
);

-- The key was handed out: only then may it be forgotten here.
ALTER TABLE ca ADD COLUMN exported_at BIGINT;
