-- VEX documents that somebody handed over, and their statements. What a statement
-- handles is a decision of its own; the others (decision_id = 0) are only told.

CREATE TABLE vex_document (
  id {id},
  digest {text} NOT NULL,
  file {text} NOT NULL,
  format {text} NOT NULL,
  document {text} NOT NULL,
  version {text} NOT NULL,
  author {text} NOT NULL,
  said BIGINT NOT NULL,
  labels {text} NOT NULL DEFAULT '[]',
  statements BIGINT NOT NULL,
  account {text} NOT NULL,
  added BIGINT NOT NULL,
  removed BIGINT NOT NULL DEFAULT 0
);

CREATE TABLE vex_statement (
  id {id},
  document_id BIGINT NOT NULL REFERENCES vex_document (id),
  decision_id BIGINT NOT NULL DEFAULT 0,
  data {text} NOT NULL
);
CREATE INDEX vex_statement_document ON vex_statement (document_id, id);
CREATE INDEX vex_statement_decision ON vex_statement (decision_id);

-- Every ID that a statement gives its vulnerability, in upper case.
CREATE TABLE vex_name (
  alias {text} NOT NULL,
  statement_id BIGINT NOT NULL REFERENCES vex_statement (id),
  PRIMARY KEY (alias, statement_id)
){rowless};

ALTER TABLE decision ADD COLUMN document_id BIGINT NOT NULL DEFAULT 0;
CREATE INDEX decision_document ON decision (document_id);
