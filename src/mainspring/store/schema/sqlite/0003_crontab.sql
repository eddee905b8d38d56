-- What the crontab door keeps of a schedule made there. `type` and `start_time` are as they were given; the schedule
-- does not fire before `starts_at`. `superseded_at`: since when a newer task has had the name.
CREATE TABLE crontab_tasks (
  schedule_id INTEGER PRIMARY KEY,
  project     TEXT NOT NULL,
  name        TEXT NOT NULL,
  module      INTEGER NOT NULL,
  type        INTEGER NOT NULL,
  start_time  TEXT NOT NULL,
  starts_at   INTEGER,
  superseded_at INTEGER
) STRICT;

-- Of all that have had a name, one has it.
CREATE UNIQUE INDEX crontab_names ON crontab_tasks (project, name) WHERE superseded_at IS NULL;
CREATE INDEX crontab_by_name ON crontab_tasks (project, name, schedule_id);
CREATE INDEX crontab_single ON crontab_tasks (schedule_id) WHERE type = 1;
CREATE INDEX crontab_starting ON crontab_tasks (schedule_id) WHERE starts_at IS NOT NULL;
