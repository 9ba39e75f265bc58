-- The fleet. One text for both databases; {id}, {text}, {blob} and {rowless} are
-- replaced by the dialect's words (see dialect.go). Times are unix milliseconds,
-- 0 for never; booleans are 0 or 1; JSON is text that no query looks into.

-- Access ---------------------------------------------------------------------

CREATE TABLE setting (
  name {text} PRIMARY KEY,
  value {text} NOT NULL
){rowless};

CREATE TABLE account (
  id {id},
  name {text} NOT NULL UNIQUE,
  role {text} NOT NULL,
  labels {text} NOT NULL DEFAULT '[]',
  password {text} NOT NULL,
  disabled SMALLINT NOT NULL DEFAULT 0,
  created BIGINT NOT NULL,
  last_login BIGINT NOT NULL DEFAULT 0
);

CREATE TABLE session (
  token {text} PRIMARY KEY,
  data {blob} NOT NULL,
  account_id BIGINT NOT NULL DEFAULT 0,
  expires BIGINT NOT NULL
){rowless};
CREATE INDEX session_expires ON session (expires);
CREATE INDEX session_account ON session (account_id);

CREATE TABLE api_token (
  id {id},
  name {text} NOT NULL,
  prefix {text} NOT NULL,
  hash {text} NOT NULL UNIQUE,
  account_id BIGINT NOT NULL REFERENCES account (id),
  role {text} NOT NULL,
  labels {text} NOT NULL DEFAULT '[]',
  created BIGINT NOT NULL,
  expires BIGINT NOT NULL DEFAULT 0,
  last_used BIGINT NOT NULL DEFAULT 0,
  revoked BIGINT NOT NULL DEFAULT 0
);

CREATE TABLE enrolment_token (
  id {id},
  hash {text} NOT NULL UNIQUE,
  uses BIGINT NOT NULL,
  total BIGINT NOT NULL,
  labels {text} NOT NULL DEFAULT '{}',
  created BIGINT NOT NULL,
  created_by {text} NOT NULL,
  expires BIGINT NOT NULL,
  revoked BIGINT NOT NULL DEFAULT 0
);

CREATE TABLE audit (
  id {id},
  at BIGINT NOT NULL,
  account {text} NOT NULL,
  via {text} NOT NULL,
  action {text} NOT NULL,
  object {text} NOT NULL DEFAULT '',
  detail {text} NOT NULL DEFAULT '',
  address {text} NOT NULL DEFAULT '',
  ok SMALLINT NOT NULL
);

-- Hosts, images and where they are ------------------------------------------------

CREATE TABLE host (
  id {id},
  name {text} NOT NULL,
  machine {text} NOT NULL DEFAULT '',
  boot {text} NOT NULL DEFAULT '',
  certificate {text} NOT NULL DEFAULT '',
  certificate_before {text} NOT NULL DEFAULT '',
  analyzers {text} NOT NULL DEFAULT '',
  agent_version {text} NOT NULL DEFAULT '',
  os {text} NOT NULL DEFAULT '',
  kernel {text} NOT NULL DEFAULT '',
  arch {text} NOT NULL DEFAULT '',
  addresses {text} NOT NULL DEFAULT '[]',
  stores {text} NOT NULL DEFAULT '[]',
  problems {text} NOT NULL DEFAULT '[]',
  problem_count BIGINT NOT NULL DEFAULT 0,
  enrolled BIGINT NOT NULL,
  last_seen BIGINT NOT NULL DEFAULT 0,
  last_sync BIGINT NOT NULL DEFAULT 0,
  sync_seq BIGINT NOT NULL DEFAULT 0,
  clock_skew BIGINT NOT NULL DEFAULT 0,
  cloned SMALLINT NOT NULL DEFAULT 0,
  spool_dropped BIGINT NOT NULL DEFAULT 0,
  revoked BIGINT NOT NULL DEFAULT 0,
  images BIGINT NOT NULL DEFAULT 0,
  containers BIGINT NOT NULL DEFAULT 0,
  running BIGINT NOT NULL DEFAULT 0
);
CREATE INDEX host_certificate ON host (certificate);
CREATE INDEX host_certificate_before ON host (certificate_before);
CREATE INDEX host_name ON host (name, id);
CREATE INDEX host_last_seen ON host (last_seen, id);
CREATE INDEX host_images ON host (images, id);

-- "key=value" of a host; every host also has "id=<its id>".
CREATE TABLE host_label (
  host_id BIGINT NOT NULL REFERENCES host (id),
  label {text} NOT NULL,
  PRIMARY KEY (host_id, label)
){rowless};
CREATE INDEX host_label_label ON host_label (label, host_id);

-- Layers of images that were analysed carry a system: who judges the packages.
CREATE TABLE system (
  id {id},
  key {text} NOT NULL UNIQUE,
  name {text} NOT NULL,
  os {text} NOT NULL
);

CREATE TABLE image (
  id {id},
  digest {text} NOT NULL UNIQUE,
  name {text} NOT NULL DEFAULT '',
  platform {text} NOT NULL DEFAULT '',
  manifests {text} NOT NULL DEFAULT '[]',
  created BIGINT NOT NULL DEFAULT 0,
  size BIGINT NOT NULL DEFAULT 0,
  config {text} NOT NULL DEFAULT '{}',
  history {text} NOT NULL DEFAULT '[]',
  layers BIGINT NOT NULL DEFAULT 0,
  first_seen BIGINT NOT NULL,
  last_seen BIGINT NOT NULL,
  gone BIGINT NOT NULL DEFAULT 0,
  hosts BIGINT NOT NULL DEFAULT 0,
  containers BIGINT NOT NULL DEFAULT 0,
  running BIGINT NOT NULL DEFAULT 0,
  repositories BIGINT NOT NULL DEFAULT 0,
  state {text} NOT NULL DEFAULT 'never',
  code {text} NOT NULL DEFAULT '',
  detail {text} NOT NULL DEFAULT '',
  scanned BIGINT NOT NULL DEFAULT 0,
  analyzers {text} NOT NULL DEFAULT '',
  scan_host BIGINT NOT NULL DEFAULT 0,
  private SMALLINT NOT NULL DEFAULT 0,
  inventory BIGINT NOT NULL DEFAULT 0,
  system_id BIGINT NOT NULL DEFAULT 0,
  system {text} NOT NULL DEFAULT '',
  system_ended SMALLINT NOT NULL DEFAULT 0,
  packages BIGINT NOT NULL DEFAULT 0,
  uncovered BIGINT NOT NULL DEFAULT 0,
  problems BIGINT NOT NULL DEFAULT 0,
  unidentified BIGINT NOT NULL DEFAULT 0,
  s_critical BIGINT NOT NULL DEFAULT 0,
  s_high BIGINT NOT NULL DEFAULT 0,
  s_medium BIGINT NOT NULL DEFAULT 0,
  s_low BIGINT NOT NULL DEFAULT 0,
  s_unknown BIGINT NOT NULL DEFAULT 0,
  s_none BIGINT NOT NULL DEFAULT 0,
  a_critical BIGINT NOT NULL DEFAULT 0,
  a_high BIGINT NOT NULL DEFAULT 0,
  a_medium BIGINT NOT NULL DEFAULT 0,
  a_low BIGINT NOT NULL DEFAULT 0,
  a_unknown BIGINT NOT NULL DEFAULT 0,
  a_none BIGINT NOT NULL DEFAULT 0,
  fixable BIGINT NOT NULL DEFAULT 0,
  kev BIGINT NOT NULL DEFAULT 0,
  malicious BIGINT NOT NULL DEFAULT 0,
  handled BIGINT NOT NULL DEFAULT 0,
  risk {text} NOT NULL DEFAULT 'unscanned',
  risk_order BIGINT NOT NULL DEFAULT 0
);
CREATE INDEX image_risk ON image (risk_order, id);
CREATE INDEX image_name ON image (name, id);
CREATE INDEX image_size ON image (size, id);
CREATE INDEX image_created ON image (created, id);
CREATE INDEX image_first_seen ON image (first_seen, id);
CREATE INDEX image_last_seen ON image (last_seen, id);
CREATE INDEX image_scanned ON image (scanned, id);
CREATE INDEX image_packages ON image (packages, id);
CREATE INDEX image_fixable ON image (fixable, id);
CREATE INDEX image_kev ON image (kev, id);
CREATE INDEX image_hosts ON image (hosts, id);
CREATE INDEX image_containers ON image (containers, id);
CREATE INDEX image_state ON image (state, id);

CREATE TABLE layer (
  id {id},
  diff_id {text} NOT NULL UNIQUE,
  size BIGINT NOT NULL DEFAULT 0
);

CREATE TABLE image_layer (
  image_id BIGINT NOT NULL REFERENCES image (id),
  number BIGINT NOT NULL,
  layer_id BIGINT NOT NULL REFERENCES layer (id),
  created_by {text} NOT NULL DEFAULT '',
  base SMALLINT NOT NULL DEFAULT 0,
  PRIMARY KEY (image_id, number)
){rowless};
CREATE INDEX image_layer_layer ON image_layer (layer_id, image_id);

CREATE TABLE repository (
  id {id},
  name {text} NOT NULL UNIQUE
);

-- One name of an image in one store of a host; '' is an image without a name.
CREATE TABLE presence (
  id {id},
  host_id BIGINT NOT NULL REFERENCES host (id),
  image_id BIGINT NOT NULL REFERENCES image (id),
  engine {text} NOT NULL,
  store {text} NOT NULL,
  name {text} NOT NULL,
  name_lower {text} NOT NULL,
  repository_id BIGINT NOT NULL REFERENCES repository (id),
  first_seen BIGINT NOT NULL,
  last_seen BIGINT NOT NULL,
  gone BIGINT NOT NULL DEFAULT 0,
  code {text} NOT NULL DEFAULT '',
  detail {text} NOT NULL DEFAULT '',
  private SMALLINT NOT NULL DEFAULT 0,
  UNIQUE (host_id, image_id, engine, store, name)
);
CREATE INDEX presence_image ON presence (image_id, gone, host_id);
CREATE INDEX presence_repository ON presence (repository_id, gone, image_id);
CREATE INDEX presence_gone ON presence (gone);
CREATE INDEX presence_name_lower ON presence (name_lower, image_id);

-- Every name that presences give an image, once: searches look through these.
CREATE TABLE image_reference (
  id {id},
  image_id BIGINT NOT NULL,
  name_lower {text} NOT NULL,
  UNIQUE (name_lower, image_id)
);

-- Which image a host holds now, and in which state it reported it.
CREATE TABLE host_image (
  host_id BIGINT NOT NULL REFERENCES host (id),
  image_id BIGINT NOT NULL REFERENCES image (id),
  hash {text} NOT NULL,
  containers BIGINT NOT NULL DEFAULT 0,
  running BIGINT NOT NULL DEFAULT 0,
  readable SMALLINT NOT NULL DEFAULT 1,
  private SMALLINT NOT NULL DEFAULT 0,
  PRIMARY KEY (host_id, image_id)
){rowless};
CREATE INDEX host_image_image ON host_image (image_id, host_id);

CREATE TABLE container (
  id {id},
  host_id BIGINT NOT NULL REFERENCES host (id),
  image_id BIGINT NOT NULL REFERENCES image (id),
  container_id {text} NOT NULL,
  name {text} NOT NULL,
  state {text} NOT NULL,
  running SMALLINT NOT NULL,
  pod {text} NOT NULL DEFAULT '',
  first_seen BIGINT NOT NULL,
  last_seen BIGINT NOT NULL,
  gone BIGINT NOT NULL DEFAULT 0,
  UNIQUE (host_id, container_id)
);
CREATE INDEX container_image ON container (image_id, gone, host_id);

-- What images contain -----------------------------------------------------------

-- A distinct package. Its matches depend on nothing but this row and the advisories.
CREATE TABLE software (
  id {id},
  key {text} NOT NULL UNIQUE,
  type {text} NOT NULL,
  name {text} NOT NULL,
  name_lower {text} NOT NULL,
  version {text} NOT NULL,
  arch {text} NOT NULL DEFAULT '',
  source_name {text} NOT NULL DEFAULT '',
  source_version {text} NOT NULL DEFAULT '',
  module {text} NOT NULL DEFAULT '',
  origin {text} NOT NULL DEFAULT '',
  system_id BIGINT NOT NULL DEFAULT 0,
  owned SMALLINT NOT NULL DEFAULT 0,
  purl {text} NOT NULL DEFAULT '',
  licenses {text} NOT NULL DEFAULT '[]',
  supplier {text} NOT NULL DEFAULT '',
  first_seen BIGINT NOT NULL,
  generation BIGINT NOT NULL DEFAULT 0,
  covered SMALLINT NOT NULL DEFAULT 0,
  ended SMALLINT NOT NULL DEFAULT 0,
  verdict_group {text} NOT NULL DEFAULT '',
  ecosystem {text} NOT NULL DEFAULT '',
  problem {text} NOT NULL DEFAULT '',
  images BIGINT NOT NULL DEFAULT 0,
  m_critical BIGINT NOT NULL DEFAULT 0,
  m_high BIGINT NOT NULL DEFAULT 0,
  m_medium BIGINT NOT NULL DEFAULT 0,
  m_low BIGINT NOT NULL DEFAULT 0,
  m_unknown BIGINT NOT NULL DEFAULT 0,
  m_none BIGINT NOT NULL DEFAULT 0,
  risk_order BIGINT NOT NULL DEFAULT 0
);
CREATE INDEX software_name ON software (name_lower, id);
CREATE INDEX software_images ON software (images, id);
CREATE INDEX software_risk ON software (risk_order, id);
CREATE INDEX software_first_seen ON software (first_seen, id);
CREATE INDEX software_generation ON software (generation, system_id, type, name);
CREATE INDEX software_purl ON software (purl);

-- A package at its place in an image.
CREATE TABLE instance (
  id {id},
  image_id BIGINT NOT NULL REFERENCES image (id),
  software_id BIGINT NOT NULL REFERENCES software (id),
  path {text} NOT NULL,
  path_class {text} NOT NULL,
  root {text} NOT NULL DEFAULT '',
  owner {text} NOT NULL DEFAULT '',
  layer BIGINT NOT NULL DEFAULT -1,
  base SMALLINT NOT NULL DEFAULT 0,
  evidence {text} NOT NULL DEFAULT '',
  dev SMALLINT NOT NULL DEFAULT 0,
  bundled {text} NOT NULL DEFAULT '',
  extra {text} NOT NULL DEFAULT ''
);
CREATE INDEX instance_image ON instance (image_id, software_id);
CREATE INDEX instance_software ON instance (software_id, image_id);

CREATE TABLE image_system (
  image_id BIGINT NOT NULL REFERENCES image (id),
  root {text} NOT NULL,
  system_id BIGINT NOT NULL REFERENCES system (id),
  path {text} NOT NULL DEFAULT '',
  PRIMARY KEY (image_id, root)
){rowless};

CREATE TABLE image_problem (
  image_id BIGINT NOT NULL REFERENCES image (id),
  number BIGINT NOT NULL,
  code {text} NOT NULL,
  path {text} NOT NULL DEFAULT '',
  layer {text} NOT NULL DEFAULT '',
  analyzer {text} NOT NULL DEFAULT '',
  detail {text} NOT NULL DEFAULT '',
  count BIGINT NOT NULL DEFAULT 0,
  PRIMARY KEY (image_id, number)
){rowless};

CREATE TABLE scan (
  id {id},
  image_id BIGINT NOT NULL REFERENCES image (id),
  host_id BIGINT NOT NULL DEFAULT 0,
  report {text} NOT NULL UNIQUE,
  state {text} NOT NULL,
  code {text} NOT NULL DEFAULT '',
  detail {text} NOT NULL DEFAULT '',
  started BIGINT NOT NULL,
  ended BIGINT NOT NULL,
  stored BIGINT NOT NULL,
  packages BIGINT NOT NULL DEFAULT 0,
  analyzed BIGINT NOT NULL DEFAULT 0,
  reused BIGINT NOT NULL DEFAULT 0
);
CREATE INDEX scan_image ON scan (image_id, id);
CREATE INDEX scan_stored ON scan (stored);

-- Facts of layers, as agents keep them in their caches.
CREATE TABLE layer_facts (
  key {text} PRIMARY KEY,
  diff_id {text} NOT NULL,
  analyzers {text} NOT NULL,
  host_id BIGINT NOT NULL,
  size BIGINT NOT NULL,
  stored BIGINT NOT NULL,
  data {blob} NOT NULL
);
CREATE INDEX layer_facts_layer ON layer_facts (diff_id, analyzers);
CREATE INDEX layer_facts_host ON layer_facts (host_id);

-- What advisories say ------------------------------------------------------------

CREATE TABLE generation (
  id {id},
  digest {text} NOT NULL,
  built BIGINT NOT NULL,
  sample SMALLINT NOT NULL DEFAULT 0,
  advisories BIGINT NOT NULL,
  sources {text} NOT NULL DEFAULT '[]',
  activated BIGINT NOT NULL,
  evaluated BIGINT NOT NULL DEFAULT 0,
  software BIGINT NOT NULL DEFAULT 0,
  new_matches BIGINT NOT NULL DEFAULT 0,
  gone_matches BIGINT NOT NULL DEFAULT 0,
  new_findings BIGINT NOT NULL DEFAULT 0,
  gone_findings BIGINT NOT NULL DEFAULT 0
);

-- The file of a generation, for the other consoles on this database.
CREATE TABLE generation_part (
  digest {text} NOT NULL,
  number BIGINT NOT NULL,
  data {blob} NOT NULL,
  PRIMARY KEY (digest, number)
);

CREATE TABLE vulnerability (
  id {id},
  name {text} NOT NULL UNIQUE,
  aliases {text} NOT NULL DEFAULT '[]',
  severity SMALLINT NOT NULL DEFAULT 0,
  score DOUBLE PRECISION NOT NULL DEFAULT 0,
  epss DOUBLE PRECISION NOT NULL DEFAULT 0,
  epss_percentile DOUBLE PRECISION NOT NULL DEFAULT 0,
  kev BIGINT NOT NULL DEFAULT 0,
  kev_due BIGINT NOT NULL DEFAULT 0,
  malicious SMALLINT NOT NULL DEFAULT 0,
  disputed SMALLINT NOT NULL DEFAULT 0,
  published BIGINT NOT NULL DEFAULT 0,
  summary {text} NOT NULL DEFAULT '',
  data {text} NOT NULL DEFAULT '{}',
  generation BIGINT NOT NULL DEFAULT 0,
  first_seen BIGINT NOT NULL
);

-- Every ID of a vulnerability, its own too, in upper case.
CREATE TABLE vulnerability_alias (
  alias {text} NOT NULL,
  vulnerability_id BIGINT NOT NULL REFERENCES vulnerability (id),
  PRIMARY KEY (alias, vulnerability_id)
){rowless};
CREATE INDEX vulnerability_alias_id ON vulnerability_alias (vulnerability_id);

-- One package has one vulnerability, by the advisories of now (gone = 0).
CREATE TABLE match (
  id {id},
  software_id BIGINT NOT NULL REFERENCES software (id),
  vulnerability_id BIGINT NOT NULL REFERENCES vulnerability (id),
  class {text} NOT NULL,
  status {text} NOT NULL,
  severity SMALLINT NOT NULL,
  severity_source {text} NOT NULL DEFAULT '',
  score DOUBLE PRECISION NOT NULL DEFAULT 0,
  kev SMALLINT NOT NULL DEFAULT 0,
  malicious SMALLINT NOT NULL DEFAULT 0,
  fix {text} NOT NULL DEFAULT '',
  fixed_version {text} NOT NULL DEFAULT '',
  fixed_versions {text} NOT NULL DEFAULT '[]',
  reasons {text} NOT NULL,
  hash {text} NOT NULL,
  priority BIGINT NOT NULL DEFAULT 0,
  first_seen BIGINT NOT NULL,
  gone BIGINT NOT NULL DEFAULT 0,
  gone_reason {text} NOT NULL DEFAULT '',
  UNIQUE (software_id, vulnerability_id)
);
CREATE INDEX match_vulnerability ON match (vulnerability_id, gone);
-- The software is there so that the matches of some are found without a look at all.
CREATE INDEX match_priority ON match (gone, priority, id, software_id);
CREATE INDEX match_first_seen ON match (gone, first_seen, id, software_id);

-- The risk view: one row per vulnerability and class with at least one live finding.
CREATE TABLE risk (
  id {id},
  vulnerability_id BIGINT NOT NULL REFERENCES vulnerability (id),
  class {text} NOT NULL,
  name {text} NOT NULL,
  severity SMALLINT NOT NULL,
  score DOUBLE PRECISION NOT NULL DEFAULT 0,
  epss DOUBLE PRECISION NOT NULL DEFAULT 0,
  kev SMALLINT NOT NULL DEFAULT 0,
  malicious SMALLINT NOT NULL DEFAULT 0,
  published BIGINT NOT NULL DEFAULT 0,
  priority BIGINT NOT NULL DEFAULT 0,
  findings BIGINT NOT NULL DEFAULT 0,
  handled BIGINT NOT NULL DEFAULT 0,
  fixable BIGINT NOT NULL DEFAULT 0,
  images BIGINT NOT NULL DEFAULT 0,
  first_seen BIGINT NOT NULL,
  UNIQUE (vulnerability_id, class)
);
-- With the class at the end they serve lists of one class and of both.
CREATE INDEX risk_priority ON risk (priority, id, class);
CREATE INDEX risk_name ON risk (name, id, class);
CREATE INDEX risk_score ON risk (score, id, class);
CREATE INDEX risk_epss ON risk (epss, id, class);
CREATE INDEX risk_images ON risk (images, id, class);
CREATE INDEX risk_findings ON risk (findings, id, class);
CREATE INDEX risk_first_seen ON risk (first_seen, id, class);
CREATE INDEX risk_published ON risk (published, id, class);

-- What of an image the counts of software and the risk view hold now, so that a
-- recount adds and removes no more than the difference (see counts.go).
CREATE TABLE share (
  image_id BIGINT PRIMARY KEY,
  data {blob} NOT NULL
){rowless};

-- Images and vulnerabilities whose counts a running re-evaluation has yet to renew.
CREATE TABLE dirty_image (image_id BIGINT PRIMARY KEY){rowless};
CREATE TABLE dirty_risk (vulnerability_id BIGINT PRIMARY KEY){rowless};

-- What a generation changed.
CREATE TABLE change (
  id {id},
  generation_id BIGINT NOT NULL,
  at BIGINT NOT NULL,
  kind {text} NOT NULL,
  software_id BIGINT NOT NULL,
  vulnerability_id BIGINT NOT NULL,
  severity SMALLINT NOT NULL,
  reason {text} NOT NULL,
  images BIGINT NOT NULL,
  findings BIGINT NOT NULL
);
CREATE INDEX change_generation ON change (generation_id, id);
CREATE INDEX change_vulnerability ON change (vulnerability_id, id);

-- What people decided ---------------------------------------------------------------

CREATE TABLE decision (
  id {id},
  kind {text} NOT NULL,
  vulnerability {text} NOT NULL DEFAULT '',
  package_type {text} NOT NULL DEFAULT '',
  package {text} NOT NULL DEFAULT '',
  path {text} NOT NULL DEFAULT '',
  repositories {text} NOT NULL DEFAULT '[]',
  image_ids {text} NOT NULL DEFAULT '[]',
  labels {text} NOT NULL DEFAULT '[]',
  remark {text} NOT NULL,
  author {text} NOT NULL,
  created BIGINT NOT NULL,
  expires BIGINT NOT NULL DEFAULT 0,
  until_fix SMALLINT NOT NULL DEFAULT 0,
  revoked BIGINT NOT NULL DEFAULT 0,
  expired SMALLINT NOT NULL DEFAULT 0,
  hits BIGINT NOT NULL DEFAULT 0
);
CREATE INDEX decision_vulnerability ON decision (vulnerability);

CREATE TABLE decision_event (
  id {id},
  decision_id BIGINT NOT NULL REFERENCES decision (id),
  at BIGINT NOT NULL,
  account {text} NOT NULL,
  action {text} NOT NULL,
  remark {text} NOT NULL DEFAULT '',
  findings BIGINT NOT NULL DEFAULT 0,
  rule {text} NOT NULL DEFAULT ''
);
CREATE INDEX decision_event_decision ON decision_event (decision_id, id);

-- A decision that fits a finding (instance × match) for one repository of its image.
CREATE TABLE effect (
  instance_id BIGINT NOT NULL,
  match_id BIGINT NOT NULL,
  repository_id BIGINT NOT NULL,
  decision_id BIGINT NOT NULL REFERENCES decision (id),
  image_id BIGINT NOT NULL,
  PRIMARY KEY (instance_id, match_id, repository_id)
){rowless};
CREATE INDEX effect_decision ON effect (decision_id);
CREATE INDEX effect_image ON effect (image_id);
CREATE INDEX effect_match ON effect (match_id);

-- Work -------------------------------------------------------------------------------

-- touched is when a console last said that it works on a task without items.
CREATE TABLE task (
  id {id},
  kind {text} NOT NULL,
  state {text} NOT NULL,
  title {text} NOT NULL,
  created_by {text} NOT NULL DEFAULT '',
  scope {text} NOT NULL DEFAULT '',
  created BIGINT NOT NULL,
  started BIGINT NOT NULL DEFAULT 0,
  ended BIGINT NOT NULL DEFAULT 0,
  touched BIGINT NOT NULL DEFAULT 0,
  total BIGINT NOT NULL DEFAULT 0,
  succeeded BIGINT NOT NULL DEFAULT 0,
  partial BIGINT NOT NULL DEFAULT 0,
  failed BIGINT NOT NULL DEFAULT 0,
  cancelled BIGINT NOT NULL DEFAULT 0,
  running BIGINT NOT NULL DEFAULT 0,
  stopping SMALLINT NOT NULL DEFAULT 0,
  detail {text} NOT NULL DEFAULT '',
  export_id BIGINT NOT NULL DEFAULT 0
);
CREATE INDEX task_state ON task (state, id);

-- number orders the items; an item is about an image (scan) or a host (sync).
CREATE TABLE task_item (
  task_id BIGINT NOT NULL REFERENCES task (id),
  number BIGINT NOT NULL,
  image_id BIGINT NOT NULL DEFAULT 0,
  host_id BIGINT NOT NULL DEFAULT 0,
  state {text} NOT NULL,
  code {text} NOT NULL DEFAULT '',
  detail {text} NOT NULL DEFAULT '',
  attempts BIGINT NOT NULL DEFAULT 0,
  reused SMALLINT NOT NULL DEFAULT 0,
  started BIGINT NOT NULL DEFAULT 0,
  ended BIGINT NOT NULL DEFAULT 0,
  PRIMARY KEY (task_id, number)
){rowless};
CREATE INDEX task_item_image ON task_item (image_id, state);
CREATE INDEX task_item_host ON task_item (host_id, state);

-- An image that waits to be read or is being read, once in the fleet.
CREATE TABLE work (
  image_id BIGINT PRIMARY KEY REFERENCES image (id),
  state {text} NOT NULL,
  priority BIGINT NOT NULL DEFAULT 0,
  queued BIGINT NOT NULL,
  attempts BIGINT NOT NULL DEFAULT 0,
  not_before BIGINT NOT NULL DEFAULT 0,
  force SMALLINT NOT NULL DEFAULT 0,
  lease {text} NOT NULL DEFAULT '',
  host_id BIGINT NOT NULL DEFAULT 0,
  until BIGINT NOT NULL DEFAULT 0,
  started BIGINT NOT NULL DEFAULT 0,
  done BIGINT NOT NULL DEFAULT 0,
  total BIGINT NOT NULL DEFAULT 0
);
CREATE INDEX work_state ON work (state, priority, queued);
CREATE INDEX work_host ON work (host_id, state);
CREATE INDEX work_lease ON work (lease);

-- Layers that a lease is reading, so that no other reads them at the same time.
CREATE TABLE layer_claim (
  diff_id {text} PRIMARY KEY,
  image_id BIGINT NOT NULL,
  until BIGINT NOT NULL
){rowless};
CREATE INDEX layer_claim_image ON layer_claim (image_id);

CREATE TABLE schedule (
  id {id},
  name {text} NOT NULL,
  enabled SMALLINT NOT NULL,
  kind {text} NOT NULL,
  cron {text} NOT NULL DEFAULT '',
  selection {text} NOT NULL DEFAULT '{}',
  changed SMALLINT NOT NULL DEFAULT 0,
  scope {text} NOT NULL DEFAULT '',
  created_by {text} NOT NULL DEFAULT '',
  last_run BIGINT NOT NULL DEFAULT 0,
  next_run BIGINT NOT NULL DEFAULT 0,
  last_task BIGINT NOT NULL DEFAULT 0
);

CREATE TABLE export (
  id {id},
  task_id BIGINT NOT NULL,
  kind {text} NOT NULL,
  format {text} NOT NULL,
  request {text} NOT NULL,
  scope {text} NOT NULL,
  state {text} NOT NULL,
  file_name {text} NOT NULL,
  media_type {text} NOT NULL,
  row_count BIGINT NOT NULL DEFAULT 0,
  size BIGINT NOT NULL DEFAULT 0,
  detail {text} NOT NULL DEFAULT '',
  created BIGINT NOT NULL,
  created_by {text} NOT NULL,
  attempts BIGINT NOT NULL DEFAULT 0,
  touched BIGINT NOT NULL DEFAULT 0
);

CREATE TABLE export_part (
  export_id BIGINT NOT NULL REFERENCES export (id),
  number BIGINT NOT NULL,
  data {blob} NOT NULL,
  PRIMARY KEY (export_id, number)
);

-- Open findings at the end of each day.
CREATE TABLE risk_day (
  day {text} PRIMARY KEY,
  data {text} NOT NULL
){rowless};
