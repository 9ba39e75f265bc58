-- What images contain, for those who count: software and how many instances of it, a
-- row of bytes for each image that was read (see contents.go). Rows that are missing
-- are made again from the instances.
CREATE TABLE contents (
  image_id BIGINT PRIMARY KEY,
  data {blob} NOT NULL
){rowless};

-- Software whose matches a new generation changed, until the images that have it are
-- known; with how many matches came and went.
CREATE TABLE dirty_software (
  software_id BIGINT PRIMARY KEY,
  new_matches BIGINT NOT NULL DEFAULT 0,
  gone_matches BIGINT NOT NULL DEFAULT 0
){rowless};
