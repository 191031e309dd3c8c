-- Private CAs. What is signed is kept here before it is signed: nothing leaves a CA that is not on record.

-- A root (generation 0) and the issuing certificates below it (1, 2, …).
CREATE TABLE ca (
    name           TEXT   NOT NULL,
    generation     BIGINT NOT NULL,
    serial         TEXT   NOT NULL,     -- lower-case hex
    key_type       TEXT   NOT NULL,
    key_sealed     TEXT   NOT NULL,
    not_before     BIGINT NOT NULL,
    not_after      BIGINT NOT NULL,
    to_be_signed   TEXT   NOT NULL,     -- base64 of a TBSCertificate (RFC 5280, section 4.1)
    certificate    TEXT,                -- base64 of the certificate, once signed
    created_at     BIGINT NOT NULL,
    PRIMARY KEY (name, generation),
    UNIQUE (name, serial)
);

-- A leaf of a private CA. The key of the table is what keeps serials from repeating.
CREATE TABLE ca_certificate (
    ca             TEXT   NOT NULL,
    serial         TEXT   NOT NULL,     -- lower-case hex
    generation     BIGINT NOT NULL,     -- the issuing certificate
    order_id       TEXT   NOT NULL,
    names          TEXT   NOT NULL,     -- JSON
    not_before     BIGINT NOT NULL,
    not_after      BIGINT NOT NULL,
    to_be_signed   TEXT,                -- base64, until signed
    certificate    TEXT,                -- base64, once signed
    created_at     BIGINT NOT NULL,
    PRIMARY KEY (ca, serial),
    UNIQUE (ca, order_id)
);
