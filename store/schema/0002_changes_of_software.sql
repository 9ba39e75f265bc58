-- What advisory updates changed about the software of one image.

CREATE INDEX change_software ON change (software_id, id);
