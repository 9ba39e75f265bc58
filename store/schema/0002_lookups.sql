-- What advisory updates changed about the software of one image.
CREATE INDEX change_software ON change (software_id, id);

-- Where software has been found: a path is looked for here, not among the instances,
-- of which there are ten times as many. It may name a place where nothing lies any more.
CREATE TABLE software_path (
  software_id BIGINT NOT NULL,
  path {text} NOT NULL,
  PRIMARY KEY (software_id, path)
){rowless};
INSERT INTO software_path (software_id, path) SELECT DISTINCT software_id, path FROM instance;
