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

-- version 2: transports, addresses, services, nonces; also what PostgreSQL gets
CREATE TABLE IF NOT EXISTS transports (  -- the reference's, but for the lease
  id           BIGSERIAL PRIMARY KEY,
  created_at   TIMESTAMPTZ DEFAULT CURRENT_TIMESTAMP,
  transport_id TEXT UNIQUE,
  edge_a       TEXT,
  edge_b       TEXT,
  type         TEXT,
  label        TEXT,
  expires_at   DOUBLE PRECISION NOT NULL DEFAULT 1e18  -- Unix time in seconds
);
CREATE INDEX IF NOT EXISTS transports_edge_a ON transports (edge_a);
CREATE INDEX IF NOT EXISTS transports_edge_b ON transports (edge_b);
CREATE INDEX IF NOT EXISTS transports_expiry ON transports (expires_at);
CREATE TABLE IF NOT EXISTS services (  -- the reference's, but for the lease
  id              BIGSERIAL PRIMARY KEY,
  created_at      TIMESTAMPTZ DEFAULT CURRENT_TIMESTAMP,
  addr            TEXT,
  type            TEXT,
  lat             NUMERIC,
  lon             NUMERIC,
  country         TEXT,
  region          TEXT,
  display_node_ip BOOLEAN,
  version         TEXT,
  local_ips       TEXT[],
  expires_at      DOUBLE PRECISION NOT NULL DEFAULT 1e18
);
CREATE UNIQUE INDEX IF NOT EXISTS services_key_type ON services (substr(addr, 1, 66), type);
CREATE INDEX IF NOT EXISTS services_type ON services (type);
CREATE TABLE IF NOT EXISTS address_bindings (
  network    TEXT NOT NULL,  -- stcpr or sudph
  key        TEXT NOT NULL,  -- public key, hexadecimal
  document   TEXT NOT NULL,  -- JSON, as it is answered
  expires_at DOUBLE PRECISION NOT NULL,
  PRIMARY KEY (network, key)
);
CREATE TABLE IF NOT EXISTS nonces (
  service TEXT NOT NULL,
  key     TEXT NOT NULL,
  next    BIGINT NOT NULL,
  PRIMARY KEY (service, key)
);

-- version 3: uptime by day, for the uptime tracker and for the transport discovery
CREATE TABLE IF NOT EXISTS daily_uptime_histories (  -- the reference's, but for the day
  id           BIGSERIAL PRIMARY KEY,
  created_at   TIMESTAMPTZ,
  updated_at   TIMESTAMPTZ,
  pub_key      TEXT,
  daily_online BIGINT,  -- seconds
  version      TEXT,
  ips          TEXT,    -- with commas between them
  last_ip      TEXT,
  day          TEXT     -- YYYY-MM-DD in UTC; NULL in the reference's rows
);
CREATE UNIQUE INDEX IF NOT EXISTS daily_uptime_key_day ON daily_uptime_histories (pub_key, day);
CREATE TABLE IF NOT EXISTS transport_uptime_histories (
  id           BIGSERIAL PRIMARY KEY,
  created_at   TIMESTAMPTZ,
  updated_at   TIMESTAMPTZ,
  pub_key      TEXT,
  daily_online BIGINT,
  version      TEXT,
  ips          TEXT,
  last_ip      TEXT,
  day          TEXT
);
CREATE UNIQUE INDEX IF NOT EXISTS transport_uptime_key_day ON transport_uptime_histories (pub_key, day);
