-- version 1: entries of the dmsg discovery
CREATE TABLE dmsg_entries (
  key        TEXT PRIMARY KEY,          -- public key, hexadecimal
  document   BLOB NOT NULL,             -- canonical JSON with signature, as it is answered
  is_client  INTEGER NOT NULL,
  is_visor   INTEGER NOT NULL,
  available  INTEGER,                   -- sessions a server has room for; NULL for pure clients
  expires_at DOUBLE PRECISION NOT NULL  -- Unix time in seconds; infinity for never
) WITHOUT ROWID;
CREATE INDEX dmsg_entries_servers ON dmsg_entries (available) WHERE available IS NOT NULL;
CREATE INDEX dmsg_entries_expiry ON dmsg_entries (expires_at);
