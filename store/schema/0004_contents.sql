-- What images contain, for those who count: software and how many instances of it, a
-- row of bytes for each image that was read (see contents.go).
CREATE TABLE contents (
  image_id BIGINT PRIMARY KEY,
  data {blob} NOT NULL
){rowless};

-- The rows of the risk view with an open finding in an image, a row of bytes for each
-- image that has any: all of them are read for the lists of a whole fleet.
CREATE TABLE open_risk (
  image_id BIGINT PRIMARY KEY,
  data {blob} NOT NULL
){rowless};

-- Software whose matches a generation changed, until the images that have it are
-- known; with how many matches came and went.
CREATE TABLE dirty_software (
  software_id BIGINT NOT NULL,
  generation_id BIGINT NOT NULL,
  new_matches BIGINT NOT NULL DEFAULT 0,
  gone_matches BIGINT NOT NULL DEFAULT 0,
  PRIMARY KEY (software_id, generation_id)
){rowless};

-- The images that a host holds, in one row: "image running image running …", where
-- running is the number of its containers there that run. The same as in host_image,
-- for those who ask what all hosts hold.
CREATE TABLE host_held (
  host_id BIGINT PRIMARY KEY REFERENCES host (id),
  images {text} NOT NULL
){rowless};
INSERT INTO host_held (host_id, images)
  SELECT host_id, string_agg(CAST(image_id AS TEXT) || ' ' || CAST(running AS TEXT), ' ' ORDER BY image_id) FROM host_image GROUP BY host_id;

-- Which of the running containers are of some images, without a look at each.
CREATE INDEX container_running ON container (image_id, host_id) WHERE gone = 0 AND running = 1;
